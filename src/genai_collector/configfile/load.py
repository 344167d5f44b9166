"""Configuration files to a checked `CollectorConfig`, in one go and with every fault.

    read every source -> merge -> --set -> expand ${...} -> type -> references -> warnings

Each step goes on where it can, so that one run shows everything that is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from genai_collector.configfile.connections import find_connection_faults
from genai_collector.configfile.expand import expand
from genai_collector.configfile.merge import assign, merge
from genai_collector.configfile.references import read_extensions, read_pipelines
from genai_collector.configfile.schema import (
    CollectorConfig,
    FactorySet,
    Loaded,
    PipelineSpec,
    ServiceConfig,
)
from genai_collector.configfile.sources import file_of, read_set, read_source
from genai_collector.configfile.traps import find_conflicts, find_warnings, in_order
from genai_collector.configfile.tree import Entry, MapNode
from genai_collector.configfile.typed import Declared, read_declared
from genai_collector.configfile.types import redact
from genai_collector.errors import ConfigError, Fault


def load(
    sources: Sequence[str],
    sets: Sequence[str],
    factories: FactorySet,
    environ: Mapping[str, str],
) -> Loaded:
    """Load, merge, expand and check. Raises ConfigError with every fault found.

    `sources` are what `--config` takes (see `configfile.sources`), later ones win; `sets` are
    what `--set` takes and win over all sources.
    """
    if not sources:
        raise ConfigError("no configuration given (--config FILE)")
    faults: list[Fault] = []
    warnings: list[Fault] = []
    root, files = _read(sources, sets, environ, faults, warnings)
    if root is None:
        raise ConfigError(faults=in_order(faults, files))
    read = [path for source in sources if (path := file_of(source)) is not None]
    root = expand(root, environ, faults, read)
    declared = read_declared(root, factories, faults)
    pipelines = read_pipelines(declared, faults)
    extensions = read_extensions(declared, faults)
    faults += find_connection_faults(declared, pipelines)
    faults += find_conflicts(declared, pipelines, extensions)
    if faults:
        raise ConfigError(faults=in_order(faults, files))
    warnings += find_warnings(declared, pipelines, extensions)
    config = _assemble(declared, pipelines, extensions)
    return Loaded(config, in_order(warnings, files), _document(declared), read)


def _read(
    sources: Sequence[str],
    sets: Sequence[str],
    environ: Mapping[str, str],
    faults: list[Fault],
    warnings: list[Fault],
) -> tuple[MapNode | None, list[str]]:
    """The merged tree (None when a source cannot be read) and the names of its sources."""
    documents: list[MapNode] = []
    for source in sources:
        document, found = read_source(source, environ)
        faults += found
        if document is not None:
            documents.append(document)
    files = [document.place.file for document in documents]
    if len(documents) < len(sources):
        return None, files
    nothing = MapNode(documents[0].place)
    root = reduce(lambda base, over: merge(base, over, warnings), documents, nothing)
    for assignment in sets:
        over, found = read_set(assignment)
        faults += found
        if over is not None:
            root = assign(root, over, warnings, faults)
    return root, files


def _assemble(
    declared: Declared, pipelines: dict[str, PipelineSpec], extensions: list[str]
) -> CollectorConfig:
    service = declared.service
    return CollectorConfig(
        receivers=declared.components["receivers"],
        processors=declared.components["processors"],
        exporters=declared.components["exporters"],
        extensions=declared.components["extensions"],
        pipelines=pipelines,
        extension_order=extensions,
        connectors=declared.components["connectors"],
        telemetry=service.telemetry,
        shutdown_timeout_s=service.shutdown_timeout,
    )


def _document(declared: Declared) -> dict[str, Any]:
    """What was written, merged and expanded, with secrets hidden."""
    return {name: _section(declared, name, entry) for name, entry in declared.root.entries.items()}


def _section(declared: Declared, name: str, entry: Entry) -> Any:
    if name == "service":
        return redact(entry.node, ServiceConfig)
    if not isinstance(entry.node, MapNode):
        return redact(entry.node)
    models = {
        declared.paths[name][one.id][1]: one.factory.config
        for one in declared.components[name].values()
    }
    return {key: redact(below.node, models[key]) for key, below in entry.node.entries.items()}
