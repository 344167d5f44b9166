"""The conversions that `make bench` measures do what they are measured for."""

from __future__ import annotations

import re

import orjson
import pytest
from bench import conversion
from bench.conversion import CONVERSIONS, RECORD_BYTES, RECORDS_PER_PAYLOAD, Conversion

from genai_collector.formats import langfuse, otlp
from genai_collector.model import Signal


@pytest.mark.parametrize("case", CONVERSIONS, ids=lambda case: case.name)
def test_payloads_are_unique_and_as_large_as_said(case: Conversion) -> None:
    """3 kB a record, no prompt twice, another seed another payload."""
    first, second = conversion.payloads(case, 0, 2 * RECORDS_PER_PAYLOAD)
    (other,) = conversion.payloads(case, 1, 1)
    texts = [re.findall(r'"content": "([^"]{400,})"', body.decode()) for body in (first, second, other)]  # fmt: skip  # noqa: E501
    flat = [text for found in texts for text in found]
    assert len(flat) >= 3 * 2 * RECORDS_PER_PAYLOAD
    assert len(set(flat)) == len(flat)
    assert abs(len(first) / RECORDS_PER_PAYLOAD - RECORD_BYTES) < RECORD_BYTES * 0.05


@pytest.mark.parametrize("case", CONVERSIONS[:2], ids=lambda case: case.name)
def test_every_record_becomes_a_span(case: Conversion) -> None:
    """A span each, with model, tokens and messages."""
    (body,) = conversion.payloads(case, 0, 1)
    spans = otlp.decode(Signal.TRACES, case.convert(body))
    assert len(spans) == RECORDS_PER_PAYLOAD
    for span in spans:
        assert {
            "gen_ai.request.model",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.cost",
            "gen_ai.input.messages",
            "gen_ai.output.messages",
        } <= (getattr(span, "attributes", {})).keys()


def test_every_payload_becomes_a_trace_and_a_generation() -> None:
    """LiteLLM's calls are two valid events each in Langfuse."""
    (body,) = conversion.payloads(CONVERSIONS[2], 0, 1)
    batch = langfuse.parse_ingestion(CONVERSIONS[2].convert(body))
    assert not batch.refused
    kinds = [event["type"] for event in batch.events]
    assert kinds.count("trace-create") == RECORDS_PER_PAYLOAD
    assert kinds.count("generation-create") == RECORDS_PER_PAYLOAD


def test_the_yardstick_reads_and_writes_all() -> None:
    """orjson's way there and back keeps the payload."""
    (body,) = conversion.payloads(CONVERSIONS[0], 0, 1)
    assert orjson.loads(conversion.through_orjson(body)) == orjson.loads(body)
