"""Secrets planted in every vocabulary and format, through `redact` and every exporter: none leaves,
neither there nor in what we say of ourselves."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from genai_collector.component import ACCEPTED, Acceptance, Route
from genai_collector.connectors.genai_metrics import GenaiMetrics, GenaiMetricsConfig
from genai_collector.errors import PipelineError
from genai_collector.model import Batch, Signal, merge
from genai_collector.processors.redact import Redact, RedactConfig
from genai_collector.telemetry.metrics import SdkTelemetry
from tests.redaction.destinations import EXPORTERS, FILES, Destinations, destinations, file_formats
from tests.redaction.material import planted
from tests.redaction.planting import CORES, cores_in
from tests.support.captures import SHARED
from tests.support.fakes import make_context

_PART = 60
MANY = 30_000 if SHARED.exists() else 10_000
"""At least so many secrets are planted."""
DIMENSIONS = ["user.id", "session.id", "gen_ai.prompt", "gen_ai.input.messages", "raw", "cut"]


def _parts(batches: Sequence[Batch]) -> list[Batch]:
    """The same batches, several in one."""
    by_signal = [[one for one in batches if one.signal is signal] for signal in Signal]
    return [merge(some[at : at + _PART]) for some in by_signal for at in range(0, len(some), _PART)]


async def _send(out: Destinations, batches: Sequence[Batch]) -> tuple[dict[str, int], list[str]]:
    """Everything to everyone: how many items each took, and what errors said."""
    said: list[str] = []
    taken = dict.fromkeys(out.exporters, 0)
    for name, exporter in out.exporters.items():
        signals = EXPORTERS[name.partition(" ")[0]].signals
        for batch in batches:
            if batch.signal in signals:
                try:
                    taken[name] += (await exporter.export(batch)).items
                except PipelineError as error:
                    said.append(str(error))
    return taken, said


class _Keeps:
    """The pipelines behind a connector."""

    def __init__(self) -> None:
        self.taken: list[Batch] = []

    def admit(self, size_bytes: int, /) -> AbstractContextManager[None]:
        return nullcontext()

    async def consume(self, batch: Batch, /) -> Acceptance:
        self.taken.append(batch)
        return ACCEPTED


async def _metrics_of(batches: Sequence[Batch]) -> list[Batch]:
    """What `genai_metrics` makes of the spans, with texts of all kinds as labels."""
    config = GenaiMetricsConfig(dimensions=DIMENSIONS, resource_attributes=["service.name"],
                                cardinality_limit=100_000)  # fmt: skip
    behind = _Keeps()
    made = GenaiMetrics(config, Route(Signal.TRACES, Signal.METRICS), behind, make_context())
    for batch in batches:
        if batch.signal is Signal.TRACES:
            made.accepted(batch)
    await made.flush()
    return behind.taken


async def test_no_planted_secret_leaves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Secrets of every kind at every text, through every exporter: found in the corpus before, in
    nothing that leaves after."""
    caplog.set_level(logging.DEBUG)
    telemetry = SdkTelemetry({"service.name": "collector"})
    redact = Redact(RedactConfig(), replace(make_context("redact"), telemetry=telemetry))
    corpus = list(planted())
    before = b"".join([one.batch.encoded() for one in corpus])
    assert cores_in(before) == set(CORES)

    clean = [redact.process(one.batch) for one in corpus]
    leaking = {one.name for one in corpus if cores_in(one.batch.encoded())}
    assert not leaking
    async with destinations(tmp_path) as out:
        taken, said = await _send(out, [*_parts(clean), *await _metrics_of(clean)])
        left = out.left()
    assert out.types == set(EXPORTERS), "an exporter without a row in destinations.py"
    assert set(FILES) == file_formats()
    for name, data in left.items():
        assert data
        assert b"[REDACTED:" in data, name
        assert taken[name], name
        assert not cores_in(data), name
    own = telemetry.scrape()
    telemetry.shutdown()
    assert b"otelcol_processor_redacted_values" in own
    shown = "".join([*capsys.readouterr(), *said, caplog.text])
    assert not cores_in(own + shown.encode())
    assert sum(one.planted for one in corpus) > MANY
