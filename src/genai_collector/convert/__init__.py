"""Offline conversion: documents in one format to lines in another, with the pipeline's own code.

    bytes -> documents (with the line each begins in) -> items of one signal -> one line of JSON

Every document is converted on its own and gives exactly one line; one that cannot be read gives
none, and says why. A document that holds several signals (Langfuse's spans and scores) gives one
line with all of them, or one for each in OTLP/JSON, where a request has one signal; formats that
can hold one only get the first, and a note says so. The formats are the rows of `SOURCES` and
`TARGETS`. Protobuf has no lines: there the outputs together are one request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final, NamedTuple

from genai_collector.convert.documents import MAX_DOCUMENT_BYTES
from genai_collector.convert.sources import SOURCES, Decoded, Source
from genai_collector.convert.targets import TARGETS, Target
from genai_collector.errors import DecodeError, PipelineError
from genai_collector.formats.loss import Loss
from genai_collector.model import Signal, count_items

__all__ = [
    "SOURCES",
    "TARGETS",
    "LossReport",
    "Outcome",
    "Source",
    "Target",
    "convert",
    "convert_with",
]

_MAX_LOSSES: Final = 10_000
_MANY: Final = 4
"""So many fields with the same reason are listed together, with how often each was met."""


class Outcome(NamedTuple):
    """What became of one document, or of one signal in it. `output` is None when it could not be
    read at all."""

    line: int
    output: bytes | None
    problems: Sequence[str]
    losses: Sequence[Loss]
    notes: Sequence[str] = ()
    """What the user should know although all went well."""


def convert(
    stream: BinaryIO,
    source: str,
    target: str,
    *,
    signal: Signal | None = None,
    report: bool = False,
) -> Iterator[Outcome]:
    """Convert every document, in order. `source` and `target` are keys of the tables below;
    losses are only looked for when a report is wanted."""
    return convert_with(SOURCES[source], TARGETS[target], stream, signal=signal, report=report)


def convert_with(
    reader: Source,
    writer: Target,
    stream: BinaryIO,
    *,
    signal: Signal | None = None,
    report: bool = False,
) -> Iterator[Outcome]:
    """`convert` with formats that need not be in the tables."""
    only: Signal | None = None
    for document in reader.split(stream):
        try:
            if len(document.data) > MAX_DOCUMENT_BYTES:
                raise DecodeError(f"larger than {MAX_DOCUMENT_BYTES} bytes")
            decoded = reader.decode(document.data, signal)
            if not writer.ending and only not in (None, decoded.signal):
                raise DecodeError(
                    f"holds {decoded.signal}; one request has one signal, here {only}"
                )
            outputs, notes = _written(writer, decoded)
            losses = _losses(reader, writer, document.data, decoded) if report else ()
        except PipelineError as error:
            yield Outcome(document.line, None, [str(error)], ())
        except Exception as error:  # one document's bug must not cost the others
            name = type(error).__name__
            yield Outcome(document.line, None, [f"cannot be converted ({name}: {error})"], ())
        else:
            only = decoded.signal
            yield Outcome(document.line, outputs[0], decoded.problems, losses, notes)
            for output in outputs[1:]:
                yield Outcome(document.line, output, (), ())


def _written(writer: Target, decoded: Decoded) -> tuple[list[bytes], list[str]]:
    """The outputs of all signals that the target takes in one file, and what else to say."""
    notes = list(decoded.notes)
    if decoded.beside and writer.several is not None:
        return writer.several({decoded.signal: decoded.items, **decoded.beside}), notes
    notes += [
        f"{count_items(signal, items)} items are {signal}, not {decoded.signal}; convert them with "
        f"the signal {signal}"
        for signal, items in decoded.beside.items()
    ]
    return [writer.encode[decoded.signal](decoded.items)], notes


def _losses(reader: Source, writer: Target, data: bytes, decoded: Decoded) -> list[Loss]:
    """What is lost on the way in, then on the way out, of all signals."""
    parts = {decoded.signal: decoded.items, **decoded.beside}
    lost: list[Loss] = []
    for signal, items in parts.items():
        find = writer.loss.get(signal)
        lost += [*reader.loss(data, signal), *(find(items) if find else ())]
    # What is of the document itself is told once.
    return list(dict.fromkeys(lost)) if decoded.beside else lost


@dataclass(slots=True)
class LossReport:
    """Losses of many documents, added up by field and reason. Bounded; `more` counts the rest."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: dict[tuple[str, str], str] = field(default_factory=dict)
    more: int = 0

    def add(self, outcome: Outcome) -> None:
        for loss in outcome.losses:
            key = (loss.field, loss.why)
            if key not in self.counts and len(self.counts) >= _MAX_LOSSES:
                self.more += 1
                continue
            self.counts[key] += 1
            self.first.setdefault(key, f"line {outcome.line}, {loss.where}")

    def lines(self) -> list[str]:
        """One line per field and reason, most frequent first; many fields with one reason are one
        line."""
        reasons: dict[str, list[tuple[str, int]]] = {}
        for (name, why), count in self.counts.most_common():
            reasons.setdefault(why, []).append((name, count))
        lines: list[str] = []
        for why, fields in reasons.items():
            if len(fields) >= _MANY:
                listed = ", ".join([f"{name} ({count})" for name, count in fields])
                lines.append(f"no home: {why}, {len(fields)} fields: {listed}")
            else:
                lines += [
                    f"no home: {name}: {why} ({_times(count)} in {self.first[name, why]})"
                    for name, count in fields
                ]
        if self.more:
            lines.append(f"no home: {self.more} more that are not listed")
        return lines or ["everything has a home"]


def _times(count: int) -> str:
    return "once," if count == 1 else f"{count} times, first"
