"""python: the user's own function or class."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from genai_collector.component import Processor
from genai_collector.errors import ConfigError, Permanent
from genai_collector.model import Batch
from genai_collector.processors.python import FACTORY, PythonConfig
from tests.processors.items import logs, metric, metrics, record, span, spans
from tests.support.fakes import make_context

USER_FILE = """
from genai_collector.model import Span

def same(batch):
    return batch

def nothing(batch):
    return None

def rename(batch, options):
    for span in batch.spans:
        span.name = options["prefix"] + span.name
    return batch

def only_chat(span):
    return span if span.name == "chat" else None

def replace(span):
    return Span(name="new")

def wrong(batch):
    return 42

def fail_half_way(batch):
    for span in batch.spans:
        span.name = "half"
    raise LookupError("no such thing")

async def later(batch):
    return batch

class Counter:
    def __init__(self, options):
        self.seen = options["start"]

    def process(self, batch):
        self.seen += batch.count
        return batch

class Plain:
    def process(self, item):
        item.attributes["plain"] = True
        return item

class Broken:
    def __init__(self):
        raise RuntimeError("not today")
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "mine.py"
    file.write_text(USER_FILE)
    return str(file)


def _make(**options: Any) -> Processor:
    return FACTORY.create(PythonConfig.model_validate(options), make_context("python/mine"))


def _names(batch: Batch) -> list[str]:
    return [item.name for item in batch.view_spans()]


def test_functions_of_a_batch(path: str) -> None:
    """It gets the batch and returns it, changed or not, or None to drop it."""
    batch = spans(span("a"), span("b"))
    assert _make(path=path, function="same").process(batch) is batch
    assert batch.is_encoded
    assert _make(path=path, function="nothing").process(spans(span())).count == 0
    renamed = _make(path=path, function="rename", options={"prefix": "my "}).process(batch)
    assert _names(renamed.clone()) == ["my a", "my b"]


def test_functions_of_an_item(path: str) -> None:
    """Per item: the item, another one, or None."""
    some = _make(path=path, function="only_chat", per="item")
    assert _names(some.process(spans(span("chat"), span("x"), span("chat")))) == ["chat", "chat"]
    assert _names(some.process(spans(span("chat"))).clone()) == ["chat"]
    other = _make(path=path, function="replace", per="item").process(spans(span(), span()))
    assert _names(other.clone()) == ["new", "new"]


def test_other_signals(path: str) -> None:
    """Log records and metrics per item."""
    processor = _make(path=path, **{"class": "Plain"}, per="item")
    (log,) = processor.process(logs(record())).clone().view_logs()
    assert log.attributes == {"plain": True}
    with pytest.raises(Permanent, match="AttributeError"):
        processor.process(metrics(metric("m", {})))
    gone = _make(path=path, function="nothing", per="item").process(metrics(metric("m", {})))
    assert gone.count == 0


def test_classes(path: str) -> None:
    """A class is made once, with its options if it wants them, and keeps its state."""
    processor: Any = _make(path=path, **{"class": "Counter"}, options={"start": 10})
    processor.process(spans(span(), span()))
    processor.process(spans(span()))
    assert processor._call.__self__.seen == 13


def test_entry_point() -> None:
    """An installed function is named package.module:name."""
    processor = _make(entry_point="copy:copy", per="item")
    assert _names(processor.process(spans(span("a"))).clone()) == ["a"]


def test_propagate_refuses(path: str) -> None:
    """By default a failure refuses the batch, with the place in the user's file."""
    with pytest.raises(
        Permanent, match=r"^python/mine: mine\.py:27: LookupError: no such thing"
    ) as caught:
        _make(path=path, function="fail_half_way").process(spans(span()))
    assert caught.value.reason == "processor_error"
    with pytest.raises(Permanent, match="expected a Batch of traces or None, got int"):
        _make(path=path, function="wrong").process(spans(span()))
    with pytest.raises(Permanent, match="expected a Span or None, got int"):
        _make(path=path, function="wrong", per="item").process(spans(span()))


def test_leaving_is_a_failure_like_any_other(tmp_path: Path) -> None:
    """sys.exit() in the user's code refuses a batch, or the configuration, but ends nothing."""
    file = tmp_path / "leaves.py"
    file.write_text("import sys\ndef leave(batch):\n    sys.exit(0)\n")
    with pytest.raises(Permanent, match=r"leaves\.py:3: SystemExit"):
        _make(path=str(file), function="leave").process(spans(span()))
    file.write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(ConfigError, match=r"cannot be loaded: leaves\.py:2: SystemExit"):
        _make(path=str(file), function="leave")


def test_ignore_lets_pass(path: str, caplog: pytest.LogCaptureFixture) -> None:
    """With `ignore` the batch passes as it was before the function touched it, and it is logged."""
    processor = _make(path=path, function="fail_half_way", error_mode="ignore")
    with caplog.at_level(logging.WARNING):
        assert _names(processor.process(spans(span("a"), span("b")))) == ["a", "b"]
    assert len(caplog.records) == 1


LOAD_FAULTS: list[Any] = [
    ({"path": "{path}", "function": "absent"}, "there is no absent in .*mine.py"),
    ({"path": "nowhere.py", "function": "f"}, "there is no file nowhere.py"),
    ({"path": "{bad}", "function": "f"}, r"cannot be loaded: .*bad\.py:3: SyntaxError"),
    ({"path": "{raises}", "function": "f"}, r"cannot be loaded: .*raises\.py:2: ZeroDivisionError"),
    ({"path": "{path}", "function": "USER"}, "there is no USER"),
    ({"path": "{path}", "function": "later"}, "cannot wait"),
    ({"path": "{path}", "class": "Broken"}, "Broken cannot be made: .*RuntimeError: not today"),
    ({"path": "{path}", "class": "Span"}, "class with a method process"),
    ({"entry_point": "no.such.module:f"}, "no.such.module cannot be loaded: .*ModuleNotFoundError"),
    ({"entry_point": "copy:absent"}, "there is no absent in copy"),
    ({"entry_point": "copy"}, "expected package.module:name"),
]


@pytest.mark.parametrize(("options", "message"), LOAD_FAULTS)
def test_load_faults(path: str, options: dict[str, str], message: str) -> None:
    """What cannot be loaded stops the start, with file and line."""
    folder = Path(path).parent
    (folder / "bad.py").write_text("import os\n\ndef f(:\n")
    (folder / "raises.py").write_text("import os\n1 / 0\n")
    places = {"path": path, "bad": str(folder / "bad.py"), "raises": str(folder / "raises.py")}
    with pytest.raises(ConfigError, match=message):
        _make(**{key: value.format(**places) for key, value in options.items()})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"path": "a.py"},
        {"path": "a.py", "function": "f", "class": "C"},
        {"path": "a.py", "entry_point": "a:b"},
        {"entry_point": "a:b", "function": "f"},
    ],
)
def test_contradicting_options(options: dict[str, Any]) -> None:
    """Exactly one thing to run must be named."""
    with pytest.raises(ValidationError):
        PythonConfig.model_validate(options)
