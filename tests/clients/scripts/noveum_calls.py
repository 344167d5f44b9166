"""noveum-trace: its context managers around OpenAI calls.

Only NOVEUM_ENDPOINT says where the telemetry goes.
"""

from __future__ import annotations

import noveum_trace
import openai

QUESTION = [{"role": "user", "content": "What is a collector?"}]


def ask(client: openai.OpenAI) -> None:
    """An agent with a successful and a failing call of a model below it."""
    with noveum_trace.trace_agent_operation(agent_type="support", operation="answer"):
        with noveum_trace.trace_llm_call(model="gpt-4o-mini", provider="openai") as span:
            answer = client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)
            span.set_input_attributes(messages=QUESTION)
            span.set_output_attributes(response=answer.choices[0].message.content)
            span.set_usage_attributes(
                input_tokens=answer.usage.prompt_tokens,
                output_tokens=answer.usage.completion_tokens,
            )
        try:
            with noveum_trace.trace_llm_call(model="no-such-model", provider="openai"):
                client.chat.completions.create(model="no-such-model", messages=QUESTION)
        except openai.NotFoundError:
            pass


def main() -> None:
    noveum_trace.init()
    with noveum_trace.start_trace("support"):
        ask(openai.OpenAI(api_key="sk-fake", max_retries=0))
    noveum_trace.flush()
    noveum_trace.shutdown()


if __name__ == "__main__":
    main()
