"""Langfuse's Python SDK 2: the low-level client, the decorator and the OpenAI integration.

Only LANGFUSE_HOST and the keys say where the telemetry goes.
"""

from __future__ import annotations

import datetime as dt
import sys

from langfuse import Langfuse
from langfuse.decorators import langfuse_context, observe
from langfuse.openai import openai

QUESTION = [{"role": "user", "content": "What is a collector?"}]


def low_level(client: Langfuse) -> None:
    """A trace in pieces: created, nested into, updated and ended by separate events."""
    trace = client.trace(
        name="support", user_id="user-1", session_id="session-1", tags=["beta", "web"],
        release="r1", version="v1", metadata={"tenant": "acme"}, input={"question": "What?"},
    )  # fmt: skip
    span = trace.span(name="retrieve", input={"query": "collector"}, metadata={"index": "docs"})
    generation = span.generation(
        name="answer", model="gpt-4o-mini", model_parameters={"temperature": 0.3},
        input=QUESTION, completion_start_time=dt.datetime.now(dt.UTC),
    )  # fmt: skip
    generation.end(
        output={"role": "assistant", "content": "It gathers."},
        usage_details={"input": 26, "input_cached_tokens": 16, "output": 17, "total": 59},
        cost_details={"input": 0.001, "output": 0.002, "total": 0.003},
    )
    span.event(name="cache-miss", level="WARNING", input={"key": "k"})
    failed = span.generation(name="failed", model="no-such-model", input=QUESTION)
    failed.end(level="ERROR", status_message="The model does not exist")
    span.end(output=["document"])
    trace.score(name="helpfulness", value=0.9, comment="good")
    generation.score(name="tone", value="friendly", data_type="CATEGORICAL")
    trace.update(output={"answer": "It gathers."})


@observe()
def decorated() -> str:
    """A function that is a trace, with an OpenAI call below it."""
    langfuse_context.update_current_trace(user_id="user-2", session_id="session-2", tags=["deco"])
    answer = openai.chat.completions.create(model="gpt-4o-mini", messages=QUESTION, temperature=0.3)
    return answer.choices[0].message.content or ""


def main() -> None:
    client = Langfuse()
    if not client.auth_check():
        sys.exit("the keys were refused")
    low_level(client)
    decorated()
    try:
        openai.chat.completions.create(model="no-such-model", messages=QUESTION)
    except openai.NotFoundError:
        pass
    openai.flush_langfuse()
    langfuse_context.flush()
    client.flush()


if __name__ == "__main__":
    main()
