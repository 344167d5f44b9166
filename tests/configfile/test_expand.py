"""`${...}`: variables, defaults, files, places and bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from genai_collector.configfile.expand import expand
from genai_collector.configfile.reader import parse
from genai_collector.configfile.tree import Entry, MapNode, Place, Scalar, plain
from genai_collector.errors import Fault
from tests.configfile.fakes import SendConfig, faults_of, load_text, with_exporter

ENVIRON = {
    "HOST": "example.org",
    "PORT": "4317",
    "YES": "true",
    "EMPTY": "",
    "NAME": "HOST",
    "MAP": "{a: 1, b: [x]}",
    "NESTED": "{a: '${env:HOST}'}",
    "TEXT": "${env:HOST} and $$",
    "HASH": "#secret",
    "COLON": "a: b: c",
    "TAIL": "abc #def",
    "QUOTED": "'0123'",
    "ZEROS": "00123",
    "PEM": "-----BEGIN-----\nabc\n-----END-----\n",
    "TILDE": "~",
}


def _expand(text: str) -> tuple[Any, list[str]]:
    node, problems = parse(text, "f")
    assert problems == []
    assert isinstance(node, MapNode)
    faults: list[Fault] = []
    expanded = expand(node, ENVIRON, faults)
    return plain(expanded)["a"], [str(fault) for fault in faults]


EXPANSIONS: dict[str, Any] = {
    "a: ${env:HOST}": "example.org",
    "a: ${HOST}": "example.org",
    "a: http://${env:HOST}:${PORT}/x": "http://example.org:4317/x",
    "a: ${env:PORT}": 4317,
    "a: '${env:PORT}'": 4317,
    "a: ${env:YES}": True,
    "a: ${env:TILDE}": None,
    "a: ${env:EMPTY}": "",
    "a: ${env:EMPTY:-x}": "",
    "a: ${env:NONE:-x}": "x",
    "a: ${NONE:-5}": 5,
    "a: ${NONE:-}": "",
    "a: ${NONE:-${env:HOST}:1}": "example.org:1",
    "a: ${NONE:-a:-b}": "a:-b",
    "a: ${env:${env:NAME}}": "example.org",
    "a: ${env:MAP}": {"a": 1, "b": ["x"]},
    "a: ${env:NESTED}": {"a": "example.org"},
    "a: ${env:TEXT}": "${env:HOST} and $$",
    "a: ${env:HASH}": "#secret",
    "a: ${env:COLON}": "a: b: c",
    "a: ${env:TAIL}": "abc #def",
    "a: ${env:QUOTED}": "0123",
    "a: ${env:ZEROS}": "00123",
    "a: ${env:PEM}": ENVIRON["PEM"],
    "a: ${yaml:[1, 2]}": [1, 2],
    "a: $$": "$",
    "a: $${env:HOST}": "${env:HOST}",
    "a: $$$${HOST}": "$${HOST}",
    "a: $HOST": "$HOST",
    "a: ^x$": "^x$",
    "a: [x, {y: '${HOST}'}]": ["x", {"y": "example.org"}],
    "a: ${HOST}${PORT}": "example.org4317",
    "a: |\n  ${HOST}\n  x": "example.org\nx",
}


@pytest.mark.parametrize(("text", "value"), EXPANSIONS.items(), ids=EXPANSIONS)
def test_expansion(text: str, value: object) -> None:
    """Whole values are read as YAML, parts are put in as text, what was found is left alone."""
    found, faults = _expand(text)

    assert faults == []
    assert found == value
    assert type(found) is type(value)


UNRESOLVED = {
    "a: ${env:NONE}": (
        "f:1:4: a: environment variable NONE is not set (a default: ${env:NONE:-...})"
    ),
    "a: x-${HOST}-${NONE}": (
        "f:1:14: a: environment variable NONE is not set (a default: ${env:NONE:-...})"
    ),
    "a: 'x ${NONE}'": (
        "f:1:7: a: environment variable NONE is not set (a default: ${env:NONE:-...})"
    ),
    "a: |\n  x\n  ${NONE}": (
        "f:1:4: a: environment variable NONE is not set (a default: ${env:NONE:-...})"
    ),
    "a: x ${HOST": "f:1:6: a: '${' is never closed (a literal $ is $$)",
    "a: ${1A}": "f:1:4: a: '1A' cannot be an environment variable's name",
    "a: x${my var}": "f:1:5: a: 'my var' cannot be an environment variable's name",
    "a: ${https://x}": "f:1:4: a: unknown kind 'https' in ${...} (env, file or yaml)",
    "a: ${file:/no/such}": ("f:1:4: a: file '/no/such' cannot be read: No such file or directory"),
    "a: [x, '${NONE}']": (
        "f:1:9: a[1]: environment variable NONE is not set (a default: ${env:NONE:-...})"
    ),
}


@pytest.mark.parametrize(("text", "message"), UNRESOLVED.items(), ids=UNRESOLVED)
def test_unresolved(text: str, message: str) -> None:
    """What cannot be resolved is a fault with the place of the expression."""
    _, faults = _expand(text)

    assert faults == [message]


def test_nesting_is_bounded() -> None:
    """Defaults in defaults in defaults come to an end."""
    text = "x"
    for _ in range(30):
        text = f"${{NONE:-{text}}}"

    _, faults = _expand(f"a: '{text}'")

    assert len(faults) == 1
    assert faults[0].endswith("a: too many expansions")


def test_number_is_bounded() -> None:
    """A document cannot make the loader expand without end."""
    many = "${HOST}" * 10_001

    _, faults = _expand(f"a: '{many}'")

    assert len(faults) == 1
    assert faults[0].endswith("a: too many expansions")


def test_file(tmp_path: Path) -> None:
    """A file's last newline does not belong to the value; a fragment is expanded in turn."""
    secret, fragment = tmp_path / "secret", tmp_path / "part.yaml"
    secret.write_text("pa$$w${ord}\n")
    fragment.write_text("b: ${HOST}\nc: [1]\n")

    assert _expand(f"a: ${{file:{secret}}}") == ("pa$$w${ord}", [])
    assert _expand(f"a: x ${{file:{secret}}}") == ("x pa$$w${ord}", [])
    assert _expand(f"a: ${{file:{fragment}}}") == ({"b": "example.org", "c": [1]}, [])
    assert _expand("a: ${file:/no/such:-none}") == ("none", [])


def test_a_file_that_names_itself(tmp_path: Path) -> None:
    """A fragment that includes itself is a fault, not an endless loop."""
    fragment = tmp_path / "part.yaml"
    fragment.write_text(f"b: ${{file:{fragment}}}\n")

    _, faults = _expand(f"a: ${{file:{fragment}}}")

    assert len(faults) == 1
    assert "expansions" in faults[0]


def _send_config(options: str, environ: dict[str, str]) -> SendConfig:
    config = load_text(with_exporter(options), environ=environ).config
    found = config.exporters["otlp_http"].config
    assert isinstance(found, SendConfig)
    return found


@pytest.mark.parametrize(
    "secret",
    ["00123", "123", "1e5", "true", "[x", "{x}", "[1, 2]", "a: b", "#x", "'x", "$x", "${X}"],
)
def test_a_string_field_gets_the_text(secret: str) -> None:
    """Whatever YAML makes of a value, a field that wants a string gets it unchanged."""
    config = _send_config(
        "{endpoint: '${E}', api_key: '${env:K}', labels: {k: '${K}'}, headers: {x: '${K}'}}",
        {"E": "e", "K": secret},
    )

    assert config.api_key == SecretStr(secret)
    assert config.labels == {"k": secret}
    assert config.headers == {"x": SecretStr(secret)}


def test_other_fields_get_the_value() -> None:
    """Numbers, booleans, durations and whole mappings come from the environment too."""
    config = _send_config(
        "{endpoint: e, retries: '${R}', verbose: '${V}', wait: '${W}', tls: '${T}'}",
        {"R": "7", "V": "true", "W": "2s", "T": "{cert_file: c}"},
    )

    assert (config.retries, config.verbose, config.wait) == (7, True, 2.0)
    assert config.tls is not None
    assert config.tls.cert_file == "c"


def test_an_unset_variable_hides_what_follows_from_it() -> None:
    """One missing variable is one fault, beside the faults that have other reasons."""
    faults = faults_of(with_exporter("{endpoint: '${E}', retries: '${R}', verbse: true}"))

    assert [fault.path for fault in faults] == [
        "exporters.otlp_http.endpoint",
        "exporters.otlp_http.retries",
        "exporters.otlp_http.verbse",
    ]


def test_an_expanded_value_is_not_shown() -> None:
    """A fault in a value from outside names the expression."""
    faults = faults_of(
        with_exporter("{endpoint: x, retries: '${R}'}"), environ={"R": "hush, a secret"}
    )

    assert [fault.message for fault in faults] == [
        "expected a whole number, got what ${R} stands for"
    ]


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("${}:-env:aHOST'$ \n"), max_size=40))
def test_any_text_is_expanded_or_refused(text: str) -> None:
    """No value makes the expander raise, and doubling every dollar makes it literal."""
    place = Place("f", 1, 1)
    node = MapNode(place, {"a": Entry(place, Scalar(text, place))})
    expand(node, ENVIRON, [])
    doubled = MapNode(place, {"a": Entry(place, Scalar(text.replace("$", "$$"), place))})
    faults: list[Fault] = []

    assert plain(expand(doubled, ENVIRON, faults)) == {"a": text}
    assert faults == []
