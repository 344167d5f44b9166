"""The commands about configurations: run, validate, print-config, components."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NoReturn, TypeAlias

import typer

from genai_collector import __version__
from genai_collector.cli.app import PROG, app, number_of, stderr
from genai_collector.errors import ConfigError

if TYPE_CHECKING:
    from genai_collector.component import Factory
    from genai_collector.configfile import FactorySet, Loaded

DEFAULT_CONFIG: Final = "config.yaml"

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
WatchOption = Annotated[
    bool,
    typer.Option(
        "--watch-config/--no-watch-config",
        help="Reload when a configuration file changes. SIGHUP always reloads.",
    ),
]
DumpFormat: TypeAlias = Literal["yaml", "json"]
ListFormat: TypeAlias = Literal["table", "yaml", "json"]

# --- run, validate, print-config ----------------------------------------------------------------


@app.command()
def run(
    config: ConfigOption = None, set_: SetOption = None, watch_config: WatchOption = True
) -> None:
    """Run the collector until it is told to stop (Ctrl-C, SIGTERM).

    On SIGHUP, and when a configuration file changes, it takes the new configuration into use
    without refusing a request. If there is anything wrong with it, the old one keeps running.

    [bold]Examples:[/]

    genai-collector run --config config.yaml

    genai-collector run -c config.yaml -c prod.yaml --set exporters.langfuse.timeout=10s

    ${env:NAME} and ${env:NAME:-default} in a file stand for environment variables.
    """
    # Until it has its own handlers, SIGTERM would be ignored for the first process of a container,
    # and SIGHUP would end it.
    hangups: list[int] = []
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, lambda number, _frame: hangups.append(number))
    loaded = load_config(config, set_)

    import uvloop

    from genai_collector.pipeline import FileWatch, Host, build, place_of
    from genai_collector.telemetry.log import configure

    logs = loaded.config.telemetry.logs
    log = configure(logs.level, logs.encoding)
    for warning in loaded.warnings:
        log.warning(warning.message, extra={"at": place_of(warning), "path": warning.path})
    try:
        service = build(loaded.config, log=log)
    except ConfigError as error:
        _fail(error)
    again = _Again(config, set_, loaded)
    watch = FileWatch(again.files) if watch_config else None
    host = Host(service, log, load=again.load, changed=watch.changed if watch else None)
    if hangups:
        host.ask_to_reload()
    raise typer.Exit(uvloop.run(host.run()))


def _leave(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


class _Again:
    """Loads the same sources again, as often as it is asked."""

    def __init__(self, config: list[str] | None, sets: list[str] | None, loaded: Loaded) -> None:
        self._config = config or [DEFAULT_CONFIG]
        self._sets = sets or []
        self._factories = _factories()
        self._loaded = loaded

    def load(self) -> Loaded:
        """Raises ConfigError."""
        from genai_collector.configfile import load

        self._loaded = load(self._config, self._sets, self._factories, os.environ)
        return self._loaded

    def files(self) -> list[str]:
        """Everything that the configuration is made of, as of the last good one."""
        return [*self._loaded.files, *self._loaded.config.code()]


@app.command()
def validate(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Check a configuration: every fault and every warning at once, nothing is started.

    Exit code 0 when it can run (also with warnings), 1 when it cannot.

    [bold]Example:[/]  genai-collector validate --config config.yaml
    """
    loaded = load_config(config, set_)

    from genai_collector.component import NoTelemetry
    from genai_collector.pipeline import build

    try:
        build(loaded.config, NoTelemetry())
    except ConfigError as error:
        _fail(error)
    _show_warnings(loaded)
    counts = len(loaded.config.pipelines), len(loaded.warnings)
    typer.echo(f"ok: {number_of(counts[0], 'pipeline')}, {number_of(counts[1], 'warning')}")


@app.command("print-config")
def print_config(
    config: ConfigOption = None,
    set_: SetOption = None,
    format: Annotated[DumpFormat, typer.Option("--format", help="How to write it.")] = "yaml",
) -> None:
    """Show the configuration as it is used: merged, expanded, secrets hidden.

    [bold]Example:[/]  genai-collector print-config -c config.yaml -c prod.yaml
    """
    loaded = load_config(config, set_)
    _show_warnings(loaded)
    _dump(loaded.document, format)


def load_config(config: list[str] | None, sets: list[str] | None) -> Loaded:
    """The configuration, or exit: 2 when none was given, 1 with every fault."""
    if not config:
        if not Path(DEFAULT_CONFIG).is_file():
            raise typer.BadParameter(
                f"none was given, and there is no {DEFAULT_CONFIG} in this directory. "
                "Try: --config config.example.yaml",
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
    console = stderr()
    for line in str(error).splitlines():
        console.print(line, style="red")
    if len(error.faults) > 1:
        console.print(f"{len(error.faults)} faults", style="bold red")
    raise typer.Exit(1)


def _show_warnings(loaded: Loaded) -> None:
    console = stderr()
    for warning in loaded.warnings:
        console.print(f"warning: {warning}", style="yellow")


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
        for section in ("receivers", "processors", "exporters", "connectors", "extensions")
    }
    if format == "table":
        _component_table(found)
        return
    about = {"command": PROG, "description": "GenAI Collector", "version": __version__}
    _dump({"buildinfo": about, **found}, format)


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
    if factory.kind == "connector":
        routes = sorted(factory.routes)
        stability = {f"{source}_to_{target}": factory.stability for source, target in routes}
    elif signals is not None:
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
