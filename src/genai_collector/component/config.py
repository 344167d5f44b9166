"""What a component's configuration is made of.

Every option is typed once, in the component's own file; its docstring is its documentation:

    class RedactConfig(Config):
        attributes: list[str]
        \"\"\"Which attributes to hide.\"\"\"

Durations are written as otelcol writes them (`200ms`, `1h30m`) and are floats of seconds in code;
sizes are `64MiB`, `512KiB` or a plain number of bytes. Secrets are `SecretStr`.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict

_UNITS_S: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNITS_B: Final = {"": 1, "b": 1, "k": 1000, "kb": 1000, "m": 1000**2, "mb": 1000**2, "g": 1000**3,
    "gb": 1000**3, "t": 1000**4, "tb": 1000**4, "kib": 1024, "mib": 1024**2, "gib": 1024**3,
    "tib": 1024**4}  # fmt: skip
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)")


class Config(BaseModel):
    """Base of every configuration class: frozen, strict, no unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True,
        validate_default=True, arbitrary_types_allowed=False,
    )  # fmt: skip

    def warnings(self) -> list[str]:
        """What is allowed and probably not meant (it loses data, it is open to the world).
        Asked of every Config, nested ones too; shown at the place of that one in the file."""
        return []

    def files(self) -> list[str]:
        """Files that must be there when it starts, such as certificates and lists of users. One
        that is not is a warning, because the check may run on another machine."""
        return []

    def code(self) -> list[str]:
        """Files that its component is made of, read when it is made. Another content is another
        configuration. (Keys and certificates are not meant: who uses them watches them.)"""
        return []


def parse_duration(value: object) -> float:
    """Seconds from `1h30m`, `200ms`, `0` or `0s`. Raises ValueError with what is expected."""
    if isinstance(value, str):
        text = value.strip()
        if text == "0":
            return 0.0
        if text and not _DURATION.sub("", text):
            return sum(float(n) * _UNITS_S[unit] for n, unit in _DURATION.findall(text))
    if isinstance(value, int | float) and not isinstance(value, bool) and value == 0:
        return 0.0
    raise ValueError("expected a duration such as 200ms, 5s or 1h30m")


def parse_size(value: object) -> int:
    """Bytes from `64MiB`, `512 KiB`, `1000000`. Raises ValueError with what is expected."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match and match[2].lower() in _UNITS_B:
            return int(float(match[1]) * _UNITS_B[match[2].lower()])
    raise ValueError("expected a size such as 64MiB, 512KiB or a number of bytes")


def _default_seconds(value: object) -> float:
    # A default written in code is already a float of seconds.
    return value if isinstance(value, float) else parse_duration(value)


Duration = Annotated[float, BeforeValidator(_default_seconds)]
"""Seconds as a float; written `200ms`, `5s`, `1h30m` in YAML."""

ByteSize = Annotated[int, BeforeValidator(parse_size)]
"""Bytes as an int; written `64MiB` or as a plain number in YAML."""
