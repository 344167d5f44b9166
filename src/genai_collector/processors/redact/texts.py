"""One text: whether it is JSON, what is secret in it, what it becomes.

Strategy, in this order; each step is only for what the one before could not settle:

1. No hint of any rule in the bytes of the text: it is clean. JSON's own escapes are hints.
2. JSON: walked string by string (`processors._json_strings`); each string is a text again, so JSON
   inside JSON needs nothing special. Values under secret keys go whole.
3. Anything else is searched as it is, and without its escapes.

Replacing goes on until nothing is found, so that doing it twice is doing it once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Final, TypeVar

from genai_collector.model import Value
from genai_collector.processors._actions import to_text
from genai_collector.processors._json_strings import (
    Handlers,
    change_written,
    decoded,
    is_json,
    quoted,
    rewrite,
)
from genai_collector.processors.redact.escapes import Unescaped
from genai_collector.processors.redact.rules import KEY, MAX_HITS, UNREADABLE, Hit, Rules, TooMany

T = TypeVar("T", str, bytes)

MAX_LEVELS: Final = 8
"""How deep JSON may be inside JSON, and how often a text may be escaped."""

MAX_LOOKS: Final = 50_000
"""Strings of one JSON text that have a hint; what has more cannot be looked into."""

MAX_WORK: Final = 5_000_000
"""What may be spent on one batch, in microseconds of CPU, roughly: processors hold up everybody
else. What is behind that cannot be looked into."""
_LOOK: Final = 80
_CANDIDATE: Final = 8
_STRING: Final = 8

_ROUNDS: Final = 4
_BACKSLASH: Final = 0x5C
_LETTER_U: Final = 0x75
_SHORT: Final = 128
_MOST_REMEMBERED: Final = 16_384
_CARD_DIGITS: Final = range(14, 17)
_WHOLE_NUMBER: Final = re.compile(r"-?([0-9]{14,16})(?:\.0*)?")
_UNTOUCHED: Final = frozenset({"null", "true", "false", '""', "[]", "{}"})


class Unreadable(Exception):
    """Cannot be looked into."""


class Texts:
    """What texts become. `counts` are secrets replaced, by rule, until they are taken away."""

    def __init__(self, rules: Rules, *, fail_closed: bool) -> None:
        self.rules = rules
        self.counts: Counter[str] = Counter()
        self._fail_closed = fail_closed
        self._looks = self._replaced = 0
        """Parts of the text in hand that were searched, secrets replaced in it."""
        self._work = 0
        """Spent on the batch in hand."""
        self._clean: set[str] = set()
        """Short texts in which nothing was found."""

    def begin_batch(self) -> None:
        """What was spent before counts no longer."""
        self._work = 0

    def change(self, text: str) -> str | None:
        """What a text becomes; None when it stays as it is."""
        if text in self._clean:
            return None
        data = _encode(text)
        if not self.rules.looks_everywhere and not self.rules.may_hold(data):
            self._remember(text)
            return None
        new = self._guarded(lambda: self._text(text, data, 0), _masked(self.rules))
        if new is None:
            self._remember(text)
        return new

    def change_bytes(self, data: bytes) -> bytes | None:
        """The same for bytes. Those that are no UTF-8 are searched as they are."""
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            masked = self.rules.replacement(UNREADABLE, b"")
            return self._guarded(lambda: self._plain(data), masked)
        changed = self.change(text)
        return None if changed is None else _encode(changed)

    def change_key(self, key: str) -> str | None:
        """A key in which a secret stands."""
        return None if key in self._clean else self.change(key)

    def change_number(self, number: float) -> str | None:
        """A whole number that is a card's number."""
        if not float(number).is_integer():
            return None
        written = str(abs(int(number)))
        if len(written) in _CARD_DIGITS and self.rules.card_in_number(written.encode()):
            self.counts["card"] += 1
            return self.rules.replacement("card", written.encode()).decode()
        return None

    def under_secret_key(self, value: Value) -> str | None:
        """What the value of a secret key becomes; None where there is nothing to hide."""
        if value is None or isinstance(value, bool) or value in ("", b"", [], {}):
            return None
        data = value if isinstance(value, bytes) else _encode(to_text(value))
        if self.rules.is_replaced(data):
            return None
        self.counts[KEY] += 1
        return self.rules.replacement(KEY, data).decode()

    def taken_counts(self) -> Counter[str]:
        counts, self.counts = self.counts, Counter()
        return counts

    def _guarded(self, change: Callable[[], T | None], masked: T) -> T | None:
        if self._work > MAX_WORK:
            self.counts[UNREADABLE] += 1
            return masked if self._fail_closed else None
        before = self.counts.copy()
        self._looks = self._replaced = 0
        try:
            return change()
        except Exception:  # also faults of ours: a secret must not pass because of one
            self.counts = before
            self.counts[UNREADABLE] += 1
            return masked if self._fail_closed else None

    def _remember(self, text: str) -> None:
        if len(text) <= _SHORT:
            if len(self._clean) >= _MOST_REMEMBERED:
                self._clean.clear()
            self._clean.add(text)

    def _text(self, text: str, data: bytes, level: int) -> str | None:
        if is_json(text):
            if level >= MAX_LEVELS:
                raise Unreadable
            return self._json(text, level + 1)
        changed = self._plain(data)
        return None if changed is None else changed.decode("utf-8", "surrogatepass")

    def _json(self, text: str, level: int) -> str | None:
        keys: Counter[str] = Counter()

        def change(said: str, is_key: bool) -> str | None:
            data = _encode(said)
            if not is_key:
                return self._text(said, data, level)
            new = self._plain(data)
            return None if new is None else _numbered(new.decode("utf-8", "surrogatepass"), keys)

        def string(inner: str, is_key: bool) -> str | None:
            self._spend(_STRING)
            if not self.rules.looks_everywhere and not self.rules.may_hold(_encode(inner)):
                return None
            return change_written(inner, is_key, change)

        return rewrite(text, Handlers(string, self._json_number, self._json_member))

    def _json_number(self, written: str) -> str | None:
        digits = _WHOLE_NUMBER.fullmatch(written)
        new = None if digits is None else self.change_number(int(digits[1]))
        return None if new is None else quoted(new)

    def _json_member(self, name: str) -> Callable[[str], str | None] | None:
        if name in self.rules.allowed_keys:
            return lambda _written: None
        return self._hidden_member if name in self.rules.keys else None

    def _hidden_member(self, written: str) -> str | None:
        if written in _UNTOUCHED:
            return None
        secret = _encode(decoded(written[1:-1]) if written[:1] == '"' else written)
        if self.rules.is_replaced(secret):
            return None
        self.counts[KEY] += 1
        if self.rules.removes(KEY):
            return "null"
        return quoted(self.rules.replacement(KEY, secret).decode())

    def _plain(self, data: bytes) -> bytes | None:
        """A text that is no JSON."""
        new = data
        for _ in range(_ROUNDS):
            hits = self._find(new)
            if not hits:
                return new if new is not data else None
            new = self._replace(new, hits)
        if self._find(new):
            raise Unreadable
        return new

    def _find(self, data: bytes) -> list[Hit]:
        """In the text as it is and at every level of escapes; places are those of the text."""
        self._looks += 1
        if self._looks > MAX_LOOKS:
            raise TooMany
        self._spend(_LOOK)
        hits = [_behind_escape(data, hit) for hit in self.rules.find(data, self._spend_candidates)]
        levels: list[Unescaped] = []
        inner = data
        while b"\\" in inner and (plain := Unescaped(inner)):
            if len(levels) >= MAX_LEVELS:
                raise Unreadable
            levels.append(plain)
            inner = plain.data
            for found in self.rules.find(inner, self._spend_candidates):
                hit = _behind_escape(inner, found)
                start, end = hit.start, hit.end
                for level in reversed(levels):
                    start, end = level.original(start, end)
                hits.append(hit._replace(start=start, end=end))
        return self.rules.merged(data, hits) if levels else hits

    def _spend(self, work: int) -> None:
        self._work += work
        if self._work > MAX_WORK:
            raise TooMany

    def _spend_candidates(self, count: int) -> None:
        self._spend(_CANDIDATE * count)

    def _replace(self, data: bytes, hits: list[Hit]) -> bytes:
        self._replaced += len(hits)
        if self._replaced > MAX_HITS:
            raise TooMany
        pieces: list[bytes] = []
        at = 0
        for hit in hits:
            pieces += (
                data[at : hit.start],
                self.rules.replacement(hit.rule, data[hit.start : hit.end]),
            )
            at = hit.end
            self.counts[hit.rule] += 1
        return b"".join([*pieces, data[at:]])


def _behind_escape(data: bytes, hit: Hit) -> Hit:
    """A `\\n` in front of a secret is no part of it, though its n looks so."""
    before = hit.start
    while before and data[before - 1] == _BACKSLASH:
        before -= 1
    if (hit.start - before) % 2 == 0 or data[hit.start] not in b"bfnrtu":
        return hit
    start = hit.start + (5 if data[hit.start] == _LETTER_U else 1)
    return hit._replace(start=min(start, hit.end - 1))


def _numbered(key: str, seen: Counter[str]) -> str:
    """Keys that became the same are kept apart."""
    seen[key] += 1
    return key if seen[key] == 1 else f"{key}~{seen[key]}"


def _masked(rules: Rules) -> str:
    return rules.replacement(UNREADABLE, b"").decode()


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
