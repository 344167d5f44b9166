"""The command `test`: what it prints, and its exit codes."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner, Result

from genai_collector.cli import app
from genai_collector.trials import TrialsFile
from genai_collector.trials.file import Trial
from genai_collector.trials.written import FIELDS
from tests.support.captures import ROOT
from tests.trials.support import CONFIG, write

GOOD = "  - {name: good, pipeline: traces, input: [{name: chat}], count: 1}\n"
BAD = "  - {name: bad, pipeline: traces, input: [{name: chat}], expect: [{name: talk}]}\n"


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["test", *map(str, arguments)])


def test_all_hold(tmp_path: Path) -> None:
    """A line per test and a sum; nothing else, and 0."""
    result = _run(write(tmp_path, GOOD))

    assert result.exit_code == 0
    assert result.output == "ok    good\n1 test, 0 failed\n"


def test_one_does_not(tmp_path: Path) -> None:
    """The difference, what each processor did, and 1."""
    file = write(tmp_path, GOOD + BAD)

    result = _run(file)

    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "ok    good",
        f"FAIL  bad ({file}:4)",
        '      [0].name: expected "talk", got "chat"',
        "      filter: 1 in, 1 out",
        "      attributes: 1 in, 1 out",
        '        [0].attributes.team: nothing -> "payments"',
        "2 tests, 1 failed",
    ]


def test_show_can_be_pasted(tmp_path: Path) -> None:
    """What --show prints as the output holds as what is expected."""
    shown = _run(write(tmp_path, GOOD), "--show").output
    items = shown.split("came out:\n")[1].split("1 test")[0]
    again = "  - name: again\n    pipeline: traces\n    input: [{name: chat}]\n    exact: true\n"

    result = _run(write(tmp_path, f"{again}    expect:\n{items}"))

    assert result.output == "ok    again\n1 test, 0 failed\n"


def test_another_configuration(tmp_path: Path) -> None:
    """--config replaces what the file names, --set changes it."""
    other = tmp_path / "other.yaml"
    other.write_text(CONFIG.replace("[filter, attributes]", "[filter]"))
    expected = "expect: [{attributes: {}}], exact: true"
    file = write(tmp_path, f"  - {{name: a, pipeline: traces, input: [{{}}], {expected}}}\n")

    assert _run(file).exit_code == 1
    assert _run(file, "--config", other).exit_code == 0
    assert _run(file, "--set", "service.pipelines.traces.processors=[filter]").exit_code == 0


def test_what_cannot_be_tried(tmp_path: Path) -> None:
    """A fault in either file is told with its place, and 1; no file is wrong usage."""
    file = write(tmp_path, GOOD)
    broken = _run(file, "--set", "processors.filter.trace={}")

    assert broken.exit_code == 1
    assert "did you mean 'traces'" in broken.output
    assert _run(tmp_path / "none.yaml").exit_code == 1
    assert "none.yaml: cannot be read" in _run(tmp_path / "none.yaml").output
    assert _run().exit_code == 2


def test_no_configuration(tmp_path: Path) -> None:
    """When neither the file nor the command line names one, the message says how to."""
    file = write(tmp_path, GOOD)
    file.write_text(file.read_text().replace("config: [config.yaml]\n", ""))

    assert _run(file).exit_code == 1
    assert "no configuration given" in _run(file).output
    assert _run(file, "--config", tmp_path / "config.yaml").exit_code == 0


def test_help_teaches() -> None:
    """The help shows an example that can be pasted."""
    assert "genai-collector test tests.yaml --config config.yaml" in _run("--help").output


def test_the_example_holds() -> None:
    """examples/testing is what docs/testing.md shows."""
    result = _run(ROOT / "examples" / "testing" / "tests.yaml")

    assert result.exit_code == 0
    assert result.output in (ROOT / "docs" / "testing.md").read_text()


def test_everything_is_documented() -> None:
    """docs/testing.md knows every key of the file and every field of an item."""
    text = (ROOT / "docs" / "testing.md").read_text()
    keys = [*TrialsFile.model_fields, *Trial.model_fields]
    fields = [field for names in FIELDS.values() for field in names]

    assert [word for word in [*keys, *fields] if f"`{word}`" not in text] == []
