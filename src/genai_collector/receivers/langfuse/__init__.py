"""Langfuse in. `config` the options, `receiver` the component, `routes` the API with `auth` and
`answers`, `assembly` events to spans, `outlet` spans to pipelines, `otel` the OTLP routes."""

from genai_collector.receivers.langfuse.config import LangfuseConfig
from genai_collector.receivers.langfuse.receiver import FACTORY, LangfuseReceiver

__all__ = ["FACTORY", "LangfuseConfig", "LangfuseReceiver"]
