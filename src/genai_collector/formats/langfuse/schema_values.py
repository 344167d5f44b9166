"""How the ingestion schema reads single values (section 1.3): environments, times, usage, costs.

Used twice: by the mapper, which only makes what the server accepts, and by `schema`, which reads
whole events.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final

from genai_collector.formats.langfuse.instants import plain_instant
from genai_collector.formats.langfuse.values import JSON, parse_int

_ENVIRONMENT: Final = re.compile(r"[a-z0-9_-]+")
_LONGEST_ENVIRONMENT: Final = 40
_LONGEST_ID: Final = 800
_SURELY_SHORT: Final = _LONGEST_ID // 2
"""Of as many characters, whatever they are: none has more than two code units."""
_DATETIME: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?"
    r"(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"
)


def normal_environment(value: JSON) -> str:
    """Lower case, without leading `langfuse`, at most 40 characters; `default` for the rest."""
    return _normal_environment(value) if isinstance(value, str) else "default"


@lru_cache(maxsize=256)
def _normal_environment(value: str) -> str:
    name = value.lower()
    while name.startswith("langfuse"):
        name = name[len("langfuse") :]
        if name.startswith(("-", "_")):
            name = name[1:]
    name = name[:_LONGEST_ENVIRONMENT]
    return name if _ENVIRONMENT.fullmatch(name) else "default"


def is_datetime(value: JSON) -> bool:
    """ISO 8601 with `T` and an offset, any precision; seconds may be missing."""
    if not isinstance(value, str):
        return False
    if plain_instant(value) is not None:
        return True
    found = _DATETIME.fullmatch(value)
    if found is None or not value.isascii():
        return False
    try:
        date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return int(found[1]) == 0
    return True


def normal_datetime(value: JSON) -> str | None:
    """The same instant as the schema wants it, or None for what is no date we can read.

    Times without an offset are UTC, as they are for a server that runs in UTC.
    """
    if not isinstance(value, str):
        return None
    if is_datetime(value):
        return value
    try:
        instant = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
    try:
        return instant.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except OverflowError:
        return None


def _is_count(value: JSON) -> bool:
    if isinstance(value, float):
        return value >= 0 and value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _bucket(value: JSON) -> int | None:
    if isinstance(value, str):
        number = parse_int(value)
        return number if number is not None and number >= 0 else None
    return int(value) if _is_count(value) else None  # type: ignore[arg-type]  # a count is a number


_OPENAI: Final = tuple(
    (
        (f"{first}_tokens", f"{second}_tokens", "total_tokens"),
        (f"{first}_tokens_details", f"{second}_tokens_details"),
    )
    for first, second in (("prompt", "completion"), ("input", "output"))
)


def normal_usage(usage: dict[str, JSON]) -> dict[str, JSON]:
    """The buckets that are stored: OpenAI's two shapes become exclusive buckets, of any other map
    the non-negative integers are kept."""
    for names, details in _OPENAI:
        if names[2] in usage and _is_openai(usage, names, details):
            return _from_openai(usage, names, details)
    return counts(usage)


def counts(usage: dict[str, JSON]) -> dict[str, JSON]:
    """The non-negative integers of a map, also those written as text."""
    kept: dict[str, JSON] = {}
    for key, value in usage.items():
        number = value if type(value) is int and value >= 0 else _bucket(value)
        if number is not None:
            kept[key] = number
    return kept


def _is_openai(
    usage: dict[str, JSON], names: tuple[str, str, str], details: tuple[str, str]
) -> bool:
    if not usage.keys() <= {*names, *details}:
        return False
    if not all(_is_count(usage.get(key)) for key in names):
        return False
    for key in details:
        detail = usage.get(key)
        if detail is None:
            continue
        if not isinstance(detail, dict):
            return False
        if not all(value is None or _is_count(value) for value in detail.values()):
            return False
    return True


def _from_openai(
    usage: dict[str, JSON], names: tuple[str, str, str], details: tuple[str, str]
) -> dict[str, JSON]:
    result: dict[str, JSON] = {"total": _bucket(usage[names[2]])}
    for side, count, key in zip(("input", "output"), names, details, strict=False):
        rest = _bucket(usage[count]) or 0
        for name, value in (usage.get(key) or {}).items():  # type: ignore[union-attr]
            number = _bucket(value)
            if number is not None:
                result[f"{side}_{name}"] = number
                rest = max(rest - number, 0)
        result[side] = rest
    return result


def normal_costs(costs: dict[str, JSON]) -> dict[str, JSON]:
    """Only numbers that are not negative."""
    return {
        key: value
        for key, value in costs.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
    }


class Refused(Exception):
    """The server refuses the event; the message says where and why."""


def identifier(value: JSON) -> JSON:
    """1 to 800 characters without a carriage return."""
    if type(value) is str and 0 < len(value) <= _SURELY_SHORT and "\r" not in value:
        return value
    text = string(value)
    assert isinstance(text, str)
    if not text:
        raise Refused("Too small: expected string to have >=1 characters")
    if utf16_length(text) > _LONGEST_ID:
        raise Refused(f"Too big: expected string to have <={_LONGEST_ID} characters")
    if "\r" in text:
        raise Refused("ID cannot contain carriage return characters")
    return text


def utf16_length(text: str) -> int:
    """The length as the server counts it, in UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def string(value: JSON) -> JSON:
    if not isinstance(value, str):
        raise Refused("Invalid input: expected string")
    return value


def limited_text(longest: int) -> Callable[[JSON], JSON]:
    """A string of at most so many characters."""

    def check(value: JSON) -> JSON:
        text = string(value)
        if isinstance(text, str) and utf16_length(text) > longest:
            raise Refused(f"Too big: expected string to have <={longest} characters")
        return text

    return check


def choice(*allowed: str) -> Callable[[JSON], JSON]:
    """Exactly one of these words."""

    def check(value: JSON) -> JSON:
        if value not in allowed:
            raise Refused(f"Invalid option: expected one of {'|'.join(allowed)}")
        return value

    return check


def datetime_text(value: JSON) -> JSON:
    if type(value) is str and plain_instant(value) is not None:
        return value
    if not is_datetime(value):
        raise Refused("Invalid ISO datetime")
    return value


def boolean(value: JSON) -> JSON:
    if not isinstance(value, bool):
        raise Refused("Invalid input: expected boolean")
    return value


def number(value: JSON) -> JSON:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused("Invalid input: expected number")
    return value


def integer(value: JSON) -> JSON:
    given = number(value)
    if isinstance(given, float) and not given.is_integer():
        raise Refused("Invalid input: expected int, received number")
    return given


def string_list(value: JSON) -> JSON:
    if not isinstance(value, list):
        raise Refused("Invalid input: expected array")
    return [string(item) for item in value]


def json_value(value: JSON) -> JSON:
    return value
