"""Sections of the tree to typed configuration, with every fault that is found on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeVar

from pydantic import ValidationError

from genai_collector.component import Config, Factory
from genai_collector.configfile.schema import (
    SECTIONS,
    Component,
    ComponentId,
    FactorySet,
    PipelineConfig,
    ServiceConfig,
)
from genai_collector.configfile.tree import (
    Entry,
    ListNode,
    MapNode,
    Node,
    Path,
    Scalar,
    child,
    fault_at,
    find,
    is_null,
    place_of,
    plain,
)
from genai_collector.configfile.wording import explain, suggest, text_wanted
from genai_collector.errors import ConfigError, Fault

COMPONENT_SECTIONS: Final = ("receivers", "processors", "exporters", "connectors", "extensions")
_ROUNDS: Final = 8
C = TypeVar("C", bound=Config)


@dataclass(slots=True)
class Declared:
    """What a file declares: the components that are right, and the ids of all."""

    root: MapNode
    components: dict[str, dict[str, Component]] = field(default_factory=dict)
    """Section -> id -> component."""
    paths: dict[str, dict[str, Path]] = field(default_factory=dict)
    """Section -> id -> where it stands; also of those that are faulty."""
    service: ServiceConfig = field(default_factory=ServiceConfig)
    """What of the section is right, if not all is."""


def read_declared(root: MapNode, factories: FactorySet, faults: list[Fault]) -> Declared:
    """Type everything. `root` may get a value's text in place of its reading (see `_typed`)."""
    for name, entry in root.entries.items():
        if name not in SECTIONS:
            hint = suggest(name, SECTIONS)
            faults.append(fault_at(entry.key_place, (name,), f"unknown section{hint}"))
    declared = Declared(root)
    for section in COMPONENT_SECTIONS:
        declared.components[section], declared.paths[section] = {}, {}
        below = child(root, section)
        if isinstance(below, MapNode):
            for key in below.entries:
                _read_component(declared, section, key, factories, faults)
        elif not is_null(below):
            faults.append(fault_at(place_of(root, (section,)), (section,), "expected a mapping"))
    service = _typed(root, ("service",), ServiceConfig, faults)
    declared.service = _what_is_right(root) if service is None else service
    return declared


def _what_is_right(root: MapNode) -> ServiceConfig:
    """The readable parts of a faulty `service`, so that their references are checked too."""
    pipelines = find(root, ("service", "pipelines"))
    read = {
        key: _typed(root, ("service", "pipelines", key), PipelineConfig, [])
        for key in (pipelines.entries if isinstance(pipelines, MapNode) else ())
    }
    extensions = find(root, ("service", "extensions"))
    listed = plain(extensions) if isinstance(extensions, ListNode) else []
    return ServiceConfig(
        pipelines={key: pipeline for key, pipeline in read.items() if pipeline is not None},
        extensions=[one for one in listed if isinstance(one, str)],
    )


def _read_component(
    declared: Declared, section: str, key: str, factories: FactorySet, faults: list[Fault]
) -> None:
    root, path = declared.root, (section, key)
    try:
        parsed = ComponentId.parse(key)
    except ValueError as error:
        faults.append(fault_at(place_of(root, path), path, f"not a component's id: {error}"))
        return
    seen, name = declared.paths[section], str(parsed)
    if name in seen:
        faults.append(fault_at(place_of(root, path), path, f"there are two with the id {name}"))
        return
    seen[name] = path
    factory = _factory(factories, section, parsed.type, declared, path, faults)
    if factory is None:
        return
    config = _typed(root, path, factory.config, faults)
    if config is not None:
        declared.components[section][name] = Component(
            name, factory, config, fault_at(place_of(root, path), path, "")
        )


def _factory(
    factories: FactorySet,
    section: str,
    type_: str,
    declared: Declared,
    path: Path,
    faults: list[Fault],
) -> Factory | None:
    known = factories.section(section)
    place = place_of(declared.root, path)
    try:
        if type_ in known:
            return known[type_]
    except ConfigError as error:  # a plugin that cannot be loaded
        faults.append(fault_at(place, path, str(error)))
        return None
    other = [name for name in COMPONENT_SECTIONS if type_ in factories.section(name)]
    hint = suggest(type_, known)
    if other and "did you mean" not in hint:
        hint = f"; {type_!r} belongs under {other[0]}"
    kind = section.removesuffix("s")
    faults.append(fault_at(place, path, f"unknown {kind} type {type_!r}{hint}"))
    return None


def _typed(root: MapNode, path: Path, model: type[C], faults: list[Fault]) -> C | None:
    """The value at a path as `model`, or None and why not.

    Where a string was wanted and an expansion gave a number, a boolean or a mapping, its text is
    put in its place and the section is tried again.
    """
    node = find(root, path)
    if isinstance(node, Scalar) and node.broken:
        return None
    if not is_null(node) and not isinstance(node, MapNode):
        faults.append(fault_at(place_of(root, path, value=True), path, "expected a mapping"))
        return None
    for _ in range(_ROUNDS):
        try:
            return model.model_validate({} if node is None or is_null(node) else plain(node))
        except ValidationError as error:
            wanted = text_wanted(error, node) if node is not None else []
            for below in wanted:
                _use_text(root, (*path, *below))
            if not wanted:
                faults += explain(error, model, root, path)
                return None
        except Exception as error:  # a component's own validator has a bug
            message = f"its configuration cannot be checked ({type(error).__name__}: a bug in it)"
            faults.append(fault_at(place_of(root, path), path, message))
            return None
    return None


def _use_text(root: MapNode, path: Path) -> None:
    parent, node = find(root, path[:-1]), find(root, path)
    assert node is not None
    text = Scalar(node.text, node.place, text=node.text, origin=node.origin)
    _put(parent, path[-1], text)


def _put(parent: Node | None, key: str | int, node: Node) -> None:
    if isinstance(parent, MapNode) and isinstance(key, str):
        parent.entries[key] = Entry(parent.entries[key].key_place, node)
    elif isinstance(parent, ListNode) and isinstance(key, int):
        parent.items[key] = node
