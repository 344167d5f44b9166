"""Structured logs."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import date

import pytest

from genai_collector.telemetry.log import (
    ROOT_LOGGER,
    ConsoleFormatter,
    Encoding,
    JsonFormatter,
    component_logger,
    configure,
)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger(ROOT_LOGGER)
    handlers, level = list(root.handlers), ours.level
    yield
    root.handlers[:] = handlers
    ours.setLevel(level)


def _record(
    message: str, *args: object, extra: dict[str, object] | None = None
) -> logging.LogRecord:
    record = logging.LogRecord(ROOT_LOGGER, logging.WARNING, __file__, 1, message, args, None)
    record.created = 1764000000.1234
    record.__dict__.update(extra or {})
    return record


def test_console_line() -> None:
    """Time, level, message and fields, with tabs between."""
    line = ConsoleFormatter().format(
        _record("Refusing %s", "data", extra={"items": 3, "why": "no room here"})
    )
    assert line == '2025-11-24T16:00:00.123Z\twarn\tRefusing data\titems=3 why="no room here"'


def test_json_line() -> None:
    """One object with level, ts, msg and the fields."""
    line = JsonFormatter().format(_record("Refusing %s", "data", extra={"items": 3, "why": ["a"]}))
    assert json.loads(line) == {
        "level": "warn",
        "ts": "2025-11-24T16:00:00.123Z",
        "logger": ROOT_LOGGER,
        "msg": "Refusing data",
        "items": 3,
        "why": ["a"],
    }


@pytest.mark.parametrize("encoding", ["console", "json"])
def test_a_line_stays_one_line(encoding: Encoding) -> None:
    """Text from outside cannot forge a second line or hide behind control characters."""
    stream = io.StringIO()
    log = configure("info", encoding, stream)
    log.info(
        "path %s", "/a\nerror\tforged\x1b[2J\x85", extra={"field": "b\r\nc\x00", "o": {"k\n": 1}}
    )
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert not set(text[:-1]) & {"\r", "\x1b", "\x00"}
    assert encoding == "json" or "\x85" not in text


STEERING = "\x1b[31m \x9b31m \u202e \u2066 \u2028 \x7f"


@pytest.mark.parametrize("encoding", ["console", "json"])
def test_nothing_steers_a_terminal(encoding: Encoding) -> None:
    """No escape, C1 control or change of writing direction comes out as such: not in a message, a
    field of any kind, or an exception's text."""
    stream = io.StringIO()
    log = configure("info", encoding, stream)
    fields = {"one": "\x9b31m", "two": "\u202eabc", "text": STEERING, "list": [STEERING]}
    try:
        raise ValueError(STEERING)
    except ValueError:
        log.exception("said %s", STEERING, extra=fields)
    said = stream.getvalue()
    assert not set(said) & set(STEERING) - set(" [31m")
    if encoding == "json":
        assert json.loads(said)["text"] == STEERING


def test_component_fields() -> None:
    """A component's logger says which component speaks, also if its id has dots and slashes."""
    stream = io.StringIO()
    log = configure("debug", "json", stream)
    component_logger(log, "exporter", "otlp_http/eu.west").debug("hello")
    line = json.loads(stream.getvalue())
    assert line["otelcol.component.kind"] == "exporter"
    assert line["otelcol.component.id"] == "otlp_http/eu.west"


def test_level_and_replacement() -> None:
    """Below the level nothing is written, and configuring again replaces the earlier output."""
    first, second = io.StringIO(), io.StringIO()
    configure("info", "console", first)
    log = configure("error", "console", second)
    log.warning("quiet")
    log.error("loud")
    logging.getLogger("some.library").warning("theirs")
    assert first.getvalue() == ""
    assert [line.split("\t")[2] for line in second.getvalue().splitlines()] == ["loud", "theirs"]


@pytest.mark.parametrize("encoding", ["console", "json"])
def test_traceback(encoding: Encoding) -> None:
    """An exception comes with its traceback."""
    stream = io.StringIO()
    log = configure("info", encoding, stream)
    try:
        raise KeyError("missing")
    except KeyError:
        log.exception("It failed")
    assert "It failed" in stream.getvalue()
    assert "KeyError: 'missing'" in stream.getvalue()


def test_odd_fields_are_written() -> None:
    """What JSON cannot say is written as text, never an exception in the logger."""
    odd: dict[str, object] = {
        "huge": 2**70,
        "surrogate": "\ud800",
        "when": date(2026, 1, 1),
        "raw": b"x",
    }
    line = json.loads(JsonFormatter().format(_record("odd", extra=odd)))
    assert line.keys() >= odd.keys()
    ConsoleFormatter().format(_record("odd", extra=odd)).encode("utf-8", "backslashreplace")
