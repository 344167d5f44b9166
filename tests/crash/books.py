"""What became of every numbered span: acknowledged by the collector, arrived at a destination."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.crash.processes import TooLong

_POLL_S: Final = 0.05


def read_lines(path: Path) -> list[str]:
    """Whole lines only: the last one may still be being written."""
    text = path.read_text() if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def acknowledged(directory: Path) -> set[str]:
    """What clients were told is safe: `trace_id span_id digest` of each span."""
    return {line for path in directory.glob("client-*.acked") for line in read_lines(path)}


@dataclass(frozen=True)
class Books:
    """One destination against the clients' list."""

    destination: str
    acknowledged: int
    arrived: int
    """Different spans."""
    missing: frozenset[str]
    """Acknowledged, and neither arrived nor refused for good."""
    rejected: int
    """Different spans that the destination refused for good."""
    duplicates: int
    """How many times a span arrived again."""
    altered: int
    """Spans that arrived with different contents, or not as they were sent."""
    unacknowledged: int
    """Arrived although the client was never told that it would."""

    @property
    def good(self) -> bool:
        return not self.missing and not self.altered

    @property
    def line(self) -> str:
        return (
            f"{self.destination}: {self.acknowledged} acknowledged, {self.arrived} arrived, "
            f"{len(self.missing)} missing, {self.rejected} refused for good, "
            f"{self.duplicates} duplicates, {self.altered} altered, "
            f"{self.unacknowledged} arrived unacknowledged"
        )


def close_books(directory: Path, destination: str) -> Books:
    """As of now. Ids are compared, and then contents: an id with two contents is altered."""
    acked = acknowledged(directory)
    arrivals = Counter(read_lines(directory / f"{destination}.arrived"))
    rejected = set(read_lines(directory / f"{destination}.rejected"))
    sent = {_ids(line): line for line in acked}
    contents = Counter(_ids(line) for line in arrivals)
    altered = {ids for ids, count in contents.items() if count > 1}
    altered |= {_ids(line) for line in arrivals if sent.get(_ids(line), line) != line}
    there = {_ids(line) for line in arrivals} | {_ids(line) for line in rejected}
    return Books(
        destination,
        acknowledged=len(acked),
        arrived=len(contents),
        missing=frozenset(sent.keys() - there),
        rejected=len(rejected),
        duplicates=sum(arrivals.values()) - len(arrivals),
        altered=len(altered),
        unacknowledged=len(contents.keys() - sent.keys()),
    )


def _ids(line: str) -> str:
    return line.rsplit(" ", 1)[0]


def when_all_arrived(
    directory: Path, destination: str, patience_s: float, *, alive: Callable[[], bool]
) -> Books:
    """The books as soon as nothing is missing, or when patience or the collector is at its end."""
    deadline = time.monotonic() + patience_s
    while True:
        books = close_books(directory, destination)
        if not books.missing or time.monotonic() > deadline or not alive():
            return books
        time.sleep(_POLL_S)


def wait_for_acknowledged(directory: Path, least: int, patience_s: float = 30.0) -> None:
    """Until clients have been told so often. Raises TooLong."""
    deadline = time.monotonic() + patience_s
    while len(acknowledged(directory)) < least:
        if time.monotonic() > deadline:
            raise TooLong(f"fewer than {least} spans were acknowledged in {patience_s:g} s")
        time.sleep(_POLL_S)
