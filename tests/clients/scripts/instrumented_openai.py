"""The OpenAI client under one of the OpenTelemetry instrumentations of it.

INSTRUMENTOR (module:class) chooses which; only OTEL_EXPORTER_OTLP_ENDPOINT says where to.
"""

from __future__ import annotations

import importlib
import os
from contextlib import nullcontext
from typing import Any

import openai
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

QUESTION = [{"role": "user", "content": "What is a collector?"}]


def said_by_the_app() -> Any:
    """User, session and tags in the words of the instrumentation, if it has words for them."""
    if os.environ["INSTRUMENTOR"].startswith("openinference"):
        from openinference.instrumentation import using_attributes

        return using_attributes(session_id="session-1", user_id="user-1", tags=["beta", "web"])
    return nullcontext()


def main() -> None:
    module, name = os.environ["INSTRUMENTOR"].split(":")
    tracing, logging = TracerProvider(), LoggerProvider()
    tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    logging.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    trace.set_tracer_provider(tracing)
    instrumentor = getattr(importlib.import_module(module), name)()
    instrumentor.instrument(tracer_provider=tracing, logger_provider=logging)

    client = openai.OpenAI(api_key="sk-fake", max_retries=0)
    with tracing.get_tracer("app").start_as_current_span("ask"), said_by_the_app():
        client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION, temperature=0.3)
        stream = client.chat.completions.create(
            model="gpt-4o-mini", messages=QUESTION, stream=True,
            stream_options={"include_usage": True},
        )  # fmt: skip
        for _ in stream:
            pass
        client.embeddings.create(model="text-embedding-3-small", input="a collector")
        try:
            client.chat.completions.create(model="no-such-model", messages=QUESTION)
        except openai.NotFoundError:
            pass
    tracing.shutdown()
    logging.shutdown()


if __name__ == "__main__":
    main()
