"""What makes a run of characters a card, an IBAN, a token: checksums and forms.

Sources: ISO/IEC 7812 (Luhn, issuer prefixes as the networks publish them), ISO 13616 (IBAN: mod 97,
lengths of the SWIFT registry), RFC 7515 (JWT headers), the Social Security Administration's rules
for numbers that are never given out.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from typing import Final, TypeAlias

import orjson

Check: TypeAlias = "Callable[[bytes, int, int], tuple[int, int] | None]"
"""(text, start, end of a candidate) -> where the secret is, or None when it is none."""

_WORD: Final = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_DIGITS: Final = frozenset(b"0123456789")
_LETTERS: Final = _WORD - {0x5F}
_PERCENT: Final = re.compile(rb"%[2-7][0-9A-Fa-f]")
_IBAN_GAP: Final = re.compile(rb"[ -]|\xc2\xa0|\xe2\x80[\x87\x89\xaf\x90-\x93]")
_IBAN_ALONE: Final = re.compile(rb"[^A-Z0-9]+")
_NO_DIGITS: Final = bytes(byte for byte in range(256) if byte not in _DIGITS)
_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

_ISSUERS: Final[tuple[tuple[int, int, int, frozenset[int]], ...]] = (
    (1, 4, 4, frozenset({16})),  # Visa
    (2, 51, 55, frozenset({16})),  # Mastercard
    (4, 2221, 2720, frozenset({16})),
    (2, 34, 34, frozenset({15})),  # American Express
    (2, 37, 37, frozenset({15})),
    (3, 300, 305, frozenset({14, 16})),  # Diners Club
    (2, 36, 36, frozenset({14, 16})),
    (2, 38, 39, frozenset({14, 16})),
    (4, 6011, 6011, frozenset({16, 19})),  # Discover
    (3, 644, 659, frozenset({16, 19})),
    (4, 3528, 3589, frozenset({16})),  # JCB
    (2, 62, 62, frozenset({16, 17, 18, 19})),  # UnionPay
    (4, 6759, 6763, frozenset({16, 18, 19})),  # Maestro
    (4, 5018, 5018, frozenset({16, 18, 19})),
    (4, 5020, 5020, frozenset({16, 18, 19})),
    (4, 5038, 5038, frozenset({16, 18, 19})),
    (4, 6304, 6304, frozenset({16, 18, 19})),
)
"""(digits of the prefix, first, last, lengths)."""

_SHORTEST_CARD: Final = 14

_IBAN_LENGTHS: Final = {
    code: length
    for length, codes in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD FK", 19: "MK SI", 20: "AT BA EE KZ LT LU XK MN",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ TL OM SO",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "PT LY ST", 26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA",
        30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for code in codes.split()
}  # fmt: skip

_NO_TOP_LEVEL: Final = frozenset(
    b"png jpg jpeg gif svg webp css js ts json yaml yml html txt".split()
)


def digits_of(data: bytes) -> bytes:
    """Without what is written between digits."""
    return data.translate(None, _NO_DIGITS)


def letters_and_digits_of(data: bytes) -> bytes:
    """Without what is written between groups of capitals and digits."""
    return _IBAN_ALONE.sub(b"", data)


def luhn(digits: bytes) -> bool:
    """Whether the check digit is right."""
    total = 0
    for at, byte in enumerate(reversed(digits)):
        total += _DOUBLED[byte - 48] if at % 2 else byte - 48
    return total % 10 == 0


def is_card(digits: bytes) -> bool:
    """A number that a card can have: an issuer's prefix, its length, the check digit."""
    if len(digits) < _SHORTEST_CARD or not luhn(digits):
        return False
    length = len(digits)
    return any(
        length in lengths and low <= int(digits[:size]) <= high
        for size, low, high, lengths in _ISSUERS
    )


def standing_alone(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """No letter, digit or underscore touches it."""
    if (start and data[start - 1] in _WORD) or (end < len(data) and data[end] in _WORD):
        return None
    return start, end


def _number_alone(data: bytes, start: int, end: int) -> bool:
    """Not a part of a decimal fraction, of a longer number or of an id of several groups."""
    if standing_alone(data, start, end) is None:
        return False
    before, after = data[max(0, start - 2) : start], data[end : end + 2]
    joined_before = len(before) == 2 and before[1:] in (b".", b"-") and before[0] in _WORD
    joined_after = len(after) == 2 and after[:1] in (b".", b"-") and after[1] in _DIGITS
    return not (joined_after or (joined_before and before[0] in _DIGITS))


def _without_last_group(data: bytes, start: int, end: int) -> int | None:
    """Where the candidate ends without its last group; None when it has only one."""
    at = end
    for is_part in (True, False):  # its digits, then what is in front of them
        while at > start and (data[at - 1] in _DIGITS) is is_part:
            at -= 1
    return at if at > start else None


def card(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """A candidate in groups may have caught one that belongs to what follows."""
    while True:
        if is_card(digits_of(data[start:end])) and _number_alone(data, start, end):
            return start, end
        shorter = _without_last_group(data, start, end)
        if shorter is None:
            return None
        end = shorter


def iban(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """As many characters as the country has, from its code on; single gaps may stand between."""
    length = _IBAN_LENGTHS.get(data[start : start + 2].decode("ascii"), 0)
    kept = bytearray()
    at, gap_end = start, -1
    while at < len(data) and len(kept) < length:
        if at != gap_end and kept and (gap := _IBAN_GAP.match(data, at)) is not None:
            at = gap_end = gap.end()
            continue
        byte = data[at]
        if byte not in _WORD or byte >= 0x5F:  # capitals and digits only
            return None
        kept.append(byte)
        at += 1
    if not length or len(kept) < length or standing_alone(data, start, at) is None:
        return None
    number = "".join(str(int(chr(byte), 36)) for byte in kept[4:] + kept[:4])
    return (start, at) if int(number) % 97 == 1 else None


def email(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """An address of someone: no file name, no `git@` of a repository, no call in a program."""
    local = data[start:end].partition(b"@")[0]
    last = data[start:end].rpartition(b".")[2].lower()
    if last in _NO_TOP_LEVEL or local == b"git" or data[end : end + 1] == b"(":
        return None
    return start, end


def phone(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """8 to 15 digits (E.164) that belong to no longer number, date or id."""
    while len(digits_of(data[start:end])) > 15:
        shorter = _without_last_group(data, start, end)
        if shorter is None:
            return None
        end = shorter
    if len(digits_of(data[start:end])) < 8 or not _number_alone(data, start, end):
        return None
    if data[start - 1 : start] in (b"+", b"/", b"#", b"$") and start:
        return None
    return start, end


def us_ssn(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    area, group, serial = data[start:end].split(b"-")
    never = area in (b"000", b"666") or area >= b"900" or group == b"00" or serial == b"0000"
    return (start, end) if not never and _number_alone(data, start, end) else None


def ip_address(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    text = data[start:end].decode("ascii")
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return None
    joined = data[max(0, start - 1) : start] in (b".", b":")
    return (start, end) if not joined and _number_alone(data, start, end) else None


def with_digit(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Random characters have a digit among them; words of a language have none."""
    if not any(byte in _DIGITS for byte in data[start:end]):
        return None
    return not_inside_word(data, start, end)


def credentials(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """A token with a digit, or the base64 of `user:password`."""
    if with_digit(data, start, end) is not None:
        return start, end
    try:
        said = base64.b64decode(data[start:end], validate=True)
    except binascii.Error:
        return None
    return (start, end) if b":" in said else None


def not_inside_word(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """No letter or digit stands before it; an underscore may, as in `key_AKIA...`, and what an
    address writes for a sign, as in `%22sk-...`."""
    inside = start and data[start - 1] in _LETTERS
    return (
        None if inside and not _PERCENT.fullmatch(data, max(0, start - 3), start) else (start, end)
    )


def no_part_of_word(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """No letter or digit touches it; an underscore may."""
    if end < len(data) and data[end] in _LETTERS:
        return None
    return not_inside_word(data, start, end)


def anything(data: bytes, start: int, end: int) -> tuple[int, int]:
    return start, end


def jwt(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """The first part is the base64url of a JSON object that names its algorithm."""
    head = data[start:end].split(b".", 1)[0]
    try:
        header = orjson.loads(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))
    except (binascii.Error, ValueError):
        return None
    return (start, end) if isinstance(header, dict) and "alg" in header else None


def private_key(data: bytes, start: int, end: int) -> tuple[int, int]:
    """To the end of its block, or of the text when that was cut off."""
    closing = data.find(b"-----END ", end)
    if closing < 0:
        return start, len(data)
    dashes = data.find(b"-----", closing + 9)
    return start, len(data) if dashes < 0 else dashes + 5
