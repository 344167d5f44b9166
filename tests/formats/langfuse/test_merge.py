"""Events to traces and observations, judged by Langfuse's own merge, and the rules one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.formats.langfuse import fold, parse_ingestion
from genai_collector.formats.langfuse.merge import Record, fold_one
from genai_collector.formats.langfuse.values import JSON
from tests.formats.langfuse.making import without_absent
from tests.formats.langfuse.rows import row, rows
from tests.support.captures import shared

Object = dict[str, JSON]


def event(kind: str, second: int, **body: JSON) -> Object:
    """A valid event of the entity `x`, at that second."""
    return {
        "id": f"{kind}-{second}",
        "type": kind,
        "timestamp": f"2025-01-01T00:00:{second:02d}.000Z",
        "body": {"id": "x", **body},
    }


def merged(*events: Object) -> Record:
    found = fold_one(events)
    assert found is not None
    return found


def judged(batch: list[Any]) -> JSON:
    ingestion = parse_ingestion(json.dumps({"batch": batch}).encode())
    made = rows(ingestion, fold(ingestion.events))
    return without_absent(_sorted(made))


def _sorted(made: Any) -> Any:
    return {key: sorted(value, key=lambda one: str(one["id"])) for key, value in made.items()}


def test_golden_cases() -> None:
    """Every recorded batch is merged as Langfuse's own code merged it."""
    lines = shared("golden/ingestion_merge.jsonl").read_text().splitlines()
    assert len(lines) >= 11
    for line in lines:
        case = json.loads(line)
        expected = without_absent(_sorted(case["result"]))
        assert judged(case["batch"]) == expected, case["case"]


def test_real_sdk_batches() -> None:
    """What the old SDKs sent is merged as Langfuse's own code merged it."""
    found = sorted(shared("captures/langfuse_v2").glob("*/*.expected_merged.json"))
    assert len(found) >= 6
    for path in found:
        sent = path.with_name(path.name.replace("expected_merged", "body"))
        batch = json.loads(sent.read_text())["batch"]
        expected = without_absent(_sorted(json.loads(path.read_text())))
        assert judged(batch) == expected, path.parent.name


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"name": "a"}, {"name": "b"}, {"name": "b"}),
        ({"name": "a"}, {}, {"name": "a"}),
        ({"name": "a"}, {"name": None}, {}),
        ({"level": "ERROR"}, {"level": None}, {"level": "DEFAULT"}),
        ({"statusMessage": "a"}, {"statusMessage": None}, {"statusMessage": "a"}),
        ({"parentObservationId": "a"}, {"parentObservationId": None}, {"parentObservationId": "a"}),
        ({"environment": "a"}, {"environment": "b"}, {"environment": "a"}),
        ({"output": "a"}, {"output": ""}, {"output": "a"}),
        ({"output": "a"}, {"output": 0}, {"output": "a"}),
        ({"output": "a"}, {"output": {}}, {"output": {}}),
        ({"output": False}, {}, {"output": False}),
        ({"output": ""}, {}, {}),
        ({"usageDetails": {"a": 1}}, {"usageDetails": {"b": 2}}, {"usageDetails": {"b": 2}}),
        ({"modelParameters": {"a": 1}}, {"modelParameters": {}}, {"modelParameters": {}}),
        ({"metadata": "x"}, {"metadata": {"k": 1}}, {"metadata": {"metadata": "x", "k": 1}}),
        ({"metadata": {"k": [1, {"a": 1}, 3]}}, {"metadata": {"k": [2, {"b": 2}]}},
         {"metadata": {"k": [2, {"a": 1, "b": 2}, 3]}}),
        ({"usage": {"input": 0, "output": 5}}, {}, {"usageDetails":
         {"input": 0, "output": 5, "total": 0}}),
        ({"usage": {"totalCost": 1}}, {"costDetails": {"input": 2}}, {"costDetails": {"input": 2}}),
    ],
)  # fmt: skip
def test_fields(first: Object, second: Object, expected: Object) -> None:
    """Which of two values stays, field by field."""
    made = merged(event("generation-create", 1, **first), event("generation-update", 2, **second))
    for key in {*first, *second, *expected}:
        assert made.body.get(key) == expected.get(key), key


@pytest.mark.parametrize("key", ["name", "userId", "sessionId", "release", "version"])
def test_null_clears_fields_of_traces(key: str) -> None:
    """An explicit null clears; an absent key does not."""
    first = event("trace-create", 1, **{key: "a"})
    assert merged(first, event("trace-create", 2)).body[key] == "a"
    assert key not in merged(first, event("trace-create", 2, **{key: None})).body


def test_public_is_reset() -> None:
    """A later trace event without `public` makes the trace private again, as in Langfuse."""
    first = event("trace-create", 1, public=True)
    assert merged(first).body["public"] is True
    assert merged(first, event("trace-create", 2)).body["public"] is False


def test_update_before_create() -> None:
    """An older update decides on environment and start, for better or worse."""
    create = event("span-create", 9, environment="prod", startTime="2025-01-01T00:00:00Z")
    body = merged(create, event("span-update", 2, output="o")).body
    assert (body["environment"], body["startTime"]) == ("default", "2025-01-01T00:00:02.000Z")


def test_same_millisecond() -> None:
    """Creations come before updates, and the one sent last counts as the oldest."""
    first, second = event("trace-create", 1, name="a"), event("trace-create", 1, name="b")
    second["id"] = "other"
    assert merged(first, second).body["name"] == "a"
    update, create = event("span-update", 1, name="u"), event("span-create", 1, name="c")
    assert merged(update, create).body["name"] == "u"


def test_same_event_twice() -> None:
    """An event id counts once for its entity."""
    one = event("span-create", 1, metadata={"k": [1]})
    assert fold([one, one]).observations == fold([one]).observations


def test_end_is_never_before_start() -> None:
    """An end before the start is the start."""
    start = "2025-01-01T00:00:05+00:00"
    body = merged(event("span-create", 1, startTime=start, endTime="2025-01-01T00:00:01Z")).body
    assert body["endTime"] == start


def test_without_an_id() -> None:
    """What has no id is acknowledged and not stored; SDK logs neither."""
    trace = event("trace-create", 1)
    del trace["body"]["id"]  # type: ignore[union-attr, arg-type]
    assert fold([trace, event("sdk-log", 1, log="x")]) == ([], [], [])


_EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["generation-create", "generation-update"]),
        st.dictionaries(
            st.sampled_from(["name", "level", "input", "version", "statusMessage"]),
            st.sampled_from([None, "a", "b"]),
        ),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(_EVENTS, st.randoms())
def test_order_of_arrival_does_not_matter(events: list[tuple[str, Object]], chance: Any) -> None:
    """With distinct times, only those decide."""
    made = [event(kind, at, **body) for at, (kind, body) in enumerate(events)]
    for at, one in enumerate(made):
        one["id"] = str(at)
    shuffled = list(made)
    chance.shuffle(shuffled)
    assert row(merged(*made)) == row(merged(*shuffled))
