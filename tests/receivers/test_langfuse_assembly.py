"""Events to spans over time, with a clock that only moves when told to."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.formats.langfuse import decode_batch, parse_ingestion
from genai_collector.formats.langfuse.decode import Source
from genai_collector.formats.langfuse.values import JSON
from genai_collector.model import Span
from genai_collector.receivers.langfuse.assembly import Assembly, Emission, Weighed
from genai_collector.receivers.langfuse.config import AssemblyConfig
from genai_collector.receivers.langfuse.late import LATE_UPDATE
from tests.support.captures import shared
from tests.support.fakes import FakeClock
from tests.support.plain import plain

Object = dict[str, JSON]
SOURCE = Source("web", "python", "2.60.10")
_numbers = itertools.count()


def event(kind: str, second: int, **body: JSON) -> Object:
    return {
        "id": f"e{next(_numbers)}",
        "type": kind,
        "timestamp": f"2025-01-01T00:00:{second:02d}.000Z",
        "body": {"environment": "default", **body},
    }


def trace(second: int = 0, **body: JSON) -> Object:
    return event("trace-create", second, id="t", **body)


def opened(key: str = "g", second: int = 1, **body: JSON) -> Object:
    return event("generation-create", second, id=key, traceId="t", name=key, **body)


def ended(key: str = "g", second: int = 5, **body: JSON) -> Object:
    end = f"2025-01-01T00:00:{second:02d}.000Z"
    return event("generation-update", second, id=key, traceId="t", endTime=end, **body)


class House:
    """An assembly with its clock."""

    def __init__(self, **config: object) -> None:
        self.clock = FakeClock()
        self.assembly = Assembly(AssemblyConfig.model_validate(config), self.clock)

    def take(self, *events: Object, weight: int = 100, source: Source = SOURCE) -> Emission:
        return self.assembly.take(source, [Weighed(one, weight) for one in events])

    def after(self, seconds: float) -> Emission:
        self.clock.advance(seconds)
        return self.assembly.due()


def names(emission: Emission) -> list[str]:
    return [span.name for span in emission.spans]


def test_create_and_update_are_one_span() -> None:
    """Once complete, an observation waits for what trails behind, and then leaves, whole."""
    house = House()
    house.take(trace(name="chat"), opened(input="hi", model="m"))
    assert names(house.after(10)) == []
    house.take(ended(output="ho"))
    house.take(trace(6, userId="u"))
    assert names(house.after(1.9)) == []
    [span] = house.after(0.1).spans
    assert span.attributes["langfuse.observation.input"] == "hi"
    assert span.attributes["langfuse.observation.output"] == "ho"
    assert span.attributes["langfuse.trace.name"] == "chat"
    assert span.attributes["user.id"] == "u"
    assert span.end_ns - span.start_ns == 4_000_000_000
    assert house.assembly.pending_bytes == 200  # the trace itself is kept for later spans
    assert not house.after(60)
    assert house.assembly.pending_bytes == 0


def test_events_need_no_end() -> None:
    """An event is complete when it is there."""
    house = House()
    house.take(trace(), event("event-create", 1, id="e", traceId="t", name="e"))
    assert names(house.after(2)) == ["e"]


def test_waits_for_its_trace() -> None:
    """A complete observation waits until its trace is introduced."""
    house = House()
    house.take(opened(), ended())
    assert names(house.after(30)) == []
    house.take(trace(userId="u"))
    [span] = house.after(2).spans
    assert span.attributes["user.id"] == "u"


def test_never_ended_and_never_introduced() -> None:
    """After `max_wait` of silence things leave as they are."""
    house = House(max_wait="10s")
    house.take(opened("open"), opened("alone"), ended("alone"))
    assert names(house.after(9.9)) == []
    emission = house.after(0.1)
    assert sorted(names(emission)) == ["alone", "open"]
    [still_open] = [span for span in emission.spans if span.name == "open"]
    assert still_open.attributes["langfuse.internal.open"] is True
    assert still_open.end_ns == still_open.start_ns


def test_a_trace_that_lives_keeps_what_is_open() -> None:
    """`max_wait` counts from the last event of the trace."""
    house = House(max_wait="10s")
    house.take(trace(), opened("root"))
    for number in range(5):
        house.take(opened(f"g{number}", parentObservationId="root"), ended(f"g{number}"))
        assert names(house.after(8)) == [f"g{number}"]
    house.take(ended("root"))
    assert names(house.after(2)) == ["root"]


def test_late_updates_are_log_records() -> None:
    """What comes after its span is passed on, once, and never as a second span."""
    house = House()
    house.take(trace(), opened(), ended())
    assert names(house.after(2)) == ["g"]
    late = ended(second=9, output="late")
    emission = house.take(late)
    assert not emission.spans
    [record] = emission.logs
    assert record.event_name == LATE_UPDATE
    assert json.loads(str(record.body)) == late
    assert emission.late == 1
    assert not house.take(late), "the same event sent again is nothing new"
    assert not house.after(100).spans


def test_late_update_of_a_trace() -> None:
    """What is said of a trace after its last span is a late update when nothing more comes."""
    house = House(max_wait="10s")
    house.take(trace(input="i"), opened(), ended())
    assert names(house.after(2)) == ["g"]
    house.take(trace(9, output="o"))
    emission = house.after(10)
    assert not emission.spans
    assert [record.event_name for record in emission.logs] == [LATE_UPDATE]


def test_later_spans_know_the_trace() -> None:
    """A span after a long silence still has its trace's fields, and no second root is made."""
    house = House(max_wait="10s")
    house.take(trace(userId="u", input="i"), opened("a", parentObservationId="x"), ended("a"))
    first = house.after(2)
    assert len(first.spans) == 2, "the observation and a root for the trace's own input"
    assert not house.after(100)
    house.take(opened("b", parentObservationId="x"), ended("b"))
    [span] = house.after(2).spans
    assert span.attributes["user.id"] == "u"
    assert not house.after(100).spans


def test_trace_without_observations() -> None:
    """A trace alone becomes one span when nothing more comes."""
    house = House(max_wait="10s")
    house.take(trace(name="lonely"))
    assert not house.after(9)
    [span] = house.after(1).spans
    assert (span.name, span.parent_span_id) == ("lonely", b"")


def test_one_root_carries_the_content() -> None:
    """A single root has the trace's input and output; no other span has."""
    house = House()
    house.take(trace(input="i", output="o"), opened("root"), ended("root"))
    house.take(opened("child", parentObservationId="root"), ended("child"))
    spans = {span.name: span.attributes for span in house.after(2).spans}
    assert spans.keys() == {"root", "child"}
    assert spans["root"]["langfuse.trace.output"] == "o"
    assert "langfuse.trace.output" not in spans["child"]


def test_two_roots_get_a_parent() -> None:
    """Several roots and content of the trace's own: one made root above them."""
    house = House()
    house.take(trace(name="t", input="i"), opened("a"), ended("a"), opened("b"), ended("b"))
    spans = house.after(2).spans
    assert [span.name for span in spans] == ["a", "b", "t"]
    assert {span.parent_span_id for span in spans[:2]} == {spans[2].span_id}
    assert spans[2].end_ns == max(span.end_ns for span in spans)


def test_same_event_twice_counts_once() -> None:
    """A batch that is sent again changes nothing."""
    house = House()
    batch = [trace(), opened(), ended(), event("score-create", 6, id="s", name="n", value=1)]
    assert len(house.take(*batch).logs) == 1
    again = house.take(*batch)
    assert not again
    assert house.assembly.pending_bytes == 300
    assert names(house.after(2)) == ["g"]
    assert not house.take(*batch)
    assert not house.after(100).spans


def test_projects_are_apart() -> None:
    """The same ids in two projects are different things."""
    house = House()
    batch = [trace(), opened(), ended()]
    house.take(*batch)
    house.take(*batch, source=Source("other"))
    spans = house.after(2).spans
    projects = [span.resource.attributes["langfuse.project.name"] for span in spans]
    assert sorted(map(str, projects)) == ["other", "web"]


def test_trace_heard_of_later() -> None:
    """An update that does not name its trace belongs to that of its observation, in any order."""
    for flip in (False, True):
        house = House()
        update = event("generation-update", 5, id="g", endTime="2025-01-01T00:00:05.000Z")
        pair = [opened(), update]
        house.take(*(pair[::-1] if flip else pair))
        house.take(trace())
        [span] = house.after(2).spans
        assert span.name == "g"
        assert house.assembly.pending_bytes == 100


def test_memory_is_bounded() -> None:
    """Beyond the bound the oldest traces leave early, whole; nothing is lost."""
    house = House(max_pending_bytes=1000)
    found: list[Span] = []
    for number in range(50):
        key = f"t{number}"
        emission = house.take(
            event("span-create", 1, id=f"o{number}", traceId=key, name=key), weight=300
        )
        found += emission.spans
        assert emission.early == (1 if number >= 3 else 0)
        assert house.assembly.pending_bytes <= 1000
    found += house.assembly.flush().spans
    assert [span.name for span in found] == [f"t{number}" for number in range(50)]
    assert house.assembly.pending_bytes == 0
    assert house.assembly.next_due() is None


def test_schedule_is_bounded() -> None:
    """A trace with many events is looked at once, not once per event."""
    house = House()
    for _ in range(1000):
        house.take(trace())
    assert len(house.assembly._schedule) == 1


def spans_of(batch: Sequence[Object], cuts: Sequence[int]) -> list[Span]:
    """The batch sent in pieces."""
    house = House()
    found: list[Span] = []
    for start, end in itertools.pairwise([0, *sorted(cuts), len(batch)]):
        found += house.take(*batch[start:end]).spans
    return found + house.after(2).spans + house.assembly.flush().spans


def _as_set(spans: Sequence[Span]) -> list[str]:
    return sorted(repr(plain(span)) for span in spans)


@pytest.mark.parametrize("folder", ["langfuse_v2", "litellm_langfuse"])
def test_real_batches_in_any_pieces(folder: str) -> None:
    """However a real batch is cut into requests, the spans are those of the whole batch."""
    files = sorted(shared(f"captures/{folder}").glob("**/*.json"))
    seen = 0
    for path in files:
        if not path.name.endswith((".body.json", ".langfuse.json")):
            continue
        ingestion = parse_ingestion(path.read_bytes())
        events = [one for one in ingestion.events if one["type"] != "score-create"]
        whole = _as_set(decode_batch(events, _METADATA, "web"))
        chance = random.Random(path.name)
        for _ in range(5):
            cuts = [chance.randrange(len(events)) for _ in range(3)]
            assert _as_set(spans_of(events, cuts)) == whole, path
        seen += 1
    assert seen >= 6


_METADATA: Object = {"sdk_name": "python", "sdk_version": "2.60.10"}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 3)), max_size=12))
def test_each_observation_is_emitted_once(steps: list[tuple[str, bool, int]]) -> None:
    """Whatever comes when, no observation has two spans and every one has one."""
    house = House(max_wait="5s")
    found: list[Span] = []
    house.take(trace())
    for key, ends, seconds in steps:
        emission = house.take(ended(key) if ends else opened(key))
        found += emission.spans + house.after(seconds).spans
    found += house.assembly.flush().spans
    keys = [span.attributes["langfuse.observation.metadata.original_id"] for span in found]
    assert len(keys) == len(set(keys))
    assert set(keys) - {"t-t"} == {key for key, _, _ in steps}
    assert house.assembly.pending_bytes == 0
