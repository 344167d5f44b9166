"""Every attack of the table on a real collector: answered, bounded, and others are served."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.attacks.table import ATTACKS, HEADER, Outcome, run
from tests.attacks.target import target


async def attack_all(scale: int) -> list[Outcome]:
    """The attacks on one collector, one after the other; with scale 1 only the short ones."""
    with tempfile.TemporaryDirectory() as directory:
        async with target(Path(directory)) as one:
            chosen = [attack for attack in ATTACKS if scale > 1 or not attack.long]
            outcomes = [await run(one, attack, scale) for attack in chosen]
            assert await one.process.stop() == 0
    assert not any("bug in the collector" in line for line in one.process.log), one.process.log
    return outcomes


async def test_attacks() -> None:
    """Status, memory and time of each are within its bounds; there is no bug in the log."""
    outcomes = await attack_all(1)
    table = "\n".join([HEADER, *(outcome.row() for outcome in outcomes)])
    faults = [fault for outcome in outcomes for fault in outcome.faults()]
    assert not faults, "\n".join([*faults, table])
