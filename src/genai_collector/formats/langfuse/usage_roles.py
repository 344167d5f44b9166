"""What the names of token counts mean (section 3.8, rule 4): a table of aliases per bucket."""

from __future__ import annotations

from typing import Final

INPUT: Final = "input"
OUTPUT: Final = "output"
TOTAL: Final = "total"
CACHE_READ: Final = "input_cached_tokens"
CACHE_CREATION: Final = "input_cache_creation"
REASONING: Final = "output_reasoning_tokens"
AUDIO: Final = "output_audio_tokens"

_ALIASES: Final = {
    INPUT: ("prompt_tokens", "input_tokens", "prompt"),
    OUTPUT: ("completion_tokens", "output_tokens", "completion"),
    TOTAL: ("total_tokens", "total"),
    CACHE_READ: (
        "cache_read.input_tokens",
        "cache_read_input_tokens",
        "cache_read_tokens",
        "details.cache_read_tokens",
        "details.cache_read_input_tokens",
        "prompt_details.cache_read",
        "input_cached_tokens",
    ),
    CACHE_CREATION: (
        "cache_creation.input_tokens",
        "cache_creation_input_tokens",
        "cache_write_tokens",
        "details.cache_write_tokens",
        "details.cache_creation_input_tokens",
        "prompt_details.cache_write",
        "input_cache_creation",
    ),
    REASONING: ("reasoning.output_tokens", "completion_details.reasoning"),
    AUDIO: ("completion_details.audio",),
}
"""Bucket -> the suffixes it is read from, the strongest first (a 0 counts as said)."""

_ROLES: Final = {
    suffix: (bucket, rank)
    for bucket, suffixes in _ALIASES.items()
    for rank, suffix in enumerate(suffixes)
}
SUBTRACTED: Final = ((INPUT, (CACHE_READ, CACHE_CREATION)), (OUTPUT, (REASONING, AUDIO)))
"""Inclusive counts, and the parts that are taken out of them."""


def role_of(key: str) -> tuple[str, int]:
    """The bucket of a `gen_ai.usage.*` or `llm.token_count.*` key and the alias's rank in it; -1
    for a name of the producer's own, which is its own bucket."""
    suffix = key.removeprefix("gen_ai.usage.").removeprefix("llm.token_count.")
    return _ROLES.get(suffix) or (suffix.removeprefix("details."), -1)
