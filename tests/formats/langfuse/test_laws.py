"""Laws: whatever the span, the server takes its events, and takes them as they are."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.formats.langfuse import (
    MARKER,
    dump_event,
    encode_batch,
    encode_spans,
    parse_event,
    shorten_event,
)
from genai_collector.formats.langfuse.keys import (
    _EXACT,
    _PREFIXES,
    ENVIRONMENT_KEYS,
    SCOPES,
    SESSION_KEYS,
    TAG_KEYS,
    TRACE_UPDATE_KEYS,
    USER_KEYS,
)
from genai_collector.model import Event, Resource, Scope, Span
from tests.formats.langfuse.making import events_of, span, without_absent

KNOWN_KEYS = sorted(
    {
        *_EXACT, *ENVIRONMENT_KEYS, *SESSION_KEYS, *TAG_KEYS, *TRACE_UPDATE_KEYS, *USER_KEYS,
        "langfuse.observation.type", "langfuse.observation.level", "langfuse.version",
        "langfuse.observation.model.name", "langfuse.observation.model.parameters",
        "langfuse.observation.usage_details", "langfuse.observation.cost_details",
        "langfuse.observation.completion_start_time", "langfuse.observation.prompt.name",
        "langfuse.observation.prompt.version", "langfuse.internal.as_root", "langfuse.release",
        "langfuse.observation.status_message", "langfuse.trace.public", "langfuse.public",
        "gen_ai.operation.name", "openinference.span.kind", "model", "llm.model_name",
        "gen_ai.usage.input_tokens", "gen_ai.usage.cache_read.input_tokens", "service.version",
        "ai.response.providerMetadata", "ai.usage.cachedInputTokens", "ai.response.msToFirstChunk",
        "genkit:metadata:subtype", "telemetry.sdk.language", "operation.name",
    }
)  # fmt: skip
texts = st.one_of(
    st.sampled_from(
        ["", "generation", "chat", "true", "3", "-1", "1e3", "NaN", "[]", "{}", "[1,null]", "null",
         '{"a":{"b":[1.5]}}', '{"name":"p","version":2}', '{"openai":{"cachedPromptTokens":3}}',
         '{"anthropic":{"usage":{"cache_creation":{}}}}', "2025-01-01T00:00:00Z", "2025-01-01",
         '"2025-01-01T00:00:00+02:00"', "0001-01-01T00:00:00+10:00", "[" * 300, "langfuse-prod"]
    ),
    st.text(max_size=8),
)  # fmt: skip
values = st.recursive(
    st.one_of(texts, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.none(),
              st.binary(max_size=4)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=4,
)  # fmt: skip
suffixes = st.sampled_from(
    ["", "0", "0.content", "1.x.2", "langfuse_tags", "a", ".", "__proto__.x"]
)
names = st.one_of(
    st.sampled_from(KNOWN_KEYS),
    st.builds(lambda row, suffix: row[0] + "." + suffix, st.sampled_from(_PREFIXES), suffixes),
    st.text(max_size=6),
)
attributes = st.dictionaries(names, values, max_size=8)
times = st.one_of(st.just(0), st.integers(0, 2**64 - 1))
events = st.builds(
    Event,
    st.sampled_from(["exception", "gen_ai.choice", "gen_ai.user.message", "gen_ai.content.prompt",
                     "gen_ai.client.inference.operation.details"]),
    times,
    attributes,
)  # fmt: skip
spans = st.builds(
    Span,
    trace_id=st.binary(max_size=16),
    span_id=st.binary(max_size=8),
    parent_span_id=st.sampled_from([b"", b"\x01" * 8]),
    name=st.text(max_size=1200),
    kind=st.integers(0, 5),
    start_ns=times,
    end_ns=times,
    attributes=attributes,
    events=st.lists(events, max_size=2),
    status_code=st.integers(0, 3),
    status_message=st.text(max_size=3),
    resource=st.builds(Resource, attributes),
    scope=st.builds(Scope, st.sampled_from([*SCOPES, "langfuse-sdk", "x", ""]), texts, attributes),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(spans, max_size=3), st.booleans())
def test_every_event_is_accepted_as_it_is(made: list[Span], keep: bool) -> None:
    """Our own reading of the schema accepts each event and changes nothing in it; every span with
    ids has exactly one observation."""
    encoded = encode_spans(made, now_ns=1, keep_unmapped=keep)
    for one in encoded:
        parsed = parse_event(one.event)
        assert parsed.issues == []
        assert without_absent(parsed.event) == without_absent(one.event)
    observed = [one.span_index for one in encoded if one.event["type"] != "trace-create"]
    assert observed == [at for at, one in enumerate(made) if one.trace_id and one.span_id]


@settings(max_examples=60, deadline=None)
@given(st.lists(spans, max_size=2))
def test_events_are_json_and_the_same_each_time(made: list[Span]) -> None:
    """Encoding does not change the spans, gives the same twice, and survives JSON."""
    encoded = [one.event for one in encode_spans(made, now_ns=1)]
    body = encode_batch(encoded)
    assert body == encode_batch([one.event for one in encode_spans(made, now_ns=1)])
    parsed: dict[str, Any] = json.loads(body)
    assert [one["id"] for one in parsed["batch"]] == [one["id"] for one in encoded]


@settings(max_examples=40, deadline=None)
@given(
    st.text(max_size=400),
    st.one_of(st.text(max_size=400), st.lists(st.text(max_size=50), max_size=8)),
    st.integers(600, 1500),
)
def test_shortened_events_fit(given_: str, answer: Any, limit: int) -> None:
    """A shortened event is at most as large as asked, says where it was cut, and is acceptable."""
    attributes = {"input": given_ * 9, "output": answer, "x": "y" * 300}
    event = events_of(span(attributes))[1]
    short = shorten_event(event, limit)
    assert short is not None
    assert len(dump_event(short)) <= limit
    assert parse_event(short).issues == []
    if len(dump_event(event)) > limit:
        assert MARKER in dump_event(short).decode()
    else:
        assert short == event


def test_what_cannot_be_shortened() -> None:
    """There is no shorter event than one without content."""
    assert shorten_event(events_of(span(name="n" * 900))[1], 500) is None
