"""Structured logs on standard error, in one of two encodings.

    console   2026-11-21T03:25:00.123Z  info  Starting HTTP server  endpoint=127.0.0.1:4318
    json      {"level":"info","ts":"2026-11-21T03:25:00.123Z","msg":"Starting HTTP server",...}

Fields are what a caller passes as `extra={...}`. A component's logger is a child named
`<kind>.<id>` (see `component_logger`), from which the fields `otelcol.component.kind` and
`otelcol.component.id` are made. A line is always one line: what came from outside cannot forge
another one. Secrets never reach this place, because configuration holds them as `SecretStr`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal, TextIO, TypeAlias

import orjson

Encoding: TypeAlias = Literal["console", "json"]

ROOT_LOGGER: Final = "genai_collector"
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "dpanic": logging.CRITICAL,
    "panic": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}
"""otelcol's words -> logging's levels."""

_LEVEL_WORDS: Final = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warn",
    logging.ERROR: "error",
    logging.CRITICAL: "fatal",
}
_STANDARD: Final = frozenset(
    [*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"]
)
_COMPONENT: Final = re.compile(r"(?:^|\.)(receiver|processor|exporter|connector|extension)\.(.+)$")
_PLAIN: Final = re.compile(r"[^\s\"'=\\\x00-\x1f\x7f]+")
_STEERING: Final = [*range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F),
                    *range(0x2066, 0x206A)]  # fmt: skip
"""What JSON leaves as it is and a terminal obeys, or shows in another order than it stands in."""
_AS_JSON: Final = {code: rf"\u{code:04x}" for code in _STEERING}
_CONTROLS: Final = (
    _AS_JSON
    | {code: rf"\x{code:02x}" for code in [*range(0x20), *range(0x7F, 0xA0)] if code != 9}
    | {10: r"\n", 13: r"\r"}
)
_IN_TRACEBACKS: Final = {code: text for code, text in _CONTROLS.items() if code != 10}


def configure(
    level: str = "info", encoding: Encoding = "console", stream: TextIO | None = None
) -> logging.Logger:
    """Set up and return the collector's logger; other libraries' warnings go the same way.

    `level` is one of `LEVELS`. Calling again replaces what the last call set up.
    """
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonFormatter() if encoding == "json" else ConsoleFormatter())
    root = logging.getLogger()
    for old in [old for old in root.handlers if getattr(old, "genai_collector", False)]:
        root.removeHandler(old)
    handler.genai_collector = True  # type: ignore[attr-defined]  # how the next call finds it
    root.addHandler(handler)
    logger = logging.getLogger(ROOT_LOGGER)
    logger.setLevel(LEVELS[level])
    return logger


def component_logger(parent: logging.Logger, kind: str, id: str) -> logging.Logger:
    """The logger that is lent to one component."""
    return parent.getChild(f"{kind}.{id}")


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """What the caller passed as `extra`, after the component that the logger belongs to."""
    fields: dict[str, object] = {}
    component = _COMPONENT.search(record.name)
    if component:
        fields["otelcol.component.kind"], fields["otelcol.component.id"] = component.groups()
    fields.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
    return fields


class ConsoleFormatter(logging.Formatter):
    """Time, level, message, `key=value`; tabs between. A traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        columns = [_time(record), _level(record), record.getMessage().translate(_CONTROLS)]
        fields = fields_of(record)
        if fields:
            columns.append(" ".join(f"{key}={_plain(value)}" for key, value in fields.items()))
        line = "\t".join(columns)
        traceback = _traceback(self, record)
        return f"{line}\n{traceback}" if traceback else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: level, ts, msg, the fields, and `stacktrace` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "level": _level(record),
            "ts": _time(record),
            "logger": record.name,
            "msg": record.getMessage(),
            **fields_of(record),
        }
        traceback = _traceback(self, record)
        if traceback:
            line["stacktrace"] = traceback
        return _dumps(line)


def _dumps(value: Mapping[str, object]) -> str:
    try:
        line = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        return line.translate(_AS_JSON)
    except TypeError:  # what JSON in orjson's sense cannot say: huge integers, lone surrogates
        return orjson.dumps({key: ascii(item) for key, item in value.items()}).decode()


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _level(record: logging.LogRecord) -> str:
    return _LEVEL_WORDS.get(record.levelno, record.levelname.lower())


def _plain(value: object) -> str:
    """A value as it stands, or quoted where it could be mistaken for something else."""
    text = value if isinstance(value, str) else str(value)
    if _PLAIN.fullmatch(text):
        return text.translate(_CONTROLS)
    return _dumps({"": text})[4:-1] if isinstance(value, str) else text.translate(_CONTROLS)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[0] is not None:
        return formatter.formatException(record.exc_info).translate(_IN_TRACEBACKS)
    return ""
