"""Token counts that Langfuse's reading of a span would miss or add up wrongly (section 3.8).

Its buckets are additive: what is not known to be part of `input` or `output` counts on top of them.
The conventions' reading knows more names, and is inclusive.
"""

from __future__ import annotations

from typing import Final

from genai_collector.conventions.observation import Usage
from genai_collector.formats.langfuse import keys
from genai_collector.formats.langfuse.reading import Reading
from genai_collector.formats.langfuse.usage import usage_details
from genai_collector.formats.langfuse.usage_roles import (
    AUDIO,
    CACHE_CREATION,
    CACHE_READ,
    INPUT,
    OUTPUT,
    REASONING,
    TOTAL,
)

_NAMED: Final = frozenset((INPUT, OUTPUT, TOTAL, CACHE_READ, CACHE_CREATION, REASONING, AUDIO))
_SAID: Final = "langfuse.observation.usage_details"
_OWN_READINGS: Final = keys.SCOPE_AI | keys.SCOPE_GENKIT | keys.SCOPE_VERTEX


def missing_usage(reading: Reading, usage: Usage) -> dict[str, int]:
    """Exclusive buckets to be said instead of what Langfuse would find; empty if that is right."""
    theirs = {
        name: count for name, count in usage_details(reading).items() if isinstance(count, int)
    }
    if not theirs:
        return _with_parts({}, usage)
    if reading.attributes.get(_SAID) is not None or reading.bits & _OWN_READINGS:
        return {}
    kept = {
        name: count
        for name, count in theirs.items()
        if name in _NAMED or name in usage.details or not count
    }
    made = _with_parts(kept, usage)
    # A total alone is no news: the server adds the buckets up itself.
    is_right = made in (theirs, {**theirs, TOTAL: usage.total})
    return {} if is_right else made


def _with_parts(buckets: dict[str, int], usage: Usage) -> dict[str, int]:
    """The buckets with what they lack of the usage."""
    made = dict(buckets)
    of_input = ((CACHE_READ, usage.cache_read), (CACHE_CREATION, usage.cache_creation))
    of_output = ((REASONING, usage.reasoning),)
    sides = ((INPUT, usage.input, of_input), (OUTPUT, usage.output, of_output))
    for side, inclusive, parts in sides:
        if side not in made and inclusive is not None:
            known = sum(made.get(name, 0) for name, _ in parts)
            made[side] = max(inclusive - known, 0)
        for name, count in parts:
            if count and name not in made:
                made[name] = count
                if side in made:
                    made[side] = max(made[side] - count, 0)
    if usage.total is not None:
        made.setdefault(TOTAL, usage.total)
    return made
