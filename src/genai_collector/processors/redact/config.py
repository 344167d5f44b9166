"""What the configuration of `redact` may say."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from genai_collector.component import Config
from genai_collector.processors._linear import compile_foreign
from genai_collector.processors.redact.detectors import NAMES

Action: TypeAlias = Literal["mask", "hash", "remove", "partial"]


def _is_pattern(pattern: str) -> str:
    compile_foreign(pattern)
    return pattern


Pattern = Annotated[str, AfterValidator(_is_pattern)]
RuleName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class CustomRule(Config):
    """A pattern of your own."""

    name: RuleName
    """Stands in the replacement and in the metric: small letters, digits and underscores."""
    pattern: Pattern
    """A regular expression of RE2: linear in time, without look-around and back-references. If it
    has a group, only the first group is replaced."""
    action: Action | None = None
    """Absent: the processor's."""


class KeyRules(Config):
    """Values that go whole, because of the name they stand under."""

    names: list[str] = Field(default_factory=list)
    """Names, with `*` and `?`; small and capital letters, `-`, `_` and nothing between words are
    the same. A name is compared with the whole key and with its last part, behind `.`, `:`, `/` or
    in brackets."""
    built_in: bool = True
    """Also the names that are known (docs/redaction.md lists them)."""
    action: Action | None = None
    """Absent: the processor's."""


class Allowed(Config):
    """What is left alone, whatever else is configured."""

    patterns: list[Pattern] = Field(default_factory=list)
    """A secret that one of these matches from beginning to end."""
    keys: list[str] = Field(default_factory=list)
    """Names as in `keys.names`; nothing below such a key is looked at."""


class RedactConfig(Config):
    """Which secrets to look for, and what to do with them."""

    action: Action = "mask"
    """mask: `[REDACTED:email]`. hash: `[email:...]`, the same for the same secret and key.
    partial: `[REDACTED:card:1111]`, the last four characters stay. remove: nothing stays."""
    detectors: dict[str, Action | Literal["on", "off"]] = Field(default_factory=dict)
    """Per detector another action, or "on" or "off"; docs/redaction.md lists them."""
    custom: list[CustomRule] = Field(default_factory=list)
    """Patterns of your own."""
    keys: KeyRules = KeyRules()
    """Names whose values go whole."""
    allow: Allowed = Allowed()
    """Exceptions."""
    hash_key: SecretStr | None = None
    """The key of `hash`, at least 16 characters. Who has it can test guesses against pseudonyms."""
    fail_closed: bool = True
    """What cannot be looked into (too many secrets in one text, JSON inside JSON inside JSON ...
    beyond 8 levels, a fault of ours) is replaced whole. false: it passes. Counted either way."""

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        unknown = sorted(set(self.detectors) - set(NAMES))
        if unknown:
            known = ", ".join(NAMES)
            raise ValueError(f"there is no detector {unknown[0]!r}; there are {known}")
        names = [rule.name for rule in self.custom]
        taken = sorted({name for name in names if names.count(name) > 1 or name in RESERVED})
        if taken:
            raise ValueError(f"the name {taken[0]!r} of a custom rule is taken")
        if "hash" in self.actions() and (
            self.hash_key is None or len(self.hash_key.get_secret_value()) < 16
        ):
            raise ValueError("the action hash needs a hash_key of at least 16 characters")
        return self

    def actions(self) -> set[str]:
        """Every action that is asked for."""
        asked = {self.action, self.keys.action, *self.detectors.values()}
        return {str(action) for action in asked | {rule.action for rule in self.custom}}

    def warnings(self) -> list[str]:
        if not self.fail_closed:
            return ["fail_closed: false lets through what could not be looked into"]
        return []


RESERVED: Final = frozenset({*NAMES, "key", "unreadable"})
"""Names of rules that are ours."""
