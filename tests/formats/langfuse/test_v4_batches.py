"""Old clients to new servers: recorded batches of Langfuse's SDKs as the records of a v4 server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from genai_collector.formats import ids
from genai_collector.formats.langfuse import decode_batch, parse_ingestion
from genai_collector.formats.langfuse.flat import flat_records
from genai_collector.formats.langfuse.v4 import prepare
from genai_collector.formats.otlp import batch_from_protobuf, batch_of
from genai_collector.model import Signal
from tests.support.captures import SHARED, shared

NAMES = sorted(
    path.relative_to(SHARED).as_posix()
    for path in (SHARED / "captures" / "langfuse_v2").glob("*/*ingestion.body.json")
)
# Column of the server's tables -> field of the record.
OBSERVATION = {
    "name": "name",
    "type": "type",
    "environment": "environment",
    "level": "level",
    "status_message": "statusMessage",
    "provided_model_name": "modelName",
    "provided_cost_details": "providedCostDetails",
    "provided_usage_details": "providedUsageDetails",
    "prompt_name": "promptName",
    "prompt_version": "promptVersion",
}
TRACE = {
    "name": "traceName",
    "user_id": "userId",
    "session_id": "sessionId",
    "release": "release",
    "tags": "tags",
    "public": "public",
}
NOBODY_SAID: tuple[Any, ...] = (None, {}, [], "", False)


def test_the_batches_are_here() -> None:
    """Without the recordings the cases below are not even collected, which must be visible."""
    shared("captures/langfuse_v2")
    assert len(NAMES) >= 6


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.split("/")[2])
def test_what_an_sdk_said_a_v4_server_reads(name: str) -> None:
    """Every observation with its own fields and those of its trace, as Langfuse merged them."""
    path = shared(name)
    merged = json.loads(path.with_name(path.name.replace(".body", ".expected_merged")).read_text())
    spans = decode_batch(parse_ingestion(path.read_bytes()).events)
    wire = batch_of(Signal.TRACES, spans).encoded()
    received = batch_from_protobuf(Signal.TRACES, wire).view_spans()
    records = {str(record["spanId"]): record for record in flat_records(prepare(received))}
    traces = {trace["id"]: trace for trace in merged["traces"]}
    for observation in merged["observations"]:
        record: Any = records[ids.span_id(observation["id"]).hex()]
        for column, field in OBSERVATION.items():
            assert record.get(field) == observation.get(column) or (
                record.get(field) in NOBODY_SAID and observation.get(column) in NOBODY_SAID
            ), (column, record.get(field), observation.get(column))
        for side in ("input", "output"):
            if observation.get(side) is not None:
                assert _parsed(record[side]) == _parsed(observation[side])
        for column, field in TRACE.items():
            said = traces[observation["trace_id"]].get(column)
            assert record.get(field) == said or said in NOBODY_SAID, (column, said)


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        return text
