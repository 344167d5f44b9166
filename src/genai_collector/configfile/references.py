"""Who refers to whom: pipelines to components, `service.extensions` to extensions."""

from __future__ import annotations

from typing import Final

from genai_collector.component import ALL_SIGNALS, ConnectorFactory
from genai_collector.configfile.schema import (
    Component,
    ComponentId,
    PipelineConfig,
    PipelineSpec,
)
from genai_collector.configfile.tree import MapNode, Path, fault_at, find, is_null, place_of
from genai_collector.configfile.typed import COMPONENT_SECTIONS, Declared
from genai_collector.configfile.wording import suggest
from genai_collector.errors import Fault
from genai_collector.model import Signal

_ROLES: Final = ("receivers", "processors", "exporters")
_REQUIRED: Final = ("receivers", "exporters")
_ENDS: Final = ("receivers", "exporters")
"""Where a connector may stand."""


def read_pipelines(declared: Declared, faults: list[Fault]) -> dict[str, PipelineSpec]:
    """The pipelines by id; with faults for references that lead nowhere."""
    _check_sections(declared, faults)
    pipelines: dict[str, PipelineSpec] = {}
    for key, pipeline in declared.service.pipelines.items():
        path: Path = ("service", "pipelines", key)
        place = place_of(declared.root, path)
        try:
            parsed = ComponentId.parse(key)
        except ValueError:
            faults.append(fault_at(place, path, "expected a signal or signal/name"))
            continue
        name = str(parsed)
        if parsed.type not in tuple(Signal):
            faults.append(fault_at(place, path, _unknown_signal(parsed.type)))
        elif name in pipelines:
            faults.append(fault_at(place, path, f"there are two with the id {name}"))
        else:
            spec = _read_pipeline(declared, name, Signal(parsed.type), pipeline, path, faults)
            pipelines[name] = spec
    return pipelines


def read_extensions(declared: Declared, faults: list[Fault]) -> list[str]:
    """The extensions to start, in order."""
    path: Path = ("service", "extensions")
    return _references(declared, "extensions", declared.service.extensions, path, faults)


def _check_sections(declared: Declared, faults: list[Fault]) -> None:
    root = declared.root
    needed: list[tuple[Path, str]] = [
        (("receivers",), "at least one is needed, and none is configured"),
        (("exporters",), "at least one is needed, and none is configured"),
        (
            ("service", "pipelines"),
            "at least one is needed, such as traces: {receivers: [...], exporters: [...]}",
        ),
    ]
    for path, message in needed:
        written = find(root, path)
        if is_null(written) or (isinstance(written, MapNode) and not written.entries):
            faults.append(fault_at(place_of(root, path), path, message))


def _unknown_signal(signal: str) -> str:
    if signal == "profiles":
        return "profiles are not supported (there are: logs, metrics, traces)"
    return f"unknown signal {signal!r}{suggest(signal, [one.value for one in Signal])}"


def _read_pipeline(
    declared: Declared,
    id: str,
    signal: Signal,
    pipeline: PipelineConfig,
    path: Path,
    faults: list[Fault],
) -> PipelineSpec:
    found: dict[str, list[str]] = {}
    for section in _ROLES:
        written: list[str] = getattr(pipeline, section)
        below = (*path, section)
        if section in _REQUIRED and not written:
            place = place_of(declared.root, below)
            faults.append(fault_at(place, path, f"needs at least one {section.removesuffix('s')}"))
        found[section] = _references(declared, section, written, below, faults)
        _check_signal(declared, section, written, signal, below, faults)
    return PipelineSpec(id, signal, found["receivers"], found["processors"], found["exporters"])


def _references(
    declared: Declared, section: str, written: list[str], path: Path, faults: list[Fault]
) -> list[str]:
    found: list[str] = []
    for at, text in enumerate(written):
        below = (*path, at)
        place = place_of(declared.root, below)
        name = _normalized(text)
        if name in found:
            faults.append(fault_at(place, below, f"{name!r} is listed twice"))
        elif name in _known(declared, section):
            found.append(name)
        else:
            faults.append(fault_at(place, below, _not_configured(declared, section, name)))
    return found


def _known(declared: Declared, section: str) -> set[str]:
    connectors = declared.paths["connectors"] if section in _ENDS else {}
    return {*declared.paths[section], *connectors}


def _normalized(text: str) -> str:
    return "/".join(part.strip() for part in text.split("/", 1))


def _not_configured(declared: Declared, section: str, id: str) -> str:
    kind = section.removesuffix("s")
    for other in COMPONENT_SECTIONS:
        if other != section and id in declared.paths[other]:
            article = "an" if other[0] == "e" else "a"
            return f"{kind} {id!r} is not configured; {id!r} is {article} {other.removesuffix('s')}"
    hint = suggest(id, _known(declared, section))
    return f"{kind} {id!r} is not configured{hint}"


def _check_signal(
    declared: Declared,
    section: str,
    written: list[str],
    signal: Signal,
    path: Path,
    faults: list[Fault],
) -> None:
    for at, text in enumerate(written):
        name = _normalized(text)
        component = declared.components[section].get(name)
        if component is None and section in _ENDS:
            component = declared.components["connectors"].get(name)
        if component is None:
            continue
        signals = _signals(component, section)
        if signal not in signals:
            below = (*path, at)
            only = ", ".join(sorted(signals))
            verb = "give" if section == "receivers" else "take"
            message = f"{component.factory.kind} {component.id!r} does not {verb} {signal}"
            place = place_of(declared.root, below)
            faults.append(fault_at(place, below, f"{message} (only {only})"))


def _signals(component: Component, section: str) -> frozenset[Signal]:
    factory = component.factory
    if not isinstance(factory, ConnectorFactory):
        return getattr(factory, "signals", ALL_SIGNALS)
    ends = (route.target if section == "receivers" else route.source for route in factory.routes)
    return frozenset(ends)
