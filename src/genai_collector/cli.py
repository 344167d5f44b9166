"""The command `genai-collector`: parse, call, print, exit code.

Exit codes: 0 done, 1 it failed (the reason is on standard error), 2 wrong usage.
Modules of ours are imported inside the commands, so that `--help` need not wait for gRPC.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final, Literal, NoReturn, TypeAlias

import typer

from genai_collector import __version__
from genai_collector.errors import ConfigError, Fault

if TYPE_CHECKING:
    from rich.console import Console

    from genai_collector.component import Factory
    from genai_collector.configfile import FactorySet, Loaded

PROG: Final = "genai-collector"
DEFAULT_CONFIG: Final = "config.yaml"
PROGRESS_FROM_BYTES: Final = 16 * 1024 * 1024

app = typer.Typer(
    name=PROG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,  # a traceback must not show local variables
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigOption = Annotated[
    list[str] | None,
    typer.Option(
        "--config",
        "-c",
        metavar="SOURCE",
        help="Configuration: a path, [bold]file:[/]path, [bold]env:[/]VARIABLE or "
        "[bold]yaml:[/]text. Several are merged, later ones win. "
        f"Without it: {DEFAULT_CONFIG} in this directory.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set one value, such as exporters.langfuse.timeout=10s. Wins over every --config. "
        "Keys that contain dots: separate with [bold]::[/].",
    ),
]
DumpFormat: TypeAlias = Literal["yaml", "json"]
ListFormat: TypeAlias = Literal["table", "yaml", "json"]
SourceName: TypeAlias = Literal["otlp", "otlp_proto"]
TargetName: TypeAlias = Literal["langfuse", "noveum", "otlp"]
SignalName: TypeAlias = Literal["traces", "metrics", "logs"]


def main() -> NoReturn:
    """Run the command and exit."""
    app(prog_name=PROG)
    sys.exit(0)


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
    """The pipeline for generative-AI telemetry: OTLP, Langfuse and Noveum, in and out.

    [bold]Start it:[/]         genai-collector run --config config.yaml

    [bold]Check a file:[/]     genai-collector validate --config config.yaml

    [bold]Convert a file:[/]   genai-collector convert --from otlp --to langfuse traces.jsonl
    """


# --- run, validate, print-config ----------------------------------------------------------------


@app.command()
def run(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Run the collector until it is told to stop (Ctrl-C, SIGTERM).

    [bold]Examples:[/]

    genai-collector run --config config.yaml

    genai-collector run -c config.yaml -c prod.yaml --set exporters.langfuse.timeout=10s

    ${env:NAME} and ${env:NAME:-default} in a file stand for environment variables.
    """
    loaded = _load(config, set_)

    import uvloop

    from genai_collector.pipeline import build
    from genai_collector.telemetry.log import configure

    logs = loaded.config.telemetry.logs
    log = configure(logs.level, logs.encoding)
    for warning in loaded.warnings:
        log.warning(warning.message, extra={"at": _place(warning), "path": warning.path})
    try:
        service = build(loaded.config, log=log)
    except ConfigError as error:
        _fail(error)
    raise typer.Exit(uvloop.run(service.run()))


@app.command()
def validate(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Check a configuration: every fault and every warning at once, nothing is started.

    Exit code 0 when it can run (also with warnings), 1 when it cannot.

    [bold]Example:[/]  genai-collector validate --config config.yaml
    """
    loaded = _load(config, set_)

    from genai_collector.component import NoTelemetry
    from genai_collector.pipeline import build

    try:
        build(loaded.config, NoTelemetry())
    except ConfigError as error:
        _fail(error)
    _show_warnings(loaded)
    counts = len(loaded.config.pipelines), len(loaded.warnings)
    typer.echo(f"ok: {_number(counts[0], 'pipeline')}, {_number(counts[1], 'warning')}")


@app.command("print-config")
def print_config(
    config: ConfigOption = None,
    set_: SetOption = None,
    format: Annotated[DumpFormat, typer.Option("--format", help="How to write it.")] = "yaml",
) -> None:
    """Show the configuration as it is used: merged, expanded, secrets hidden.

    [bold]Example:[/]  genai-collector print-config -c config.yaml -c prod.yaml
    """
    loaded = _load(config, set_)
    _show_warnings(loaded)
    _dump(loaded.document, format)


def _load(config: list[str] | None, sets: list[str] | None) -> Loaded:
    """The configuration, or exit: 2 when none was given, 1 with every fault."""
    if not config:
        if not Path(DEFAULT_CONFIG).is_file():
            raise typer.BadParameter(
                f"none was given, and there is no {DEFAULT_CONFIG} in this directory. "
                f"Try: {PROG} run --config config.example.yaml",
                param_hint="--config",
            )
        config = [DEFAULT_CONFIG]

    from genai_collector.configfile import load

    try:
        return load(config, sets or [], _factories(), os.environ)
    except ConfigError as error:
        _fail(error)


def _factories() -> FactorySet:
    from genai_collector.components import all_factories

    return all_factories()


def _fail(error: ConfigError) -> NoReturn:
    console = _stderr()
    for line in str(error).splitlines():
        console.print(line, style="red")
    if len(error.faults) > 1:
        console.print(f"{len(error.faults)} faults", style="bold red")
    raise typer.Exit(1)


def _show_warnings(loaded: Loaded) -> None:
    console = _stderr()
    for warning in loaded.warnings:
        console.print(f"warning: {warning}", style="yellow")


def _place(fault: Fault) -> str:
    return f"{fault.file}:{fault.line}:{fault.column}" if fault.line else fault.file


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def _dump(value: object, format: DumpFormat) -> None:
    if format == "json":
        import json

        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        import yaml

        typer.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)


# --- components ---------------------------------------------------------------------------------


@app.command()
def components(
    format: Annotated[ListFormat, typer.Option("--format", help="How to write it.")] = "table",
) -> None:
    """List every component that a configuration may use, plugins included.

    [bold]Example:[/]  genai-collector components --format yaml
    """
    factories = _factories()
    found = {
        section: _describe_section(factories, section)
        for section in ("receivers", "processors", "exporters", "extensions")
    }
    if format == "table":
        _component_table(found)
        return
    about = {"command": PROG, "description": "GenAI Collector", "version": __version__}
    _dump({"buildinfo": about, **found, "connectors": []}, format)


def _describe_section(factories: FactorySet, section: str) -> list[dict[str, Any]]:
    known = factories.section(section)
    described = []
    for type_ in sorted(known):
        try:
            factory = known[type_]
        except ConfigError as error:  # a plugin that cannot be loaded
            described.append({"name": type_, "error": str(error)})
            continue
        if type_ not in factory.aliases:
            described.append(_describe(type_, factory))
    return described


def _describe(type_: str, factory: Factory) -> dict[str, Any]:
    signals = getattr(factory, "signals", None)
    stability: Any = factory.stability
    if signals is not None:
        stability = {str(signal): factory.stability for signal in sorted(signals)}
    described: dict[str, Any] = {"name": type_}
    if factory.aliases:
        described["aliases"] = list(factory.aliases)
    return described | {"module": factory.config.__module__, "stability": stability}


def _component_table(found: dict[str, list[dict[str, Any]]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("kind", "type", "also called", "signals", "stability", box=None, pad_edge=False)
    for section, described in found.items():
        for one in described:
            stability = one.get("stability", {})
            signals = ", ".join(stability) if isinstance(stability, dict) else ""
            levels = stability.values() if isinstance(stability, dict) else [stability]
            level = one.get("error") or ", ".join(sorted(set(levels)))
            aliases = ", ".join(one.get("aliases", []))
            table.add_row(section.removesuffix("s"), one["name"], aliases, signals, level)
    # A pipe has no width; a table that is cut there would be useless.
    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 200)
    console.print(table)


# --- convert ------------------------------------------------------------------------------------


@app.command()
def convert(
    source: Annotated[SourceName, typer.Option("--from", help="The format of the input.")],
    target: Annotated[TargetName, typer.Option("--to", help="The format of the output.")],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="[FILE|-]",
            help="The input; - is standard input.",
            allow_dash=True,
            exists=True,
            dir_okay=False,
            readable=True,
        ),
    ] = Path("-"),
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Where to; standard output by default.", dir_okay=False
        ),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="List on standard error what had no home.")
    ] = False,
    signal: Annotated[
        SignalName | None,
        typer.Option("--signal", help="What the input holds; found out by default."),
    ] = None,
) -> None:
    """Convert telemetry offline: one line of JSON per input document, in order.

    [bold]otlp[/] is OTLP/JSON, one document or one per line; [bold]otlp_proto[/] is one protobuf
    request. Output: {"batch":[...]} for Langfuse, a list of records for Noveum, a request for OTLP.

    Exit code 1 when a document could not be read; it is named on standard error, and the others
    are converted all the same.

    [bold]Examples:[/]

    genai-collector convert --from otlp --to langfuse traces.jsonl --output batches.jsonl --report

    cat request.bin | genai-collector convert --from otlp_proto --to otlp
    """  # fmt: skip
    if output is not None and _is_same(file, output):
        raise typer.BadParameter("would overwrite the input", param_hint="--output")
    with _quiet_broken_pipe(), ExitStack() as stack:
        stream = _open_input(file, stack)
        sink = _open_output(output, stack)
        failed = _convert(stream, sink, _name(file), source, target, signal, report=report)
    if failed:
        raise typer.Exit(1)


def _convert(
    stream: BinaryIO,
    sink: BinaryIO,
    name: str,
    source: SourceName,
    target: TargetName,
    signal: SignalName | None,
    *,
    report: bool,
) -> bool:
    """Whether something could not be read."""
    from genai_collector import convert as conversion
    from genai_collector.model import Signal

    console = _stderr()
    losses, failed = conversion.LossReport(), False
    known = Signal(signal) if signal else None
    for outcome in conversion.convert(stream, source, target, signal=known, report=report):
        if outcome.output is not None:
            sink.write(outcome.output + b"\n")
        for problem in outcome.problems:
            failed = True
            console.print(f"{name}:{outcome.line}: {problem}", style="red")
        losses.add(outcome)
    sink.flush()
    if report:
        for line in losses.lines():
            console.print(line)
    return failed


def _name(file: Path) -> str:
    return "<stdin>" if str(file) == "-" else str(file)


def _is_same(file: Path, output: Path) -> bool:
    return str(file) != "-" and output.exists() and output.samefile(file)


def _open_input(file: Path, stack: ExitStack) -> BinaryIO:
    if str(file) == "-":
        return sys.stdin.buffer
    stream: BinaryIO = stack.enter_context(file.open("rb"))
    size = file.stat().st_size
    if size < PROGRESS_FROM_BYTES or not sys.stderr.isatty():
        return stream
    from rich.progress import wrap_file

    progress = wrap_file(stream, size, description="Converting", console=_stderr(), transient=True)
    return stack.enter_context(progress)


def _open_output(output: Path | None, stack: ExitStack) -> BinaryIO:
    if output is None:
        return sys.stdout.buffer
    try:
        return stack.enter_context(output.open("wb"))
    except OSError as error:
        _stderr().print(f"{output}: cannot be written: {error.strerror}", style="red")
        raise typer.Exit(1) from error


@contextmanager
def _quiet_broken_pipe() -> Iterator[None]:
    """A reader that has seen enough (`| head`) is no failure."""
    try:
        yield
    except BrokenPipeError:
        # What is still in the buffer would fail again when the interpreter closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
