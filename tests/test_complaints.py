"""docs/complaints.md: every complaint is there, and every test that it names exists and is run."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from string import ascii_lowercase
from typing import Final, NamedTuple

import pytest

from tests.support.captures import ROOT

TEXT: Final = (ROOT / "docs" / "complaints.md").read_text()

THREADS: Final = {
    "1": "core #12443, #7460, #12711",
    "2": "core #15324, contrib #48635, #50102",
    "3": "contrib #35899, #30770; core #7198, #8115, #12634",
    "4": "core #5213, #9451; contrib #30608",
    "5": "core #5902, #12647, #14484; contrib #34054; helm-charts #2143",
    "6": "core #8632, #8694, #1121, #9043, #9636",
    "7": "core #5966, #273, #8796",
    "8": "core #8754",
    "9": "core #9863, #4613, #11292",
    "10": "core #8565, #8215",
    "11": "core #9709; contrib #44479, #30932",
    "12": "core #6046, #10025, #11746",
    "13": "contrib #31775, #50437; core #13270",
    "14": "contrib #27087, #39698",
    "15": "contrib #26490, #31498, #43876, #45200",
    "16": "contrib #33737, #46069, #46304, #48421, #50801",
}
"""Where the numbered complaints were made."""
LETTERS: Final = ascii_lowercase[: ascii_lowercase.index("t") + 1]

_SECTION: Final = re.compile(
    r"^## (\d+|[a-z])\. ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL
)
_STATE: Final = re.compile(
    r"^(Answered|Partly|Not answered): (.+?)(?=\n\n|\Z)", re.MULTILINE | re.DOTALL
)
_TEST: Final = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_LIMITS: Final = re.compile(r"^Limits: .{20}", re.MULTILINE)


class Complaint(NamedTuple):
    number: str
    title: str
    text: str

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(found[1], found[2]) for found in _STATE.finditer(self.text)]

    @property
    def tests(self) -> list[str]:
        """Those listed as showing the answer."""
        return re.findall(r"^- `(tests/[^`]+)`$", self.text, re.MULTILINE)


COMPLAINTS: Final = [Complaint(*found.groups()) for found in _SECTION.finditer(TEXT)]
NAMED: Final = sorted({(path, name) for path, name in _TEST.findall(TEXT)})
BY_NUMBER: Final = [pytest.param(one, id=one.number) for one in COMPLAINTS]


def test_every_complaint_is_there() -> None:
    """1 to 16, and the letters, in order."""
    assert [one.number for one in COMPLAINTS] == [*THREADS, *LETTERS]


def test_threads() -> None:
    """Each numbered complaint names the threads in which it was made."""
    found = {
        one.number: lines[0]
        for one in COMPLAINTS
        if (lines := re.findall(r"^Upstream: (.+)$", one.text, re.MULTILINE))
    }

    assert found == THREADS


@pytest.mark.parametrize("complaint", BY_NUMBER)
def test_each_has_an_answer(complaint: Complaint) -> None:
    """One state; a test that shows what is answered, a reason for what is not, limits of a part."""
    ((state, words),) = complaint.states

    assert len(words) > 20
    assert bool(complaint.tests) == (state != "Not answered")
    if state == "Partly":
        assert _LIMITS.search(complaint.text)
    if state == "Not answered":
        assert len(words.split()) > 20


def test_the_summary_agrees() -> None:
    """The table at the top says of each numbered complaint what its section says."""
    rows = re.findall(r"^\| \[(\d+)\]\(#\1-[^)]+\) \| [^|]+ \| ([^|]+) \|$", TEXT, re.MULTILINE)

    assert rows == [
        (one.number, one.states[0][0].lower()) for one in COMPLAINTS if one.number in THREADS
    ]


def test_links_lead_somewhere() -> None:
    """Every link within the page has its heading, every link to a page its file."""
    headings = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    }
    links = re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", TEXT)

    assert [anchor for page, anchor in links if not page and anchor not in headings] == []
    assert [page for page, _ in links if page and not (ROOT / "docs" / page).is_file()] == []
    assert "://" not in TEXT


def test_tests_are_named_in_full() -> None:
    """A file alone shows nothing: it may hold a test or not."""
    listed = [test for complaint in COMPLAINTS for test in complaint.tests]

    assert [test for test in listed if not _TEST.fullmatch(f"`{test}`")] == []
    assert {tuple(test.split("::")) for test in listed} <= set(NAMED)
    assert len(NAMED) > 80


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[f"{p}::{n}" for p, n in NAMED])
def test_the_test_exists_and_is_run(path: str, name: str) -> None:
    """It is in a file that pytest collects, says what must hold, and no mark keeps it out of
    `make test`."""
    function = _functions(path).get(name)

    assert function is not None, f"{path} has no {name}"
    assert path.rpartition("/")[2].startswith("test_")
    assert ast.get_docstring(function)
    assert _marks(path, function) & _left_out() == set()


def test_a_mark_is_seen() -> None:
    """The check above would find a test that is left out."""
    path = "tests/backends/test_phoenix.py"

    assert all(_marks(path, one) & _left_out() for one in _functions(path).values())


_Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def _tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


def _functions(path: str) -> dict[str, _Function]:
    """The tests of a file, by name."""
    return {
        node.name: node
        for node in _tree(path).body
        if isinstance(node, _Function) and node.name.startswith("test_")
    }


def _marks(path: str, function: _Function) -> set[str]:
    """Every name in the test's decorators and in the file's `pytestmark`."""
    marked: list[ast.expr] = list(function.decorator_list)
    for node in _tree(path).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.Assign) and any(
            ast.unparse(one) == "pytestmark" for one in targets
        ):
            marked.append(node.value)
    return {
        below.attr for one in marked for below in ast.walk(one) if isinstance(below, ast.Attribute)
    }


@cache
def _left_out() -> frozenset[str]:
    """The marks that `make test` leaves out."""
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    (expression,) = [one for one in options["addopts"] if "not " in one]
    return frozenset(re.findall(r"not (\w+)", expression))
