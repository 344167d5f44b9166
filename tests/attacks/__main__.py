"""The attacks in their long form; prints the table. Exits 1 if one did more harm than it may."""

from __future__ import annotations

import asyncio
import os
import sys

from tests.attacks.table import HEADER
from tests.attacks.test_attacks import attack_all

if __name__ == "__main__":
    outcomes = asyncio.run(attack_all(int(os.environ.get("ATTACK_SCALE", "4"))))
    print(HEADER)  # noqa: T201
    for outcome in outcomes:
        print(outcome.row())  # noqa: T201
    faults = [fault for outcome in outcomes for fault in outcome.faults()]
    print("\n".join(faults), file=sys.stderr)  # noqa: T201
    sys.exit(1 if faults else 0)
