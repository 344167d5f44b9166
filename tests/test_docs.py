"""README and docs/: every YAML example is a configuration that loads without a doubt, every link
leads somewhere, and every command can be typed as it is printed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import typer
import typer.core
import typer.main
import yaml

from genai_collector.cli import app
from genai_collector.component import NoTelemetry
from genai_collector.components import BUILT_IN, all_factories
from genai_collector.configfile import load
from genai_collector.pipeline import build
from tests.support.captures import ROOT
from tests.test_contracts import EXAMPLES

PAGES: Final = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECTIONS: Final = {"receivers", "processors", "exporters", "connectors", "extensions"}
NO_COLLECTOR: Final = {"config"}
"""First keys of YAML that is something else: a file of `genai-collector test`."""
PARTLY: Final = "beside its other options"
"""What an example says that leaves out what its components need."""
ENVIRON: Final = {
    name: f"a-value-of-{name}"
    for name in ("PK", "SK", "REDACT_KEY", "NOVEUM_API_KEY", "LOGS_TOKEN", "LANGFUSE_PUBLIC_KEY",
    "LANGFUSE_SECRET_KEY", "OTLP_TOKEN", "INGEST_TOKEN", "METRICS_TOKEN")
}  # fmt: skip
_ORPHANS: Final = "spans below a dropped one lose their parent"
DOUBTS: Final = {"docs/connectors.md": [_ORPHANS], "docs/processors.md": [_ORPHANS]}
"""Warnings that an example may cause, because what it shows has that price."""


class Block(NamedTuple):
    """A fenced example; `line` is where it begins."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@cache
def _blocks() -> list[Block]:
    return [
        Block(page, text[: found.start()].count("\n") + 1, found[1], found[2])
        for page in PAGES
        for text in [page.read_text()]
        for found in FENCE.finditer(text)
    ]


def _of(*languages: str) -> list[Block]:
    return [block for block in _blocks() if block.language in languages]


# ---- configurations --------------------------------------------------------------------------


def _wanted(value: Any, key: str) -> Iterator[str]:
    """What stands under this key, at any depth."""
    if isinstance(value, dict):
        for name, below in value.items():
            if name == key and isinstance(below, str):
                yield below
            else:
                yield from _wanted(below, key)
    elif isinstance(value, list):
        for item in value:
            yield from _wanted(item, key)


def _example(section: str, name: str, tmp: Path) -> dict[str, Any]:
    kind, type_ = section.removesuffix("s"), name.partition("/")[0]
    factory = all_factories().section(section)[type_]
    options = EXAMPLES.get((kind, factory.name), {})
    return {
        key: value.format(tmp=tmp) if key in {"path", "directory"} else value
        for key, value in options.items()
    }


def _named(document: Mapping[str, Any], key: str) -> set[str]:
    """Ids in the pipelines of a document; lists under `key+` are meant, too."""
    pipelines = (document.get("service") or {}).get("pipelines") or {}
    return {
        name for one in pipelines.values() for at in (key, f"{key}+") for name in one.get(at, [])
    }


def _around(block: Block, tmp: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What comes before an example and after it, so that together they are a configuration."""
    shown: dict[str, Any] = yaml.safe_load(block.text)
    known = {section: set(shown.get(section) or {}) for section in SECTIONS}
    before: dict[str, Any] = {section: {} for section in SECTIONS}
    lent = {*_wanted(shown, "storage"), *_wanted(shown, "authenticator")}
    for section, names in (
        ("processors", _named(shown, "processors")),
        ("receivers", _named(shown, "receivers") - known["connectors"]),
        ("exporters", _named(shown, "exporters") - known["connectors"]),
        ("extensions", lent | set((shown.get("service") or {}).get("extensions", []))),
    ):
        for name in names - known[section]:
            before[section][name] = _example(section, name, tmp)
    if PARTLY in block.text:
        for section in SECTIONS:
            for name in known[section]:
                before[section][name] = _example(section, name, tmp)
    before["service"] = {"pipelines": _pipelines_around(shown, before, tmp)}
    after = {"service": {"extensions+": sorted(_not_started(shown, before))}}
    return {section: below for section, below in before.items() if below}, after


def _not_started(shown: dict[str, Any], before: dict[str, Any]) -> set[str]:
    listed = set((shown.get("service") or {}).get("extensions", []))
    return {*(shown.get("extensions") or {}), *before["extensions"]} - listed


def _pipelines_around(
    shown: dict[str, Any], before: dict[str, Any], tmp: Path
) -> dict[str, dict[str, list[str]]]:
    """Pipelines for what the example does not use in its own, and a start for those it adds to."""
    idle = {
        section: set(shown.get(section) or {}) - _named(shown, section)
        for section in ("receivers", "processors", "exporters")
    }
    made: dict[str, dict[str, list[str]]] = {}
    own = ((shown.get("service") or {}).get("pipelines") or {}).items()
    signals = [name for name, one in own if any(key.endswith("+") for key in one)]
    if any(idle.values()) or not own:
        signals += ["traces", "metrics", "logs"]
    ends = {"receivers": "otlp", "exporters": "debug"}
    for name in signals:
        pipeline = {
            section: sorted(
                one for one in names if name.partition("/")[0] in _signals(section, one)
            )
            for section, names in idle.items()
        }
        if any(pipeline.values()) or not own:
            for section, end in ends.items():
                if not pipeline[section]:
                    pipeline[section] = [end]
                    if end not in (shown.get(section) or {}):
                        before[section][end] = _example(section, end, tmp)
            made[name] = pipeline
        elif name in dict(own):
            made[name] = {"receivers": ["otlp"], "exporters": ["debug"]}
            before["receivers"]["otlp"] = _example("receivers", "otlp", tmp)
            before["exporters"]["debug"] = {}
    return {name if name in dict(own) else f"{name}/idle": one for name, one in made.items()}


def _signals(section: str, name: str) -> set[str]:
    factory: Any = all_factories().section(section)[name.partition("/")[0]]
    return {str(signal) for signal in factory.signals}


CONFIGURATIONS: Final = [
    block for block in _of("yaml", "yml") if not set(yaml.safe_load(block.text)) & NO_COLLECTOR
]


@pytest.mark.parametrize("block", CONFIGURATIONS, ids=str)
def test_every_example_loads(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it leaves out added (other components, pipelines), each is a configuration whose
    components can be made; and none warns of anything."""
    monkeypatch.chdir(tmp_path)
    for other in _of("python"):
        name = re.match(r"# (\w+\.py)\n", other.text)
        if name and other.page == block.page:
            (tmp_path / name[1]).write_text(other.text)
    before, after = _around(block, tmp_path)
    sources = [yaml.safe_dump(before), block.text, yaml.safe_dump(after)]
    loaded = load([f"yaml:{text}" for text in sources], [], all_factories(), ENVIRON)
    build(loaded.config, NoTelemetry())
    expected = DOUBTS.get(str(block.page.relative_to(ROOT)), [])
    doubts = [one.message for one in loaded.warnings if one.message not in expected]
    assert [one for one in doubts if not one.endswith("on this machine")] == []


def test_there_are_examples() -> None:
    """They are found at all; whatever YAML is left out says what it is by its first key."""
    assert len(CONFIGURATIONS) > 20
    for block in _of("yaml", "yml"):
        assert set(yaml.safe_load(block.text)) & (SECTIONS | {"service"} | NO_COLLECTOR), block


_SWITCHED_OFF: Final = re.compile(r"^( *)# ?( *(- .*|[a-z_]+(/[a-z]+)?:( .*)?))$")

_JOINED: Final = """
service:
  pipelines:
    traces/in: {receivers: [otlp], exporters: [genai_events, genai_metrics, forward]}
    logs/in: {receivers: [otlp], exporters: [genai_events]}
    traces/out: {receivers: [genai_events, forward], exporters: [debug]}
    metrics/out: {receivers: [genai_metrics], exporters: [debug]}
"""
"""Connectors must be used."""


def test_what_the_example_switches_off_loads() -> None:
    """config.example.yaml with all its comment marks taken away has no fault, and has every
    receiver, exporter and connector that there is."""
    lines = (ROOT / "config.example.yaml").read_text().splitlines()
    found = [_SWITCHED_OFF.match(line) for line in lines]
    text = "\n".join(
        f"{at[1]}{at[2]}" if at else line for at, line in zip(found, lines, strict=True)
    )
    assert sum(map(bool, found)) > 30
    config = load([f"yaml:{text}", f"yaml:{_JOINED}"], [], all_factories(), ENVIRON).config
    for section in ("receivers", "exporters", "connectors"):
        types = {one.factory.name for one in getattr(config, section).values()}
        assert types == {factory.name for factory in BUILT_IN if f"{factory.kind}s" == section}


# ---- links -----------------------------------------------------------------------------------

_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@cache
def _anchors(page: Path) -> set[str]:
    """Those that headings get where Markdown is shown."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#+ +(.*?) *$", FENCE.sub("", page.read_text()), re.MULTILINE):
        base = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        again = (f"{base}-{count}" for count in range(1, 100))
        anchors.add(
            base if base not in anchors else next(one for one in again if one not in anchors)
        )
    return anchors


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Files are there, and headings have the name that a link says."""
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text()))
    for link in _LINK.findall(text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in _anchors(target), link


def test_every_page_is_reached() -> None:
    """The README links to every page of docs/."""
    linked = {link.partition("#")[0] for link in _LINK.findall((ROOT / "README.md").read_text())}
    assert {f"docs/{page.name}" for page in PAGES if page.parent.name == "docs"} <= linked


def test_the_readme_stays_a_shop_window() -> None:
    """What takes longer to say has a page of its own."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 230


# ---- commands --------------------------------------------------------------------------------

_INDENTED: Final = re.compile(r"^    (?:\$ )?(.*\bgenai-collector .*)$", re.MULTILINE)
_ON_A_TABLE: Final = re.compile(r"^(genai-collector \S+) {2,}\w.*$")


def _lines() -> Iterator[tuple[str, str]]:
    """Every line to be typed, and its page."""
    for page in PAGES:
        for block in _blocks():
            if block.page == page and block.language in {"console", "sh", ""}:
                typed = block.language == "sh"
                for line in block.text.splitlines():
                    if typed or line.startswith("$ "):
                        yield page.name, line.removeprefix("$ ")
        for line in _INDENTED.findall(FENCE.sub("", page.read_text())):
            yield page.name, line


def _commands(program: str) -> list[tuple[str, str]]:
    """Those of one program: without what they are piped into, comments and paths."""
    found = []
    for page, line in _lines():
        table = _ON_A_TABLE.match(line)
        for part in (table[1] if table else line.partition("  #")[0]).split(" | "):
            words = part.split()
            at = [i for i, word in enumerate(words) if word.rpartition("/")[2] == program]
            if at and at[0] == 0:
                found.append((page, part if not table else f"{part} --help"))
    return sorted(set(found))


@pytest.mark.parametrize(("page", "line"), _commands("genai-collector"))
def test_every_command_can_be_typed(page: str, line: str) -> None:
    """Its verb, options and number of arguments are the command line's."""
    group = typer.main.get_command(app)
    words = shlex.split(line.replace("COMMAND", "run"))[1:]
    try:
        _parse(group, "genai-collector", words, None)
    except typer.Exit:  # --help, --version
        pass


def _parse(command: Any, name: str, words: list[str], parent: Any) -> None:
    """Read a command line to its last verb without doing anything."""
    context = command.make_context(name, list(words), parent=parent)
    rest = [*getattr(context, "_protected_args", []), *context.args]
    if isinstance(command, typer.core.TyperGroup):
        verb, below, rest = command.resolve_command(context, rest)
        _parse(below, str(verb), rest, context)


def test_every_make_target_exists() -> None:
    """Targets that the pages name are verbs of the Makefile, which `make help` lists."""
    verbs = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {words[1] for _, line in _commands("make") if len(words := line.split()) > 1}
    for page in PAGES:
        used |= set(re.findall(r"`make ([a-z-]+)`", page.read_text()))
    assert len(used) > 5
    assert used <= verbs | {"help"}
