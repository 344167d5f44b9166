"""A pipeline's processors on a batch, one after the other, with what each of them did.

Processors are made anew for every trial, as a collector makes them. Receivers, exporters, queues,
connectors and extensions are not: nothing listens, and nothing leaves.
"""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from genai_collector.component import Context, NoTelemetry, ProcessorFactory
from genai_collector.configfile import CollectorConfig, Component, Fault, PipelineSpec
from genai_collector.configfile.wording import suggest
from genai_collector.convert import SOURCES
from genai_collector.errors import ConfigError, PipelineError
from genai_collector.formats import otlp
from genai_collector.model import Batch, Items, Signal
from genai_collector.pipeline.pipeline import Pipeline, Room
from genai_collector.telemetry.log import fields_of
from genai_collector.trials.compare import changes, differences, printable
from genai_collector.trials.file import InputFile, Trial, Trials
from genai_collector.trials.written import (
    Written,
    WrittenError,
    check_fields,
    read_items,
    show_items,
)


class Step(NamedTuple):
    """What one processor did."""

    processor: str
    incoming: int
    outgoing: int
    changes: list[str]
    said: list[str]
    """What it logged, at every level."""


@dataclass(slots=True)
class Result:
    """What became of one trial."""

    name: str
    place: Fault
    """Where it stands; its message is empty."""
    problems: list[str] = field(default_factory=list)
    """What is not as expected; none: it holds."""
    steps: list[Step] = field(default_factory=list)
    output: list[Written] = field(default_factory=list)


async def try_all(trials: Trials, config: CollectorConfig) -> AsyncIterator[Result]:
    """Every trial of a file, in order. Raises ConfigError for one that cannot be tried."""
    for at, trial in enumerate(trials.content.tests):
        spec = _pipeline(trials, at, trial, config)
        batch = otlp.batch_of(spec.signal, _input(trials, at, trial, spec.signal))
        try:
            check_fields(spec.signal, trial.expect or ())
        except WrittenError as error:
            raise _at(trials, ("tests", at, "expect", *error.path), str(error)) from error
        result = Result(trial.name, trials.fault(("tests", at), ""))
        async with _rooms(spec, config) as rooms:
            _run(result, rooms, spec, batch)
        if not result.problems:
            result.problems += _judge(trial, result)
        yield result


def _pipeline(trials: Trials, at: int, trial: Trial, config: CollectorConfig) -> PipelineSpec:
    path = ("tests", at, "pipeline")
    if trial.pipeline not in config.pipelines:
        hint = suggest(trial.pipeline, config.pipelines)
        raise _at(trials, path, f"the configuration has no pipeline {trial.pipeline!r}{hint}")
    spec = config.pipelines[trial.pipeline]
    for name in trial.dropped:
        if name not in spec.processors:
            hint = suggest(name, spec.processors)
            message = f"the pipeline has no processor {name!r}{hint}"
            raise _at(trials, ("tests", at, "dropped", name), message)
    return spec


def _input(trials: Trials, at: int, trial: Trial, signal: Signal) -> Items:
    path = ("tests", at, "input")
    if isinstance(trial.input, InputFile):
        return _from_file(trials, (*path, "file"), trial.input, signal)
    try:
        return read_items(signal, trial.input)
    except WrittenError as error:
        raise _at(trials, (*path, *error.path), str(error)) from error


def _from_file(
    trials: Trials, path: tuple[str | int, ...], named: InputFile, signal: Signal
) -> Items:
    source = SOURCES[named.format]
    items: list[Any] = []
    try:
        data = trials.beside(named.file).read_bytes()
        for document in source.split(io.BytesIO(data)):
            decoded = source.decode(document.data, signal)
            if decoded.problems:
                raise _at(trials, path, f"line {document.line}: {decoded.problems[0]}")
            items += decoded.items
    except OSError as error:
        raise _at(trials, path, f"cannot be read: {error.strerror}") from error
    except PipelineError as error:
        raise _at(trials, path, str(error)) from error
    return cast("Items", items)


def _at(trials: Trials, path: tuple[str | int, ...], message: str) -> ConfigError:
    return ConfigError(faults=[trials.fault(path, message)])


class _Said(logging.Handler):
    """Keeps what one processor logs, a text each."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        fields = [f"{key}={value}" for key, value in fields_of(record).items()]
        self.lines.append(printable(" ".join([record.getMessage(), *fields])))
        if record.exc_info and record.exc_info[0] is not None:
            self.lines.append(printable(logging.Formatter().formatException(record.exc_info)))


class _Heard(NamedTuple):
    """A processor, and what it says."""

    room: Room
    log: logging.Logger
    said: _Said


@asynccontextmanager
async def _rooms(spec: PipelineSpec, config: CollectorConfig) -> AsyncIterator[list[_Heard]]:
    async with AsyncExitStack() as stack:
        rooms = [_room(config.processors[name]) for name in spec.processors]
        for each in rooms:
            if isinstance(each.room.processor, AbstractAsyncContextManager):
                await stack.enter_async_context(each.room.processor)
        yield rooms


def _room(component: Component) -> _Heard:
    factory = cast("ProcessorFactory[Any]", component.factory)
    # On its own, without parents: what is heard here is for this trial alone.
    log, said = logging.Logger(component.id, logging.DEBUG), _Said()  # noqa: LOG001
    log.addHandler(said)
    try:
        made = factory.create(component.config, Context(component.id, NoTelemetry(), log))
    except ConfigError as error:
        raise component.fault(error) from error
    return _Heard(Room(component.id, made), log, said)


def _run(result: Result, rooms: list[_Heard], spec: PipelineSpec, batch: Batch) -> None:
    shown = show_items(batch)
    for room, log, said in rooms:
        if not batch:
            break
        incoming = batch.count
        said.lines.clear()
        try:
            batch = Pipeline(spec.id, spec.signal, [room], [], log).prepare(batch).batch
        except PipelineError as error:
            result.problems.append(f"{room.id} refuses the batch: {error}")
            result.steps.append(Step(room.id, incoming, 0, [], said.lines))
            break
        before, shown = shown, show_items(batch)
        changed = changes(before, shown)
        result.steps.append(Step(room.id, incoming, batch.count, changed, said.lines))
    result.output = shown


def _judge(trial: Trial, result: Result) -> list[str]:
    problems: list[str] = []
    if trial.count is not None and trial.count != len(result.output):
        problems.append(f"count: expected {trial.count}, got {len(result.output)}")
    dropped = {step.processor: step.incoming - step.outgoing for step in result.steps}
    problems += [
        f"dropped by {name}: expected {wanted}, got {dropped.get(name, 0)}"
        for name, wanted in trial.dropped.items()
        if wanted != dropped.get(name, 0)
    ]
    if trial.expect is not None:
        problems += differences(trial.expect, result.output, exact=trial.exact)
    return problems
