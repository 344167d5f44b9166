"""The command `convert`: files in, lines out, no network."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Final, Literal, TypeAlias

import typer

from genai_collector.cli.app import app, stderr

PROGRESS_FROM_BYTES: Final = 16 * 1024 * 1024
SourceName: TypeAlias = Literal["langfuse", "litellm", "noveum", "otlp", "otlp_proto"]
TargetName: TypeAlias = Literal[
    "langfuse", "litellm", "noveum", "noveum_traces", "otlp", "otlp_proto"
]
SignalName: TypeAlias = Literal["traces", "metrics", "logs"]


@app.command()
def convert(
    source: Annotated[SourceName, typer.Option("--from", help="The format of the input.")],
    target: Annotated[TargetName, typer.Option("--to", help="The format of the output.")],
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE|-", help="The input; - is standard input."),
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
    request; [bold]noveum[/] is log records or traces. Output: {"batch":[...]} for Langfuse, a list
    of records for Noveum and of payloads for LiteLLM, {"traces":[...]} for Noveum's traces, a
    request for OTLP.

    Exit code 1 when a document could not be read; it is named on standard error, and the others
    are converted all the same.

    [bold]Examples:[/]

    genai-collector convert --from otlp --to langfuse traces.jsonl --output batches.jsonl --report

    cat request.bin | genai-collector convert --from otlp_proto --to otlp
    """  # fmt: skip
    if str(file) != "-" and (not file.exists() or file.is_dir()):
        raise typer.BadParameter(f"there is no file {str(file)!r}", param_hint="FILE")
    if output is not None and _is_same(file, output):
        raise typer.BadParameter("would overwrite the input", param_hint="--output")
    with _broken_streams(), ExitStack() as stack:
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

    console = stderr()
    losses, failed = conversion.LossReport(), False
    known = Signal(signal) if signal else None
    ending = conversion.TARGETS[target].ending
    for outcome in conversion.convert(stream, source, target, signal=known, report=report):
        if outcome.output is not None:
            sink.write(outcome.output + ending)
        for problem in outcome.problems:
            failed = True
            console.print(f"{name}:{outcome.line}: {problem}", style="red")
        for note in outcome.notes:
            console.print(f"{name}:{outcome.line}: {note}")
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
    stream = stack.enter_context(_open(file, "rb", "read"))
    size = file.stat().st_size
    if size < PROGRESS_FROM_BYTES or not sys.stderr.isatty():
        return stream
    from rich.progress import wrap_file

    progress = wrap_file(stream, size, description="Converting", console=stderr(), transient=True)
    return stack.enter_context(progress)


def _open_output(output: Path | None, stack: ExitStack) -> BinaryIO:
    if output is None:
        return sys.stdout.buffer
    return stack.enter_context(_open(output, "wb", "written"))


def _open(file: Path, mode: Literal["rb", "wb"], what: str) -> BinaryIO:
    try:
        return file.open(mode)
    except OSError as error:
        stderr().print(f"{file}: cannot be {what}: {error.strerror}", style="red")
        raise typer.Exit(1) from error


@contextmanager
def _broken_streams() -> Iterator[None]:
    """A reader that has seen enough (`| head`) is no failure; a full disk is one, without a
    traceback."""
    try:
        yield
    except BrokenPipeError:
        # What is still in the buffer would fail again when the interpreter closes it.
        _forget_output()
        raise typer.Exit(0) from None
    except OSError as error:
        _forget_output()
        stderr().print(f"stopped: {error.strerror or error}", style="red")
        raise typer.Exit(1) from error


def _forget_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
