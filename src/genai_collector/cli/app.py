"""The application, what all commands share, and `--version`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from genai_collector import __version__

if TYPE_CHECKING:
    from rich.console import Console

PROG: Final = "genai-collector"

app = typer.Typer(
    name=PROG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,  # a traceback must not show local variables
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROG} version {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-v", callback=_print_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """The pipeline for generative-AI telemetry: OTLP, Langfuse, Noveum and LiteLLM, in and out.

    [bold]Start it:[/]         genai-collector run --config config.yaml

    [bold]Check a file:[/]     genai-collector validate --config config.yaml

    [bold]Convert a file:[/]   genai-collector convert --from otlp --to langfuse traces.jsonl
    """


def stderr() -> Console:
    """Where faults, warnings and reports go; colours only on a terminal."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def number_of(count: int, noun: str) -> str:
    """`1 letter`, `2 letters`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
