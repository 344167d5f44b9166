"""OTLP: protobuf and JSON, all three signals, without loss. Pure functions.

check(signal, data)             validate a protobuf request, count its items
check_density(signal, data, n)  refuse a protobuf request of too many values, unparsed
decode(signal, data)            protobuf request -> items
encode(signal, items)           items -> protobuf request
decode_json(signal, data)       JSON request -> DecodedJson(items, rejected, errors)
encode_json(signal, items)      items -> JSON request (one line)
batch_from_protobuf(...)        received bytes -> Batch that stays bytes
batch_of(signal, items)         items -> Batch
CODEC                           the two functions that a Batch needs

Layout: `descriptors` and `messages` read the wire lazily, `wire` writes it; `values`, `envelope`,
`traces`, `metrics`, `logs` convert; `json_*` are their mirrors for JSON; `codec` is the door.
"""

from genai_collector.formats.otlp.codec import (
    CODEC,
    DecodedJson,
    batch_from_protobuf,
    batch_of,
    check,
    decode,
    decode_json,
    encode,
    encode_json,
)
from genai_collector.formats.otlp.density import check_density
from genai_collector.formats.otlp.wire import Unencodable

__all__ = [
    "CODEC",
    "DecodedJson",
    "Unencodable",
    "batch_from_protobuf",
    "batch_of",
    "check",
    "check_density",
    "decode",
    "decode_json",
    "encode",
    "encode_json",
]
