"""The StandardLoggingPayload as LiteLLM documents it: every field of the table, set by its type,
through every format."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from genai_collector.formats import langfuse, litellm, noveum, otlp
from genai_collector.formats.equal import same_span
from genai_collector.formats.litellm import Payload
from genai_collector.formats.residual import same
from genai_collector.model import Signal, Span
from tests.formats.litellm.material import over_the_wire, spans_of
from tests.support.captures import shared

KEY_METADATA: Final[Payload] = {
    "user_api_key_hash": "hash-1",
    "user_api_key_alias": "alias-1",
    "user_api_key_org_id": "org-1",
    "user_api_key_team_id": "team-1",
    "user_api_key_user_id": "key-owner-1",
    "user_api_key_team_alias": "team-alias-1",
}
METADATA: Final[Payload] = {
    **KEY_METADATA,
    "spend_logs_metadata": {"department": "spend-1"},
    "requester_ip_address": "192.0.2.7",
    "requester_metadata": {"session_id": "session-1", "custom": "requester-1"},
}
HEADERS: Final[Payload] = {
    "x_ratelimit_limit_requests": 10001,
    "x_ratelimit_limit_tokens": 10002,
    "x_ratelimit_remaining_requests": 10003,
    "x_ratelimit_remaining_tokens": 10004,
}
HIDDEN: Final[Payload] = {
    "model_id": "hidden-model-1",
    "cache_key": "hidden-cache-1",
    "api_base": "https://hidden.example",
    "response_cost": "0.125",
    "additional_headers": HEADERS,
}
MODEL_MAP: Final[Payload] = {
    "model_map_key": "map-key-1",
    "model_map_value": {"max_tokens": 16384, "mode": "map-mode-1"},
}
COST_FAILURE: Final[Payload] = {
    "error_str": "cost-error-1",
    "traceback_str": "cost-traceback-1",
    "model": "cost-model-1",
    "cache_hit": False,
    "custom_llm_provider": "cost-provider-1",
    "base_model": "cost-base-1",
    "call_type": "cost-call-1",
    "custom_pricing": True,
}
ERROR: Final[Payload] = {
    "error_code": "429",
    "error_class": "RateLimitError",
    "llm_provider": "error-provider-1",
}
FULL: Final[Payload] = {
    "id": "id-1",
    "trace_id": "trace-1",
    "call_type": "acompletion",
    "response_cost": 0.375,
    "response_cost_failure_debug_info": COST_FAILURE,
    "status": "failure",
    "total_tokens": 107,
    "prompt_tokens": 100,
    "completion_tokens": 7,
    "startTime": 1700000000.25,
    "endTime": 1700000002.75,
    "completionStartTime": 1700000001.5,
    "response_time": 1.25,
    "model_map_information": MODEL_MAP,
    "model": "model-1",
    "model_id": "deployment-1",
    "model_group": "group-1",
    "api_base": "https://api.example",
    "metadata": METADATA,
    "cache_hit": True,
    "cache_key": "cache-1",
    "saved_cache_cost": 0.0625,
    "request_tags": ["tag-1", "tag-2"],
    "end_user": "end-user-1",
    "requester_ip_address": "192.0.2.8",
    "messages": [{"role": "user", "content": "question-1"}],
    "response": {"choices": [{"message": {"role": "assistant", "content": "answer-1"}}]},
    "error_str": "error-text-1",
    "error_information": ERROR,
    "model_parameters": {"temperature": 0.75, "custom_parameter": "parameter-1"},
    "hidden_params": HIDDEN,
}
"""Every field with a value that is nowhere else, so that it can be found again."""
STATUSES: Final = ("success", "failure")
TABLES: Final[dict[str, Payload]] = {
    "StandardLoggingPayload": FULL,
    "StandardLoggingUserAPIKeyMetadata": KEY_METADATA,
    "StandardLoggingMetadata": METADATA,
    "StandardLoggingAdditionalHeaders": HEADERS,
    "StandardLoggingHiddenParams": HIDDEN,
    "StandardLoggingModelInformation": MODEL_MAP,
    "StandardLoggingModelCostFailureDebugInformation": COST_FAILURE,
    "StandardLoggingPayloadErrorInformation": ERROR,
}
"""A documented table -> the object in `FULL` that has all its fields."""


def _payload(status: str) -> Payload:
    return {**FULL, "status": status}


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _all_leaves(value: Any) -> list[Any]:
    """All values at any depth, also those inside JSON texts."""
    found: list[Any] = []
    for leaf in _leaves(value):
        found.append(leaf)
        if isinstance(leaf, str) and leaf[:1] in ("{", "["):
            found += _all_leaves(json.loads(leaf))
    return found


def _missing(whole: Any, payload: Payload) -> list[Any]:
    """Values of the payload that are nowhere in `whole`, also not as text; the two times of a span
    have a spelling of their own everywhere."""
    found = {str(leaf) for leaf in _all_leaves(whole)}
    return [
        value
        for value in _leaves({key: v for key, v in payload.items() if key not in _TIMES})
        if str(value) not in found
    ]


_TIMES: Final = ("startTime", "endTime")


def test_the_table_is_complete() -> None:
    """The payload of this test has each field that the documentation's tables name."""
    [file] = shared("seeds").glob("003_*.txt")
    documented = dict(_tables(file))
    for table, example in TABLES.items():
        assert documented[table] <= example.keys(), table
    assert documented["StandardLoggingPayload"] == FULL.keys()


def _tables(file: Path) -> Iterator[tuple[str, set[str]]]:
    for section in file.read_text().split("\n## ")[1:]:
        yield (
            section.split("\n")[0].strip(),
            set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)),
        )


@pytest.mark.parametrize("status", STATUSES)
def test_through_otlp(status: str) -> None:
    """OTLP and back: exact, in protobuf and in JSON."""
    payload = _payload(status)
    spans = over_the_wire([spans_of(payload)])
    text = otlp.encode_json(Signal.TRACES, spans)
    decoded = otlp.decode_json(Signal.TRACES, text)
    assert not decoded.rejected
    for arrived in (spans, decoded.items):
        [again] = litellm.encode_spans([span for span in arrived if isinstance(span, Span)])
        assert same(again, payload)


@pytest.mark.parametrize("status", STATUSES)
def test_through_noveum(status: str) -> None:
    """Noveum's record and back: exact, and each value is in the record."""
    payload = _payload(status)
    span = spans_of(payload)
    [record] = noveum.encode_spans([span])
    assert _missing(record, payload) == []
    [again] = noveum.decode_records(noveum.parse(noveum.dump(record)))
    assert same_span(again, span)
    assert same(litellm.encode_spans([again])[0], payload)


@pytest.mark.parametrize("status", STATUSES)
def test_through_langfuse(status: str) -> None:
    """Langfuse's events hold each value, and what has no member of its own is in the report."""
    payload = _payload(status)
    span = spans_of(payload)
    events = [encoded.event for encoded in langfuse.encode_spans([span])]
    lost = {loss.field for loss in langfuse.loss([span])}
    missing = _missing(events, payload)
    assert not [value for value in missing if value not in _reported(span, lost)]
    [generation] = [e["body"] for e in events if str(e["type"]).startswith("generation")]
    assert isinstance(generation, dict)
    assert generation["model"] == "model-1"
    assert generation["level"] == ("ERROR" if status == "failure" else "DEFAULT")
    assert math.isclose(generation["costDetails"]["total"], 0.375)  # type: ignore[index,call-overload,arg-type]


def _reported(span: Span, lost: set[str]) -> list[Any]:
    """The values of the attributes that the report names."""
    named = {key: v for key, v in span.attributes.items() if f"attributes.{key}" in lost}
    return _all_leaves(named)


@pytest.mark.parametrize("status", STATUSES)
def test_what_the_span_shows(status: str) -> None:
    """The documented fields that the conventions have a word for are under it."""
    span = spans_of(_payload(status))
    shown = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "model-1",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.total_tokens": 107,
        "gen_ai.usage.cost": 0.375,
        "gen_ai.request.temperature": 0.75,
        "gen_ai.conversation.id": "session-1",
        "user.id": "end-user-1",
        "langfuse.trace.tags": ["tag-1", "tag-2"],
    }
    assert {key: span.attributes.get(key) for key in shown} == shown
    assert (span.start_ns, span.end_ns) == (1700000000250000000, 1700000002750000000)
    assert span.status_message == ("error-text-1" if status == "failure" else "")
