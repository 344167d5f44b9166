"""Langfuse's current Python SDK: spans over OTLP, scores as a batch, the OpenAI integration.

Only LANGFUSE_BASE_URL and the keys say where the telemetry goes.
"""

from __future__ import annotations

import sys

from langfuse import get_client, observe, propagate_attributes
from langfuse.openai import openai

QUESTION = [{"role": "user", "content": "What is a collector?"}]


@observe(as_type="tool")
def search(query: str) -> list[str]:
    """A decorated function, a tool call in Langfuse's words."""
    return [f"about {query}"]


def main() -> None:
    langfuse = get_client()
    if not langfuse.auth_check():
        sys.exit("the keys were refused")
    with (
        propagate_attributes(
            trace_name="support", user_id="user-1", session_id="session-1", tags=["beta", "web"],
            metadata={"tenant": "acme"}, version="v1",
        ),
        langfuse.start_as_current_observation(
            name="ask", as_type="agent", input={"question": "What?"}
        ) as agent,
    ):  # fmt: skip
        search("collector")
        with langfuse.start_as_current_observation(
            name="answer", as_type="generation", model="gpt-4o-mini",
            model_parameters={"temperature": 0.3}, input=QUESTION,
        ) as generation:  # fmt: skip
            generation.update(
                output={"role": "assistant", "content": "It gathers."},
                usage_details={"input": 26, "input_cached_tokens": 16, "output": 17, "total": 59},
                cost_details={"input": 0.001, "output": 0.002, "total": 0.003},
            )
            generation.score(name="tone", value="friendly", data_type="CATEGORICAL")
        openai.chat.completions.create(model="gpt-4o-mini", messages=QUESTION, temperature=0.3)
        try:
            openai.chat.completions.create(model="no-such-model", messages=QUESTION)
        except openai.NotFoundError:
            pass
        agent.update(output={"answer": "It gathers."})
        agent.score_trace(name="helpfulness", value=0.9, comment="good")
    langfuse.flush()
    langfuse.shutdown()


if __name__ == "__main__":
    main()
