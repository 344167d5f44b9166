"""The options of delivery: otelcol's keys, and the traps they are refused for."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from genai_collector.delivery import DeliveryConfig


def test_defaults_lose_nothing() -> None:
    """A queue in bytes, retry for ever, refuse when full."""
    config = DeliveryConfig()
    assert config.sending_queue.queue_size == 64 * 1024 * 1024
    assert config.sending_queue.when_full == "refuse"
    assert config.retry_on_failure.max_elapsed_time == 0
    assert config.sending_queue.batch is not None
    assert config.sending_queue.batch.enough == 512 * 1024


def test_otelcols_spelling_is_understood() -> None:
    """block_on_overflow, sizer: bytes, null for off, whole numbers for the multiplier."""
    config = DeliveryConfig.model_validate(
        {
            "timeout": "10s",
            "sending_queue": {
                "num_consumers": 2,
                "queue_size": "1GiB",
                "sizer": "bytes",
                "block_on_overflow": True,
                "batch": {"flush_timeout": "1s", "min_size": 100_000, "max_size": "1MiB"},
            },
            "retry_on_failure": {"multiplier": 2, "initial_interval": "5s"},
        }
    )
    assert config.sending_queue.when_full == "block"
    assert config.retry_on_failure.multiplier == 2.0
    off = DeliveryConfig.model_validate({"sending_queue": None})
    assert not off.sending_queue.enabled
    no_batch = DeliveryConfig.model_validate({"sending_queue": {"batch": None}})
    assert no_batch.sending_queue.batch is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"sending_queue": {"queue_size": 1000}}, "sizes are bytes here"),
        ({"sending_queue": {"queue_size": 0}}, "greater than 0"),
        ({"sending_queue": {"sizer": "requests"}}, "only bytes"),
        ({"sending_queue": {"batch": {"sizer": "items"}}}, "only bytes"),
        ({"sending_queue": {"num_consumers": 0}}, "greater than or equal to 1"),
        ({"sending_queue": {"block_on_overflow": "yes"}}, "expected true or false"),
        ({"sending_queue": {"block_on_overflow": True, "when_full": "refuse"}}, "contradict"),
        (
            {"sending_queue": {"batch": {"min_size": "2MiB", "max_size": "1MiB"}}},
            "max_size must be at least min_size",
        ),
        ({"retry_on_failure": {"multiplier": 0.5}}, "greater than or equal to 1"),
        ({"retry_on_failure": {"initial_interval": "0s"}}, "greater than 0"),
        ({"timeout": 5}, "expected a duration"),
        ({"retries": {}}, "Extra inputs"),
    ],
)
def test_what_cannot_work_is_refused_in_words(config: dict[str, Any], message: str) -> None:
    """Each refusal says what is expected, and what to write instead."""
    with pytest.raises(ValidationError, match=message):
        DeliveryConfig.model_validate(config)


def test_a_small_size_with_its_unit_is_believed() -> None:
    """Only the bare number is suspicious: it is a count carried over."""
    config = DeliveryConfig.model_validate({"sending_queue": {"queue_size": "1000B"}})
    assert config.sending_queue.queue_size == 1000


def test_the_default_minimum_yields_to_a_smaller_maximum() -> None:
    """Who sets only max_size below the default min_size gets requests of that size."""
    config = DeliveryConfig.model_validate({"sending_queue": {"batch": {"max_size": "100KiB"}}})
    assert config.sending_queue.batch is not None
    assert config.sending_queue.batch.enough == 100 * 1024
