"""The command line: what it prints where, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer.core
import typer.main
import yaml
from typer.testing import CliRunner, Result

from genai_collector import __version__
from genai_collector.cli import app
from genai_collector.configfile import LogsConfig, MetricsConfig, OtlpPushConfig
from genai_collector.configfile.schema import ServiceConfig
from tests.support.captures import FIXTURES, ROOT

GOOD = FIXTURES / "config" / "good"
BAD = FIXTURES / "config" / "bad"
SEED = FIXTURES / "openlit_seed"
LINE = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"one"}]}]}]}\n'


def _run(*arguments: str | Path, stdin: bytes = b"", **environ: str) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments], input=stdin, env=environ)


def _process(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "genai_collector", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=60, check=False)


def test_version() -> None:
    """The version is the package's."""
    assert _run("--version").output == f"genai-collector version {__version__}\n"


@pytest.mark.parametrize(
    "command", [[], ["run"], ["validate"], ["components"], ["print-config"], ["convert"]]
)
def test_help_teaches(command: list[str]) -> None:
    """Every help shows an example that can be pasted."""
    result = _run(*command, "--help")

    assert result.exit_code == 0
    assert f"genai-collector {' '.join(command)}".rstrip() in " ".join(result.output.split())
    assert "--" in result.output


def test_help_is_quick() -> None:
    """Asking for help loads none of the heavy libraries."""
    code = (
        "import sys; from typer.testing import CliRunner; from genai_collector.cli import app; "
        "CliRunner().invoke(app, ['--help']); "
        "print(sorted({'grpc', 'aiohttp', 'pydantic', 'yaml', 'google', 'opentelemetry'} "
        "& set(sys.modules)))"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert found.stdout == b"[]\n"


USAGE = {
    "unknown command": ["walk"],
    "unknown option": ["validate", "--confg", "x"],
    "no formats": ["convert"],
    "unknown source": ["convert", "--from", "xml", "--to", "otlp"],
    "unknown target": ["convert", "--from", "otlp", "--to", "xml"],
    "missing input": ["convert", "--from", "otlp", "--to", "otlp", "none.jsonl"],
    "unknown format": ["components", "--format", "xml"],
}


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE)
def test_wrong_usage(arguments: list[str]) -> None:
    """Wrong usage exits with 2 and says nothing on standard output."""
    result = _run(*arguments)

    assert result.exit_code == 2
    assert result.stdout == ""


def test_no_configuration(tmp_path: Path) -> None:
    """Without a configuration the message says how to give one."""
    command = [sys.executable, "-m", "genai_collector", "run"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False)

    assert found.returncode == 2
    assert b"--config config.example.yaml" in b" ".join(found.stderr.split())


def test_default_configuration(tmp_path: Path) -> None:
    """config.yaml in the working directory is used when none is named."""
    (tmp_path / "config.yaml").write_bytes((GOOD / "minimal.yaml").read_bytes())
    command = [sys.executable, "-m", "genai_collector", "validate"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False)

    assert (found.returncode, found.stdout) == (0, b"ok: 1 pipeline, 0 warnings\n")


# --- validate ------------------------------------------------------------------------------------


def test_validate_good() -> None:
    """A good configuration gets one short line and 0."""
    result = _run("validate", "--config", GOOD / "everything.yaml", KEY="0815")

    assert (result.exit_code, result.stdout, result.stderr) == (
        0, "ok: 3 pipelines, 0 warnings\n", ""
    )  # fmt: skip


def test_validate_bad() -> None:
    """A bad one gets every fault on standard error, a count, and 1."""
    file = BAD / "misspelt-option.yaml"
    result = _run("validate", "-c", file)

    expected = (BAD / "misspelt-option.txt").read_text()
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.replace(str(file), file.name) == f"{expected}4 faults\n"


def test_validate_warnings() -> None:
    """Warnings are shown and do not fail."""
    result = _run("validate", "-c", GOOD / "minimal.yaml", "-c", "yaml:exporters: {debug/2: }")

    assert result.exit_code == 0
    assert result.stdout == "ok: 1 pipeline, 1 warning\n"
    assert result.stderr == (
        "warning: inline yaml:1:13: exporters.debug/2: "
        "is not listed in any pipeline and will not be started\n"
    )


def test_validate_asks_the_components_too(tmp_path: Path) -> None:
    """What only building finds out is found by validate, as it is by run."""
    text = "processors: {python: {path: none.py, function: f}}\n" + (
        GOOD / "minimal.yaml"
    ).read_text().replace("exporters: [", "processors: [python]\n      exporters: [")
    file = tmp_path / "config.yaml"
    file.write_text(text)

    result = _run("validate", "-c", file)

    assert result.exit_code == 1
    assert f"{file}:1:14: processors.python: there is no file none.py" in result.stderr
    assert "Traceback" not in result.output


def test_set_wins() -> None:
    """--set changes what the files say."""
    result = _run(
        "print-config", "-c", GOOD / "minimal.yaml", "--set", "exporters.debug.timeout=7s",
        "--set", "service::telemetry::resource::service.name=x", "--format", "json",
    )  # fmt: skip

    document = json.loads(result.stdout)
    assert document["exporters"] == {"debug": {"timeout": "7s"}}
    assert document["service"]["telemetry"]["resource"] == {"service.name": "x"}


def test_print_config_hides_secrets() -> None:
    """The printed configuration is complete, loads again as YAML, and has no secrets."""
    result = _run("print-config", "-c", GOOD / "everything.yaml", KEY="0815hush", TEAM="ops")

    document = yaml.safe_load(result.stdout)
    assert result.exit_code == 0
    assert "0815hush" not in result.output
    assert document["exporters"]["otlphttp"]["headers"] == {"authorization": "[REDACTED]"}
    assert document["exporters"]["langfuse"]["secret_key"] == "[REDACTED]"
    assert document["processors"]["attributes/team"]["actions"][0]["value"] == "ops"
    assert list(document) == ["receivers", "processors", "exporters", "extensions", "service"]


def test_print_config_of_a_faulty_one() -> None:
    """A configuration with faults is not printed."""
    result = _run("print-config", "-c", BAD / "references.yaml")

    assert (result.exit_code, result.stdout) == (1, "")


# --- components ----------------------------------------------------------------------------------


def test_components_table() -> None:
    """Every type is in the table, with its other spelling."""
    lines = [line.split() for line in _run("components").stdout.splitlines()]

    assert ["exporter", "otlp_http", "otlphttp"] in [line[:3] for line in lines]
    assert ["processor", "memory_limiter"] in [line[:2] for line in lines]


@pytest.mark.parametrize("format", ["json", "yaml"])
def test_components_for_machines(format: str) -> None:
    """The shape is that of otelcol's `components`."""
    found = yaml.safe_load(_run("components", "--format", format).stdout)

    assert found["buildinfo"]["version"] == __version__
    signals = {one["name"]: set(one["stability"]) for one in found["receivers"]}
    assert signals["otlp"] == {"logs", "metrics", "traces"}
    assert signals["litellm"] == {"traces"}
    measure = next(one for one in found["connectors"] if one["name"] == "genai_metrics")
    assert measure["stability"] == {"traces_to_metrics": "beta"}
    names = [one["name"] for one in found["exporters"]]
    assert names == sorted(names)
    assert "otlphttp" not in names


# --- run -----------------------------------------------------------------------------------------


def test_run_with_faults() -> None:
    """run says what validate says, and starts nothing."""
    file = BAD / "signal.yaml"
    result = _run("run", "-c", file)

    assert result.exit_code == 1
    assert result.stderr.replace(str(file), file.name) == (BAD / "signal.txt").read_text()


def test_run_until_interrupted() -> None:
    """It starts, says that it is ready, shows warnings as log lines, and ends cleanly on Ctrl-C."""
    command = [
        sys.executable, "-m", "genai_collector", "run", "-c", str(GOOD / "minimal.yaml"),
        "--set", "receivers={otlp: {protocols: {http: {endpoint: 'localhost:0'}}}}",
        "--set", "exporters.debug/2=",
        "--set", "service.telemetry.metrics.level=none",
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines: list[str] = []
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            line = process.stderr.readline()
            lines.append(line)
            if "ready" in line or not line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        code = process.wait(30)

    said = "".join(lines)
    assert "Everything is ready" in said
    assert "exporters.debug/2" in said
    assert "Shutdown complete" in rest
    assert "Traceback" not in said + rest
    assert code == 0


# --- convert -------------------------------------------------------------------------------------


def test_convert_to_standard_output() -> None:
    """One line per document on standard output, nothing else."""
    result = _run("convert", "--from", "otlp", "--to", "langfuse", SEED / "traces.json")

    assert result.exit_code == 0
    assert result.stderr == ""
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["batch"][0]["type"] == "trace-create"


def test_convert_standard_input_to_file(tmp_path: Path) -> None:
    """`-` is standard input; the exit code says that a line was bad, the output has the others."""
    output = tmp_path / "out.jsonl"
    result = _run(
        "convert", "--from", "otlp", "--to", "otlp", "-", "--output", output,
        stdin=LINE + b"{bad}\n" + LINE,
    )  # fmt: skip

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("<stdin>:2: not JSON: ")
    assert len(output.read_bytes().splitlines()) == 2


def test_convert_report() -> None:
    """--report lists on standard error what had no home."""
    result = _run(
        "convert", "--from", "otlp_proto", "--to", "langfuse", SEED / "traces.pb", "--report"
    )

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1
    assert "no home: nanoseconds: Langfuse stores milliseconds (once, in line 1, span " in (
        result.stderr
    )


def test_convert_signal_by_hand() -> None:
    """--signal overrides what would be found out."""
    result = _run("convert", "--from", "otlp", "--to", "otlp", "--signal", "logs", stdin=LINE)

    assert json.loads(result.stdout) == {"resourceLogs": []}


def test_convert_does_not_overwrite_its_input(tmp_path: Path) -> None:
    """The same file as input and output is wrong usage."""
    file = tmp_path / "x.jsonl"
    file.write_bytes(LINE)

    result = _run("convert", "--from", "otlp", "--to", "otlp", file, "--output", file)

    assert result.exit_code == 2
    assert file.read_bytes() == LINE


def test_convert_into_nowhere(tmp_path: Path) -> None:
    """An output that cannot be written is a failure with its reason."""
    output = tmp_path / "none" / "out.jsonl"

    result = _run("convert", "--from", "otlp", "--to", "otlp", "--output", output, stdin=LINE)

    assert result.exit_code == 1
    assert result.stderr == f"{output}: cannot be written: No such file or directory\n"


def test_convert_as_a_process() -> None:
    """The real command: pretty-printed input, exit codes, clean streams."""
    pretty = json.dumps(json.loads(LINE), indent=2).encode()

    good = _process("convert", "--from", "otlp", "--to", "noveum", stdin=pretty)
    bad = _process("convert", "--from", "otlp", "--to", "noveum", stdin=b"{")
    usage = _process("convert", "--from", "otlp")

    assert (good.returncode, good.stderr) == (0, b"")
    assert len(json.loads(good.stdout)) == 1
    assert (bad.returncode, bad.stdout) == (1, b"")
    assert bad.stderr.startswith(b"<stdin>:1: not JSON")
    assert usage.returncode == 2


def test_a_broken_pipe_is_quiet() -> None:
    """A reader that stops early (`| head`) is no failure and causes no noise."""
    command = [sys.executable, "-m", "genai_collector", "convert", "--from", "otlp", "--to", "otlp"]
    reading, writing = os.pipe()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=writing, stderr=subprocess.PIPE
    ) as process:
        os.close(reading)
        os.close(writing)
        _, said = process.communicate(LINE * 5000, timeout=60)

    assert said == b""
    assert process.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_told_without_a_traceback() -> None:
    """One line that says what happened, and 1."""
    command = [sys.executable, "-m", "genai_collector", "convert", "--from", "otlp", "--to", "otlp"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, input=LINE, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert done.stderr.decode() == "stopped: No space left on device\n"
    assert done.returncode == 1


# --- docs ----------------------------------------------------------------------------------------

DOCS = ROOT / "docs"


def test_every_command_and_option_is_documented() -> None:
    """docs/command-line.md knows every command and every option."""
    text = (DOCS / "command-line.md").read_text()
    command = typer.main.get_command(app)
    assert isinstance(command, typer.core.TyperGroup)
    groups = [one for one in command.commands.values() if isinstance(one, typer.core.TyperGroup)]
    below = {name: one for group in groups for name, one in group.commands.items()}
    words = {
        option
        for one in [*command.commands.values(), *below.values()]
        for parameter in one.params
        for option in parameter.opts
        if option.startswith("--")
    }

    names = {*command.commands, *below}
    assert sorted(word for word in words | names if word not in text) == []


def test_every_service_key_is_documented() -> None:
    """docs/configuration.md knows every key below `service`."""
    text = (DOCS / "configuration.md").read_text()
    keys = [
        *ServiceConfig.model_fields,
        *(f"telemetry.logs.{name}" for name in LogsConfig.model_fields),
        *(f"telemetry.metrics.{name}" for name in MetricsConfig.model_fields),
        *OtlpPushConfig.model_fields,
    ]

    assert [key for key in keys if f"`{key}" not in text and key != "telemetry"] == []


def test_the_documented_configuration_is_good(tmp_path: Path) -> None:
    """The first example of docs/configuration.md loads without a warning."""
    text = (DOCS / "configuration.md").read_text()
    file = tmp_path / "config.yaml"
    file.write_text(text.split("```yaml\n")[1].split("```")[0])

    assert _run("validate", "-c", file).output == "ok: 1 pipeline, 0 warnings\n"
