"""What the tests of the Noveum format work on: recorded records, and strategies for odd ones."""

from __future__ import annotations

import copy
import json
from typing import Final

from hypothesis import strategies as st

from genai_collector.formats.noveum import Record
from genai_collector.model import EntityRef, Event, Link, Resource, Scope, Span, Value
from tests.support.captures import FIXTURES

FILES: Final = ("seed_records", "derived_v1.0.1", "derived_v2.0.1")


def load(name: str) -> list[Record]:
    """The records of one fixture file."""
    records: list[Record] = json.loads((FIXTURES / "noveum" / f"{name}.json").read_bytes())
    return records


RECORDS: Final = [record for name in FILES for record in load(name)]
IDS: Final = [f"{name}-{at}" for name in FILES for at in range(len(load(name)))]


def changed(record: Record, path: tuple[str, ...], value: Value) -> Record:
    """The record with one member set."""
    fresh = copy.deepcopy(record)
    node: Value = fresh
    for key in path[:-1]:
        assert isinstance(node, dict)
        node = node[key]
    assert isinstance(node, dict)
    node[path[-1]] = value
    return fresh


# Values that a JSON body may hold, the odd ones often.
ODD: Final[list[Value]] = [
    None, True, False, 0, 1, -1, -0.0, 0.0, 1.0, 1e300, 2**53, 2**53 + 1, 2**63 - 1, 2**63,
    -(2**63), 10**30, float("inf"), float("nan"), "", "0", "12", "12.5", "null", "NaN",
    "\ud800", "\x00", "é", "success", "error", "2025-03-05T16:03:20.123Z",
    "2025-03-05T16:03:20+02:00", 1741190600,
    1741190600123, "[{\"type\":\"text\"}]", [], {}, [[]], {"": None}, {"$int": "7"}, {"otel": {}},
]  # fmt: skip
SCALARS: Final = st.one_of(
    st.sampled_from(ODD),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=8),
)
JSON_VALUES: Final = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def _paths(node: Value, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [at] if at else []
    if isinstance(node, dict):
        for key, value in node.items():
            found += _paths(value, (*at, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            found += _paths(value, (*at, index))
    return found


def _recorded(at: int) -> Record:
    return RECORDS[at]


RECORD: Final = st.integers(0, len(RECORDS) - 1).map(_recorded)
"""One of the recorded records (by place, because Hypothesis prints what it chooses from)."""


@st.composite
def mutations(draw: st.DrawFn, source: st.SearchStrategy[Record]) -> Record:
    """A record with a few members replaced, removed, renamed, or added.

    What is drawn may be changed by a later step, so it is copied: Hypothesis draws the same object
    again.
    """
    record: Record = copy.deepcopy(draw(source))
    for _ in range(draw(st.integers(1, 4))):
        paths = _paths(record)
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        node: Value = record
        for step in path[:-1]:
            node = node[step]  # type: ignore[index]
        last = path[-1]
        if isinstance(node, list):
            assert isinstance(last, int)
            node[last] = copy.deepcopy(draw(JSON_VALUES))
            continue
        assert isinstance(node, dict)
        assert isinstance(last, str)
        match draw(st.sampled_from(["replace", "remove", "rename", "add"])):
            case "replace":
                node[last] = copy.deepcopy(draw(JSON_VALUES))
            case "remove":
                del node[last]
            case "rename":
                node[draw(st.sampled_from(["threadId", "thread_id", "projectId", "id", "x"]))] = (
                    node.pop(last)
                )
            case _:
                node[draw(st.text(max_size=6))] = copy.deepcopy(draw(JSON_VALUES))
    return record


# OTLP spans, every field, with attribute names that mean something to us among them.
TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES: Final[st.SearchStrategy[Value]] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(),
        TEXT,
        st.binary(max_size=4),
        st.sampled_from(["$int", "null", '{"$', "gateway", "seed", "[]", "{}"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(TEXT, st.sampled_from(["$int", "$map"])), inner, max_size=2),
    ),
    max_leaves=5,
)
KEYS: Final = st.one_of(
    TEXT,
    st.sampled_from([
        "gen_ai.operation.name", "gen_ai.system", "gen_ai.provider.name", "gen_ai.request.model",
        "gen_ai.response.model", "gen_ai.input.messages", "gen_ai.output.messages", "user.id",
        "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.conversation.id",
        "gen_ai.request.stop_sequences", "gen_ai.response.finish_reasons", "error.type",
        "noveum.spelling", "noveum.residual", "noveum.residual.spelling", "noveum.request",
        "noveum.response", "noveum.log.id", "noveum.log.name", "noveum.cost.total_usd",
        "http.response.status_code", "openai.response.service_tier", "noveum.project.id",
    ]),
)  # fmt: skip
MEANING: Final[st.SearchStrategy[Value]] = st.sampled_from([
    "chat", "embeddings", "openai", "gpt-4o", '[{"role":"user","content":"hi"}]', "seed", "gateway",
    '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]', '[[["attributes","model"],"x"]]',
    '[[["attributes","otel"]]]', '[[[],5]]', '{"model":"m"}', "null", 429, 7,
])  # fmt: skip
ATTRIBUTES: Final = st.dictionaries(KEYS, st.one_of(MEANING, VALUES), max_size=6)
TIMES: Final = st.integers(0, 2**64 - 1)
COUNTS: Final = st.integers(0, 2**32 - 1)
ENTITIES: Final = st.builds(
    EntityRef, TEXT, st.lists(TEXT, max_size=2), st.lists(TEXT, max_size=2), TEXT
)
RESOURCES: Final = st.builds(Resource, ATTRIBUTES, COUNTS, st.lists(ENTITIES, max_size=1), TEXT)
SCOPES: Final = st.builds(Scope, TEXT, TEXT, ATTRIBUTES, COUNTS, TEXT)
SPANS: Final = st.builds(
    Span,
    trace_id=st.sampled_from([b"", b"\x01" * 16]),
    span_id=st.sampled_from([b"", b"\x02" * 8]),
    parent_span_id=st.sampled_from([b"", b"\x03" * 8]),
    trace_state=TEXT,
    flags=COUNTS,
    name=TEXT,
    kind=st.integers(0, 9),
    start_ns=TIMES,
    end_ns=TIMES,
    attributes=ATTRIBUTES,
    events=st.lists(st.builds(Event, TEXT, TIMES, ATTRIBUTES, COUNTS), max_size=2),
    links=st.lists(
        st.builds(
            Link, st.just(b"\x04" * 16), st.just(b"\x05" * 8), TEXT, ATTRIBUTES, COUNTS, COUNTS
        ),
        max_size=2,
    ),
    status_code=st.integers(0, 3),
    status_message=TEXT,
    dropped_attributes_count=COUNTS,
    dropped_events_count=COUNTS,
    dropped_links_count=COUNTS,
    resource=RESOURCES,
    scope=SCOPES,
)
