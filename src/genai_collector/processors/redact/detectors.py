"""The secrets that are known by their form: one row each.

A row has two patterns, both for RE2, which needs time linear in the text. `hint` must be found
wherever the secret is, also inside JSON that is inside JSON and inside a protobuf message: it has
no anchors, no spaces that could be written `\\n` there, and nothing that could be escaped (any
escaped ASCII character is a hint by itself, see `ESCAPED`). `pattern` finds candidates in plain
text; if it has a group, that is the candidate. `check` decides, and may move its borders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from genai_collector.processors.redact import checks


class Detector(NamedTuple):
    name: str
    hint: bytes
    pattern: bytes
    check: checks.Check = checks.not_inside_word
    on: bool = True
    """Whether it works unless told otherwise."""
    canonical: Callable[[bytes], bytes] = bytes
    """The form that is hashed, so that one secret has one pseudonym however it is written."""
    grouped: bool = False
    """A candidate that is none may have swallowed the beginning of one: look again inside."""


ESCAPED: Final = rb"\\u(?:00[0-7aA]|20(?:0[79]|1[0-3]|2[fF]))|\\u[fF]{2}20|\\/"
"""An ASCII character that JSON did not have to escape may hide any hint; so may the spaces and
hyphens of `_GAP`, and the wide `@`, which are mostly escaped."""


def _prefixed(name: str, pattern: bytes, check: checks.Check = checks.not_inside_word) -> Detector:
    """A key that is known by how it begins; its pattern is its hint."""
    return Detector(name, pattern, pattern, check)


_ODD_GAPS: Final = rb"\x{a0}\x{2007}\x{2009}\x{202f}\x{2010}-\x{2013}"
_GAP: Final = rb"[ .\t/" + _ODD_GAPS + rb"-]{1,2}"
"""What stands between the groups of a card's number: also spaces and hyphens that do not break."""
_CARD: Final = (
    rb"[1-9][0-9]{13,18}|[1-9][0-9]{3}(?:" + _GAP + rb"[0-9]{4}){3}(?:" + _GAP + rb"[0-9]{1,3})?"
    rb"|3[0-9]{3}" + _GAP + rb"[0-9]{6}" + _GAP + rb"[0-9]{4,5}"
)
_IBAN: Final = (
    rb"[A-Z]{2}[0-9]{2}[ " + _ODD_GAPS + rb"-]?[A-Z0-9]{4}[ " + _ODD_GAPS + rb"-]?[A-Z0-9]{4}"
)
_PHONE: Final = (
    # +49 30 1234567, +1 (415) 555-2671, +14155552671
    rb"\+[1-9][0-9]{0,2}(?:[ ." + _ODD_GAPS + rb"-]?\(?[0-9]{1,5}\)?){2,6}"
    # (415) 555-2671, 415-555-2671, 415.555.2671
    rb"|\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[ -][0-9]{4}"
    rb"|[2-9][0-9]{2}[-.][2-9][0-9]{2}[-.][0-9]{4}"
    # 01 23 45 67 89 (France), 020 7946 0958 (United Kingdom), 030/1234567 (Germany)
    rb"|0[1-9](?:[ .][0-9]{2}){4}|0[1-9][0-9]{1,3} [0-9]{3,4} [0-9]{3,4}"
    rb"|0[1-9][0-9]{1,4}/[0-9]{5,9}"
)
_IPV6: Final = rb"(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}"
_AT: Final = rb"(?:@|%40|&#64;|&#[xX]40;|&commat;|\x{ff20})"
_TOKEN: Final = rb"[A-Za-z0-9._~+/-]"

DETECTORS: Final[tuple[Detector, ...]] = (
    Detector(
        "private_key", rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY",
        rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----", checks.private_key,
    ),
    Detector(
        "jwt", rb"eyJ[A-Za-z0-9_-]+\.",
        rb"eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){2,4}", checks.jwt,
    ),
    _prefixed("anthropic_key", rb"sk-ant-[A-Za-z0-9_-]{16,}"),
    _prefixed("langfuse_key", rb"[sp]k-lf-[A-Za-z0-9-]{8,}"),
    _prefixed("openai_key", rb"sk-[A-Za-z0-9_-]{16,}", checks.with_digit),
    _prefixed("aws_access_key", rb"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}", checks.no_part_of_word),
    Detector(
        "aws_secret_key", rb"(?i:secret.?access.?key|aws.{0,20}secret)",
        rb"(?i:secret.?access.?key|aws.{0,20}secret)[^A-Za-z0-9/+]{1,10}([A-Za-z0-9/+]{40})",
        checks.standing_alone,
    ),
    _prefixed("github_token", rb"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"),
    _prefixed("gitlab_token", rb"glpat-[A-Za-z0-9_-]{20,}"),
    _prefixed("slack_token", rb"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{10,}"),
    _prefixed("google_key", rb"AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{20,}"),
    _prefixed("stripe_key", rb"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{24,}"),
    _prefixed("huggingface_token", rb"hf_[A-Za-z0-9]{30,}"),
    _prefixed("groq_key", rb"gsk_[A-Za-z0-9]{40,}"),
    _prefixed("npm_token", rb"npm_[A-Za-z0-9]{36}"),
    _prefixed("sendgrid_key", rb"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    Detector(
        "url_password", rb"://[^\s/?#@\"'<>]*:[^\s/?#@\"'<>]*@",
        rb"[A-Za-z]://([^\s/?#@:\"'<>]*:[^\s/?#\"'<>]+)@", checks.anything,
    ),
    Detector(
        "url_parameter",
        rb"(?i:[?&#;](?:api[_-]?key|access[_-]?token|auth[_-]?token|token|key|sig|signature|secret"
        rb"|client[_-]?secret|password)=)",
        rb"(?i:[?&#;](?:api[_-]?key|access[_-]?token|auth[_-]?token|token|key|sig|signature|secret"
        rb"|client[_-]?secret|password)=)([^\s&#\"'<>\[\]]{8,})", checks.anything,
    ),
    Detector(
        "authorization", rb"(?i:bearer|authorization)",
        rb"(?i:authorization[\"']?[ \t]*[:=][ \t]*[\"']?(?:[a-z]+[ \t]+)?|bearer[ \t]+)"
        rb"(" + _TOKEN + rb"{12,}=*)", checks.credentials,
    ),
    Detector(
        "email", rb"[^\x00-\x20@]@[\pL\pN\\]|%40[\pL\pN]|&(?:#64|#[xX]40|commat);|\x{ff20}",
        rb"[\pL\pN](?:[\pL\pN._%+'-]*[\pL\pN_%+-])?" + _AT + rb"(?:[\pL\pN][\pL\pN-]*\.)+\pL{2,24}",
        checks.email, canonical=bytes.lower,
    ),
    Detector("card", _CARD, _CARD, checks.card, canonical=checks.digits_of,
             grouped=True),
    Detector(
        "iban", _IBAN, _IBAN, checks.iban, canonical=checks.letters_and_digits_of, grouped=True,
    ),
    Detector("us_ssn", rb"[0-9]{3}-[0-9]{2}-[0-9]{4}", rb"[0-9]{3}-[0-9]{2}-[0-9]{4}",
             checks.us_ssn, grouped=True),
    Detector("phone", _PHONE, _PHONE, checks.phone, canonical=checks.digits_of,
             grouped=True),
    Detector("ipv4", rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3}",
             checks.ip_address, on=False),
    Detector("ipv6", _IPV6, _IPV6, checks.ip_address, on=False),
)  # fmt: skip
"""First come, first served where two find the same."""

NAMES: Final = tuple(detector.name for detector in DETECTORS)
BY_NAME: Final = {detector.name: detector for detector in DETECTORS}
