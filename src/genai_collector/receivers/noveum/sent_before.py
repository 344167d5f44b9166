"""Spans that were taken already: noveum-trace and the gateway send everything again that they have
no answer for, under the same ids."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from genai_collector.model import Span


class SentBefore:
    """The ids of the spans taken last; of so many at most, the oldest go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ids: OrderedDict[bytes, None] = OrderedDict()

    def new(self, spans: Iterable[Span]) -> list[Span]:
        """Those that were not taken before, each once."""
        found: dict[bytes, Span] = {}
        unnamed: list[Span] = []
        for span in spans:
            key = _key(span)
            if not self._limit or not key:
                unnamed.append(span)
            elif key in self._ids:
                self._ids.move_to_end(key)
            else:
                found.setdefault(key, span)
        return [*found.values(), *unnamed]

    def remember(self, ids: Iterable[bytes]) -> None:
        """They are taken now. Not earlier: what was refused must come again."""
        if not self._limit:
            return
        for key in ids:
            self._ids[key] = None
        while len(self._ids) > self._limit:
            self._ids.popitem(last=False)


def ids_of(spans: Iterable[Span]) -> list[bytes]:
    """What `remember` takes."""
    return [key for span in spans if (key := _key(span))]


def _key(span: Span) -> bytes:
    return span.trace_id + span.span_id if span.trace_id and span.span_id else b""
