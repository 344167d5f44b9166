"""Every component there is: the built-in ones, sorted, and what plugins bring.

A plugin is a distribution with an entry point in one of the groups below; the entry point's name
is the type that is written in the configuration, its object the component's `FACTORY`. Plugins
are loaded when their type is used, so that a broken one cannot stop those who do not use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from genai_collector.component import Factory
from genai_collector.configfile import FactorySet
from genai_collector.connectors.forward import FACTORY as FORWARD_CONNECTOR
from genai_collector.connectors.genai_events import FACTORY as GENAI_EVENTS_CONNECTOR
from genai_collector.connectors.genai_metrics import FACTORY as GENAI_METRICS_CONNECTOR
from genai_collector.errors import ConfigError
from genai_collector.exporters.debug import FACTORY as DEBUG_EXPORTER
from genai_collector.exporters.file import FACTORY as FILE_EXPORTER
from genai_collector.exporters.langfuse import FACTORY as LANGFUSE_EXPORTER
from genai_collector.exporters.litellm import FACTORY as LITELLM_EXPORTER
from genai_collector.exporters.noveum import FACTORY as NOVEUM_EXPORTER
from genai_collector.exporters.otlp_grpc import FACTORY as OTLP_GRPC_EXPORTER
from genai_collector.exporters.otlp_http import FACTORY as OTLP_HTTP_EXPORTER
from genai_collector.exporters.prometheus import FACTORY as PROMETHEUS_EXPORTER
from genai_collector.extensions.basicauth import FACTORY as BASICAUTH_EXTENSION
from genai_collector.extensions.bearertokenauth import FACTORY as BEARERTOKENAUTH_EXTENSION
from genai_collector.extensions.file_storage import FACTORY as FILE_STORAGE_EXTENSION
from genai_collector.extensions.health_check import FACTORY as HEALTH_CHECK_EXTENSION
from genai_collector.processors.attributes import FACTORY as ATTRIBUTES_PROCESSOR
from genai_collector.processors.batch import FACTORY as BATCH_PROCESSOR
from genai_collector.processors.filter import FACTORY as FILTER_PROCESSOR
from genai_collector.processors.memory_limiter import FACTORY as MEMORY_LIMITER_PROCESSOR
from genai_collector.processors.normalize import FACTORY as NORMALIZE_PROCESSOR
from genai_collector.processors.python import FACTORY as PYTHON_PROCESSOR
from genai_collector.processors.redact import FACTORY as REDACT_PROCESSOR
from genai_collector.processors.resource import FACTORY as RESOURCE_PROCESSOR
from genai_collector.processors.stitch import FACTORY as STITCH_PROCESSOR
from genai_collector.processors.truncate import FACTORY as TRUNCATE_PROCESSOR
from genai_collector.receivers.langfuse import FACTORY as LANGFUSE_RECEIVER
from genai_collector.receivers.litellm import FACTORY as LITELLM_RECEIVER
from genai_collector.receivers.noveum import FACTORY as NOVEUM_RECEIVER
from genai_collector.receivers.otlp import FACTORY as OTLP_RECEIVER

BUILT_IN: Final[tuple[Factory, ...]] = (
    FORWARD_CONNECTOR,
    GENAI_EVENTS_CONNECTOR,
    GENAI_METRICS_CONNECTOR,
    DEBUG_EXPORTER,
    FILE_EXPORTER,
    LANGFUSE_EXPORTER,
    LITELLM_EXPORTER,
    NOVEUM_EXPORTER,
    OTLP_GRPC_EXPORTER,
    OTLP_HTTP_EXPORTER,
    PROMETHEUS_EXPORTER,
    BASICAUTH_EXTENSION,
    BEARERTOKENAUTH_EXTENSION,
    FILE_STORAGE_EXTENSION,
    HEALTH_CHECK_EXTENSION,
    ATTRIBUTES_PROCESSOR,
    BATCH_PROCESSOR,
    FILTER_PROCESSOR,
    MEMORY_LIMITER_PROCESSOR,
    NORMALIZE_PROCESSOR,
    PYTHON_PROCESSOR,
    REDACT_PROCESSOR,
    RESOURCE_PROCESSOR,
    STITCH_PROCESSOR,
    TRUNCATE_PROCESSOR,
    LANGFUSE_RECEIVER,
    LITELLM_RECEIVER,
    NOVEUM_RECEIVER,
    OTLP_RECEIVER,
)
"""Sorted by kind, then name."""

GROUPS: Final = {
    "receivers": "genai_collector.receivers",
    "processors": "genai_collector.processors",
    "exporters": "genai_collector.exporters",
    "connectors": "genai_collector.connectors",
    "extensions": "genai_collector.extensions",
}
"""Section of the configuration -> entry-point group."""


def all_factories() -> FactorySet:
    """The built-in components and the installed plugins."""
    built_in = FactorySet.of(BUILT_IN)
    return FactorySet(
        **{
            section: Plugins(section, built_in.section(section), entry_points(group=group))
            for section, group in GROUPS.items()
        }
    )


class Plugins(Mapping[str, Factory]):
    """Built-in factories of one section, and those of plugins, each loaded on first use.

    A built-in type cannot be taken over. Looking up a plugin raises ConfigError, naming its
    distribution, when it cannot be loaded or is not what its group says.
    """

    def __init__(
        self, section: str, built_in: Mapping[str, Factory], plugins: Iterable[EntryPoint]
    ) -> None:
        self._kind = section.removesuffix("s")
        self._loaded: dict[str, Factory] = dict(built_in)
        self._plugins = {one.name: one for one in plugins if one.name not in built_in}

    def __getitem__(self, type_: str) -> Factory:
        if type_ not in self._loaded:
            self._loaded[type_] = self._load(self._plugins[type_])
        return self._loaded[type_]

    def __contains__(self, type_: object) -> bool:
        return type_ in self._loaded or type_ in self._plugins

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._loaded, *self._plugins]))

    def __len__(self) -> int:
        return len(self._loaded.keys() | self._plugins.keys())

    def _load(self, plugin: EntryPoint) -> Factory:
        named = f"{self._kind} {plugin.name!r} of {distribution(plugin)}"
        try:
            factory = plugin.load()
        except Exception as error:  # whatever a foreign module raises while it is imported
            reason = f"{type(error).__name__}: {error}"
            raise ConfigError(f"{named} cannot be loaded ({plugin.value}): {reason}") from error
        if getattr(factory, "kind", None) != self._kind:
            raise ConfigError(f"{named}: {plugin.value} is no {self._kind} factory")
        return cast("Factory", factory)


def distribution(plugin: EntryPoint) -> str:
    """The name and version of what brought a plugin."""
    return f"{plugin.dist.name} {plugin.dist.version}" if plugin.dist else "an unknown distribution"
