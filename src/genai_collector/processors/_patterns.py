"""Regular expressions from the configuration, bounded.

Python's engine backtracks, and the text it runs over was sent by someone else. So a pattern has a
greatest length, and only the first part of a long text is searched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

MAX_PATTERN_CHARS: Final = 1024
MAX_TEXT_CHARS: Final = 16 * 1024
"""How much of a text is searched."""


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The compiled pattern. Raises ValueError with what is wrong and where."""
    if len(pattern) > MAX_PATTERN_CHARS:
        raise ValueError(f"a pattern may have at most {MAX_PATTERN_CHARS} characters")
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as exc:
        raise ValueError(f"not a regular expression: {exc}, in {pattern!r}") from exc


def searcher(pattern: str) -> Callable[[str], re.Match[str] | None]:
    """`search(text)`, unanchored as in otelcol, over the part of the text that is searched."""
    search = compile_pattern(pattern).search

    def bounded(text: str) -> re.Match[str] | None:
        return search(text, 0, MAX_TEXT_CHARS)

    return bounded
