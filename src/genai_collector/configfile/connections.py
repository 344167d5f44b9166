"""Connectors: each is used on both sides, for signals that it can join, and never in a circle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from genai_collector.component import ConnectorFactory, Route
from genai_collector.configfile.schema import Component, PipelineSpec
from genai_collector.configfile.tree import Path, fault_at, place_of
from genai_collector.configfile.typed import Declared
from genai_collector.errors import Fault
from genai_collector.model import Signal

_SIDES: Final = (("exporters", "receivers"), ("receivers", "exporters"))


class _Use(NamedTuple):
    """A connector between two pipelines."""

    id: str
    source: PipelineSpec
    target: PipelineSpec

    def __str__(self) -> str:
        return f"connector {self.id!r} ({Route(self.source.signal, self.target.signal)})"


def find_connection_faults(
    declared: Declared, pipelines: dict[str, PipelineSpec]
) -> Iterator[Fault]:
    """Every connector that leads nowhere, and every circle, once."""
    for name, path in declared.paths["connectors"].items():
        yield from _two_of_one_id(declared, name, path)
    connectors = declared.components["connectors"].values()
    for connector in connectors:
        yield from _one_sided(declared, connector, pipelines)
    uses = [use for connector in connectors for use in _uses(connector, pipelines)]
    yield from _circles(declared, uses)


def _two_of_one_id(declared: Declared, id: str, path: Path) -> Iterator[Fault]:
    for section in ("receivers", "exporters"):
        if id in declared.paths[section]:
            kind = section.removesuffix("s")
            message = (
                f"ambiguous id: there is both {_a(kind)} {id!r} and a connector {id!r}; "
                f"rename one of them, such as {id.partition('/')[0]}/connector"
            )
            yield fault_at(place_of(declared.root, path), path, message)


def _one_sided(
    declared: Declared, connector: Component, pipelines: dict[str, PipelineSpec]
) -> Iterator[Fault]:
    used = False
    for side, opposite in _SIDES:
        places = [spec for spec in pipelines.values() if connector.id in getattr(spec, side)]
        used = used or bool(places)
        for spec in places:
            others = _others(connector, spec.signal, side)
            if others and not any(
                one.signal in others and connector.id in getattr(one, opposite)
                for one in pipelines.values()
            ):
                yield _lonely(declared, connector.id, spec, side, opposite, others)
    if not used:
        path = declared.paths["connectors"][connector.id]
        message = (
            "is not used: name it under exporters of the pipeline that feeds it and under "
            "receivers of one that it feeds, or remove it"
        )
        yield fault_at(place_of(declared.root, path), path, message)


def _others(connector: Component, signal: Signal, side: str) -> set[Signal]:
    """The signals that a pipeline on the other side may have; none is another fault."""
    assert isinstance(connector.factory, ConnectorFactory)
    routes = connector.factory.routes
    if side == "exporters":
        return {route.target for route in routes if route.source is signal}
    return {route.source for route in routes if route.target is signal}


def _lonely(
    declared: Declared, id: str, spec: PipelineSpec, side: str, opposite: str, others: set[Signal]
) -> Fault:
    pipeline = _key_of(declared, spec.id)
    path: Path = ("service", "pipelines", pipeline, side, getattr(spec, side).index(id))
    role, other = side.removesuffix("s"), opposite.removesuffix("s")
    signals = " or ".join(sorted(others))
    message = (
        f"connector {id!r} is used as {role} in {spec.id} but not as {other} in any pipeline that "
        f"it can join to it; add {id!r} to the {opposite} of a {signals} pipeline"
    )
    return fault_at(place_of(declared.root, path), path, message)


def _key_of(declared: Declared, id: str) -> str:
    """How a pipeline is written: spaces around its slash do not count."""
    for key in declared.service.pipelines:
        if "/".join(part.strip() for part in key.split("/", 1)) == id:
            return key
    return id


def _uses(connector: Component, pipelines: dict[str, PipelineSpec]) -> Iterator[_Use]:
    assert isinstance(connector.factory, ConnectorFactory)
    for source in pipelines.values():
        for target in pipelines.values():
            if (
                connector.id in source.exporters
                and connector.id in target.receivers
                and (
                    # A shared one is one component, wherever what it is given may come out.
                    connector.factory.shared
                    or Route(source.signal, target.signal) in connector.factory.routes
                )
            ):
                yield _Use(connector.id, source, target)


def _circles(declared: Declared, uses: list[_Use]) -> Iterator[Fault]:
    """Each circle once, at the place that closes it."""
    after: dict[str, list[_Use]] = {}
    for use in uses:
        after.setdefault(use.source.id, []).append(use)
    done: set[str] = set()
    for use in uses:
        yield from _follow(declared, use.source.id, [], after, done)


def _follow(
    declared: Declared, pipeline: str, way: list[_Use], after: dict[str, list[_Use]], done: set[str]
) -> Iterator[Fault]:
    if pipeline in done:
        return
    for use in after.get(pipeline, ()):
        begins = next((at for at, one in enumerate(way) if one.source.id == use.target.id), None)
        if use.source.id == use.target.id:
            begins = len(way)
        if begins is not None:
            circle = [*way[begins:], use]
            yield _circle(declared, circle)
        else:
            yield from _follow(declared, use.target.id, [*way, use], after, done)
    done.add(pipeline)


def _circle(declared: Declared, circle: list[_Use]) -> Fault:
    last = circle[-1]
    pipeline = _key_of(declared, last.source.id)
    at = last.source.exporters.index(last.id)
    path: Path = ("service", "pipelines", pipeline, "exporters", at)
    way = " -> ".join(map(str, [*circle, circle[0]]))
    message = f"cycle detected: {way}; data would go round for ever: take one of them out"
    return fault_at(place_of(declared.root, path), path, message)


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
