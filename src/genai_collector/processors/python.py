"""python: a function or class of the user's own, from a file or an installed package.

    processors:
      python/redact:
        path: ./redact.py
        function: redact
        options: {keys: [user.email]}

    # redact.py
    def redact(batch, options):
        for span in batch.spans:                    # metrics: batch.metrics, logs: batch.logs
            for key in options["keys"]:
                span.attributes.pop(key, None)
        return batch                                # or None: drop it all

With `per: item` the function takes one span, log record or metric and returns it, another one, or
None to drop it. A `class` is made once per pipeline and its method `process` is the function.
`options` is passed to a function, or to the making of a class, that has a parameter of that name.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeAlias, cast

from pydantic import Field, model_validator

from genai_collector.component import Config, Context, ProcessorFactory
from genai_collector.errors import ConfigError, Permanent
from genai_collector.model import Batch, Items, LogRecord, Metric, Signal, Span

Function: TypeAlias = Callable[..., Any]

_ITEM_TYPES: Final = {Signal.TRACES: Span, Signal.METRICS: Metric, Signal.LOGS: LogRecord}


class PythonConfig(Config):
    """What to run, and on what."""

    path: str | None = None
    """A Python file; relative to the working directory."""
    function: str | None = None
    """With `path`: the name of a function in it."""
    class_: str | None = Field(default=None, alias="class")
    """With `path`: the name of a class in it, instead of a function."""
    entry_point: str | None = None
    """Instead of `path`: `package.module:name` of an installed function or class."""
    per: Literal["batch", "item"] = "batch"
    """Whether it takes a whole batch or one span, log record or metric."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Handed over as they are."""
    error_mode: Literal["propagate", "ignore"] = "propagate"
    """When it raises: refuse the batch, so that the client knows; or log it and let pass what it
    did not change."""

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        if (self.path is None) == (self.entry_point is None):
            raise ValueError("needs either path or entry_point")
        if self.path is not None and (self.function is None) == (self.class_ is None):
            raise ValueError("path needs either function or class")
        if self.entry_point is not None and (self.function or self.class_):
            raise ValueError("entry_point names the function or class itself: package.module:name")
        return self

    def code(self) -> list[str]:
        return [] if self.path is None else [self.path]


_RAISED: Final = (Exception, SystemExit)
"""What a user's code may raise: `sys.exit()` in it must not stop the collector."""


class PythonProcessor:
    """Raises ConfigError, when it is made, with the place where loading failed."""

    def __init__(self, config: PythonConfig, context: Context) -> None:
        self._id = context.id
        self._log = context.log
        self._ignore = config.error_mode == "ignore"
        self._per_item = config.per == "item"
        self._call = _bind(_load(config), config.options)

    def process(self, batch: Batch, /) -> Batch:
        # Free for encoded bytes, and the way back if the function fails half-way.
        before = batch.clone() if self._ignore and batch.is_encoded else None
        try:
            return self._each(batch) if self._per_item else self._whole(batch)
        except _RAISED as exc:
            if not self._ignore:
                raise Permanent(
                    f"{self._id}: {_describe(exc)}", reason="processor_error", data_fault=True
                ) from exc
            self._log.warning("The function failed; the batch passes unchanged",
                              extra={"error": _describe(exc)})  # fmt: skip
            return before or batch

    def _whole(self, batch: Batch) -> Batch:
        result = self._call(batch)
        if result is None:
            return batch.with_items([])
        if not isinstance(result, Batch) or result.signal is not batch.signal:
            raise TypeError(f"expected a Batch of {batch.signal} or None, got {_kind(result)}")
        return result

    def _each(self, batch: Batch) -> Batch:
        wanted = _ITEM_TYPES[batch.signal]
        items = _own(batch)
        kept: list[object] = []
        for item in items:
            result = self._call(item)
            if isinstance(result, wanted):
                kept.append(result)
            elif result is not None:
                raise TypeError(f"expected a {wanted.__name__} or None, got {_kind(result)}")
        if len(kept) != len(items):
            return batch.with_items(cast("Items", kept))
        items[:] = cast("Any", kept)
        return batch


def _own(batch: Batch) -> Items:
    if batch.signal is Signal.TRACES:
        return batch.spans
    return batch.logs if batch.signal is Signal.LOGS else batch.metrics


def _kind(value: object) -> str:
    return type(value).__name__


def _describe(exc: BaseException) -> str:
    """What was raised and the innermost line of it: `redact.py:3: KeyError: 'keys'`."""
    frames: Sequence[traceback.FrameSummary] = traceback.extract_tb(exc.__traceback__)
    file, line = (frames[-1].filename, frames[-1].lineno) if frames else ("", None)
    if isinstance(exc, SyntaxError) and exc.filename:
        file, line = exc.filename, exc.lineno
    # The name only: clients see this text, and the folder is none of their business.
    place = f"{Path(file).name}:{line}: " if file else ""
    return f"{place}{_kind(exc)}: {exc}"


def _load(config: PythonConfig) -> object:
    if config.path is not None:
        return _from_file(config.path, config.function or config.class_ or "")
    return _from_package(config.entry_point or "")


def _from_file(path: str, name: str) -> object:
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"there is no file {path} (from {Path.cwd()})")
    spec = importlib.util.spec_from_file_location(f"genai_collector_user.{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except _RAISED as exc:
        raise ConfigError(f"{path} cannot be loaded: {_describe(exc)}") from exc
    return _named(module, name, path)


def _from_package(entry_point: str) -> object:
    module_name, _, name = entry_point.partition(":")
    if not module_name or not name:
        raise ConfigError(f"expected package.module:name, got {entry_point!r}")
    try:
        module = importlib.import_module(module_name)
    except _RAISED as exc:
        raise ConfigError(f"{module_name} cannot be loaded: {_describe(exc)}") from exc
    return _named(module, name, module_name)


def _named(module: object, name: str, where: str) -> object:
    if not hasattr(module, name):
        raise ConfigError(f"there is no {name} in {where}")
    return getattr(module, name)


def _bind(target: object, options: dict[str, Any]) -> Function:
    """The function to call with a batch or an item: options filled in, classes made."""
    if inspect.isclass(target):
        make: Callable[..., object] = target
        try:
            made = make(options=options) if _wants_options(make) else make()
        except _RAISED as exc:
            raise ConfigError(f"{target.__name__} cannot be made: {_describe(exc)}") from exc
        target = getattr(made, "process", None)
    if not callable(target):
        raise ConfigError("neither a function nor a class with a method process")
    if inspect.iscoroutinefunction(target):
        raise ConfigError("a processor cannot wait; make it a plain function, not async")
    function = cast("Function", target)
    return functools.partial(function, options=options) if _wants_options(function) else function


def _wants_options(function: Callable[..., object]) -> bool:
    try:
        return "options" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # built-in without a signature
        return False


FACTORY = ProcessorFactory("python", PythonConfig, PythonProcessor)
