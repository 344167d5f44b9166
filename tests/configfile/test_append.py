"""`key+`: a list that is appended to the one of an earlier source."""

from __future__ import annotations

from typing import Any

import pytest

from genai_collector.configfile.merge import merge
from genai_collector.configfile.sources import read_source
from genai_collector.configfile.tree import MapNode, Place, find, plain
from genai_collector.errors import ConfigError, Fault
from tests.configfile.fakes import BASE, load_text

APPENDED: dict[str, tuple[list[str], Any]] = {
    "after": (["a: [1]", "a+: [2, 3]"], {"a": [1, 2, 3]}),
    "below": (["a: {b: [1], c: 1}", "a: {b+: [2]}"], {"a": {"b": [1, 2], "c": 1}}),
    "twice": (["a: [1]", "a+: [2]", "a+: [3]"], {"a": [1, 2, 3]}),
    "to nothing": (["a+: [1]"], {"a": [1]}),
    "to nothing below": (["a: {b: {c+: [1]}}"], {"a": {"b": {"c": [1]}}}),
    "to null": (["a:", "a+: [1]"], {"a": [1]}),
    "then replaced": (["a: [1]", "a+: [2]", "a: [3]"], {"a": [3]}),
    "both in one source": (["a: [1]\na+: [2]"], {"a": [1, 2]}),
    "no list is an ordinary key": (["a: [1]", "a+: 2"], {"a": [1], "a+": 2}),
    "inside a list nothing is merged": (["a: [{b+: [1]}]"], {"a": [{"b+": [1]}]}),
}


def _merged(texts: list[str]) -> tuple[MapNode, list[Fault]]:
    warnings: list[Fault] = []
    merged = MapNode(Place("all"))
    for text in texts:
        over, faults = read_source(f"yaml:{text}", {})
        assert over is not None
        assert not faults
        merged = merge(merged, over, warnings)
    return merged, warnings


@pytest.mark.parametrize(("texts", "value"), APPENDED.values(), ids=APPENDED)
def test_a_list_is_appended(texts: list[str], value: object) -> None:
    """A list under `key+` goes behind the list that is there, and says nothing."""
    merged, warnings = _merged(texts)

    assert plain(merged) == value
    assert warnings == []


def test_what_is_no_list_is_replaced_with_a_warning() -> None:
    """An expression may become a list, but is none yet: nothing is appended in silence."""
    merged, warnings = _merged(["a: {b: '${env:LIST}'}", "a: {b+: [1]}"])

    assert plain(merged) == {"a": {"b": [1]}}
    assert [str(one) for one in warnings] == [
        "inline yaml:1:5: a.b+: replaces what inline yaml:1 says, which is no list to append to"
    ]


def test_elements_keep_their_places() -> None:
    """A fault in an appended element is where that was written."""
    base, _ = read_source("yaml:a: [1]", {})
    over, _ = read_source("yaml:x: 1\na+:\n  - 2", {})
    assert base is not None
    assert over is not None

    merged = merge(base, over, [])

    second = find(merged, ("a", 1))
    assert second is not None
    assert second.place.line == 3


def test_an_overlay_adds_an_exporter() -> None:
    """In a whole configuration, by file and by `--set`."""
    more = "exporters: {print/2: {}}\nservice: {pipelines: {traces: {exporters+: [print/2]}}}\n"
    sets = ["exporters.print/3={}", "service.pipelines.traces.exporters+=[print/3]"]

    loaded = load_text(BASE, more, sets=sets)

    assert loaded.config.pipelines["traces"].exporters == ["print", "print/2", "print/3"]


def test_a_wrong_element_is_named() -> None:
    """What is appended is checked as if it had been written there."""
    with pytest.raises(ConfigError, match="nobody"):
        load_text(BASE, "service: {pipelines: {traces: {exporters+: [nobody]}}}\n")
