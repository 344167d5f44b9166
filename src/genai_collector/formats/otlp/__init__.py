"""OTLP: protobuf and JSON, all three signals, without loss. Pure functions.

check(signal, data)             validate a protobuf request, count its items
decode(signal, data)            protobuf request -> items
encode(signal, items)           items -> protobuf request
decode_json(signal, data)       JSON request -> DecodedJson(items, rejected, errors)
encode_json(signal, items)      items -> JSON request (one line)
batch_from_protobuf(...)        received bytes -> Batch that stays bytes
batch_of(signal, items)         items -> Batch
"""
