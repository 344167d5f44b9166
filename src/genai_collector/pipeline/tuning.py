"""Settings of interpreter and allocator for a server that makes many short-lived objects."""

from __future__ import annotations

import ctypes
import gc
from typing import Final

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_MALLOPT: Final = (
    (_M_TRIM_THRESHOLD, 64 << 20),
    (_M_TOP_PAD, 16 << 20),
    (_M_MMAP_THRESHOLD, 32 << 20),
)
_GC_THRESHOLDS: Final = (50_000, 20, 50)


def tune_allocator() -> None:
    """Keep the memory of one request for the next one.

    glibc gives the top of the heap back after each large request and takes it again for the next:
    measured as about 1,000 page faults a request of 1.6 MB. Where there is no glibc, nothing is
    tuned.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in _MALLOPT:
            mallopt(parameter, value)


def tune_garbage_collector() -> None:
    """What exists now is taken to be no garbage, and the youngest generation is looked at less
    often. Called again, what has become garbage in the meantime goes first."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
