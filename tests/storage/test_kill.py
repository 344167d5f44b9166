"""SIGKILL in the middle of commits: what a process was told is stored, is stored."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from genai_collector.storage.database import Database
from tests.storage.support import all_of, opened

APPENDER = """
import asyncio, sys
from pathlib import Path
from tests.storage.support import opened

async def append(records, first, count):
    for n in range(first, first + count):
        number = await records.append(b"%d " % n * 3000)
        sys.stdout.write(f"+{n}\\n")
        sys.stdout.flush()
        if n % 3 == 0:
            records.remove([number])
            sys.stdout.write(f"-{n}\\n")
            sys.stdout.flush()

async def main():
    async with opened(Path(sys.argv[1])) as one:
        first = int(sys.argv[2])
        await asyncio.gather(*(append(one.records, first + 10_000 * n, 5000) for n in range(4)))

asyncio.run(main())
"""


def _life(path: Path, first: int, lines: int) -> tuple[set[int], set[int]]:
    """Runs until so many lines have come, then kills it. What was appended and what removed."""
    command = [sys.executable, "-c", APPENDER, str(path), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        seen += process.stdout.read().splitlines(keepends=True)
    whole = [line for line in seen if line.endswith("\n")]
    return (
        {int(line[1:]) for line in whole if line[0] == "+"},
        {int(line[1:]) for line in whole if line[0] == "-"},
    )


async def test_what_was_acknowledged_survives_being_killed(tmp_path: Path) -> None:
    """Four lives, each killed at a random moment in the middle of its commits."""
    path = tmp_path / "a.db"
    chance = random.Random(5)
    appended: set[int] = set()
    removed: set[int] = set()
    for life in range(4):
        more, gone = _life(path, 100_000 * life, chance.randint(1, 300))
        appended |= more
        removed |= gone
        database = Database(path, 1.0)  # as it was left: in order before anybody repairs it
        assert database.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()
    async with opened(path) as one:
        found = [int(s.data.split()[0]) for s in await all_of(one.records, 1 << 20)]
        assert one.file.counters.set_aside == 0
    assert len(appended) > 100
    assert appended - removed <= set(found)
    assert len(found) == len(set(found))
