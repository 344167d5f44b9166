"""What a component may say about itself. `telemetry/` implements it with the OpenTelemetry SDK.

Counted per batch, never per item. Names on the wire are otelcol's (see docs/telemetry.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from genai_collector.model import Signal


class Telemetry(Protocol):
    def received(self, receiver: str, transport: str, signal: Signal, items: int) -> None:
        """`otelcol_receiver_accepted_*`: taken into the pipelines."""

    def refused(self, receiver: str, transport: str, signal: Signal, items: int) -> None:
        """`otelcol_receiver_refused_*`: the pipelines said no; the client was told."""

    def refused_request(self, endpoint: str, transport: str, reason: str) -> None:
        """`otelcol_receiver_refused_requests`: a request (or a connection) that brought nothing,
        whatever it held. `reason` is one of few words."""

    def unauthenticated(self, authenticator: str) -> None:
        """`otelcol_authenticator_refused_requests`: one did not say who it is; nothing was read."""

    def processed(self, processor: str, signal: Signal, incoming: int, outgoing: int) -> None:
        """`otelcol_processor_incoming_items` and `_outgoing_items`."""

    def redacted(self, processor: str, signal: Signal, rule: str, values: int) -> None:
        """`otelcol_processor_redacted_values`: secrets replaced, by rule; never what they were."""

    def truncated(self, processor: str, signal: Signal, rule: str, values: int) -> None:
        """`otelcol_processor_truncated_values`: texts cut, by the limit that they were over."""

    def sent(self, exporter: str, signal: Signal, items: int) -> None:
        """`otelcol_exporter_sent_*`: acknowledged by the destination."""

    def send_failed(self, exporter: str, signal: Signal, items: int) -> None:
        """`otelcol_exporter_send_failed_*`: given up, after retries ended."""

    def enqueue_failed(self, exporter: str, signal: Signal, items: int) -> None:
        """`otelcol_exporter_enqueue_failed_*`: the queue had no room; the client was told."""

    def dropped(self, component: str, signal: Signal, reason: str, items: int) -> None:
        """`otelcol_dropped_items{component,signal,reason}`: accepted, and lost on purpose or not.
        Every accepted item ends as sent or here."""

    def watch_queue(
        self, exporter: str, signal: Signal, size: Callable[[], int], capacity: int
    ) -> None:
        """`otelcol_exporter_queue_size` and `_queue_capacity`, in bytes."""

    def watch_in_flight(self, exporter: str, signal: Signal, count: Callable[[], int]) -> None:
        """`otelcol_exporter_in_flight_requests`."""

    def watch_storage(self, owner: str, counts: Callable[[], Mapping[str, int]]) -> None:
        """`otelcol_storage_commits`, `_syncs`, `_set_aside` and `_failures` of an owner's file."""


class NoTelemetry:
    """Says nothing; for tests and offline conversion."""

    def received(self, receiver: str, transport: str, signal: Signal, items: int) -> None: ...
    def refused(self, receiver: str, transport: str, signal: Signal, items: int) -> None: ...
    def refused_request(self, endpoint: str, transport: str, reason: str) -> None: ...
    def unauthenticated(self, authenticator: str) -> None: ...
    def processed(self, processor: str, signal: Signal, incoming: int, outgoing: int) -> None: ...
    def redacted(self, processor: str, signal: Signal, rule: str, values: int) -> None: ...
    def truncated(self, processor: str, signal: Signal, rule: str, values: int) -> None: ...
    def sent(self, exporter: str, signal: Signal, items: int) -> None: ...
    def send_failed(self, exporter: str, signal: Signal, items: int) -> None: ...
    def enqueue_failed(self, exporter: str, signal: Signal, items: int) -> None: ...
    def dropped(self, component: str, signal: Signal, reason: str, items: int) -> None: ...
    def watch_queue(
        self, exporter: str, signal: Signal, size: Callable[[], int], capacity: int
    ) -> None: ...
    def watch_in_flight(self, exporter: str, signal: Signal, count: Callable[[], int]) -> None: ...
    def watch_storage(self, owner: str, counts: Callable[[], Mapping[str, int]]) -> None: ...
