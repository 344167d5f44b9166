"""redact: where it looks, what it writes, what it leaves alone."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from genai_collector.formats.otlp import batch_from_protobuf, batch_of
from genai_collector.model import (
    EntityRef,
    Event,
    Exemplar,
    Gauge,
    Link,
    LogRecord,
    Metric,
    NumberPoint,
    Resource,
    Scope,
    Signal,
    Span,
    Value,
)
from genai_collector.processors.redact import Redact, RedactConfig
from tests.processors.items import logs, metrics, record, span, spans
from tests.redaction.planting import PLANTS
from tests.support.fakes import CountingTelemetry, make_context

MAIL = "bob@mail-example.org"
MASKED = "[REDACTED:email]"
HASH_KEY = "0123456789abcdef"


def redact(telemetry: CountingTelemetry | None = None, /, **options: Any) -> Redact:
    return Redact(RedactConfig.model_validate(options), make_context("redact", telemetry=telemetry))


def one(value: Value, **options: Any) -> Value:
    """What an attribute becomes."""
    batch = spans(span(note=value))
    return redact(**options).process(batch).view_spans()[0].attributes.get("note")


# ---- where -------------------------------------------------------------------------------------


def test_every_place_of_a_span() -> None:
    """Name, status, attributes, events, links, resource, scope, trace state, schema addresses."""
    full = Span(
        trace_id=b"\1" * 16, span_id=b"\2" * 8, name=f"ask {MAIL}", trace_state=f"v={MAIL}",
        status_message=f"no such user {MAIL}",
        attributes={MAIL: [MAIL, {"a": MAIL}, MAIL.encode()]},
        events=[Event(f"to {MAIL}", 5, {"to": MAIL}, 1), Event("other", 6)],
        links=[Link(b"\3" * 16, b"\4" * 8, f"v={MAIL}", {"to": MAIL}, 1, 1)],
        resource=Resource({"owner": MAIL}, 1, [EntityRef("service", [MAIL], [])], f"https://u:{MAIL}/"),
        scope=Scope(MAIL, "1", {"by": MAIL}),
    )  # fmt: skip
    batch = redact().process(spans(full))
    assert MAIL.encode() not in batch.encoded()
    [found] = batch.view_spans()
    assert found.attributes == {MASKED: [MASKED, {"a": MASKED}, MASKED.encode()]}
    assert (found.name, found.trace_state) == (f"ask {MASKED}", "")
    assert [(event.name, event.time_ns) for event in found.events] == [
        (f"to {MASKED}", 5),
        ("other", 6),
    ]
    assert found.events[0].dropped_attributes_count == 1
    assert (found.links[0].attributes, found.links[0].trace_id) == ({"to": MASKED}, b"\3" * 16)
    assert found.resource.entity_refs[0].id_keys == [MASKED]
    assert (found.resource.dropped_attributes_count, found.scope.version) == (1, "1")


def test_every_place_of_logs_and_metrics() -> None:
    """Bodies of any shape; data points, exemplars and descriptions."""
    odd = LogRecord(body={"who": [MAIL, 7, None]}, severity_text=MAIL, event_name=MAIL,
                    attributes={"to": MAIL})  # fmt: skip
    batch = redact().process(logs(odd, record(MAIL)))
    assert MAIL.encode() not in batch.encoded()
    assert batch.view_logs()[0].body == {"who": [MASKED, 7, None]}
    point = NumberPoint(attributes={"to": MAIL}, value=3,
                        exemplars=[Exemplar(filtered_attributes={"to": MAIL})])  # fmt: skip
    metric = Metric(name="m", description=MAIL, unit="1", data=Gauge(points=[point]),
                    metadata={"by": MAIL})  # fmt: skip
    batch = redact().process(metrics(metric))
    assert MAIL.encode() not in batch.encoded()
    assert batch.count == 1


JSON = {
    "a string": (f'{{"a": "{MAIL}"}}', f'{{"a": "{MASKED}"}}'),
    "spacing, order, numbers": (
        f'{{ "b":1.50,\n"a" :["{MAIL}" ,1E5, 12345678901234567890123]}}',
        f'{{ "b":1.50,\n"a" :["{MASKED}" ,1E5, 12345678901234567890123]}}'),
    "a key": (f'{{"{MAIL}": 1, "x{MAIL}": 2}}', f'{{"{MASKED}": 1, "{MASKED}~2": 2}}'),
    "a key that occurs twice": (f'{{"a": "{MAIL}", "a": 1}}', f'{{"a": "{MASKED}", "a": 1}}'),
    "JSON in JSON in JSON": (
        json.dumps({"a": json.dumps({"b": json.dumps([MAIL, "é"])})}),
        json.dumps({"a": json.dumps({"b": json.dumps([MASKED, "é"])})})),
    "escaped": ('["bob\\u0040mail-example.org"]', f'["{MASKED}"]'),
    "a solidus escaped": ('["postgres:\\/\\/u:secretpw@h\\/d"]',
                          '["postgres://[REDACTED:url_password]@h/d"]'),
    "other letters stay as written": (f'["\\u00e9 {MAIL}", "\\u00e9"]',
                                      f'["\\u00e9 {MASKED}", "\\u00e9"]'),
    "letters stay plain": (f'["é {MAIL}"]', f'["é {MASKED}"]'),
    "a card as a number": ('{"card": 4111111111111111, "n": 4111111111111112}',
                           '{"card": "[REDACTED:card]", "n": 4111111111111112}'),
    "NaN": (f'{{"a": NaN, "b": "{MAIL}"}}', f'{{"a": NaN, "b": "{MASKED}"}}'),
    "a lone surrogate": (f'["\\ud800 {MAIL}"]', f'["\\ud800 {MASKED}"]'),
    "cut off": (f'{{"a": "line\\n{MAIL} and', f'{{"a": "line\\n{MASKED} and'),
    "cut off, escaped": ('{"a": "{\\"b\\": \\"bob\\u0040mail-example.org\\", \\"c',
                         f'{{"a": "{{\\"b\\": \\"{MASKED}\\", \\"c'),
    "a key of a secret": ('{"Api-Key": {"a": ["}"]}, "apiKey":"x", "n": null}',
                          '{"Api-Key": "[REDACTED:key]", "apiKey":"[REDACTED:key]", "n": null}'),
    "nothing to hide": ('{"password": null, "secret": "", "api_key": true}', None),
    "a path": ('[[["metadata","password"],{"a":1}],[["x"],2]]',
               '[[["metadata","password"],"[REDACTED:key]"],[["x"],2]]'),
    "a schema": ('{"required": ["user", "password"], "type": "object"}', None),
    "Python's dict": ("{'password': 'x1', 'n': 1}", "{'password': '[REDACTED:key]', 'n': 1}"),
    "JSON in prose": ('so: {"api_key": "x1"} is it', 'so: {"api_key": "[REDACTED:key]"} is it'),
    "cut off below a key": ('{"n": 1, "password": "abc', '{"n": 1, "password": "[REDACTED:key]'),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), JSON.values(), ids=JSON)
def test_json_in_texts(text: str, expected: str | None) -> None:
    """Secrets in JSON go, everything else of it stays to the byte."""
    assert one(text) == (text if expected is None else expected)


def test_keys_of_attributes() -> None:
    """Whole values go, whatever they are, by the whole key or its last part."""
    attributes: dict[str, Any] = {
        "http.request.header.authorization": ["Basic abc"], "API_KEY": 5, "x-api-key": b"abc",
        "db.password": {"a": 1}, "secret": None, "cookie": False, "gen_ai.usage.input_tokens": 7,
    }  # fmt: skip
    [found] = redact().process(batch_of(Signal.TRACES, [Span(attributes=attributes)])).view_spans()
    hidden = dict.fromkeys(list(attributes)[:4], "[REDACTED:key]")
    assert found.attributes == {**attributes, **hidden}


@pytest.mark.parametrize("key", ["api__key", "a.b.API KEY", "My-Pass-Word"])
def test_keys_as_they_are_spelt(key: str) -> None:
    """Also when nothing else in the encoded batch is a hint."""
    batch = redact().process(spans(Span(attributes={key: "x1", "t": json.dumps({key: "x2"})})))
    hidden = json.dumps({key: "[REDACTED:key]"})
    assert batch.view_spans()[0].attributes == {key: "[REDACTED:key]", "t": hidden}


HOSTILE = (
    "4111 ", "4", "eyJ", "eyJaaaaaa.", "@", "a@", "a.", '"', '"password": ', "'password':'", "\\",
    "\\n", "\\u0040", "://a:", "-----BEGIN PRIVATE KEY-----", "+1", "+1 1 ", "4-", "DE89", "sk-",
    "bearer ", "?key=", '["password",', "aws secret ", "01 23 ", "[REDACTED:card]",
)  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_texts_take_bounded_time(unit: str) -> None:
    """What begins like a secret again and again costs little more than its length, as it is and
    inside JSON."""
    text = unit * (200_000 // len(unit))
    began = time.process_time()
    one(text)
    one(json.dumps([text]))
    assert time.process_time() - began < 3.0


def test_own_keys() -> None:
    """Names with `*`, at any depth; a removed attribute is gone, a removed member null."""
    batch = spans(
        span(badge="7", nested={"staffBadge": 7}, text='{"staff_badge": {"a": 1}, "b": 2}')
    )
    keys = {"names": ["*badge"], "built_in": False, "action": "remove"}
    [found] = redact(keys=keys).process(batch).view_spans()
    assert found.attributes == {"nested": {}, "text": '{"staff_badge": null, "b": 2}'}


# ---- what is left alone ------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"custom": [{"name": "own", "pattern": "x{9}"}]}], ids=str)
def test_without_secrets_bytes_stay(options: dict[str, Any]) -> None:
    """The very bytes that came; with built-in rules alone not even decoded."""
    batch = spans(span(note="hello", more='{"a": [1, 2.50]}'))
    data = batch.encoded()
    result = redact(**options).process(batch)
    assert result is batch
    assert batch.is_encoded
    assert batch.encoded() is data
    assert batch.is_decoded is bool(options)


def test_events_without_a_hint_stay_encoded() -> None:
    """A secret in an attribute does not cost the events their bytes."""
    batch = spans(Span(attributes={"to": MAIL}, events=[Event("e", 1, {"a": "b"})]))
    [found] = redact().process(batch).view_spans()
    assert found.encoded_events is not None


def test_allow() -> None:
    """A secret that is allowed as a whole stays, and so does everything below an allowed key."""
    allow = {"patterns": [r".*@mail-example\.org"], "keys": ["contact", "owner"]}
    options: dict[str, Any] = {"allow": allow}
    assert one(f"{MAIL} eve@other.org", **options) == f"{MAIL} {MASKED}"
    text = '{"contact": {"password": "eve@other.org"}, "b": "eve@other.org"}'
    assert one(text, **options) == text.replace('"b": "eve@other.org"', f'"b": "{MASKED}"')
    batch = spans(span(owner=["eve@other.org"]))
    assert redact(**options).process(batch).view_spans()[0].attributes == {
        "owner": ["eve@other.org"]
    }


# ---- actions -----------------------------------------------------------------------------------


def test_hash() -> None:
    """The same for the same secret, however it is written and wherever; another for another key,
    another secret; nothing in it is a digit."""
    options: dict[str, Any] = {"action": "hash", "hash_key": HASH_KEY}
    card = one("4111 1111 1111 1111", **options)
    assert card == one(4111111111111111, **options)
    assert card == one("4111-1111-1111-1111", **options)
    inside = one(f'["{MAIL.upper()}"]', **options)
    assert isinstance(inside, str)
    assert json.loads(inside) == [one(MAIL, **options)]
    assert one(MAIL, **options) != one(f"a{MAIL}", **options)
    assert card != one("4111 1111 1111 1111", action="hash", hash_key=HASH_KEY + "x")
    assert isinstance(card, str)
    assert card.startswith("[card:")
    assert not any(char.isdigit() for char in card)


def test_other_actions() -> None:
    """partial leaves four characters of what is long enough; remove leaves nothing; a detector's
    own action wins."""
    assert one("card 4111 1111 1111 1111", action="partial") == "card [REDACTED:card:1111]"
    assert one("<a@b.cd>", action="partial") == f"<{MASKED}>"
    assert one(f"to {MAIL}.", action="remove") == "to ."
    assert (
        one(f"{MAIL} 536-22-1234", detectors={"email": "remove", "us_ssn": "off"}) == " 536-22-1234"
    )


def test_custom() -> None:
    """Own patterns, anchors included, in each string of JSON; of a group only the group goes."""
    rules = [{"name": "staff", "pattern": "^EMP-[0-9]+$"}, {"name": "ref", "pattern": "ref=(\\w+)"},
             {"name": "word", "pattern": "(?i)redacted"}]  # fmt: skip
    assert one('["EMP-1", "no EMP-1"]', custom=rules) == '["[REDACTED:staff]", "no EMP-1"]'
    assert one("a ref=b c", custom=rules) == "a ref=[REDACTED:ref] c"
    assert one("is Redacted", custom=rules) == "is [REDACTED:word]"


def test_custom_patterns_take_linear_time() -> None:
    """What makes a backtracking engine endless is nothing here."""
    text = "a" * 200_000
    assert one(text, custom=[{"name": "evil", "pattern": "(a+)+$|(a|aa)*b"}]) == "[REDACTED:evil]"


# ---- what cannot be looked into ----------------------------------------------------------------


def _deep(levels: int) -> str:
    text = MAIL
    for _ in range(levels):
        text = json.dumps([text])
    return text


UNREADABLE = {
    "too many secrets": " ".join(f"u{at}@mail-example.org" for at in range(10_001)),
    "too many candidates": "4111 " * 50_010,
    "JSON too deep in JSON": _deep(10),
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_looked_into(text: str) -> None:
    """Goes whole, or passes when told so; counted either way, alone."""
    for closed, expected in ((True, "[REDACTED:unreadable]"), (False, text)):
        telemetry = CountingTelemetry()
        batch = redact(telemetry, fail_closed=closed).process(spans(span(note=text)))
        assert batch.view_spans()[0].attributes == {"note": expected}
        assert telemetry.counts == {("redacted", "redact", "unreadable"): 1}


def test_bytes_that_are_no_text() -> None:
    """Are searched as they are."""
    assert one(b"\xff\xfe bob@mail-example.org \x00") == b"\xff\xfe [REDACTED:email] \x00"


# ---- books and configuration -------------------------------------------------------------------


def test_counts() -> None:
    """Secrets by rule, each time the batch comes by; never what they were."""
    telemetry = CountingTelemetry()
    processor = redact(telemetry)
    for _ in range(2):
        processor.process(spans(span(note=f"{MAIL} {MAIL} +14155552671", password="x")))
    assert telemetry.counts == {
        ("redacted", "redact", "email"): 4,
        ("redacted", "redact", "phone"): 2,
        ("redacted", "redact", "key"): 2,
    }


BAD: dict[str, dict[str, Any]] = {
    "no detector 'mail'": {"detectors": {"mail": "mask"}},
    "needs a hash_key of at least 16": {"action": "hash"},
    "at least 16 characters": {"detectors": {"email": "hash"}, "hash_key": "short"},
    "is taken": {"custom": [{"name": "email", "pattern": "x"}]},
    "no look-around": {"custom": [{"name": "own", "pattern": "(?<=a)b"}]},
    "not a pattern": {"allow": {"patterns": ["("]}},
}


@pytest.mark.parametrize(("message", "options"), BAD.items(), ids=list(BAD))
def test_bad_configurations(message: str, options: dict[str, Any]) -> None:
    """Are refused with what is wrong, and without the key."""
    with pytest.raises(ValidationError, match=message) as refused:
        RedactConfig.model_validate(options)
    assert "short" not in str(refused.value.errors(include_input=False))


# ---- laws --------------------------------------------------------------------------------------

_pieces = st.lists(
    st.one_of(
        st.sampled_from([plant.text for plant in PLANTS]),
        st.sampled_from(["[REDACTED:email]", "[card:abcdefghijklmnop]", "\\", "\\n", '"', "'", ": ",
                         "{", "}", "[", "]", ",", "password", "@", "4111 ", "-", " ", "://"]),
        st.text(max_size=6),
    ), max_size=8,
).map("".join)  # fmt: skip
_values = st.recursive(
    st.one_of(_pieces, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_pieces, inner, max_size=3)
    ),
    max_leaves=6,
)
_texts = st.one_of(
    _pieces, _values.map(json.dumps), _values.map(lambda v: json.dumps(v, ensure_ascii=False))
)
_options: list[dict[str, Any]] = [
    {},
    {"action": "remove"},
    {"action": "partial"},
    {"action": "hash", "hash_key": HASH_KEY, "custom": [{"name": "own", "pattern": "[A-Z]{4,}"}]},
]


@pytest.mark.parametrize("options", _options, ids=["mask", "remove", "partial", "hash"])
@settings(max_examples=150, deadline=None)
@given(text=_texts)
def test_twice_is_once(options: dict[str, Any], text: str) -> None:
    """The second time nothing changes; JSON stays JSON."""
    once = one(text, **options)
    assert one(once, **options) == once
    try:
        said = json.loads(text)
    except ValueError:
        return
    if isinstance(said, (dict, list, str)):  # a number alone is a text like any other
        assert isinstance(once, str)
        json.loads(once)


@pytest.mark.parametrize("value", [378282246310005, 4111111111111111, 30569309025904])
def test_cards_as_integers(value: int) -> None:
    """Protobuf does not write them in digits; they are found all the same, alone in a batch."""
    batch = redact().process(batch_of(Signal.TRACES, [Span(attributes={"n": value})]))
    assert batch.view_spans()[0].attributes == {"n": "[REDACTED:card]"}
    batch = redact().process(spans(Span(attributes={"n": value})))
    assert batch.view_spans()[0].attributes == {"n": "[REDACTED:card]"}


@settings(max_examples=150, deadline=None)
@given(values=st.dictionaries(_pieces, _values, max_size=3), plant=st.sampled_from(PLANTS))
def test_hints_find_all(values: dict[str, Value], plant: Any) -> None:
    """What is redacted in decoded attributes is redacted when the batch comes as bytes: the search
    for hints in bytes misses nothing, wherever in JSON in JSON the secret is."""
    for value in (
        plant.text,
        json.dumps([plant.text]),
        json.dumps({"a": json.dumps([plant.text])}),
    ):
        attributes = {**values, "note": value}
        decoded = redact().process(batch_of(Signal.TRACES, [Span(attributes=dict(attributes))]))
        came = batch_of(Signal.TRACES, [Span(attributes=dict(attributes))]).encoded()
        received = redact().process(batch_from_protobuf(Signal.TRACES, came))
        assert received.encoded() == decoded.encoded()
        assert plant.core not in str(received.view_spans()[0].attributes["note"])
