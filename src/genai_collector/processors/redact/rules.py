"""All rules of a configuration, compiled: where secrets are in a text, and what to write instead.

Everything is searched by RE2, in time linear in the text: first one pattern made of the hints of
all rules, which nearly always says that there is nothing; then rule by rule.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from genai_collector.processors._linear import (
    LinearMatch,
    LinearPattern,
    compile_foreign,
    compile_own,
)
from genai_collector.processors.redact.config import RedactConfig
from genai_collector.processors.redact.detectors import DETECTORS, ESCAPED, Detector
from genai_collector.processors.redact.keys import BUILT_IN, Keys

KEY: Final = "key"
"""The rule of values that go because of their key."""
UNREADABLE: Final = "unreadable"
"""The rule of what could not be looked into."""

MAX_HITS: Final = 10_000
"""Secrets in one text; what has more cannot be looked into."""
MAX_CANDIDATES: Final = 50_000
"""What only looks like a secret of one kind, in one text; the same."""

_GROUP: Final = 5
_SPENT_AT_ONCE: Final = 256
_PSEUDONYM_LETTERS: Final = bytes.maketrans(b"0123456789abcdef", b"abcdefghijklmnop")
_DIGITS: Final = frozenset(b"0123456789")
_LONG_INTEGER: Final = compile_own(rb"\x18[\x80-\xff]{6,7}[\x00-\x7f]", binary=True)
"""An AnyValue that is an integer of 14 to 16 digits, more or less, as protobuf writes it."""
_LONG_DOUBLE: Final = compile_own(
    rb"\x21[\x00-\xff]{6}(?:[\xa0-\xff]\x42|[\x00-\x42]\x43)", binary=True
)
"""The same for a double; those are negative never."""
_QUOTED: Final = rb"\"(?:[^\"\\]|\\.)*(?:\"|\\?$)|'(?:[^'\\]|\\.)*(?:'|\\?$)"
_ASSIGNED: Final = compile_own(
    rb"[\"']([\w .:/\[\]-]{1,128})[\"']\s{0,8}[:=]\s{0,8}[bru]{0,2}"
    rb"(" + _QUOTED + rb"|[^\s,;}\])\"']+)"
)
_BARE: Final = compile_own(
    rb"(?:^|[^\w.-])([A-Za-z_][\w.-]{1,127})(?:[ \t]{0,4}=[ \t]{0,4}|:[ \t]{1,8})"
    rb"(\"[^\s\"\\]{6,}(?:\"|$)|'[^\s'\\]{6,}(?:'|$)|[^\s,;&<>\"'`(){}\[\]|\\]{6,})"
)
"""A name without quotes, as in environments, headers, query strings, programs and YAML."""
_TAGGED: Final = compile_own(rb"<([A-Za-z_][\w.:-]{1,127})>\s{0,64}([^<>\s][^<>]*)</")
_NESTED: Final = re.compile(rb"\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\\n]|\\.)*+'|[\[\]{}()]", re.DOTALL)
_NOTHING: Final = frozenset({b"null", b"None", b"true", b"True", b"false", b"False"})


class Hit(NamedTuple):
    start: int
    end: int
    rule: str
    is_weak: bool = False
    """Whether any other that begins at the same place has a better name for it."""


class _Group:
    """Some detectors, and what must be found for one of them to find something."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self.hint = compile_own(b"|".join(b"(?:%b)" % one.hint for one in detectors))
        compiled = [(one, compile_own(one.pattern)) for one in detectors]
        self.finders = [(one, pattern, min(1, pattern.groups)) for one, pattern in compiled]


class TooMany(Exception):
    """More secrets than are looked for in one text."""


class Rules:
    """What is looked for and what becomes of it. Deterministic; holds no state but memories."""

    def __init__(self, config: RedactConfig) -> None:
        self.keys = Keys([*config.keys.names, *(BUILT_IN if config.keys.built_in else ())])
        self.allowed_keys = Keys(config.allow.keys)
        self._allowed = [compile_foreign(pattern) for pattern in config.allow.patterns]
        self._detectors = [one for one in DETECTORS if _is_on(one, config)]
        self._groups = [_Group(some) for some in _in_groups(self._detectors)]
        self._custom = [(one.name, compile_foreign(one.pattern)) for one in config.custom]
        self._actions = _actions(config)
        self._canonical = {one.name: one.canonical for one in DETECTORS}
        secret = config.hash_key.get_secret_value().encode() if config.hash_key else b""
        self._hmac_key = secret
        self._placeholder = compile_own(_placeholders(self._actions))
        self._hint = _hint(self._detectors, self.keys)
        self._bare_hint = _bare_hint(self.keys)
        self.looks_everywhere = bool(self._custom) or self._hint is None
        """Hints cannot say that there is nothing: patterns of one's own have none."""

    def may_hold(self, data: bytes) -> bool:
        """Whether there is any hint of a secret, also inside JSON or an encoded message."""
        return self._hint is None or self._hint.search(data) is not None

    def may_be_held(self, encoded: bytes) -> bool:
        """The same for an encoded message, where integers are not written in digits."""
        return self.may_hold(encoded) or any(
            pattern.search(encoded) is not None for pattern in (_LONG_INTEGER, _LONG_DOUBLE)
        )

    def find(self, data: bytes, spend: Callable[[int], None]) -> list[Hit]:
        """Where secrets are in a plain text, in order, none within another. `spend` is told of the
        candidates that were looked at, and may raise. Raises TooMany."""
        hits: list[Hit] = []
        if self.may_hold(data):
            hits += self._assigned(data, spend)
            for group in self._groups:
                if group.hint.search(data) is not None:
                    for detector, pattern, captured in group.finders:
                        hits += self._detected(detector, pattern, captured, data, spend)
        for name, pattern in self._custom:
            hits += islice(_customs(name, pattern, data), MAX_HITS + 1)
        if len(hits) > MAX_HITS:
            raise TooMany
        return self.merged(data, hits) if hits else hits

    def replacement(self, rule: str, secret: bytes) -> bytes:
        """What is written instead of a secret."""
        action = self._actions[rule]
        name = rule.encode()
        if action == "remove":
            return b""
        if action == "hash":
            canonical = self._canonical.get(rule, bytes)(secret)
            digest = hmac.new(self._hmac_key, name + b"\0" + canonical, hashlib.sha256).hexdigest()
            # Letters only, so that no pseudonym looks like a number.
            return b"[%b:%b]" % (name, digest[:16].encode().translate(_PSEUDONYM_LETTERS))
        if action == "partial":
            last = bytes(byte for byte in secret if chr(byte).isalnum() and byte < 128)[-4:]
            if len(secret) >= 12 and len(last) == 4:
                return b"[REDACTED:%b:%b]" % (name, last)
        return b"[REDACTED:%b]" % name

    def removes(self, rule: str) -> bool:
        return self._actions[rule] == "remove"

    def is_replaced(self, data: bytes) -> bool:
        """Whether this is what we wrote ourselves."""
        return self._placeholder.fullmatch(data) is not None

    def card_in_number(self, digits: bytes) -> bool:
        """Whether an integer is a card's number (14 digits at least)."""
        return any(
            detector.name == "card" and detector.check(digits, 0, len(digits)) is not None
            for detector in self._detectors
        ) and not self._is_allowed(digits)

    def _detected(
        self,
        detector: Detector,
        pattern: LinearPattern,
        captured: int,
        data: bytes,
        spend: Callable[[int], None],
    ) -> list[Hit]:
        hits: list[Hit] = []
        at = candidates = 0
        while (match := pattern.search(data, at)) is not None:
            start, end = match.span(captured)
            found = detector.check(data, start, end)
            if found is not None:
                hits.append(Hit(*found, detector.name))
                at = max(found[1], start + 1)
                if len(hits) > MAX_HITS:
                    raise TooMany
            else:
                at = _next_group(data, start) if detector.grouped else max(match.end(), start + 1)
                candidates += 1
                if candidates > MAX_CANDIDATES:
                    raise TooMany
            if (candidates + len(hits)) % _SPENT_AT_ONCE == 0:
                spend(_SPENT_AT_ONCE)
        spend((candidates + len(hits)) % _SPENT_AT_ONCE)
        return hits

    def _assigned(self, data: bytes, spend: Callable[[int], None]) -> Iterator[Hit]:
        """Values under secret names in what only looks like JSON, or like Python's dicts."""
        if not self.keys:
            return
        if b"</" in data:
            for match in _counted(_TAGGED, data, spend):
                if self._is_secret_name(match.group(1)):
                    yield Hit(*match.span(2), KEY)
        if b":" not in data and b"=" not in data:
            return
        behind = 0
        for match in _counted(_ASSIGNED, data, spend):
            start, end = match.span(2)
            if start < behind or not self._is_secret_name(match.group(1)):
                continue
            if data[start] in b"[{(":
                behind = end = _end_of_nested(data, start)
            elif data[start] in b"\"'":
                start, end = _within_quotes(data, start, end)
            if end > start and data[start:end] not in _NOTHING:
                yield Hit(start, end, KEY)
        if self._bare_hint is None or self._bare_hint.search(data) is not None:
            yield from self._bare(data, spend)

    def _bare(self, data: bytes, spend: Callable[[int], None]) -> Iterator[Hit]:
        """The same without quotes around the name: more is asked of the value, because programs and
        prose have such names, too."""
        for match in _counted(_BARE, data, spend):
            if not self._is_secret_name(match.group(1)):
                continue
            start, end = match.span(2)
            quoted = data[start] in b"\"'"
            if quoted:
                start, end = _within_quotes(data, start, end)
            if (quoted and end - start >= 8) or any(byte in _DIGITS for byte in data[start:end]):
                yield Hit(start, end, KEY, is_weak=True)

    def _is_secret_name(self, written: bytes) -> bool:
        name = written.decode("utf-8", "replace")
        return name in self.keys and name not in self.allowed_keys

    def merged(self, data: bytes, hits: list[Hit]) -> list[Hit]:
        """In order, overlapping ones as one under the first's name, without what is allowed and
        what we wrote ourselves."""
        ours = [match.span() for match in self._placeholder.finditer(data)]
        starts = [start for start, _ in ours]
        merged: list[Hit] = []
        rank = {name: at for at, name in enumerate(self._actions)}
        for hit in sorted(hits, key=lambda one: (one.start, one.is_weak, rank[one.rule])):
            before = bisect_right(starts, hit.start) - 1
            if before >= 0 and hit.end <= ours[before][1]:
                continue
            if self._is_allowed(data[hit.start : hit.end]):
                continue
            if merged and hit.start < merged[-1].end:
                end = max(hit.end, merged[-1].end)
                merged[-1] = merged[-1]._replace(end=end)
            else:
                merged.append(hit)
        return merged

    def _is_allowed(self, secret: bytes) -> bool:
        return any(pattern.fullmatch(secret) is not None for pattern in self._allowed)


def _in_groups(detectors: Sequence[Detector]) -> Iterator[Sequence[Detector]]:
    for at in range(0, len(detectors), _GROUP):
        yield detectors[at : at + _GROUP]


def _customs(name: str, pattern: LinearPattern, data: bytes) -> Iterator[Hit]:
    group = min(1, pattern.groups)
    for match in pattern.finditer(data):
        start, end = match.span(group)
        if end > start:
            yield Hit(start, end, name)


def _counted(
    pattern: LinearPattern, data: bytes, spend: Callable[[int], None]
) -> Iterator[LinearMatch]:
    """Its matches, so many at most. Raises TooMany."""
    for at, match in enumerate(pattern.finditer(data)):
        if at > MAX_CANDIDATES:
            raise TooMany
        spend(1)
        yield match


def _bare_hint(keys: Keys) -> LinearPattern | None:
    """What is found wherever a secret name without quotes has a value; None when nothing is."""
    hint = keys.hint() if keys else None
    if hint is None:
        return None
    return compile_own(rb"(?:%b)[\w.-]*[ \t]*[=:]" % hint)


def _within_quotes(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Without the quote that it begins with, and the closing one if it was not cut off."""
    closed = end - start > 1 and data[end - 1] == data[start]
    return start + 1, end - 1 if closed else end


def _end_of_nested(data: bytes, start: int) -> int:
    """Behind the bracket that closes the one that stands here; the end of a text cut off before."""
    depth = 0
    for match in _NESTED.finditer(data, start):
        depth += (match[0] in (b"[", b"{", b"(")) - (match[0] in (b"]", b"}", b")"))
        if depth == 0:
            return match.end()
    return len(data)


def _next_group(data: bytes, start: int) -> int:
    """Behind the run of digits that begins here."""
    at = start + 1
    while at < len(data) and data[at] in _DIGITS:
        at += 1
    return at


def _is_on(detector: Detector, config: RedactConfig) -> bool:
    said = config.detectors.get(detector.name)
    return detector.on if said is None else said != "off"


def _actions(config: RedactConfig) -> dict[str, str]:
    """Rule -> action, in the order in which rules come first."""
    actions: dict[str, str] = {KEY: config.keys.action or config.action}
    for rule in config.custom:
        actions[rule.name] = rule.action or config.action
    for detector in DETECTORS:
        said = config.detectors.get(detector.name, "on")
        actions[detector.name] = config.action if said in ("on", "off") else said
    return actions | {UNREADABLE: "mask"}


def _placeholders(rules: dict[str, str]) -> bytes:
    names = "|".join(rules).encode()
    return rb"\[(?:REDACTED:(?:%b)(?::[A-Za-z0-9]{4})?|(?:%b):[a-p]{16})\]" % (names, names)


def _hint(detectors: list[Detector], keys: Keys) -> LinearPattern | None:
    """One pattern for all; None when keys have no hint."""
    hints = [ESCAPED, *(one.hint for one in detectors)]
    if keys:
        key_hint = keys.hint()
        if key_hint is None:
            return None
        hints.append(key_hint)
    return compile_own(b"|".join(b"(?:%b)" % hint for hint in hints))
