"""Secrets that somebody writes so that they pass: odd separators, escapes, names and places."""

from __future__ import annotations

import json

import pytest

from genai_collector.formats.otlp import batch_from_protobuf, batch_of
from genai_collector.model import Signal, Span, Value
from genai_collector.processors.redact import Redact, RedactConfig
from genai_collector.processors.redact import texts as texts_module
from tests.support.fakes import CountingTelemetry, make_context

NB, THIN, NB_HYPHEN = "\u00a0", "\u2009", "\u2011"
PASSWORD = "hunter2secret9"
KEY = "sk-proj-abcDEF1234567890abcd"

SMUGGLED: dict[str, tuple[Value, str]] = {
    "percent in address": ("https://h/?to=jane.doe%40corp.example", "jane.doe"),
    "entity": ("jane.doe&#64;corp.example", "jane.doe"),
    "named entity": ("jane.doe&commat;corp.example", "jane.doe"),
    "wide @": ("jane.doe\uff20corp.example", "jane.doe"),
    "wide @ escaped": ('{"a": "jane.doe\\uff20corp.example"}', "jane.doe"),
    "Moldova": ("jane.doe@corp.md", "jane.doe"),
    "card nbsp": (f"4111{NB}1111{NB}1111{NB}1111", "1111"),
    "card nbsp escaped": ('{"a": "4111\\u00a01111\\u00a01111\\u00a01111"}', "1111"),
    "card nbsp escaped twice": (json.dumps(['["4111\\u00a01111\\u00a01111\\u00a01111"]']), "1111"),
    "card thin": (f"4111{THIN}1111{THIN}1111{THIN}1111", "1111"),
    "card hyphen": (f"4111{NB_HYPHEN}1111{NB_HYPHEN}1111{NB_HYPHEN}1111", "1111"),
    "card dots": ("4111.1111.1111.1111", "1111"),
    "card two spaces": ("4111  1111  1111  1111", "1111"),
    "card double": (4111111111111111.0, "4111"),
    "iban nbsp": (f"DE89{NB}3704{NB}0044{NB}0532{NB}0130{NB}00", "0532"),
    "iban hyphens": ("DE89-3704-0044-0532-0130-00", "0532"),
    "phone nbsp": (f"+1{NB}415{NB}555{NB}2671", "555"),
    "key behind underscore": ("key_AKIAPLANTEDKEYABCDE2", "PLANTED"),
    "key behind percent": (f"https://h/?q=%22{KEY}%22", "1234567890"),
    "environment": ("OPENAI_API_KEY=abcdef1234567890\nHOME=/root", "abcdef"),
    "export": (f"export DB_PASSWORD='{PASSWORD}'", PASSWORD),
    "yaml": (f"db:\n  password: {PASSWORD}\n", PASSWORD),
    "header line": ("X-Api-Key: abcdef1234567890", "abcdef"),
    "curl": ("curl -H 'x-api-key: abcdef1234567890' https://h", "abcdef"),
    "call": (f"connect(user='me', password='{PASSWORD}')", PASSWORD),
    "form": (f"user=a&password={PASSWORD}&x=1", PASSWORD),
    "dsn": (f"Server=h;User Id=u;Password={PASSWORD};", PASSWORD),
    "json5": (f"{{password: '{PASSWORD}'}}", PASSWORD),
    "xml": (f"<db><password>{PASSWORD}</password></db>", PASSWORD),
    "xml attribute": (f'<db password="{PASSWORD}"/>', PASSWORD),
    "bytes in Python": (f"{{b'password': b'{PASSWORD}'}}", PASSWORD),
    "list cut off": (f'{{"password": ["{PASSWORD}"], "z', PASSWORD),
    "object cut off": (f'{{"credentials": {{"a": "{PASSWORD}"', PASSWORD),
    "cut off in an escape": (json.dumps(json.dumps({"password": PASSWORD}))[:-3], PASSWORD),
    "fragment": (f"https://h/#access_token={PASSWORD}", PASSWORD),
    "entity in query": (f"https://h/?a=1&amp;token={PASSWORD}", PASSWORD),
    "@ in password": ("postgres://u:p@ss-word@h/db", "ss-word"),
    "key in brackets": (json.dumps({"user[password]": PASSWORD}), PASSWORD),
    "key behind colon": (json.dumps({"db:password": PASSWORD}), PASSWORD),
    "own api key": (json.dumps({"ACME_API_KEY": "abc"}), "abc"),
}  # fmt: skip


def _redact(telemetry: CountingTelemetry | None = None) -> Redact:
    return Redact(RedactConfig(), make_context("redact", telemetry=telemetry))


def _through(value: Value) -> Value:
    """What becomes of an attribute that came as bytes."""
    sent = batch_of(Signal.TRACES, [Span(attributes={"note": value})]).encoded()
    batch = _redact().process(batch_from_protobuf(Signal.TRACES, sent))
    return batch.view_spans()[0].attributes["note"]


@pytest.mark.parametrize(("value", "core"), SMUGGLED.values(), ids=SMUGGLED)
def test_smuggled(value: Value, core: str) -> None:
    """It is found, also inside JSON and inside JSON that was cut off."""
    assert core not in str(_through(value))
    if isinstance(value, str):
        assert core not in str(_through(json.dumps([value])))
        assert core not in str(_through(json.dumps([json.dumps([value])])[:-4]))


def test_number_in_json() -> None:
    """A card that was written as a double is found in JSON, also with a sign."""
    for written in ("4111111111111111.0", "-4111111111111111"):
        text = f'{{"n": {written}, "mail": "a@b.example"}}'
        assert "4111" not in str(_through(text))


INNOCENT = (
    "password = os.environ['DB_PASSWORD']", "api_key: str = Field(...)", "password: required field",
    "the password is checked", "def login(password, token):", "secret = get_secret(name)",
    "password=None", "api_key=settings.api_key", "<password>", "<password></password>",
    "see README.md@v1.2", "4.1111.2222", "version 4111.1111.1111.1112", "import x as pwd",
)  # fmt: skip


@pytest.mark.parametrize("text", INNOCENT)
def test_innocent(text: str) -> None:
    """Programs and prose that name a secret and have none stay as they are."""
    assert _through(text) == text


def test_hostile_batch_is_given_up() -> None:
    """A batch that is made of what is costly to look at costs so much and no more: what is behind
    that is masked unseen, and the next batch is looked at as ever."""
    telemetry = CountingTelemetry()
    redact = _redact(telemetry)
    most = texts_module.MAX_WORK // 80
    values: list[Value] = [f"a{n}@b{n}.example" for n in range(most + 100)]
    masked = redact.process(batch_of(Signal.TRACES, [Span(attributes={"all": values})]))
    said = masked.view_spans()[0].attributes["all"]
    assert isinstance(said, list)
    assert said[0] == "[REDACTED:email]"
    assert said[-1] == "[REDACTED:unreadable]"
    assert set(map(str, said)) == {"[REDACTED:email]", "[REDACTED:unreadable]"}
    (after,) = redact.process(
        batch_of(Signal.TRACES, [Span(attributes={"a": values[-1]})])
    ).view_spans()
    assert after.attributes == {"a": "[REDACTED:email]"}
