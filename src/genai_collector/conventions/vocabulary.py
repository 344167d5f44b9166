"""What a vocabulary is: who recognises it, which key says which fact, where its content lies.

A vocabulary is a table of rows, one per attribute key, and two small functions for what no row can
say. `reading` merges the tables of all vocabularies into one: spans mix vocabularies, so facts are
merged field by field, and the order of `VOCABULARIES` (then of the rows in each) is the
precedence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from genai_collector.conventions.observation import Content, Message, Observation
from genai_collector.conventions.semconv import message_finish_reason
from genai_collector.model import Span, Value

Read: TypeAlias = Callable[[Value], Value]
"""The fact in its canonical type, or None for "not said" and "not readable". Never raises."""


class Row(NamedTuple):
    """`key` says `field`: a field of Observation, or `usage.`, `cost.`, `parameters.`, `content.`
    with a name. `content.` fields are kept raw and only looked at by `read_content`."""

    key: str
    field: str
    read: Read
    unset: tuple[Value, ...] = ("",)
    """Values by which this producer says "not set"; they are understood, and say nothing."""


class Sources:
    """What a vocabulary's content function reads from, and where it notes what it has read."""

    __slots__ = (
        "_keys", "consumed", "consumed_events", "finish_reasons", "kind", "operation", "span",
    )  # fmt: skip

    def __init__(
        self,
        span: Span,
        keys: dict[str, str],
        observation: Observation,
    ) -> None:
        self.span = span
        self._keys = keys
        self.kind = observation.kind
        self.operation = observation.operation
        self.finish_reasons = observation.finish_reasons
        self.consumed = observation.consumed
        self.consumed_events = observation.consumed_events

    def look(self, field: str) -> Value:
        """The raw value of `content.{field}`; None if nobody said it."""
        key = self._keys.get(field)
        return None if key is None else self.span.attributes.get(key)

    def take(self, field: str) -> Value:
        """The same, noted as consumed."""
        key = self._keys.get(field)
        if key is None:
            return None
        self.consumed.add(key)
        return self.span.attributes.get(key)

    def finish(self, messages: list[Message] | None) -> list[Message] | None:
        """Output messages with the reason that the span states for each, where they have none."""
        for message, reason in zip(messages or (), self.finish_reasons or (), strict=False):
            message.setdefault("finish_reason", message_finish_reason(reason))
        return messages


def no_content(_sources: Sources, _content: Content) -> None:
    """For vocabularies whose content is all in rows that another vocabulary reads."""


def no_quirks(_span: Span, _observation: Observation) -> None:
    """For vocabularies that mean what their rows say."""


def always(_span: Span) -> bool:
    """For vocabularies whose marks leave no doubt."""
    return True


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Recognised by the name of the span's scope, or by the attribute keys that it has. Both are
    looked up in what is remembered of earlier spans, so a vocabulary that is absent costs nothing.
    """

    name: str
    scopes: tuple[str, ...] = ()
    """Scope names; one that ends in `.` or `-` is the start of a name."""
    prefixes: tuple[str, ...] = ()
    """How an attribute key begins that only this vocabulary has."""
    confirm: Callable[[Span], bool] = always
    """Asked when a prefix matched; for keys that others may have too."""
    rows: tuple[Row, ...] = ()
    content: Callable[[Sources, Content], None] = no_content
    """Fills what is still None in the content, and only that."""
    quirks: Callable[[Span, Observation], None] = no_quirks
    """After merging, only if recognised: adds what stands in JSON texts and families of keys, where
    nobody said it yet, and corrects facts that depend on each other."""
