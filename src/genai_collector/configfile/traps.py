"""What is allowed and probably not meant: warnings, and addresses that two want for themselves.

The general traps are here (unused components, order, open listeners, settings that lose data);
what only a component knows it says itself in `Config.warnings()`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Final, NamedTuple

from genai_collector.component import Config
from genai_collector.configfile.schema import PipelineSpec
from genai_collector.configfile.tree import Path, dotted, fault_at, place_of
from genai_collector.configfile.typed import Declared
from genai_collector.errors import Fault

_LISTENING: Final = ("receivers", "exporters", "extensions")
_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  recognised, not listened on
_OWN_KEYS: Final = ("projects", "api_keys")
"""Keys that a receiver's protocol has by itself."""
_METRICS_PATH: Final[Path] = ("service", "telemetry", "metrics", "address")


class _Listener(NamedTuple):
    path: Path
    host: str
    port: int
    config: Config | None


def find_warnings(
    declared: Declared, pipelines: dict[str, PipelineSpec], extensions: list[str]
) -> Iterator[Fault]:
    """Everything doubtful, section by section."""
    used = _used(pipelines, extensions)
    for section, paths in declared.paths.items():
        for name, path in paths.items():
            if name not in used.get(section, ()):
                where = "service.extensions" if section == "extensions" else "any pipeline"
                message = f"is not listed in {where} and will not be started"
                yield fault_at(place_of(declared.root, path), path, message)
        for name, component in declared.components[section].items():
            for path, config in _configs(component.config, paths[name]):
                for message in config.warnings():
                    yield fault_at(place_of(declared.root, path), path, message)
                yield from _missing_files(declared, path, config)
    yield from _delivery_warnings(declared)
    yield from _orphan_warnings(declared)
    yield from _order_warnings(declared, pipelines)
    yield from _join_warnings(declared, pipelines)
    yield from _open_listeners(declared)


def find_conflicts(
    declared: Declared, pipelines: dict[str, PipelineSpec], extensions: list[str]
) -> Iterator[Fault]:
    """Addresses that two components would open, each for itself. Only what is used counts."""
    used = _used(pipelines, extensions)
    taken: list[_Listener] = []
    for listener in _listeners(declared, used):
        other = next((one for one in taken if _collide(one, listener)), None)
        if other is None:
            taken.append(listener)
            continue
        place = place_of(declared.root, listener.path)
        file, line, _ = place_of(declared.root, other.path)
        where = f" ({file}:{line})" if line else ""
        holder = dotted(other.path)
        reason = "with other settings" if _shareable(listener, other) else "too"
        yield fault_at(
            place, listener.path, f"port {listener.port} is opened by {holder}{where} {reason}"
        )


def _used(pipelines: dict[str, PipelineSpec], extensions: list[str]) -> dict[str, set[str]]:
    used: dict[str, set[str]] = {"receivers": set(), "processors": set(), "exporters": set()}
    for spec in pipelines.values():
        used["receivers"].update(spec.receivers)
        used["processors"].update(spec.processors)
        used["exporters"].update(spec.exporters)
    used["connectors"] = used["receivers"] | used["exporters"]
    return used | {"extensions": set(extensions)}


def _configs(value: object, path: Path) -> Iterator[tuple[Path, Config]]:
    """A configuration and every one nested in it, with their paths."""
    if isinstance(value, Config):
        yield path, value
        for name in type(value).model_fields:
            yield from _configs(getattr(value, name), (*path, name))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _configs(item, (*path, at))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _configs(item, (*path, str(key)))


def _missing_files(declared: Declared, path: Path, config: Config) -> Iterator[Fault]:
    for file in config.files():
        if _may(file, os.R_OK):
            continue
        message = f"there is no file {file} on this machine"
        if _may(file, os.F_OK):
            message = f"this user cannot read {file} on this machine"
        option = [name for name in type(config).model_fields if getattr(config, name) == file]
        yield _at(declared, (*path, *option[:1]), message)


def _may(file: str, mode: int) -> bool:
    try:
        return os.access(file, mode)
    except ValueError:  # no path at all
        return False


def _delivery_warnings(declared: Declared) -> Iterator[Fault]:
    # By name, because `delivery` is on this level: every exporter has these two (DeliveryConfig).
    for name, component in declared.components["exporters"].items():
        path = declared.paths["exporters"][name]
        queue = getattr(component.config, "sending_queue", None)
        if (
            queue is not None
            and not queue.enabled
            and "sending_queue" in _written(component.config)
        ):
            message = (
                "without a queue, clients wait for this destination and get its errors; "
                "a slow one slows down all"
            )
            yield _at(declared, (*path, "sending_queue"), message)
        letters = getattr(component.config, "dead_letters", None)
        if letters is not None and "dead_letters" in _written(component.config):
            storage = letters.storage or getattr(queue, "storage", None)
            if letters.enabled and not storage:
                message = (
                    "nothing is kept without a storage: set `storage` here or in sending_queue"
                )
                yield _at(declared, (*path, "dead_letters"), message)
        retry = getattr(component.config, "retry_on_failure", None)
        if retry is None:
            continue
        below = (*path, "retry_on_failure")
        if not retry.enabled and "retry_on_failure" in _written(component.config):
            yield _at(declared, below, "without retries, a batch that fails once is lost")
        elif retry.enabled and retry.max_elapsed_time > 0:
            message = (
                f"data that could not be delivered for {retry.max_elapsed_time:g} s is dropped; "
                "0s = never"
            )
            yield _at(declared, (*below, "max_elapsed_time"), message)


def _orphan_warnings(declared: Declared) -> Iterator[Fault]:
    for name, component in declared.components["processors"].items():
        conditions = getattr(getattr(component.config, "traces", None), "span", None)
        if component.factory.name == "filter" and conditions:
            path = (*declared.paths["processors"][name], "traces", "span")
            yield _at(declared, path, "spans below a dropped one lose their parent")


def _written(config: Config) -> set[str]:
    return config.model_fields_set


def _order_warnings(declared: Declared, pipelines: dict[str, PipelineSpec]) -> Iterator[Fault]:
    types = {name: one.factory.name for name, one in declared.components["processors"].items()}
    for name, spec in pipelines.items():
        path: Path = ("service", "pipelines", name, "processors")
        for at, processor in enumerate(spec.processors):
            if types.get(processor) == "memory_limiter" and at > 0:
                message = f"{processor!r} should be first, to refuse before work is done"
                yield _at(declared, (*path, at), message)
            before = [types.get(one) for one in spec.processors[:at]]
            if types.get(processor) == "redact" and "truncate" in before:
                message = (
                    f"{processor!r} should stand before 'truncate': of a secret that was cut "
                    "in two, the first half is not recognised"
                )
                yield _at(declared, (*path, at), message)
            if types.get(processor) == "batch":
                message = (
                    f"{processor!r} passes everything through; batching is done behind the queue "
                    "of every exporter (sending_queue.batch)"
                )
                yield _at(declared, (*path, at), message)


def _join_warnings(declared: Declared, pipelines: dict[str, PipelineSpec]) -> Iterator[Fault]:
    for name, component in declared.components["connectors"].items():
        if component.factory.name != "genai_events":
            continue
        fed = {str(spec.signal) for spec in pipelines.values() if name in spec.exporters}
        for signal, what in (("logs", "events"), ("traces", "spans")):
            if fed and signal not in fed:
                message = (
                    f"no {what} will come: it joins events to spans, so put it into the exporters "
                    f"of a {signal} pipeline, too"
                )
                yield _at(declared, declared.paths["connectors"][name], message)


def _open_listeners(declared: Declared) -> Iterator[Fault]:
    used = {section: set(paths) for section, paths in declared.paths.items()}
    for listener in _listeners(declared, used):
        if _is_loopback(listener.host):
            continue
        if listener.path[0] == "receivers" and not _authenticates(listener.config):
            message = (
                f"listens on {listener.host or 'every address'} without authentication: everybody "
                f"who can reach this port can send to it; set {_keys_of(listener.config)}"
            )
            yield _at(declared, (*listener.path, "endpoint"), message)


def _authenticates(config: Config | None) -> bool:
    """Listeners say it themselves (`transport.HttpServerConfig`); of others the options tell."""
    ask = getattr(config, "authenticates", None)
    if callable(ask):
        return bool(ask())
    tls = getattr(config, "tls", None)
    return bool(getattr(config, "auth", None) or getattr(tls, "client_ca_file", ""))


def _keys_of(config: Config | None) -> str:
    """The options that would close the door."""
    own = [key for key in _OWN_KEYS if key in type(config).model_fields] if config else []
    return " or ".join([*own, "auth.authenticator", "tls.client_ca_file"])


def _listeners(declared: Declared, used: dict[str, set[str]]) -> Iterator[_Listener]:
    for section in _LISTENING:
        for name, component in declared.components[section].items():
            if name not in used[section]:
                continue
            if section == "exporters" and not getattr(component.config, "listens", False):
                continue  # its endpoint is where it sends to
            for path, config in _configs(component.config, declared.paths[section][name]):
                found = _split(getattr(config, "endpoint", None))
                if found is not None:
                    yield _Listener(path, *found, config)
    metrics = declared.service.telemetry.metrics
    if metrics.level != "none":
        found = _split(metrics.address)
        if found is not None:
            yield _Listener(_METRICS_PATH, *found, None)


def _split(endpoint: object) -> tuple[str, int] | None:
    if not isinstance(endpoint, str):
        return None
    host, colon, port = endpoint.rpartition(":")
    if not colon or not port.isdecimal() or int(port) == 0:  # port 0 is any free one
        return None
    return host.strip("[]"), int(port)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _collide(one: _Listener, other: _Listener) -> bool:
    if one.port != other.port:
        return False
    hosts = {one.host, other.host}
    same = len(hosts) == 1 or bool(hosts & _EVERYWHERE) or all(map(_is_loopback, hosts))
    if not same:
        return False
    return not (_shareable(one, other) and one.host == other.host and _alike(one, other))


def _shareable(one: _Listener, other: _Listener) -> bool:
    """HTTP receivers share a listener when they agree on what their `shared()` names
    (`transport.HttpServerConfig`); gRPC and the rest never do."""
    return all(callable(getattr(each.config, "shared", None)) for each in (one, other))


def _alike(one: _Listener, other: _Listener) -> bool:
    shared: list[object] = [getattr(each.config, "shared")() for each in (one, other)]  # noqa: B009
    return shared[0] == shared[1]


def _at(declared: Declared, path: Path, message: str) -> Fault:
    return fault_at(place_of(declared.root, path), path, message)


def in_order(faults: Iterable[Fault], files: list[str]) -> list[Fault]:
    """Sorted by source, then line, then column; each once."""
    rank = {file: at for at, file in enumerate(files)}
    return sorted(
        dict.fromkeys(faults),
        key=lambda fault: (rank.get(fault.file, len(rank)), fault.line, fault.column),
    )
