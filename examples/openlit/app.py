"""A small real app: the OpenAI client, instrumented by OpenLIT, sending OTLP to the collector.

Only the environment says where the telemetry goes:

    OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 python app.py

It makes five calls against a fake OpenAI server that it starts itself: a chat, a streamed chat, a
tool call, an embedding and a call that fails.
"""

from __future__ import annotations

import os
import pathlib
import sys

import fake_openai
import openai
import openlit
from opentelemetry import _logs, metrics, trace

PRICES = str(pathlib.Path(__file__).with_name("prices.json"))
WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def call_everything(client: openai.OpenAI) -> None:
    """One call of each kind that OpenLIT knows how to record."""
    question = [{"role": "user", "content": "What is a collector?"}]
    chat = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "system", "content": "Answer in one sentence."}, *question],
        temperature=0.3,
        max_tokens=64,
    )
    print("chat      ", chat.choices[0].message.content)

    stream = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=question,
        stream=True,
        stream_options={"include_usage": True},
    )
    words = [part.choices[0].delta.content or "" for part in stream if part.choices]
    print("stream    ", "".join(words).strip())

    weather = [{"role": "user", "content": "What is the weather in Paris?"}]
    tool = client.chat.completions.create(
        model="gpt-4o-mini", messages=weather, tools=[WEATHER_TOOL]
    )
    print("tool call ", tool.choices[0].message.tool_calls[0].function.arguments)

    embedding = client.embeddings.create(model="text-embedding-3-small", input="a collector")
    print("embedding ", embedding.data[0].embedding)

    try:
        client.chat.completions.create(model="no-such-model", messages=question)
    except openai.NotFoundError as error:
        print("error     ", error.message)


def main() -> None:
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        sys.exit("set OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 to reach the collector")
    openlit.init(application_name="openlit-example", environment="demo", pricing_json=PRICES)
    call_everything(openai.OpenAI(api_key="sk-fake", base_url=fake_openai.start(), max_retries=0))
    for provider in (
        trace.get_tracer_provider(),
        metrics.get_meter_provider(),
        _logs.get_logger_provider(),
    ):
        provider.force_flush()
        provider.shutdown()


if __name__ == "__main__":
    main()
