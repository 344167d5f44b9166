"""The command `test`: a configuration's pipelines on examples, without network."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genai_collector.cli.app import app, stderr
from genai_collector.cli.configuration import SetOption
from genai_collector.errors import ConfigError

if TYPE_CHECKING:
    from genai_collector.trials import Result


@app.command("test")
def trial(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="What to try, as docs/testing.md has it."),
    ],
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--config",
            "-c",
            metavar="SOURCE",
            help="Configuration, as for [bold]run[/]; without it, what the file names.",
        ),
    ] = None,
    set_: SetOption = None,
    show: Annotated[
        bool,
        typer.Option("--show", help="Show what each processor did, and what came out, of all."),
    ] = False,
) -> None:
    """Try a configuration's pipelines on examples: what goes in, what must come out.

    Only the processors run: nothing listens, and nothing leaves. --config replaces what the file
    names. Exit code 1 when something is not as expected, with the difference on standard output.

    [bold]Examples:[/]

    genai-collector test tests.yaml

    genai-collector test tests.yaml --config config.yaml --show
    """
    tried = failed = 0
    for file in files:
        try:
            results = asyncio.run(_try(file, config, set_ or []))
        except ConfigError as error:
            stderr().print(str(error), style="red")
            raise typer.Exit(1) from error
        for result in results:
            tried += 1
            failed += bool(result.problems)
            _print(result, show=show)
    typer.echo(f"{tried} {'test' if tried == 1 else 'tests'}, {failed} failed")
    if failed:
        raise typer.Exit(1)


async def _try(file: Path, config: list[str] | None, sets: list[str]) -> list[Result]:
    from genai_collector.components import all_factories
    from genai_collector.configfile import load
    from genai_collector.trials import read_trials, try_all

    trials = read_trials(file)
    environ = {**os.environ, **trials.content.environment}
    loaded = load(config or trials.sources(), sets, all_factories(), environ)
    return [result async for result in try_all(trials, loaded.config)]


def _print(result: Result, *, show: bool) -> None:
    if not result.problems:
        typer.echo(f"ok    {result.name}")
    else:
        typer.echo(f"FAIL  {result.name} ({result.place.file}:{result.place.line})")
    for problem in result.problems:
        typer.echo(f"      {problem}")
    if not result.problems and not show:
        return
    for step in result.steps:
        typer.echo(f"      {step.processor}: {step.incoming} in, {step.outgoing} out")
        for line in [*step.changes, *(line for said in step.said for line in said.splitlines())]:
            typer.echo(f"        {line}")
    if show and result.output:
        import yaml

        text = yaml.safe_dump(result.output, sort_keys=False, allow_unicode=True, width=100)
        typer.echo("      came out:")
        for line in text.splitlines():
            typer.echo(f"        {line}")
