"""The commands `dlq list | show | replay | purge`: what destinations refused for good."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, NoReturn, TypeAlias

import typer

from genai_collector.cli.app import PROG, app, number_of, stderr
from genai_collector.cli.configuration import ConfigOption, SetOption, load_config
from genai_collector.errors import CollectorError

if TYPE_CHECKING:
    from genai_collector.configfile.schema import CollectorConfig
    from genai_collector.delivery.dead_letters import Letter
    from genai_collector.storage import OfflineDirectory, OfflineRecords

dlq = typer.Typer(
    no_args_is_help=True,
    help="Dead letters: look at what destinations refused for good, send it again, or forget it.",
)
app.add_typer(dlq, name="dlq")

_OWNER: Final = "exporter."
_STORAGE: Final = "file_storage"
_MESSAGE_CHARS: Final = 60

DirectoryOption = Annotated[
    Path | None,
    typer.Option(
        "--directory",
        "-d",
        help="The directory of the storage; by default those that --config names.",
    ),
]
ExporterOption = Annotated[
    str | None, typer.Option("--exporter", "-e", help="Only letters that this exporter left.")
]
LettersArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="LETTER", help="As `dlq list` names them: exporter:signal:number."),
]
AllOption = Annotated[bool, typer.Option("--all", help="Every letter (of --exporter, if given).")]
ListFormat: TypeAlias = Literal["table", "json"]


class Found(NamedTuple):
    """A letter, and where it is."""

    records: OfflineRecords
    letter: Letter

    @property
    def name(self) -> str:
        return f"{self.letter.exporter}:{self.letter.signal}:{self.letter.id}"


@dlq.command("list")
def list_(
    config: ConfigOption = None,
    set_: SetOption = None,
    directory: DirectoryOption = None,
    exporter: ExporterOption = None,
    format: Annotated[ListFormat, typer.Option("--format", help="How to write it.")] = "table",
) -> None:
    """List the dead letters, oldest first.

    [bold]Example:[/]  genai-collector dlq list --config config.yaml
    """
    with _reporting():
        found = list(_letters(_directories(config, set_, directory), exporter))
        if format == "json":
            for one in found:
                typer.echo(json.dumps(_describe(one)))
        elif found:
            _table(found)
        else:
            typer.echo(f"no dead letters of {exporter}" if exporter else "no dead letters")


@dlq.command()
def show(
    letter: Annotated[str, typer.Argument(metavar="LETTER", help="As `dlq list` names it.")],
    config: ConfigOption = None,
    set_: SetOption = None,
    directory: DirectoryOption = None,
) -> None:
    """Show one dead letter, prompts and all.

    What is written on it goes to standard error, what is in it to standard output, as one line of
    OTLP/JSON.

    [bold]Example:[/]  genai-collector dlq show otlp_http:traces:3 | jq
    """
    from genai_collector.delivery.dead_letters import open_letter
    from genai_collector.formats.otlp import encode_json
    from genai_collector.model import Signal

    with _reporting():
        (one,) = _chosen([letter], _directories(config, set_, directory), None, everything=False)
        for key, value in _describe(one).items():
            stderr().print(f"{key}: {value}")
        stored = one.records.get(one.letter.id)
        assert stored is not None
        batch = open_letter(stored, one.letter.signal)
        views: dict[Signal, Any] = {
            Signal.TRACES: batch.view_spans,
            Signal.METRICS: batch.view_metrics,
            Signal.LOGS: batch.view_logs,
        }
        sys.stdout.buffer.write(encode_json(batch.signal, views[batch.signal]()) + b"\n")


@dlq.command()
def replay(
    letters: LettersArgument = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    exporter: ExporterOption = None,
    everything: AllOption = False,
    to: Annotated[
        str | None,
        typer.Option("--to", help="Another exporter to send them to; by default their own."),
    ] = None,
    patience: Annotated[
        float, typer.Option("--patience", help="Seconds to ask again for each letter.")
    ] = 30.0,
) -> None:
    """Send dead letters again. Those that are delivered are forgotten; the others stay.

    Works while the collector runs, and without it. Exit code 1 if something was refused again.

    [bold]Examples:[/]

    genai-collector dlq replay --config config.yaml --all

    genai-collector dlq replay -c config.yaml langfuse:traces:3 --to otlp_http/archive
    """
    import asyncio

    with _reporting():
        loaded = load_config(config, set_).config
        chosen = _chosen(letters, _of_config(loaded), exporter, everything=everything)
        failed = asyncio.run(_replay(loaded, chosen, to, patience))
    if failed:
        raise typer.Exit(1)


@dlq.command()
def purge(
    letters: LettersArgument = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    directory: DirectoryOption = None,
    exporter: ExporterOption = None,
    everything: AllOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget dead letters, for good.

    [bold]Example:[/]  genai-collector dlq purge --config config.yaml --exporter langfuse --all
    """
    with _reporting():
        directories = _directories(config, set_, directory)
        chosen = _chosen(letters, directories, exporter, everything=everything)
        items = sum(one.letter.items for one in chosen)
        what = f"{number_of(len(chosen), 'letter')} with {number_of(items, 'item')}"
        if chosen and not yes:
            typer.confirm(f"Forget {what}?", abort=True)
        for one in chosen:
            one.records.remove([one.letter.id])
        typer.echo(f"forgot {what}")


# ---- finding them ----------------------------------------------------------------------------


@contextmanager
def _reporting() -> Iterator[None]:
    """Errors of ours are one line and exit code 1."""
    try:
        yield
    except CollectorError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    stderr().print(message, style="red")
    raise typer.Exit(1)


def _directories(
    config: list[str] | None, sets: list[str] | None, directory: Path | None
) -> list[Path]:
    if directory is not None:
        return [directory]
    return _of_config(load_config(config, sets).config)


def _of_config(config: CollectorConfig) -> list[Path]:
    """The directories of all storages that run."""
    found = [
        Path(component.config.directory)  # type: ignore[attr-defined]  # file_storage's own
        for name in config.extension_order
        for component in [config.extensions[name]]
        if component.factory.name == _STORAGE
    ]
    if not found:
        _fail(f"the configuration has no {_STORAGE} in service.extensions, so nothing is kept")
    return found


def _letters(directories: Iterable[Path], exporter: str | None) -> Iterator[Found]:
    """Oldest first within one exporter and signal; what is no letter is named and left alone."""
    from genai_collector.delivery.dead_letters import RECORDS, read_letter
    from genai_collector.errors import DecodeError

    for directory in directories:
        storage = _open(directory)
        for owner in storage.owners():
            if exporter is not None and owner != _OWNER + exporter:
                continue
            for name in storage.names(owner):
                if not name.startswith(RECORDS):
                    continue
                records = storage.records(owner, name)
                for stored in records:
                    try:
                        yield Found(records, read_letter(stored))
                    except DecodeError as error:
                        stderr().print(f"{owner}: {error}", style="yellow")


def _open(directory: Path) -> OfflineDirectory:
    from genai_collector.storage import open_directory

    return open_directory(directory)


def _chosen(
    names: Sequence[str] | None,
    directories: Iterable[Path],
    exporter: str | None,
    *,
    everything: bool,
) -> list[Found]:
    """The letters that were named, or all. Exits with 2 when it is not said which."""
    if bool(names) == everything:
        raise typer.BadParameter("name the letters, or give --all", param_hint="LETTER")
    found = list(_letters(directories, exporter))
    if everything:
        return found
    by_name = {one.name: one for one in found}
    missing = [name for name in names or () if name not in by_name]
    if missing:
        _fail(f"there is no letter {', '.join(missing)} (see {PROG} dlq list)")
    return [by_name[name] for name in names or ()]


# ---- sending and showing ---------------------------------------------------------------------


async def _replay(
    config: CollectorConfig, chosen: Sequence[Found], to: str | None, patience: float
) -> int:
    """How many letters were not delivered."""
    from genai_collector.pipeline.replay import replay as send_again
    from genai_collector.telemetry.log import configure

    log = configure("warn", "console")
    groups: dict[tuple[int, str], list[Found]] = {}
    for one in chosen:
        groups.setdefault((id(one.records), one.letter.exporter), []).append(one)
    failed = delivered = items = 0
    for (_, own), group in groups.items():
        ids = [one.letter.id for one in group]
        letters = [(group[0].records, group[0].letter.signal, ids)]
        sending = send_again(config, to or own, letters, log, patience_s=patience)
        async for outcome in sending:
            name = f"{own}:{group[0].letter.signal}:{outcome.id}"
            if outcome.error:
                failed += 1
                stderr().print(f"{name}: {outcome.error}", style="red")
            else:
                delivered, items = delivered + 1, items + outcome.items
                arrived = number_of(outcome.items, "item")
                stderr().print(f"{name}: delivered {arrived} to {to or own}")
    sent = f"{number_of(delivered, 'letter')} with {number_of(items, 'item')}"
    typer.echo(f"delivered {sent}, {failed} stay" + ("s" if failed == 1 else ""))
    return failed


def _describe(one: Found) -> dict[str, object]:
    letter = one.letter
    at = datetime.fromtimestamp(letter.time_unix_nano / 1e9, UTC)
    return {
        "letter": one.name,
        "exporter": letter.exporter,
        "signal": str(letter.signal),
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "items": letter.items,
        "refused": letter.refusal.items,
        "bytes": letter.size,
        "attempts": letter.refusal.attempts,
        "reason": letter.refusal.reason,
        "message": _shown(letter.refusal.message),
    }


def _shown(said: str) -> str:
    """A destination's words, without what would steer the terminal."""
    return "".join(char if char.isprintable() else " " for char in said)


def _table(found: Sequence[Found]) -> None:
    from rich.console import Console
    from rich.table import Table

    now = time.time()
    table = Table(
        "letter", "age", "items", "bytes", "tries", "reason", "message", box=None, pad_edge=False
    )
    for one in found:
        letter, refusal = one.letter, one.letter.refusal
        items = str(letter.items)
        if refusal.items < letter.items:
            items = f"{refusal.items} of {items}"
        message = _shown(refusal.message[:_MESSAGE_CHARS])
        age = _age(now - letter.time_unix_nano / 1e9)
        table.add_row(
            one.name, age, items, str(letter.size), str(refusal.attempts), refusal.reason, message
        )
    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 200)
    console.print(table)


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"
