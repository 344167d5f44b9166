"""The long form: `make crash`.

    python -m tests.crash [--kills N] [--seed N] [--only kills|destinations|disk|assembly]

Prints a line a kill (a bar on a terminal), the table of destinations, and a summary; exits 1 if
anything that was acknowledged is missing, altered or not counted. The seed repeats the draws, not
the machine's timing.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.crash import assembly, destinations, disk, kills


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run_kills(directory: Path, seed: int, how_many: int) -> bool:
    bar = Progress(
        TextColumn("killing the collector"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )  # fmt: skip
    on_terminal = sys.stdout.isatty()
    with bar if on_terminal else nullcontext():
        task = bar.add_task("", total=how_many)

        def tell(one: kills.Kill) -> None:
            if on_terminal:
                bar.update(task, advance=1, description=f"{one.acknowledged} acknowledged")
            else:
                say(one.line)

        outcome = kills.Run(directory, seed, how_many, tell=tell)()
    say(outcome.text)
    return outcome.good


def run_destinations(directory: Path, seed: int, _: int) -> bool:
    rows = destinations.Table(directory, seed=seed)()
    say(destinations.HEADER)
    for row in rows:
        say(row.line)
    return not any(row.faults for row in rows)


def run_disk(directory: Path, seed: int, _: int) -> bool:
    for name in ("quota", *disk.WAYS):
        (directory / name).mkdir()
    seen = [disk.quota(directory / "quota", seed)]
    if disk.namespaces_work():
        seen += [disk.full_disk(directory / way, seed, way) for way in disk.WAYS]
    else:
        say("a full disk is not shown: no tmpfs can be mounted here")
    for one in seen:
        say(one.text)
    return all(one.good for one in seen)


def run_assembly(directory: Path, seed: int, how_many: int) -> bool:
    found = assembly.Run(directory, seed, max(1, how_many // 6))()
    say(found.text)
    return found.good


PARTS: Final[dict[str, Callable[[Path, int, int], bool]]] = {
    "kills": run_kills,
    "destinations": run_destinations,
    "disk": run_disk,
    "assembly": run_assembly,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--only", choices=sorted(PARTS))
    arguments = parser.parse_args()
    # Whoever ends this ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    failed = []
    for name, part in PARTS.items():
        if arguments.only not in (None, name):
            continue
        say(f"== {name}, seed {arguments.seed}")
        with tempfile.TemporaryDirectory(prefix="crash-") as directory:
            if not part(Path(directory), arguments.seed, arguments.kills):
                failed.append(name)
    say(f"{time.monotonic() - began:.0f} s; {'FAILED: ' + ', '.join(failed) if failed else 'ok'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
