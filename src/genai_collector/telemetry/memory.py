"""How much memory the process has, and how much it may have.

Resident memory is read from `/proc/self/statm` (its second number, in pages); what the process may
have is the smallest memory limit of its control groups (v2 `memory.max`, v1
`memory.limit_in_bytes`) or, without one, the machine's memory. `root` is where the file system
begins, so that a test can bring its own.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PAGE_SIZE: Final = os.sysconf("SC_PAGE_SIZE")
_ROOT: Final = Path("/")


def read_rss(root: Path = _ROOT) -> int:
    """Resident memory of this process in bytes; its peak where there is no `/proc`."""
    try:
        return int((root / "proc/self/statm").read_bytes().split()[1]) * _PAGE_SIZE
    except (OSError, IndexError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def memory_available(root: Path = _ROOT) -> int:
    """Bytes of memory that this process may use: its control group's limit or the machine's."""
    total = os.sysconf("SC_PHYS_PAGES") * _PAGE_SIZE
    limits = [limit for path in _limit_files(root) if (limit := _read_limit(path)) is not None]
    # An unlimited v1 group says a number near 2**63, which the machine's memory undercuts.
    return min([total, *limits])


def _limit_files(root: Path) -> Iterator[Path]:
    """Every file that may hold a limit, from the process's own group up to the root group."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers == "":
            base, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            base, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        parts = [part for part in group.split("/") if part not in ("", "..")]
        for depth in range(len(parts), -1, -1):
            yield base.joinpath(*parts[:depth], name)


def _read_limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
