"""Contracts: what a component is made of, what it must do, how it is declared."""

from genai_collector.component.config import ByteSize, Config, Duration
from genai_collector.component.contracts import (
    ACCEPTED,
    LEFT_OUT,
    NO_FORM,
    NOT_GENAI,
    Acceptance,
    Consumer,
    Exporter,
    Gate,
    Lifecycle,
    Processor,
    Receiver,
    Sent,
)
from genai_collector.component.factory import (
    ALL_SIGNALS,
    TRACES,
    Context,
    ExporterFactory,
    ExtensionFactory,
    Factory,
    ProcessorFactory,
    ReceiverFactory,
)
from genai_collector.component.telemetry import NoTelemetry, Telemetry

__all__ = [
    "ACCEPTED",
    "ALL_SIGNALS",
    "LEFT_OUT",
    "NOT_GENAI",
    "NO_FORM",
    "TRACES",
    "Acceptance",
    "ByteSize",
    "Config",
    "Consumer",
    "Context",
    "Duration",
    "Exporter",
    "ExporterFactory",
    "ExtensionFactory",
    "Factory",
    "Gate",
    "Lifecycle",
    "NoTelemetry",
    "Processor",
    "ProcessorFactory",
    "Receiver",
    "ReceiverFactory",
    "Sent",
    "Telemetry",
]
