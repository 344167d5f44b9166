"""JSON text to Python and back: orjson, and the standard library where orjson is too strict.

Python's `json` and several SDKs write `NaN` and `Infinity` as bare words, and JavaScript writes
lone surrogates. orjson refuses both; losing a whole request over them helps nobody.
"""

from __future__ import annotations

import json

import orjson

from genai_collector.errors import DecodeError
from genai_collector.formats.otlp.wire import scrub


def loads(data: bytes) -> object:
    """The document. Lone surrogates become U+FFFD. Raises DecodeError for what is no JSON."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        strict = f"line {error.lineno} column {error.colno}"
    try:
        # One byte order mark is tolerated, as browsers do.
        text = data.decode("utf-8-sig")
        document: object = json.loads(text)
        return _without_surrogates(document) if "\\u" in text else document
    except UnicodeDecodeError:
        raise DecodeError("not UTF-8") from None
    except RecursionError:
        raise DecodeError("JSON is nested too deep") from None
    except ValueError:
        raise DecodeError(f"not JSON: syntax error at {strict}") from None


def dumps(document: object) -> bytes:
    """One line of UTF-8. NaN must have become a string before; lone surrogates become U+FFFD."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        return orjson.dumps(_without_surrogates(document))


def _without_surrogates(node: object) -> object:
    if isinstance(node, str):
        return node if node.isascii() else scrub(node)
    if isinstance(node, list):
        return [_without_surrogates(each) for each in node]
    if isinstance(node, dict):
        return {scrub(key): _without_surrogates(each) for key, each in node.items()}
    return node
