"""The detectors, one by one: what they find and what they leave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genai_collector.components import all_factories
from genai_collector.configfile import load
from genai_collector.processors.redact.checks import is_card, luhn
from genai_collector.processors.redact.config import RedactConfig
from genai_collector.processors.redact.detectors import DETECTORS, NAMES
from genai_collector.processors.redact.rules import Rules
from genai_collector.processors.redact.texts import Texts
from tests.redaction.planting import PLANTS, Plant
from tests.support.captures import ROOT

ALL_ON = RedactConfig(detectors=dict.fromkeys(NAMES, "on"))


def found(text: str, config: RedactConfig = ALL_ON) -> str:
    new = Texts(Rules(config), fail_closed=True).change(text)
    return text if new is None else new


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: f"{plant.rule}-{plant.core}")
def test_each_secret_is_found_by_its_own_detector(plant: Plant) -> None:
    """In the middle of a text, at its ends, and in quotes."""
    rule, text, core = plant
    for surrounding in ("{}", "see {} there", '"{}"', "({})", "a={}; b=1", "\n{}\n", "{}. Then"):
        new = found(surrounding.format(text))
        assert core not in new
        assert f"[REDACTED:{rule}]" in new


def test_every_detector_has_a_plant() -> None:
    """A detector without one is not covered by the corpus."""
    assert {plant.rule for plant in PLANTS} | {"ipv4", "ipv6"} == set(NAMES)
    assert {one.name for one in DETECTORS if not one.on} == {"ipv4", "ipv6"}


FOUND = {
    "year in front of a card": ("2024 4111 1111 1111 1111", "2024 [REDACTED:card]"),
    "number behind a card": ("4111 1111 1111 1111 123 x", "[REDACTED:card] 123 x"),
    "number behind a phone": ("+1 415 555 2671 20240101", "[REDACTED:phone] 20240101"),
    "words behind an IBAN": ("DE89 3704 0044 0532 0130 00 PAID", "[REDACTED:iban] PAID"),
    "card behind a dash": ("no-4111111111111111", "no-[REDACTED:card]"),
    "two in a row": ("a@b.org c@d.org", "[REDACTED:email] [REDACTED:email]"),
    "e-mail in brackets": ("Bob <bob@mail.co.uk>", "Bob <[REDACTED:email]>"),
    "user and password": ("https://u:p@h/p", "https://[REDACTED:url_password]@h/p"),
    "basic": ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic [REDACTED:authorization]"),
    "parameter": ("?x=1&access_token=abcdefgh12&y", "?x=1&access_token=[REDACTED:url_parameter]&y"),
    "cut PEM": ("a -----BEGIN PRIVATE KEY-----\nMII", "a [REDACTED:private_key]"),
    "French": ("au 01 23 45 67 89.", "au [REDACTED:phone]."),
    "British": ("call 020 7946 0958", "call [REDACTED:phone]"),
    "IPv4": ("from 192.168.17.4:80", "from [REDACTED:ipv4]:80"),
    "IPv6": ("from 2001:db8::17 on", "from [REDACTED:ipv6] on"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), FOUND.values(), ids=FOUND)
def test_borders(text: str, expected: str) -> None:
    """Just the secret goes, whatever stands beside it."""
    assert found(text) == expected


LEFT = {
    "wrong check digit": "4111 1111 1111 1112",
    "no issuer": "1111 1111 1111 1117",
    "a fraction": "0.4111111111111111",
    "a longer number": "94111111111111111",
    "in an id": "a4111111111111111",
    "wrong IBAN": "DE88 3704 0044 0532 0130 00",
    "no country": "XX89 3704 0044 0532 0130 00",
    "nanoseconds": "1732170000000000000",
    "uuid": "12345678-1234-4234-8234-123456789012",
    "a date and a time": "2026-11-21 03:25:00.123456",
    "time zone": "2026-11-21T03:25:00+0000",
    "a sum": "5 +12, +1.5, 1e+10",
    "a decorator": "@app.get('/x')",
    "a repository": "git@github.com:a/b.git",
    "an image": "icon@2x.png",
    "a matrix product": "a@b.transpose()",
    "a package": "npm i @scope/pkg@1.2.3",
    "no number is given so": "000-12-3456, 666-12-3456, 923-12-3456, 123-00-4567",
    "no JWT": "eyJub3RKc29u.eyJub3RKc29u.abc",
    "a slug": "task-sk-a, sk-learn-is-a-library, risk-management-system-for-all",
    "a word": "bearer securities, authorization required",
    "user without password": "https://user@host/p?keyboard=12345678",
    "a version": "1.2.3.4.5",
    "a time": "12:30:45",
}


@pytest.mark.parametrize("text", LEFT.values(), ids=LEFT)
def test_what_only_looks_so(text: str) -> None:
    """Stays."""
    assert found(text) == text


@given(st.integers(10**13, 10**18))
def test_luhn(number: int) -> None:
    """Of ten numbers that differ in the last digit exactly one has the right one; a card has it."""
    family = [str(number * 10 + digit).encode() for digit in range(10)]
    assert sum(map(luhn, family)) == 1
    assert all(luhn(one) for one in family if is_card(one))


def test_off() -> None:
    """A detector that is off finds nothing, the others do."""
    config = RedactConfig(detectors={"email": "off", "ipv4": "mask"})
    assert found("a@b.org 10.1.2.3", config) == "a@b.org [REDACTED:ipv4]"


CONFIG = """
receivers: {otlp: {protocols: {http: }}}
processors: {redact: , truncate: {max_text: 1KiB}}
exporters: {debug: }
service: {pipelines: {traces: {receivers: [otlp], processors: [ORDER], exporters: [debug]}}}
"""


@pytest.mark.parametrize(
    ("order", "warns"), [("redact, truncate", False), ("truncate, redact", True)]
)
def test_order_of_redact_and_truncate(order: str, warns: bool) -> None:
    """Truncating first is warned about: half a secret is not recognised."""
    loaded = load([f"yaml:{CONFIG.replace('ORDER', order)}"], [], all_factories(), {})
    said = [
        fault.message
        for fault in loaded.warnings
        if "'redact' should stand before" in fault.message
    ]
    assert bool(said) is warns


def test_documented() -> None:
    """Every detector, every name of a key and every option is in the documentation."""
    page = (ROOT / "docs" / "redaction.md").read_text(encoding="utf-8")
    missing = [name for name in (*NAMES, *RedactConfig.model_fields) if f"`{name}`" not in page]
    missing += [name for name in Rules(RedactConfig()).keys.written if f"`{name}`" not in page]
    assert not missing
