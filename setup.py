"""Optional compilation of the busiest modules; everything else is in pyproject.toml.

With GENAI_COLLECTOR_COMPILE=1 (see `make compile`) mypyc makes extension modules of them, which
Python prefers to the `.py` files beside them. Without it this file does nothing and nobody needs
a C compiler. The modules are plain typed Python that runs the same either way.
"""

from __future__ import annotations

import os
import pathlib

from setuptools import setup

SOURCE = pathlib.Path("src/genai_collector")
BUSY = {
    "model": ("resource", "span", "value"),
    "conventions": ("coerce", "messages", "parts"),
    "formats": ("fits", "ids", "json_text", "openai_bodies", "residual"),
    "formats/otlp": ("envelope", "traces", "values", "wire"),
    "formats/langfuse": (
        "decode",
        "events",
        "flattened",
        "ingestion",
        "instants",
        "io",
        "keys",
        "merge",
        "metadata",
        "model",
        "names",
        "reading",
        "schema",
        "schema_values",
        "span_attributes",
        "span_values",
        "types",
        "usage",
        "usage_roles",
        "values",
    ),
    "formats/litellm": ("codec", "fields", "reader", "recorded", "views"),
    "formats/noveum": ("bodies", "codec", "fields", "reader", "recorded"),
}
"""What runs for every span between an OTLP request and a Langfuse one, both ways, and for every
record of LiteLLM's and Noveum's. Their clocks are left out: a division of two integers beyond 2**53
is not exact when it is compiled."""


def busy_modules() -> list[str]:
    return [str(SOURCE / room / f"{name}.py") for room, names in BUSY.items() for name in names]


if os.environ.get("GENAI_COLLECTOR_COMPILE") == "1":
    from mypyc.build import mypycify

    setup(ext_modules=mypycify(busy_modules(), group_name="genai_collector"))
else:
    setup()
