"""YAML to types: load, merge, expand, check; every fault with its file, line and column."""

from genai_collector.configfile.load import load
from genai_collector.configfile.schema import (
    CollectorConfig,
    Component,
    ComponentId,
    FactorySet,
    Loaded,
    LogsConfig,
    MetricsConfig,
    OtlpPushConfig,
    PipelineSpec,
    TelemetryConfig,
)
from genai_collector.errors import Fault

__all__ = [
    "CollectorConfig",
    "Component",
    "ComponentId",
    "FactorySet",
    "Fault",
    "Loaded",
    "LogsConfig",
    "MetricsConfig",
    "OtlpPushConfig",
    "PipelineSpec",
    "TelemetryConfig",
    "load",
]
