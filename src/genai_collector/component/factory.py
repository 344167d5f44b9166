"""How components are declared.

Each component's file ends with one plain value, `FACTORY`. `components.py` lists them; the config
loader and the builder are handed the set, so a test passes its own. Names: receivers and exporters
are nouns after their protocol or service, processors are verbs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from genai_collector.component.config import Config
from genai_collector.component.contracts import (
    Connector,
    Consumer,
    Exporter,
    Holding,
    Lifecycle,
    Processor,
    Receiver,
)
from genai_collector.errors import ConfigError
from genai_collector.model import Signal

if TYPE_CHECKING:
    from genai_collector.component.telemetry import Telemetry

C = TypeVar("C", bound=Config)
E = TypeVar("E")

Kind: TypeAlias = Literal["receiver", "processor", "exporter", "connector", "extension"]
Stability: TypeAlias = Literal["stable", "beta", "alpha"]
ALL_SIGNALS: Final = frozenset(Signal)
TRACES: Final = frozenset({Signal.TRACES})


@dataclass(frozen=True, slots=True)
class Context:
    """What the host lends to a component."""

    id: str
    """The component's id in the configuration, `otlp/2`."""
    telemetry: Telemetry
    """Counters, keyed by this component's id."""
    log: logging.Logger
    clock: Callable[[], float] = time.monotonic
    wall_clock_ns: Callable[[], int] = time.time_ns
    listeners: Any = None
    """`transport.HttpListeners`: HTTP servers shared by the receivers with the same endpoint."""
    shutting_down: Callable[[], bool] = field(default=lambda: False)
    extensions: Mapping[str, Lifecycle] = field(default_factory=dict)
    """Those of `service.extensions`, by id."""

    def extension(self, id: str, wanted: type[E], option: str) -> E:
        """The extension of this id, which `option` names, if it can do what is wanted (a protocol
        of `component.extensions`). Raises ConfigError."""
        found = self.extensions.get(id)
        if isinstance(found, wanted):
            return found
        if found is not None:
            raise ConfigError(f"{option}: the extension {id!r} {_lacks(wanted)}")
        able = [name for name, one in self.extensions.items() if isinstance(one, wanted)]
        there = (
            f"there is {', '.join(able)}"
            if able
            else "configure it and list it in service.extensions"
        )
        raise ConfigError(f"{option}: there is no extension {id!r} that runs; {there}")


_LACKING: Final = {
    "Storage": "keeps no records; file_storage does",
    "ServerAuth": "does not know who may send; bearertokenauth does, and basicauth with htpasswd",
    "ClientAuth": "has nothing to say to a destination; bearertokenauth does, and basicauth with "
    "client_auth",
}
"""What an extension is not, by the protocol that was asked for."""


def _lacks(wanted: type) -> str:
    return _LACKING.get(wanted.__name__, f"is no {wanted.__name__}")


@dataclass(frozen=True, slots=True)
class ReceiverFactory(Generic[C]):
    name: str
    config: type[C]
    create: Callable[[C, Mapping[Signal, Consumer], Context], Receiver]
    """Only signals that some pipeline takes from this receiver have a consumer."""
    signals: frozenset[Signal] = ALL_SIGNALS
    aliases: tuple[str, ...] = ()
    stability: Stability = "beta"
    kind: Literal["receiver"] = "receiver"


@dataclass(frozen=True, slots=True)
class ProcessorFactory(Generic[C]):
    name: str
    config: type[C]
    create: Callable[[C, Context], Processor]
    """Called once per pipeline that names the processor."""
    signals: frozenset[Signal] = ALL_SIGNALS
    aliases: tuple[str, ...] = ()
    stability: Stability = "beta"
    shared: bool = False
    """Called once per id instead: what it guards belongs to the process, not to a pipeline."""
    kind: Literal["processor"] = "processor"


@dataclass(frozen=True, slots=True)
class ExporterFactory(Generic[C]):
    name: str
    config: type[C]
    """A subclass of `delivery.DeliveryConfig` for exporters that want queue, retry and timeout."""
    create: Callable[[C, Context], Exporter]
    """Called once per id; the exporter is shared by all pipelines and signals."""
    signals: frozenset[Signal] = ALL_SIGNALS
    aliases: tuple[str, ...] = ()
    stability: Stability = "beta"
    kind: Literal["exporter"] = "exporter"


class Route(NamedTuple):
    """What a connector takes (as an exporter) and what it gives for it (as a receiver)."""

    source: Signal
    target: Signal

    def __str__(self) -> str:
        return f"{self.source} to {self.target}"


SAME_SIGNAL: Final = frozenset(Route(signal, signal) for signal in Signal)
"""Takes anything and gives the same."""


@dataclass(frozen=True, slots=True)
class ConnectorFactory(Generic[C]):
    name: str
    config: type[C]
    create: (
        Callable[[C, Route, Consumer, Context], Connector]
        | Callable[[C, Mapping[Signal, Consumer], Context], Holding]
    )
    """Called once per id and route that pipelines use; the consumer is every pipeline of the
    target signal that names the connector as a receiver. The second form is a `shared` one's."""
    routes: frozenset[Route]
    aliases: tuple[str, ...] = ()
    stability: Stability = "beta"
    shared: bool = False
    """Called once per id instead, with a consumer for every signal that some pipeline takes from
    it: what comes on one route is brought together with what comes on another (see `Holding`)."""
    kind: Literal["connector"] = "connector"


@dataclass(frozen=True, slots=True)
class ExtensionFactory(Generic[C]):
    name: str
    config: type[C]
    create: Callable[[C, Context], Lifecycle]
    aliases: tuple[str, ...] = ()
    stability: Stability = "beta"
    kind: Literal["extension"] = "extension"


Factory: TypeAlias = (
    "ReceiverFactory[Any] | ProcessorFactory[Any] | ExporterFactory[Any] | ConnectorFactory[Any] "
    "| ExtensionFactory[Any]"
)
