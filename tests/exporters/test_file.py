"""file: what stands in the files, and what happens when they fill up, move or break."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard
from pydantic import ValidationError

from genai_collector.component import Context, Sent
from genai_collector.delivery import QueuedExporter
from genai_collector.errors import ConfigError, Retryable
from genai_collector.exporters._rotating_file import Limits, RotatingFile
from genai_collector.exporters.file import File, FileConfig
from genai_collector.formats import noveum, otlp
from genai_collector.model import (
    Batch,
    Exemplar,
    Gauge,
    LogRecord,
    Metric,
    NumberPoint,
    Signal,
    Span,
)
from tests.support.fakes import FakeClock, make_context

TRACE, SPAN = b"t" * 16, b"s" * 8
NOON = 1_800_000_000.0


def call(name: str = "chat m") -> Span:
    return Span(
        trace_id=TRACE,
        span_id=SPAN,
        name=name,
        start_ns=1_800_000_000_000_000_000,
        end_ns=1_800_000_001_000_000_000,
        attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"},
    )


def spans(*names: str) -> Batch:
    return otlp.batch_of(Signal.TRACES, [call(name) for name in names or ("chat m",)])


def metrics() -> Batch:
    traced = Exemplar(value=0.5, trace_id=TRACE, span_id=SPAN, time_ns=1)
    points = [NumberPoint(value=1, exemplars=[traced]), NumberPoint(value=2)]
    return otlp.batch_of(Signal.METRICS, [Metric(name="m", data=Gauge(points=points))])


def logs() -> Batch:
    return otlp.batch_of(Signal.LOGS, [LogRecord(body="x"), LogRecord(body="y")])


async def write(
    path: Path | str, *batches: Batch, context: Context | None = None, **config: Any
) -> list[Sent]:
    full = FileConfig.model_validate({"path": str(path), **config})
    async with File(full, context or make_context()) as file:
        return [await file.export(batch) for batch in batches]


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# ---- formats -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["otlp_json", "json"])
async def test_otlp_json_is_one_request_per_line(tmp_path: Path, name: str) -> None:
    """All signals in one file, in order, each line a request of its own."""
    path = tmp_path / "out.jsonl"
    assert await write(path, spans(), metrics(), logs(), format=name) == [Sent(1), Sent(2), Sent(2)]
    assert [list(line) for line in lines(path)] == [
        ["resourceSpans"],
        ["resourceMetrics"],
        ["resourceLogs"],
    ]
    first = otlp.decode_json(Signal.TRACES, path.read_bytes().splitlines()[0])
    assert otlp.encode(Signal.TRACES, first.items) == spans().encoded()


@pytest.mark.parametrize("name", ["otlp_proto", "proto"])
async def test_otlp_proto_is_length_and_message(tmp_path: Path, name: str) -> None:
    """Four bytes, big-endian, then as many bytes of protobuf."""
    path = tmp_path / "out.binpb"
    await write(path, spans("a"), spans("b"), format=name)
    data, found = path.read_bytes(), []
    while data:
        length = int.from_bytes(data[:4], "big")
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    assert found == [spans("a").encoded(), spans("b").encoded()]


async def test_noveum_is_one_record_per_line(tmp_path: Path) -> None:
    """Spans, data points and log records each have a record that reads back."""
    path = tmp_path / "{signal}.jsonl"
    sent = await write(path, spans("a", "b"), metrics(), logs(), format="noveum")
    assert sent == [Sent(2), Sent(2), Sent(2)]
    records = noveum.parse((tmp_path / "traces.jsonl").read_bytes())
    assert [span.name for span in noveum.decode_records(records)] == ["a", "b"]
    assert len(lines(tmp_path / "metrics.jsonl")) == 2
    assert len(lines(tmp_path / "logs.jsonl")) == 2


async def test_langfuse_is_one_ingestion_request_per_line(tmp_path: Path) -> None:
    """A batch of events per line; what has no form there is dropped and counted, never silently."""
    path = tmp_path / "out.jsonl"
    sent = await write(path, spans(), metrics(), logs(), format="langfuse")
    assert [(s.items, s.dropped) for s in sent] == [
        (1, {}),
        (0, {"no_form": 2}),
        (0, {"no_form": 2}),
    ]
    [line] = lines(path)
    assert {"trace-create", "generation-create"} <= {event["type"] for event in line["batch"]}


async def test_langfuse_spans_without_ids_are_counted(tmp_path: Path) -> None:
    """A span that belongs to no trace has no event, so it is not among what was written."""
    lost = otlp.batch_of(Signal.TRACES, [call(), Span(span_id=SPAN, name="no trace")])
    [sent] = await write(tmp_path / "out.jsonl", lost, format="langfuse")
    assert (sent.items, sent.dropped) == (1, {"no_form": 1})


async def test_langfuse_scores_are_made_of_exemplars_on_request(tmp_path: Path) -> None:
    """A data point with a traced exemplar becomes a score, the other one has no form."""
    path = tmp_path / "out.jsonl"
    [sent] = await write(path, metrics(), format="langfuse", metric_scores=True)
    assert (sent.items, sent.dropped) == (1, {"no_form": 1})
    [line] = lines(path)
    assert [event["type"] for event in line["batch"]] == ["score-create"]


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_compressed_files_are_read_by_every_tool(tmp_path: Path, compression: str) -> None:
    """Several writes make one readable stream."""
    path = tmp_path / "out"
    await write(path, spans("a"), spans("b"), compression=compression)
    data = path.read_bytes()
    if compression == "gzip":
        text = gzip.decompress(data)
    else:
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as stream:
            text = stream.read()
    assert [json.loads(line)["resourceSpans"] is not None for line in text.splitlines()] == [
        True,
        True,
    ]


# ---- files ---------------------------------------------------------------------------------


async def test_a_restart_continues_or_empties_the_file(tmp_path: Path) -> None:
    """append, the default, loses nothing; append: false empties the file at the start only."""
    path = tmp_path / "out.jsonl"
    await write(path, spans())
    await write(path, spans())
    assert len(lines(path)) == 2
    await write(path, spans(), spans(), append=False)
    assert len(lines(path)) == 2


async def test_a_line_torn_by_a_crash_stays_alone(tmp_path: Path) -> None:
    """The next line does not continue the torn one."""
    path = tmp_path / "out.jsonl"
    path.write_bytes(b'{"resourceSp')
    await write(path, spans())
    torn, whole = path.read_text().splitlines()
    assert torn == '{"resourceSp'
    assert "resourceSpans" in json.loads(whole)


async def test_directories_are_created_when_asked(tmp_path: Path) -> None:
    """Without the option a missing directory stops the start, with the cure in the message."""
    path = tmp_path / "a" / "b" / "out.jsonl"
    with pytest.raises(ConfigError, match="create_directory: true"):
        await write(path, spans())
    await write(path, spans(), create_directory=True)
    assert len(lines(path)) == 1


async def test_a_directory_is_no_file(tmp_path: Path) -> None:
    """Said at the start, not at the first write."""
    with pytest.raises(ConfigError, match="is a directory"):
        await write(tmp_path)


async def test_a_file_that_somebody_moved_is_begun_anew(tmp_path: Path) -> None:
    """Others may rotate, too: nothing is written to where nobody looks."""
    path = tmp_path / "out.jsonl"
    async with File(FileConfig(path=str(path)), make_context()) as file:
        await file.export(spans())
        path.rename(tmp_path / "moved.jsonl")
        await file.export(spans())
        path.unlink()
        await file.export(spans())
    assert len(lines(path)) == 1
    assert len(lines(tmp_path / "moved.jsonl")) == 1


async def test_a_disk_that_refuses_is_retryable(tmp_path: Path) -> None:
    """Nothing is lost: delivery keeps the batch and tries again."""
    path = tmp_path / "sub" / "out.jsonl"
    path.parent.mkdir()
    async with File(FileConfig(path=str(path)), make_context()) as file:
        path.parent.rmdir()
        with pytest.raises(Retryable, match="cannot write"):
            await file.export(spans())
        path.parent.mkdir()
        assert await file.export(spans()) == Sent(1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    """The write raises, and the file can be written to once there is room."""
    path = tmp_path / "out"
    path.symlink_to("/dev/full")
    file = rotating(path)
    with pytest.raises(OSError, match="No space left"):
        file.write(b"x\n")
    path.unlink()
    file.write(b"y\n")
    file.close()
    assert path.read_bytes() == b"y\n"


async def test_two_signals_share_a_file_through_their_queues(tmp_path: Path) -> None:
    """Both QueuedExporters write whole lines into the one file."""
    path = tmp_path / "out.jsonl"
    config, context = FileConfig(path=str(path)), make_context()
    async with (
        File(config, context) as file,
        QueuedExporter("file", Signal.TRACES, file, config, context) as traces,
        QueuedExporter("file", Signal.LOGS, file, config, context) as records,
    ):
        for _ in range(20):
            for queued, batch in ((traces, spans()), (records, logs())):
                queued.reserve(batch.size_bytes)
                await queued.put(batch, batch.size_bytes)
        await traces.drain(context.clock() + 20)
        await records.drain(context.clock() + 20)
    assert (traces.report().sent, records.report().sent) == (20, 40)
    assert {key for line in lines(path) for key in line} == {"resourceSpans", "resourceLogs"}


# ---- rotation ------------------------------------------------------------------------------


def rotating(path: Path, clock: FakeClock | None = None, **limits: Any) -> RotatingFile:
    now = (clock or FakeClock(NOON)).now_ns
    return RotatingFile(path, append=True, lines=True, limits=Limits(**limits), now_ns=now)


def test_a_full_file_steps_aside_under_its_time(tmp_path: Path) -> None:
    """Writes are never torn apart; names do not collide within a millisecond."""
    path = tmp_path / "out.jsonl"
    file = rotating(path, max_bytes=10)
    for number in range(5):
        file.write(f"{number}_4567\n".encode())
    file.write(b"longer than the limit\n")
    file.close()
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names[0] == "out-2027-01-15T08-00-00.000.jsonl"
    assert len(names) == 6
    assert (tmp_path / names[0]).read_bytes() == b"0_4567\n"
    assert path.read_bytes() == b"longer than the limit\n"


def test_only_so_many_backups_are_kept(tmp_path: Path) -> None:
    """The oldest go; files with other names are nobody's business."""
    stranger = tmp_path / "out-notes.jsonl"
    stranger.write_text("mine")
    path, clock = tmp_path / "out.jsonl", FakeClock(NOON)
    file = rotating(path, clock, max_bytes=1, max_backups=2)
    for number in range(6):
        clock.advance(1)
        file.write(f"{number}\n".encode())
    file.close()
    backups = sorted(p for p in tmp_path.iterdir() if p not in (path, stranger))
    assert [backup.read_text() for backup in backups] == ["3\n", "4\n"]
    assert stranger.exists()


def test_old_backups_are_removed(tmp_path: Path) -> None:
    """max_days counts from the time in the name."""
    path, clock = tmp_path / "out.jsonl", FakeClock(NOON)
    file = rotating(path, clock, max_bytes=1, max_days=2)
    for _ in range(5):
        clock.advance(86_400)
        file.write(b"x\n")
    file.close()
    assert len(list(tmp_path.iterdir())) == 1 + 3


def test_rotation_counts_what_was_there_before(tmp_path: Path) -> None:
    """The size of a file that is continued is its size on the disk."""
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"12345678\n")
    file = rotating(path, max_bytes=10)
    file.write(b"ab\n")
    file.close()
    assert path.read_bytes() == b"ab\n"


async def test_rotation_is_configured_as_in_otelcol(tmp_path: Path) -> None:
    """max_megabytes, max_backups, max_days; the clock is the context's."""
    path = tmp_path / "out.jsonl"
    context = make_context(wall_clock_ns=FakeClock(NOON).now_ns)
    big = otlp.batch_of(Signal.LOGS, [LogRecord(body="x" * 700_000)])
    rotation = {"max_megabytes": 1, "max_backups": 3, "max_days": 1}
    await write(path, big, big, rotation=rotation, context=context)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["out-2027-01-15T08-00-00.000.jsonl", "out.jsonl"]


# ---- configuration -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "Field required"),
        ({"path": ""}, "at least 1 character"),
        ({"path": "x", "format": "csv"}, "'langfuse', 'noveum' or 'litellm'"),
        ({"path": "x", "rotation": {"max_megabytes": 0}}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_work_is_refused(config: dict[str, Any], message: str) -> None:
    """With what is expected."""
    with pytest.raises(ValidationError, match=message):
        FileConfig.model_validate(config)


def test_one_writer_and_no_timeout_by_default() -> None:
    """The order of arrival is the order in the file, and a write is not cut off."""
    config = FileConfig.model_validate({"path": "x", "sending_queue": {"queue_size": "1MiB"}})
    assert (config.sending_queue.num_consumers, config.timeout) == (1, 0.0)
