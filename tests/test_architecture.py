"""The house rules that a machine can check: imports point down, components are sorted, importing
does no work."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from genai_collector.components import BUILT_IN

PACKAGE = "genai_collector"
SOURCE = Path(__file__).resolve().parents[1] / "src" / PACKAGE

LEVELS = (
    ("__init__", "model", "errors"),
    ("conventions", "formats", "component"),
    ("telemetry", "transport", "storage", "delivery", "configfile"),
    ("receivers", "processors", "exporters", "connectors", "extensions"),
    ("pipeline",),
    ("components", "convert"),
    ("trials",),
    ("cli",),
    ("__main__",),
)
"""Lowest first. A room may import lower ones; those beside it only as listed below."""

BESIDE = {
    ("errors", "model"),  # for types only
    ("formats", "conventions"),
    ("delivery", "transport"),
    ("delivery", "storage"),
}
"""(importer, imported) on one level."""

PURE = ("conventions", "formats", "model")
IMPURE = {"asyncio", "socket", "ssl", "time", "logging", "random", "threading", "aiohttp", "grpc"}
"""What conversion must not need: what it needs from outside is an argument."""

LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
FILES = sorted(SOURCE.rglob("*.py"))


def room_of(file: Path) -> str:
    """The first name below the package."""
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(file: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of every module that is imported, wherever in the file."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            yield node.lineno, node.module or ""
            if node.module == PACKAGE:
                yield from ((node.lineno, f"{PACKAGE}.{alias.name}") for alias in node.names)


def may_import(importer: str, target: str) -> bool:
    if importer == target or (importer, target) in BESIDE:
        return True
    return LEVEL_OF[target] < LEVEL_OF[importer]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_point_down(file: Path) -> None:
    """A file imports only its own room and lower ones, so that it can be read without the upper."""
    importer = room_of(file)
    assert importer in LEVEL_OF, f"{importer} has no place in LEVELS"
    wrong = [
        f"{file.name}:{line} imports {name}"
        for line, name in imported(file)
        for target in [name.split(".")[1] if name.startswith(f"{PACKAGE}.") else ""]
        if target in LEVEL_OF and not may_import(importer, target)
    ]
    assert not wrong


@pytest.mark.parametrize("room", PURE)
def test_conversion_is_pure(room: str) -> None:
    """Model, conventions and formats use no clock, network, log or chance."""
    wrong = [
        f"{file.relative_to(SOURCE)}:{line} imports {name}"
        for file in FILES
        if room_of(file) == room
        for line, name in imported(file)
        if name.split(".")[0] in IMPURE
    ]
    assert not wrong


USES = {("langfuse", "otlp")}
"""(component, other one whose modules it uses): Langfuse's OTLP routes are the `otlp` receiver's
own handler under other paths."""


def test_components_do_not_import_each_other() -> None:
    """A component's file stands alone; what several share is in a file that begins with `_`, or
    is a module of its own folder."""
    rooms = LEVELS[3]
    names = {factory.name for factory in BUILT_IN}
    wrong = [
        f"{file.relative_to(SOURCE)}:{line} imports {name}"
        for file in FILES
        if room_of(file) in rooms
        for line, name in imported(file)
        for parts in [name.split(".")]
        if len(parts) > 2
        and parts[1] in rooms
        and parts[2] in names
        and parts[2] not in (file.stem, file.parent.name)
        and (file.parent.name, parts[2]) not in USES
    ]
    assert not wrong


def test_components_are_sorted_and_distinct() -> None:
    """One explicit list, sorted by kind and name; a type or alias is claimed once per kind."""
    keys = [(factory.kind, factory.name) for factory in BUILT_IN]
    assert keys == sorted(keys)
    claimed = [(f.kind, name) for f in BUILT_IN for name in (f.name, *f.aliases)]
    assert len(claimed) == len(set(claimed))


def test_every_component_file_is_listed() -> None:
    """A file or folder in a room of components is a built-in component."""
    kinds = {"receivers": "receiver", "processors": "processor", "exporters": "exporter",
             "connectors": "connector", "extensions": "extension"}  # fmt: skip
    found = {
        (kind, path.stem)
        for room, kind in kinds.items()
        for path in (SOURCE / room).iterdir()
        if not path.stem.startswith("_")
        and (path.suffix == ".py" or (path / "__init__.py").exists())
    }
    assert found == {(factory.kind, factory.name) for factory in BUILT_IN}


def test_importing_does_no_work() -> None:
    """Importing every component starts no thread, opens no socket and configures no log."""
    script = (
        "import threading, logging, genai_collector.components\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "assert not logging.getLogger().handlers\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
