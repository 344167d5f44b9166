"""The judge of the flat form: what Langfuse's own direct write path made of the same spans."""

from __future__ import annotations

import json
from typing import Any

import pytest

from genai_collector.formats.langfuse.flat import flat_records
from tests.formats.langfuse.making import span, without_absent
from tests.formats.langfuse.test_golden import FILES, NOW, NOW_NS, _lines, _spans
from tests.support.captures import shared

# Of the request, not of the span.
NOT_OF_THE_SPAN = ("projectId", "source", "ingestionApiKey", "ingestionSdkName",
                   "ingestionSdkVersion", "eventBytes")  # fmt: skip
AI_SDK_TOOLS = (
    "OTel Resource Span Mapping > Property Mapping > should extract AI SDK available tools after "
    "metadata normalization in processToEvent"
)
# Case -> fields that we make differently. The reasons are in docs/langfuse.md.
DIFFERENCES: dict[str, dict[str, Any]] = {
    "status/str-code": {"level": "ERROR"},
    AI_SDK_TOOLS: {"toolCalls": None, "toolCallNames": None},
    "OTel Resource Span Mapping > Missing span timestamps > "
    "should process spans with no start/end times without throwing": {
        "startTimeISO": NOW,
        "endTimeISO": NOW,
    },
}


def _cases() -> list[Any]:
    found = []
    for name in FILES:
        for case in _lines(name):
            records = case["events"] if case.get("kind") == "event" else case.get("eventRecords")
            if records is not None:
                internal = case.get("config", {}).get("isLangfuseInternal")
                found.append((case["test"], case["otlp"], records, bool(internal)))
    return [pytest.param(*case, id=f"{at}-{case[0][-60:]}") for at, case in enumerate(found)]


def test_the_judge_is_here() -> None:
    """Without the recordings the cases below are not even collected, which must be visible."""
    shared("golden")
    assert len(_cases()) >= 190


@pytest.mark.parametrize(("test", "otlp", "records", "internal"), _cases())
def test_same_records_as_langfuse(
    test: str, otlp: list[Any], records: list[dict[str, Any]], internal: bool
) -> None:
    """The records are those that Langfuse made, but for the listed differences and for spans that
    Langfuse sends to itself, whose environments are its own."""
    expected = []
    for record in records:
        changed = {**DIFFERENCES.get(test, {}), **({"environment": None} if internal else {})}
        kept = {key: value for key, value in record.items() if key not in NOT_OF_THE_SPAN}
        expected.append(without_absent({**kept, **changed}))
    made: list[Any] = [without_absent(one) for one in flat_records(_spans(otlp), now_ns=NOW_NS)]
    if internal:
        for one in made:
            del one["environment"]
    assert made == expected


def test_metadata_of_a_resource_is_of_no_record() -> None:
    """What a resource says of its traces is kept as an attribute of the resource only."""
    made = span({"langfuse.metadata.q": "own"}, resource={"langfuse.metadata.q": "r"})
    (record,) = flat_records([made])
    metadata = record["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["q"] == "own"
    (record,) = flat_records([span(resource={"langfuse.metadata.q": "r"})])
    assert "q" not in json.dumps(record["metadata"]).replace("langfuse.metadata.q", "")
