"""The short form of the crash runs; `make crash` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash import assembly, books, destinations, disk, kills, spans

_SEED = 3
_KINDS = ("running", "start-up", "aimed")
_SHORT = frozenset({"http-dies", "http-503", "http-500", "http-partial", "http-close", "grpc-hang",
                    "grpc-exhausted", "grpc-garbage"})  # fmt: skip


def test_kills(tmp_path: Path) -> None:
    """Five kills, at the end everything acknowledged is at both destinations, as it was sent."""
    outcome = kills.Run(tmp_path, _SEED, 5, kinds=_KINDS)()
    assert outcome.good, outcome.text
    assert min(one.acknowledged for one in outcome.books) > 100, outcome.text


def test_the_harness_sees_loss(tmp_path: Path) -> None:
    """A queue in memory loses what it holds when it is killed, and the books say so."""
    run = kills.Run(
        tmp_path, _SEED, 1, durable=False, moods=("503",), kinds=("running",), patience_s=0.2
    )
    outcome = run()
    assert not outcome.good
    assert all(one.missing for one in outcome.books), outcome.text


def test_destinations(tmp_path: Path) -> None:
    """What was acknowledged arrives at destinations that misbehave, or is counted with a reason."""
    cases = tuple(case for case in destinations.CASES if case.name in _SHORT)
    rows = destinations.Table(tmp_path, cases, seed=_SEED, spell_s=1.0)()
    assert len(rows) == len(_SHORT)
    assert [row.line for row in rows if row.faults] == []


def test_quota(tmp_path: Path) -> None:
    """A queue on disk that is full refuses with 503 and a time, and recovers by itself."""
    seen = disk.quota(tmp_path, _SEED)
    assert seen.good, seen.text
    assert "None" not in seen.refused_with


@pytest.mark.skipif(not disk.namespaces_work(), reason="no tmpfs can be mounted here")
def test_full_disk(tmp_path: Path) -> None:
    """A file system without a free block: the same, also for a collector that starts on it, and it
    delivers what it has."""
    seen = disk.full_disk(tmp_path, _SEED, "stranger")
    assert seen.bytes_left == 0
    assert seen.good, seen.text
    assert "None" not in seen.refused_with


def test_assembly(tmp_path: Path) -> None:
    """Events acknowledged to a Langfuse SDK become one whole span each, whatever is killed."""
    found = assembly.Run(tmp_path, _SEED, 2)()
    assert found.good, found.text
    assert found.observations > 20


def test_books(tmp_path: Path) -> None:
    """Missing, altered, repeated, refused and unexpected spans are told from one another."""
    lines = [one.line for one in spans.sent([spans.span(1, n) for n in range(1, 7)])]
    other = lines[4].rsplit(" ", 1)[0] + " another-digest"
    (tmp_path / "client-0.acked").write_text("\n".join(lines[:5]) + "\nhalf a li")
    arrived = [lines[0], lines[0], lines[1], other, lines[5]]
    (tmp_path / "d.arrived").write_text("\n".join(arrived) + "\n")
    (tmp_path / "d.rejected").write_text(f"{lines[2]}\n")
    found = books.close_books(tmp_path, "d")
    assert found.missing == {lines[3].rsplit(" ", 1)[0]}
    assert (found.acknowledged, found.arrived, found.rejected) == (5, 4, 1)
    assert (found.duplicates, found.altered, found.unacknowledged) == (1, 1, 1)
    assert not found.good
