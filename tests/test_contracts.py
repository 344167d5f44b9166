"""What every registered component owes to the rest of the house."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr, ValidationError

from genai_collector.component import (
    Accepting,
    Config,
    Connector,
    ConnectorFactory,
    Context,
    Exporter,
    Factory,
    Holding,
    NoTelemetry,
    Processor,
    Route,
    Sent,
)
from genai_collector.components import BUILT_IN
from genai_collector.delivery import DeliveryConfig
from genai_collector.errors import Permanent, PipelineError, Retryable
from genai_collector.formats.otlp import batch_from_protobuf, batch_of
from genai_collector.model import (
    Batch,
    Event,
    Gauge,
    Histogram,
    HistogramPoint,
    Link,
    LogRecord,
    Metric,
    NumberPoint,
    Resource,
    Signal,
    Span,
)
from genai_collector.pipeline.fanout import Fanout
from genai_collector.pipeline.pipeline import Pipeline
from genai_collector.transport.http_server import HttpListeners
from tests.support.fakes import make_context

_NOWHERE = "127.0.0.1:9"  # the discard port, where nobody listens
_NO_RETRY: dict[str, Any] = {"timeout": "2s"}

EXAMPLES: Mapping[tuple[str, str], dict[str, Any]] = {
    ("connector", "forward"): {},
    ("connector", "genai_events"): {},
    ("connector", "genai_metrics"): {"flush_interval": "1h"},
    ("exporter", "debug"): {},
    ("exporter", "file"): {"path": "{tmp}/out.jsonl"},
    ("exporter", "langfuse"): {
        "endpoint": f"http://{_NOWHERE}",
        "public_key": "pk-lf-1",
        "secret_key": "sk-lf-1",
        **_NO_RETRY,
    },
    ("exporter", "litellm"): {"endpoint": f"http://{_NOWHERE}/litellm", **_NO_RETRY},
    ("exporter", "noveum"): {"endpoint": f"http://{_NOWHERE}/v1/logs", "api_key": "k", **_NO_RETRY},
    ("exporter", "otlp_grpc"): {"endpoint": _NOWHERE, "tls": {"insecure": True}, **_NO_RETRY},
    ("exporter", "otlp_http"): {"endpoint": f"http://{_NOWHERE}", **_NO_RETRY},
    ("exporter", "prometheus"): {"endpoint": "127.0.0.1:0"},
    ("extension", "basicauth"): {"htpasswd": {"inline": "anna:secret"}},
    ("extension", "bearertokenauth"): {"token": "secret"},
    ("extension", "file_storage"): {"directory": "{tmp}/storage"},
    ("extension", "health_check"): {"endpoint": "127.0.0.1:0"},
    ("processor", "attributes"): {"actions": [{"action": "upsert", "key": "a", "value": 1}]},
    ("processor", "batch"): {},
    ("processor", "filter"): {"traces": {"span": ['name == "drop"']}},
    ("processor", "memory_limiter"): {"limit_percentage": 100},
    ("processor", "normalize"): {},
    ("processor", "python"): {"entry_point": "copy:copy"},
    ("processor", "redact"): {},
    ("processor", "resource"): {"attributes": [{"action": "delete", "key": "service.name"}]},
    ("receiver", "langfuse"): {"endpoint": "127.0.0.1:0"},
    ("receiver", "litellm"): {"endpoint": "127.0.0.1:0"},
    ("processor", "stitch"): {},
    ("processor", "truncate"): {"max_text": "1KiB"},
    ("receiver", "noveum"): {"endpoint": "127.0.0.1:0"},
    ("receiver", "otlp"): {
        "protocols": {"grpc": {"endpoint": "127.0.0.1:0"}, "http": {"endpoint": "127.0.0.1:0"}}
    },
}

LOCAL = {"debug", "file", "prometheus"}
"""Exporters that need no destination."""

ALL = pytest.mark.parametrize("factory", BUILT_IN, ids=lambda f: f"{f.kind}-{f.name}")


def _of_kind(kind: str) -> pytest.MarkDecorator:
    chosen = [factory for factory in BUILT_IN if factory.kind == kind]
    return pytest.mark.parametrize("factory", chosen, ids=lambda factory: factory.name)


def _config(factory: Factory, tmp_path: Path) -> Config:
    example = EXAMPLES[factory.kind, factory.name]
    for key in example.keys() & {"path", "directory"}:
        example = {**example, key: example[key].format(tmp=tmp_path)}
    return cast("Config", factory.config.model_validate(example))


def _context(factory: Factory) -> Context:
    lent = make_context(factory.name)
    return Context(lent.id, NoTelemetry(), lent.log, listeners=HttpListeners())


def _make(factory: Factory, tmp_path: Path) -> Any:
    config, context = _config(factory, tmp_path), _context(factory)
    create: Any = factory.create
    if factory.kind == "connector":
        return _make_connector(factory, min(factory.routes), tmp_path)
    if factory.kind != "receiver":
        return create(config, context)
    consumers = {signal: _consumer(signal, context) for signal in factory.signals}
    return create(config, consumers, context)


def _make_connector(factory: ConnectorFactory[Any], route: Route, tmp_path: Path) -> Any:
    config, context = _config(factory, tmp_path), _context(factory)
    create: Any = factory.create
    if factory.shared:
        targets = {route.target for route in factory.routes}
        return create(config, {each: _consumer(each, context) for each in targets}, context)
    return create(config, route, _consumer(route.target, context), context)


def _consumer(signal: Signal, context: Context) -> Fanout:
    pipeline = Pipeline(signal.value, signal, [], [], context.log)
    return Fanout(signal, [pipeline], context.telemetry, context.log, context.clock)


def _odd(signal: Signal) -> Batch:
    """Items as nobody should send them: empty, contradicting, of the wrong types."""
    attributes: dict[str, Any] = {
        "": None,
        "gen_ai.system": 7,
        "gen_ai.provider.name": ["not", {"a": "text"}],
        "gen_ai.input.messages": "{not json",
        "gen_ai.output.messages": {"role": None, "parts": [[], 1]},
        "gen_ai.usage.input_tokens": "many",
        "gen_ai.usage.cost": float("nan"),
        "gen_ai.request.temperature": float("inf"),
        "telemetry.sdk.name": b"\xff\xfe",
        "huge": 2**63 - 1,
    }
    resource = Resource(dict(attributes))
    if signal is Signal.TRACES:
        event = Event("gen_ai.content.prompt", 1, dict(attributes))
        backwards = Span(trace_id=b"\x01" * 16, span_id=b"\x02" * 8, name="", start_ns=9, end_ns=1)
        backwards.attributes, backwards.resource = dict(attributes), resource
        backwards.events, backwards.links = [event], [Link(b"", b"")]
        return batch_of(signal, [Span(), backwards, Span(name="drop", kind=99, status_code=99)])
    if signal is Signal.LOGS:
        odd = LogRecord(body=[None, b"\x00", {"": []}], severity_number=-1, attributes=attributes)
        return batch_of(signal, [LogRecord(), odd])
    point = NumberPoint(attributes=attributes, value=None)
    lopsided = HistogramPoint(bucket_counts=[1, 2], explicit_bounds=[5.0, 1.0, 3.0])
    data: list[Any] = [None, Gauge(points=[point]), Histogram(points=[lopsided], temporality=9)]
    return batch_of(signal, [Metric(name="m", data=each, resource=resource) for each in data])


def _received(batch: Batch) -> Batch:
    return batch_from_protobuf(batch.signal, batch.encoded())


# ---- all -------------------------------------------------------------------------------------


def test_every_component_has_an_example() -> None:
    """A component without an example here is not covered by this file."""
    assert set(EXAMPLES) == {(factory.kind, factory.name) for factory in BUILT_IN}


@ALL
async def test_enters_and_leaves_twice(factory: Factory, tmp_path: Path) -> None:
    """Made from its example; what has a life can be entered again after it was left."""
    made = _make(factory, tmp_path)
    may_be_lifeless = factory.kind in ("processor", "connector")
    if may_be_lifeless and not isinstance(made, AbstractAsyncContextManager):
        return
    for _ in range(2):
        assert await made.__aenter__() is not None
        await made.__aexit__(None, None, None)


@ALL
async def test_leaves_without_harm_when_not_used(factory: Factory, tmp_path: Path) -> None:
    """Making a component opens nothing: it can be thrown away."""
    _make(factory, tmp_path)
    assert not list(tmp_path.iterdir())


@ALL
def test_configuration_is_documented_and_closed(factory: Factory) -> None:
    """Every option has its docstring, every class too; unknown keys are refused."""
    undocumented = []
    for config in _configs(factory.config):
        assert inspect.getdoc(config), config
        undocumented += [
            f"{config.__name__}.{name}"
            for name, info in config.model_fields.items()
            if not info.description
        ]
        assert config.model_config.get("extra") == "forbid", config
        assert config.model_config.get("frozen"), config
    assert not undocumented
    with pytest.raises(ValidationError):
        factory.config.model_validate({"no_such_option_anywhere": 1})


@ALL
def test_secrets_are_secret(factory: Factory) -> None:
    """What is a password, a token or a key is a SecretStr, so that no dump shows it."""
    words = ("password", "secret", "token", "api_key", "auth")
    for config in _configs(factory.config):
        for name, info in config.model_fields.items():
            if name.endswith("_file") or name == "authenticator":
                continue  # where it is, and who knows it
            if any(word in name for word in words) and str in _leaves(info.annotation):
                assert SecretStr in _leaves(info.annotation), f"{config.__name__}.{name}"


def _leaves(annotation: Any) -> set[Any]:
    arguments = typing.get_args(annotation)
    if not arguments or typing.get_origin(annotation) is typing.Literal:
        return {annotation}
    return {leaf for argument in arguments for leaf in _leaves(argument)}


def _configs(config: type[Config], seen: set[type] | None = None) -> Iterator[type[Config]]:
    """The class and every class nested in its options."""
    seen = set() if seen is None else seen
    if config in seen:
        return
    seen.add(config)
    yield config
    for info in config.model_fields.values():
        for leaf in _leaves(info.annotation):
            if inspect.isclass(leaf) and issubclass(leaf, Config):
                yield from _configs(leaf, seen)


# ---- processors ------------------------------------------------------------------------------


@_of_kind("processor")
def test_processors_take_anything(factory: Any, tmp_path: Path) -> None:
    """Odd data, an empty batch and every signal: a batch of the same signal comes out, that can be
    encoded, and no exception."""
    processor: Processor = _make(factory, tmp_path)
    for signal in factory.signals:
        for batch in (_odd(signal), _received(_odd(signal)), batch_of(signal, [])):
            before = batch.count
            result = processor.process(batch)
            assert result.signal is signal
            assert result.count <= before
            _received(result)


@_of_kind("processor")
def test_processors_are_deterministic(factory: Any, tmp_path: Path) -> None:
    """The same batch again gives the same bytes again, because a refused batch comes again."""
    processor: Processor = _make(factory, tmp_path)
    for signal in factory.signals:
        first, second = (processor.process(_received(_odd(signal))).encoded() for _ in range(2))
        assert first == second


# ---- connectors ------------------------------------------------------------------------------


@_of_kind("connector")
def test_connectors_take_anything(factory: ConnectorFactory[Any], tmp_path: Path) -> None:
    """Odd data, an empty batch, on every route: nothing or a batch of the target signal that can be
    encoded, twice the same, and the batch that was looked at is as it was. What was accepted may be
    as odd."""
    for route in () if factory.shared else sorted(factory.routes):
        connector: Connector = _make_connector(factory, route, tmp_path)
        for batch in (_received(_odd(route.source)), _received(batch_of(route.source, []))):
            before = batch.encoded()
            made = [connector.connect(batch) for _ in range(2)]
            found = [None if each is None else (each.signal, each.encoded()) for each in made]
            assert found[0] == found[1]
            assert found[0] is None or found[0][0] is route.target
            if isinstance(connector, Accepting):
                connector.accepted(batch)
            assert batch.is_encoded
            assert batch.encoded() == before


@_of_kind("connector")
async def test_connectors_that_hold_take_anything(
    factory: ConnectorFactory[Any], tmp_path: Path
) -> None:
    """Odd data and an empty batch, of every signal: taken without a change to the batch, which
    others share; after its end nothing more is taken."""
    if not factory.shared:
        return
    holding: Holding = _make_connector(factory, min(factory.routes), tmp_path)
    doors = [holding.destination(each) for each in sorted({r.source for r in factory.routes})]
    async with holding:
        for door in doors:
            for batch in (_received(_odd(door.signal)), _received(batch_of(door.signal, []))):
                before, weight = batch.encoded(), max(1, batch.size_bytes)
                assert door.has_room(weight)
                door.reserve(weight)
                await door.put(batch, weight)
                assert batch.is_encoded
                assert batch.encoded() == before
    assert all(not door.has_room(1) for door in doors)


# ---- exporters -------------------------------------------------------------------------------


async def _attempt(exporter: Exporter, batch: Batch) -> Sent | PipelineError:
    try:
        return await exporter.export(batch)
    except (Permanent, Retryable) as exc:
        return exc


@_of_kind("exporter")
async def test_exporters_keep_their_contract(factory: Any, tmp_path: Path) -> None:
    """One attempt ends as Sent that adds up, or as our own error; the batch stays as it was."""
    exporter: Exporter = _make(factory, tmp_path)
    async with exporter:
        for signal in sorted(factory.signals):
            batch = _received(_odd(signal))
            before = batch.encoded()
            outcome = await _attempt(exporter, batch)
            if isinstance(outcome, Sent):
                assert outcome.items + sum(outcome.dropped.values()) == batch.count
            else:
                assert factory.name not in LOCAL, outcome
            assert batch.is_encoded
            assert batch.encoded() == before


@_of_kind("exporter")
def test_exporters_configure_their_delivery(factory: Any) -> None:
    """Queue, retry and timeout have the same keys everywhere."""
    assert issubclass(factory.config, DeliveryConfig)
