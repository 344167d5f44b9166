"""Warnings of what a configuration needs and this machine or its pipelines do not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from genai_collector.components import all_factories
from genai_collector.configfile import load
from genai_collector.errors import ConfigError

TEMPLATE = """
receivers:
  otlp: {{ protocols: {{ http: {{ endpoint: "localhost:4318", tls: {tls} }} }} }}
exporters:
  otlp_http: {{ endpoint: "https://backend.example", tls: {client_tls} }}
extensions:
  file_storage: {{ directory: {directory} }}
  bearertokenauth: {{ filename: {tokens} }}
  basicauth: {{ htpasswd: {{ file: {users} }} }}
  basicauth/out: {{ client_auth: {{ username: u, password_file: {password} }} }}
service:
  extensions: [file_storage, bearertokenauth, basicauth, basicauth/out]
  pipelines:
    traces: {{ receivers: [otlp], exporters: [otlp_http] }}
"""


def _warnings(text: str) -> list[str]:
    loaded = load([f"yaml:{text}"], [], all_factories(), {})
    return [f"{one.path}: {one.message}" for one in loaded.warnings]


def _filled(path: Path) -> str:
    return TEMPLATE.format(
        tls=f"{{cert_file: {path}/c, key_file: {path}/k, client_ca_file: {path}/a}}",
        client_tls=f"{{ca_file: {path}/ca}}",
        directory=path / "storage",
        tokens=path / "tokens",
        users=path / "users",
        password=path / "password",
    )


def test_files_that_are_not_there(tmp_path: Path) -> None:
    """Each is named at the option that names it; with all of them there is no warning."""
    http = "receivers.otlp.protocols.http.tls"
    wanted = {
        "c": f"{http}.cert_file",
        "k": f"{http}.key_file",
        "a": f"{http}.client_ca_file",
        "ca": "exporters.otlp_http.tls.ca_file",
        "tokens": "extensions.bearertokenauth.filename",
        "users": "extensions.basicauth.htpasswd.file",
        "password": "extensions.basicauth/out.client_auth.password_file",
    }
    text = _filled(tmp_path)
    assert set(_warnings(text)) == {
        f"{option}: there is no file {tmp_path / file} on this machine"
        for file, option in wanted.items()
    }
    for file in wanted:
        (tmp_path / file).touch()
    assert _warnings(text) == []


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A storage below a file; one that is not there yet is no fault, and validating makes none."""
    (tmp_path / "file").touch()
    text = """
    receivers: {otlp: }
    exporters: {debug: }
    extensions: {file_storage: {directory: DIRECTORY}}
    service:
      extensions: [file_storage]
      pipelines: {traces: {receivers: [otlp], exporters: [debug]}}
    """
    below = tmp_path / "file" / "storage"
    (found,) = _warnings(text.replace("DIRECTORY", str(below)))
    assert found.startswith("extensions.file_storage: ")
    assert found.endswith("is no directory on this machine")
    assert _warnings(text.replace("DIRECTORY", str(tmp_path / "new" / "storage"))) == []
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ("dead_letters: {max_size: 1TiB}", True),
        ("dead_letters: {enabled: false}", False),
        ("dead_letters: {storage: file_storage}", False),
        ("dead_letters: {max_size: 1GiB}, sending_queue: {storage: file_storage}", False),
        ("sending_queue: {queue_size: 1MiB}", False),
    ],
)
def test_dead_letters_need_a_storage(options: str, warned: bool, tmp_path: Path) -> None:
    """Who writes about them and names no storage is told that nothing is kept."""
    found = _warnings(
        f"""
        receivers: {{otlp: }}
        exporters: {{otlp_http: {{endpoint: "https://backend.example", {options}}}}}
        extensions: {{file_storage: {{directory: {tmp_path}}}}}
        service:
          extensions: [file_storage]
          pipelines: {{traces: {{receivers: [otlp], exporters: [otlp_http]}}}}
        """
    )
    assert [one.split(": ")[0] for one in found] == ["exporters.otlp_http.dead_letters"] * warned


def test_what_is_no_path_at_all() -> None:
    """A NUL in a file name is a warning like any other, in a directory a fault with its place."""
    text = """
    receivers: {otlp: }
    exporters: {debug: }
    extensions: {OPTIONS}
    service: {extensions: [], pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}
    """
    warnings = _warnings(text.replace("OPTIONS", 'bearertokenauth: {filename: "\\0"}'))
    assert [one for one in warnings if "there is no file" in one]
    with pytest.raises(ConfigError, match=r"file_storage\.directory: expected a path"):
        _warnings(text.replace("OPTIONS", 'file_storage: {directory: "\\0"}'))


@pytest.mark.parametrize(
    ("fed", "missing"),
    [
        (["traces"], "no events will come"),
        (["logs"], "no spans will come"),
        (["traces", "logs"], None),
    ],
)
def test_what_joins_two_signals_needs_both(fed: list[str], missing: str | None) -> None:
    """`genai_events` behind one of them only passes it on: a warning says which is missing."""
    pipelines = ", ".join(
        f"{one}/in: {{receivers: [otlp], exporters: [genai_events]}}" for one in fed
    )
    found = _warnings(
        f"""
        receivers: {{otlp: }}
        exporters: {{debug: }}
        connectors: {{genai_events: }}
        service:
          pipelines: {{{pipelines}, {fed[0]}: {{receivers: [genai_events], exporters: [debug]}}}}
        """
    )
    assert [one.split(": ")[1] for one in found] == ([missing] if missing else [])
