"""Facts that come several in one value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.conventions.facts import (
    elapsed,
    fill_cost,
    fill_parameters,
    fill_usage,
    seconds_between,
)
from genai_collector.conventions.observation import Cost, Observation, Usage
from tests.conventions.loading import values

NAMES = ("input", "output", "total", "cache_read", "cache_creation", "reasoning")


@pytest.mark.parametrize(
    ("buckets", "wanted"),
    [
        # Langfuse's buckets are exclusive.
        ({"input": 5, "output": 7}, {"input": 5, "output": 7}),
        ({"input": 26, "output": 9, "input_cached_tokens": 16, "output_reasoning_tokens": 8},
         {"input": 42, "output": 17, "cache_read": 16, "reasoning": 8}),
        ({"input": 26, "output": 17, "total": 59, "cache_read_input_tokens": 16,
          "cache_creation_input_tokens": 0},
         {"input": 42, "output": 17, "total": 59, "cache_read": 16, "cache_creation": 0}),
        # LiteLLM takes the cache reads out, and not what was written to the cache.
        ({"input": 26, "output": 17, "total": 59, "cache_read_input_tokens": 16,
          "cache_creation_input_tokens": 10},
         {"input": 42, "output": 17, "total": 59, "cache_read": 16, "cache_creation": 10}),
        # People send inclusive counts too; the total tells.
        ({"input": 120, "output": 30, "total": 150, "input_cached_tokens": 64},
         {"input": 120, "output": 30, "total": 150, "cache_read": 64}),
        # Other buckets of a side belong to it, under their own name.
        ({"input": 1, "input_audio_tokens": 2, "input_cache_creation_5m": 3,
          "input_cache_creation_1h": 4},
         {"input": 10, "cache_creation": 7, "details": {"input_audio_tokens": 2}}),
        # OpenAI's objects are inclusive.
        ({"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150,
          "prompt_tokens_details": {"cached_tokens": 64},
          "completion_tokens_details": {"reasoning_tokens": 10}},
         {"input": 120, "output": 30, "total": 150, "cache_read": 64, "reasoning": 10}),
        ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": None},
         {"input": 9, "output": 2}),
        # Anthropic's are not.
        ({"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 10},
         {"input": 13, "output": 4, "cache_read": 10}),
        ({"input": "x", "output": -1, "total": None}, {}),
    ],
)  # fmt: skip
def test_usage(buckets: Any, wanted: dict[str, Any]) -> None:
    """Counts become inclusive, whoever sent them; what is not said stays unknown."""
    usage = Usage()
    fill_usage(usage, buckets)
    said = {name: value for name in NAMES if (value := getattr(usage, name)) is not None}
    assert said | ({"details": usage.details} if usage.details else {}) == wanted


def test_usage_that_is_known_stays() -> None:
    """A count that stands under a name of its own is believed."""
    usage = Usage(input=1)
    fill_usage(usage, {"input": 5, "output": 7})
    assert (usage.input, usage.output) == (1, 7)


counts = st.integers(0, 1000)


@given(counts, counts, counts, counts, counts)
@settings(max_examples=100, deadline=None)
def test_totals_hold(plain: int, read: int, made: int, said: int, thought: int) -> None:
    """Exclusive buckets with their true total give an input and an output that add up to it."""
    usage = Usage()
    total = plain + read + made + said + thought
    fill_usage(usage, {
        "input": plain, "input_cached_tokens": read, "input_cache_creation": made, "output": said,
        "output_reasoning_tokens": thought, "total": total,
    })  # fmt: skip
    assert usage.input is not None
    assert usage.output is not None
    assert usage.input + usage.output == total == usage.total


def test_parameters() -> None:
    """Names and types of the conventions; the rest under its own name, structures as JSON text."""
    observation = Observation(parameters={"top_p": 0.5})
    fill_parameters(observation, {
        "model": "m", "user": "u", "temperature": "0.2", "topP": 1, "max_completion_tokens": 7,
        "n": 2, "stop": "END", "response_format": {"type": "json_object"}, "messages": [1],
        "stream_options": {"include_usage": True}, "max_retries": 0, "seed": None, "x": "",
        "maxTokens": "Infinity",
    })  # fmt: skip
    assert observation.parameters == {
        "top_p": 0.5, "temperature": 0.2, "max_tokens": 7, "choice.count": 2,
        "stop_sequences": ["END"], "stream_options": '{"include_usage":true}', "max_retries": 0,
    }  # fmt: skip
    assert (observation.request_model, observation.user_id, observation.output_type) == (
        "m", "u", "json",
    )  # fmt: skip


def test_cost() -> None:
    """Dollars as they are said; a total is never made up."""
    cost = Cost()
    fill_cost(cost, {"input": 0.5, "output": "1", "cache": 0.1, "x": "no", "y": -1})
    assert cost == Cost(None, 0.5, 1.0, {"cache": 0.1})


@pytest.mark.parametrize(
    ("time", "wanted"),
    [
        ("1970-01-01T00:00:03Z", 2.0),
        ('"1970-01-01T00:00:01.000001Z"', 0.000001),
        ("1970-01-01T02:00:01.5+02:00", 0.5),
        ("1970-01-01T00:00:02", 1.0),
        ("1970-01-01T00:00:00Z", None),
        ("soon", None),
        (7, None),
    ],
)
def test_seconds_between(time: Any, wanted: float | None) -> None:
    """Seconds from a start at 1 s to a moment, also in JSON's quotes."""
    assert seconds_between(1_000_000_000, time) == wanted
    assert elapsed(0, 5) is None


@given(st.dictionaries(st.text(max_size=5), values(), max_size=4))
@settings(max_examples=100, deadline=None)
def test_total(body: Any) -> None:
    """Any object whatever is read without an error."""
    fill_usage(Usage(), body)
    fill_cost(Cost(), body)
    fill_parameters(Observation(), body)
