"""Three OpenTelemetry instrumentations of the OpenAI client, each with a vocabulary of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.clients.far_end import Call, check_call, check_failure, check_tree, langfuse_of
from tests.clients.support import QUESTION, world

pytestmark = pytest.mark.client

SNAPSHOT: Final = "gpt-4o-mini-2024-07-18"
CASES: Final = {
    "openinference": (
        "openinference.instrumentation.openai",
        Call(answered=SNAPSHOT, user="user-1", session="session-1", tags=("beta", "web")),
    ),
    "openllmetry": ("opentelemetry.instrumentation.openai", Call(answered=SNAPSHOT)),
    "otel_openai_v2": (
        "opentelemetry.instrumentation.openai_v2",
        Call(answered=SNAPSHOT, cached=None),  # it does not tell
    ),
}


EVENTS: Final = {
    "today's conventions": {
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "event_only",
    },
    "an event per message": {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"},
}


@pytest.mark.parametrize("case", EVENTS)
async def test_content_that_comes_as_log_records(case: str, tmp_path: Path) -> None:
    """The official instrumentation sends prompts and answers as events only; joined, they are on
    the span and in every other format, and no event is left."""
    async with world(tmp_path, events=True) as here:
        await here.run(
            "otel_openai_v2",
            "instrumented_openai.py",
            INSTRUMENTOR="opentelemetry.instrumentation.openai_v2:OpenAIInstrumentor",
            OTEL_EXPORTER_OTLP_ENDPOINT=here.url,
            **EVENTS[case],
        )
    _, chat, stream, _embedding, wrong = here.spans
    call = Call(answered=SNAPSHOT, cached=None)
    check_call(here, chat, call)
    check_call(here, stream, call)
    check_failure(here, wrong, "does not exist")
    assert QUESTION in str(wrong.attributes["gen_ai.input.messages"])
    assert here.records == []


@pytest.mark.parametrize("name", CASES)
async def test_openai_instrumentation(name: str, tmp_path: Path) -> None:
    """A chat, a streamed one, an embedding and a failure below the app's own span."""
    module, call = CASES[name]
    async with world(tmp_path) as here:
        await here.run(
            name,
            "instrumented_openai.py",
            INSTRUMENTOR=f"{module}:OpenAIInstrumentor",
            OTEL_EXPORTER_OTLP_ENDPOINT=here.url,
            OTEL_SEMCONV_STABILITY_OPT_IN="gen_ai_latest_experimental",
            OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="span_and_event",
            TRACELOOP_TELEMETRY="false",
        )
    ask, chat, stream, embedding, wrong = here.spans
    assert {span.parent_span_id for span in here.spans} == {b"", ask.span_id}
    check_tree(here)
    check_call(here, chat, call)
    assert chat.attributes["gen_ai.provider.name"] == "openai"
    assert chat.attributes["gen_ai.request.temperature"] == 0.3
    check_call(here, stream, call)
    check_failure(here, wrong, "does not exist")

    assert embedding.attributes["gen_ai.operation.name"] == "embeddings"
    assert embedding.attributes["gen_ai.usage.input_tokens"] == 8
    assert langfuse_of(here, embedding)["usageDetails"]["input"] == 8
    assert [body["model"] for body in here.events("embedding-create")] == ["text-embedding-3-small"]
