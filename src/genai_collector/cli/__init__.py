"""The command `genai-collector`: parse, call, print, exit code.

Exit codes: 0 done, 1 it failed (the reason is on standard error), 2 wrong usage.
Modules of ours are imported inside the commands, so that `--help` need not wait for gRPC.
"""

from __future__ import annotations

from typing import NoReturn

from genai_collector.cli import configuration, conversion, dead_letters, trial
from genai_collector.cli.app import PROG, app

__all__ = ["app", "configuration", "conversion", "dead_letters", "main", "trial"]


def main() -> NoReturn:
    """Run the command and exit."""
    app(prog_name=PROG)
    raise SystemExit(0)
