"""The yardsticks of a soak: that numbers come through, that losses and growth are seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import durable, soak, soak_ends
from bench.numbered import Template, is_whole, numbers
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def test_templates_are_unique_and_whole() -> None:
    """Each span gets its number into ids, attribute and event, and stays a request."""
    template = Template(7, 5)
    body = bytes(template.numbered(3, 1000))
    assert list(numbers(body)) == [(3, n) for n in range(1000, 1005)]
    assert all(is_whole(body, 3, n) for n in range(1000, 1005))
    assert not is_whole(body, 3, 1005)
    request = ExportTraceServiceRequest.FromString(body)
    spans = request.resource_spans[0].scope_spans[0].spans
    assert len({span.span_id for span in spans}) == 5
    assert len(body) > 5 * 3000
    assert bytes(template.numbered(3, 1000)) == body != bytes(template.numbered(3, 1005))


def test_ids_that_disagree() -> None:
    """A span whose ids are not one number is no span of ours."""
    body = template = bytes(Template(7, 1).numbered(3, 1000))
    key = next(numbers(template))
    last = body.rindex((3 << 48 | key[1]).to_bytes(8, "big"))
    with pytest.raises(ValueError, match="has span"):
        list(numbers(body[:last] + bytes(8) + body[last + 8 :]))


def test_losses_and_repeats_are_seen(tmp_path: Path) -> None:
    """Acknowledged numbers that never arrived are missing, those that came twice are counted."""
    template = Template(1, 10)
    counts = soak_ends.Counts()
    for first in (1, 1, 21):
        counts.add(bytes(template.numbered(0, first)))
    counts.write(tmp_path, 80)
    (tmp_path / "client-0.acked").write_text("1 10\n11 10\n21 10\n31 1")
    assert soak_ends.missing(tmp_path, 0, 80) == (30, 10, 10)
    (tmp_path / "client-1.acked").write_text("1 10\n")
    assert soak_ends.missing(tmp_path, 1, 80) == (10, 10, 0)
    assert (tmp_path / "sink-80.torn").read_text() == "0"


def _samples(rss: float, more_rss: float, more_tasks: int) -> list[soak.Sample]:
    return [
        soak.Sample(float(n), rss + more_rss * n / 100, 20, 7, 30 + more_tasks * n // 100, 0, 0)
        for n in range(100)
    ]


@pytest.mark.parametrize(
    ("rss", "more_rss", "more_tasks", "faults"),
    [
        (100.0, 8.0, 3, []),
        (100.0, 30.0, 0, ["RSS MiB"]),
        (100.0, 0.0, 20, ["tasks"]),
    ],
)
def test_growth_is_seen(rss: float, more_rss: float, more_tasks: int, faults: list[str]) -> None:
    """Memory that drifts by more than a tenth and tasks that grow are faults; noise is none."""
    found = soak.trends(_samples(rss, more_rss, more_tasks), 100)
    assert [trend.name for trend in found if trend.fault] == faults


def test_warm_up_is_not_judged() -> None:
    """What happens in the first fifth does not count."""
    cold = [soak.Sample(float(n), 10, 1, 1, 1, 0, 0) for n in range(20)]
    found = soak.trends(cold + _samples(100, 0, 0)[20:], 100)
    assert [trend.fault for trend in found] == [""] * 4


def test_waits_for_the_disk_are_told_apart() -> None:
    """The log's waits are commits; others carry it over."""
    trace = (
        "12 fdatasync(9</d/queue.db-wal>) = 0\n12 fdatasync(9</d/queue.db-wal>) = 0\n"
        "12 fsync(8</d/queue.db>) = 0\n12 fdatasync(9</d/queue.db-wal> <unfinished ...>\n"
    )
    assert durable.seen(trace) == durable.Syncs(commits=3, others=1)
