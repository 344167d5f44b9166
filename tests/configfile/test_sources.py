"""Sources, `--set`, and how they merge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genai_collector.configfile import load
from genai_collector.configfile.merge import merge
from genai_collector.configfile.sources import read_set, read_source
from genai_collector.configfile.tree import plain
from genai_collector.errors import ConfigError, Fault
from tests.configfile.fakes import BASE, FACTORIES, load_text


def _plain(source: str, environ: dict[str, str] | None = None) -> Any:
    node, faults = read_source(source, environ or {})
    assert faults == []
    assert node is not None
    return plain(node)


def test_kinds_of_sources(tmp_path: Path) -> None:
    """A bare path, file:, env: and yaml: all give a document."""
    file = tmp_path / "a.yaml"
    file.write_text("\ufeffa: {b: 1}\n", encoding="utf-8")

    assert _plain(str(file)) == {"a": {"b": 1}}
    assert _plain(f"file:{file}") == {"a": {"b": 1}}
    assert _plain("env:CONFIG", {"CONFIG": "a: {b: 2}"}) == {"a": {"b": 2}}
    assert _plain("yaml:a: {b: 3}") == {"a": {"b": 3}}
    assert _plain("yaml:a::b::c d: 4") == {"a": {"b": {"c d": 4}}}


SOURCE_FAULTS = {
    "missing": ("none.yaml", "none.yaml: cannot be read: No such file or directory"),
    "env": ("env:NONE", "env:NONE: this environment variable is not set"),
    "remote": (
        "https://example.org/c.yaml",
        "https:: configuration is not fetched over the network; download it and give a path",
    ),
    "kind": ("s3:x", "s3:x: cannot be read: No such file or directory"),
    "scheme": ("etcd:x", "etcd:x: unknown kind of source 'etcd' (there are: file, env, yaml)"),
    "empty": ("yaml:", "inline yaml: is empty"),
    "comment": ("yaml:# nothing", "inline yaml: is empty"),
    "list": (
        "yaml:[a]",
        "inline yaml:1:1: expected a mapping with receivers, processors, exporters and service",
    ),
}


@pytest.mark.parametrize(("source", "message"), SOURCE_FAULTS.values(), ids=SOURCE_FAULTS)
def test_source_faults(source: str, message: str) -> None:
    """A source that gives nothing says why."""
    node, faults = read_source(source, {})

    assert node is None
    assert [str(fault) for fault in faults] == [message]


def test_not_text(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are named, not shown."""
    file = tmp_path / "a.yaml"
    file.write_bytes(b"a: \xff")

    _, faults = read_source(str(file), {})

    assert [fault.message for fault in faults] == ["not UTF-8 text (byte 3)"]


SETS: dict[str, Any] = {
    "a.b.c=1": {"a": {"b": {"c": 1}}},
    "a::b.c::d=x": {"a": {"b.c": {"d": "x"}}},
    "a=[1, 2]": {"a": [1, 2]},
    "a={b: true}": {"a": {"b": True}},
    "a=": {"a": None},
    "a=''": {"a": ""},
    "a=b=c": {"a": "b=c"},
    "a='5'": {"a": "5"},
    "a=5s": {"a": "5s"},
}


@pytest.mark.parametrize(("assignment", "value"), SETS.items(), ids=SETS)
def test_set(assignment: str, value: object) -> None:
    """Dots or double colons separate keys; the value is YAML."""
    node, faults = read_set(assignment)

    assert faults == []
    assert node is not None
    assert plain(node) == value


SET_FAULTS = {
    "a.b": "--set: expected key=value, such as a.b.c=value",
    "=1": "--set : expected key=value, such as a.b.c=value",
    "a..b=1": "--set a..b: expected key=value, such as a.b.c=value",
    "a.key=[secret": "--set a.key:1:8: not YAML: expected ',' or ']', but got '<stream end>' "
    "while parsing a flow sequence",
}


@pytest.mark.parametrize(("assignment", "message"), SET_FAULTS.items(), ids=SET_FAULTS)
def test_set_faults(assignment: str, message: str) -> None:
    """A bad assignment is named by its key; the value, maybe secret, is not shown."""
    node, faults = read_set(assignment)

    assert node is None
    assert [str(fault) for fault in faults] == [message]


MERGES: dict[str, tuple[list[str], Any]] = {
    "maps merge": (["a: {b: 1, c: 1}", "a: {c: 2, d: 2}"], {"a": {"b": 1, "c": 2, "d": 2}}),
    "lists are replaced": (["a: [1, 2]", "a: [3]"], {"a": [3]}),
    "scalars are replaced": (["a: 1", "a: x"], {"a": "x"}),
    "a map over a scalar": (["a: 1", "a: {b: 1}"], {"a": {"b": 1}}),
    "a scalar over a map": (["a: {b: 1}", "a: 1"], {"a": 1}),
    "null over a scalar": (["a: 1", "a:"], {"a": None}),
    "null over a map changes nothing": (["a: {b: 1}", "a:"], {"a": {"b": 1}}),
    "an empty map changes nothing": (["a: {b: 1}", "a: {}"], {"a": {"b": 1}}),
    "three": (["a: {b: 1}", "a: {b: 2}", "a: {c: 3}"], {"a": {"b": 2, "c": 3}}),
    "order": (["a: 1\nb: 1", "c: 1\na: 2"], {"a": 2, "b": 1, "c": 1}),
}


@pytest.mark.parametrize(("texts", "value"), MERGES.values(), ids=MERGES)
def test_merge(texts: list[str], value: object) -> None:
    """Later sources win; maps merge, everything else is replaced."""
    warnings: list[Fault] = []
    merged, *rest = [read_source(f"yaml:{text}", {})[0] for text in texts]
    assert merged is not None

    for over in rest:
        assert over is not None
        merged = merge(merged, over, warnings)

    assert plain(merged) == value
    assert list(plain(merged)) == list(value) if isinstance(value, dict) else True
    assert bool(warnings) == ("null over a map" in str(texts) or texts == MERGES[
        "null over a map changes nothing"][0])  # fmt: skip


def test_a_section_emptied_later_is_kept_with_a_warning() -> None:
    """`processors:` with everything below it commented out does not erase the processors."""
    first = BASE + "processors: {set: {value: 1}}\n"

    loaded = load_text(first, "processors:\n")

    assert list(loaded.config.processors) == ["set"]
    assert str(loaded.warnings[0]) == (
        "inline yaml:1:1: processors: is empty here and changes nothing; "
        "what inline yaml:4 says is kept"
    )


def test_set_wins_over_all_sources() -> None:
    """`--set` has the last word, whatever the order of arguments."""
    loaded = load_text(
        BASE,
        "exporters: {print: {verbosity: basic}}",
        sets=["exporters.print.verbosity=detailed", "exporters::print::timeout=7s"],
    )

    config = loaded.config.exporters["print"].config
    assert config.model_dump(include={"verbosity", "timeout"}) == {
        "verbosity": "detailed",
        "timeout": 7.0,
    }


def test_set_does_not_replace_a_list_by_accident() -> None:
    """Going through a list is a fault; replacing it is not."""
    with pytest.raises(ConfigError) as caught:
        load_text(BASE, sets=["service.pipelines.traces.receivers.0=otlp/2"])

    assert str(caught.value) == (
        "--set service.pipelines.traces.receivers.0: service.pipelines.traces.receivers: "
        "is a list; --set replaces it as a whole"
    )
    load_text(BASE, sets=["service.pipelines.traces.receivers=[otlp]"])


def test_a_fault_points_at_the_source_that_said_it(tmp_path: Path) -> None:
    """In a merged configuration every fault names the file it comes from."""
    first, second = tmp_path / "1.yaml", tmp_path / "2.yaml"
    first.write_text(BASE + "processors: {set: {valu: 1}}\n")
    second.write_text("exporters:\n  print:\n    verbosity: loud\n")

    expected = "expected a duration such as 200ms, 5s or 1h30m"
    with pytest.raises(ConfigError) as caught:
        load([str(first), str(second)], ["exporters.print.timeout=5"], FACTORIES, {})

    assert str(caught.value).splitlines() == [
        f"{first}:4:20: processors.set.valu: unknown field, did you mean 'value'?",
        f"{second}:3:16: exporters.print.verbosity: expected 'basic' or 'detailed', got 'loud'",
        f"--set exporters.print.timeout: exporters.print.timeout: {expected}, got 5",
    ]


def test_every_source_is_read_before_giving_up() -> None:
    """Two unreadable sources give two faults."""
    with pytest.raises(ConfigError) as caught:
        load(["none.yaml", "yaml:a: [", "env:NONE"], [], FACTORIES, {})

    assert len(caught.value.faults) == 3


def test_no_source() -> None:
    """Nothing to load is a fault of its own."""
    with pytest.raises(ConfigError, match="no configuration given"):
        load([], [], FACTORIES, {})
