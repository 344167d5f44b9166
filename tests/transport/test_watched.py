"""A file that may be replaced: what is noticed, and what is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genai_collector.transport.watched import MAX_BYTES, WatchedFile
from tests.support.fakes import FakeClock


class _Watch:
    """A watched file under a clock that the test moves."""

    def __init__(self, path: Path) -> None:
        self.clock = FakeClock()
        self.file = WatchedFile(str(path), self.clock)

    def later(self) -> bytes | None:
        self.clock.now += 1.0
        return self.file.read_if_changed()


def test_says_each_content_once(tmp_path: Path) -> None:
    """The content at first and after each change, None in between, also when it was touched."""
    path = tmp_path / "key"
    path.write_bytes(b"one")
    watch = _Watch(path)
    assert watch.file.read_if_changed() == b"one"
    assert [watch.later() for _ in range(3)] == [None] * 3
    path.write_bytes(b"two!")
    assert watch.later() == b"two!"
    path.touch()
    assert watch.later() is None


def test_looks_once_a_second(tmp_path: Path) -> None:
    """A change is not seen before it is time, so that asking costs nothing."""
    path = tmp_path / "key"
    path.write_bytes(b"one")
    watch = _Watch(path)
    watch.file.read_if_changed()
    path.write_bytes(b"changed")
    watch.clock.now += 0.9
    assert not watch.file.due()
    assert watch.file.read_if_changed() is None
    watch.clock.now += 0.1
    assert watch.file.due()
    assert watch.file.read_if_changed() == b"changed"


def test_same_size_and_time_is_seen(tmp_path: Path) -> None:
    """A second write in the same tick of the file system's clock shows in the content."""
    path = tmp_path / "key"
    path.write_bytes(b"one")
    watch = _Watch(path)
    watch.file.read_if_changed()
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert watch.later() == b"two"
    path.write_bytes(b"six")
    os.utime(path, ns=(1, 1))  # what a clock would say that does not tick
    assert watch.later() == b"six"


def test_swapped_link(tmp_path: Path) -> None:
    """A link that points somewhere else, as Kubernetes swaps a mounted secret, is a change."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "a")
    watch = _Watch(link)
    assert watch.file.read_if_changed() == b"a"
    (tmp_path / "next").symlink_to(tmp_path / "b")
    (tmp_path / "next").rename(link)
    assert watch.later() == b"b"


def test_missing_is_said_once(tmp_path: Path) -> None:
    """A file that is gone raises once, and is read again when it is back."""
    path = tmp_path / "key"
    watch = _Watch(path)
    with pytest.raises(FileNotFoundError):
        watch.file.read_if_changed()
    assert watch.later() is None
    path.write_bytes(b"here")
    assert watch.later() == b"here"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        watch.later()
    path.write_bytes(b"here")
    assert watch.later() is None, "it says what it said before"


def test_huge_file_is_refused(tmp_path: Path) -> None:
    """A path that leads to something endless does not fill the memory."""
    path = tmp_path / "key"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(OSError, match="larger than"):
        WatchedFile(str(path)).read_if_changed()
    endless = WatchedFile("/dev/zero")
    with pytest.raises(OSError, match="larger than"):
        endless.read_if_changed()
