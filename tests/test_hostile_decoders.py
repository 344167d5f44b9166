"""Every decoder with spoilt real payloads: items, a refusal of the body, or of single items; never
anything else, and what was taken can be written again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.errors import DecodeError, TooLarge
from tests.fuzz.decoders import DECODERS, Decoder
from tests.fuzz.mutate import mutate


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)
def test_seeds_are_real(decoder: Decoder) -> None:
    """What is spoilt below is good before."""
    assert decoder.seeds
    for body in decoder.seeds:
        decoder.run(body)


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)
@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_spoilt_payloads(decoder: Decoder, randomness: random.Random) -> None:
    """Bytes flipped, cut, doubled, spliced, values swapped for others of any type."""
    body = mutate(randomness.choice(decoder.seeds), randomness)
    try:
        decoder.run(body)
    except (DecodeError, TooLarge):
        pass


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)
@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"\xef\xbb\xbf", b"null", b"[]", b"{}", b"[[]]", b"[null]", b"1e999", b'"x"',
     b"[" * 100_000, b'{"a":' * 20_000, b"\xff\xfe", b'{"batch":5}', b'{"traces":[5]}',
     b'{"batch":[{"id":[],"type":{},"timestamp":[],"body":[]}]}', b"9" * 5000],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_odd_bodies(decoder: Decoder, body: bytes) -> None:
    """What is small, empty, deep or of another shape."""
    try:
        decoder.run(body)
    except (DecodeError, TooLarge):
        pass
