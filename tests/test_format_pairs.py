"""Every recorded document through every ordered pair of formats: what holds on every way.

docs/formats.md tells the same as a table. Differences that are known stand in `lossy.md` files in
proto_fixtures/pairs/, which are read here: one that is not listed is a failure, and so is one that
is listed and does not happen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Final, cast

import pytest

from genai_collector.conventions import read_observation
from genai_collector.conventions.content import structured
from genai_collector.formats import langfuse, litellm, noveum, otlp
from genai_collector.formats.residual import diff, same
from genai_collector.model import Signal, Span, Value
from tests.support.captures import FIXTURES, shared
from tests.support.documents import (
    FORMATS,
    Document,
    documents,
    outcome,
    written,
)
from tests.support.merged import merged
from tests.support.missing import missing
from tests.support.said import Holder
from tests.support.totals import TOTALS

DOCUMENTS: Final = list(documents())
OTLP: Final = [one for one in DOCUMENTS if one.format == "otlp"]
BATCHES: Final = [one for one in DOCUMENTS if one.format == "langfuse"]
each_document: Final = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[f"{one.format}-{one.name}" for one in DOCUMENTS]
)


def spans_of(data: bytes) -> list[Span]:
    """The spans of an OTLP/JSON request."""
    return cast("list[Span]", otlp.decode_json(Signal.TRACES, data).items)


# What is valid


def _is_request(data: bytes) -> bool:
    decoded = otlp.decode_json(Signal.TRACES, data)
    return not decoded.rejected and b"\n" not in data


def _is_batch(data: bytes) -> bool:
    return all(not langfuse.parse_event(event).issues for event in json.loads(data)["batch"])


def _are_payloads(data: bytes) -> bool:
    return len(litellm.parse(data)) == len(json.loads(data))


def _are_records(data: bytes) -> bool:
    return len(noveum.parse(data)) == len(json.loads(data))


VALID: Final[Mapping[str, Callable[[bytes], bool]]] = {
    "langfuse": _is_batch,
    "litellm": _are_payloads,
    "noveum": _are_records,
    "otlp": _is_request,
}


@each_document
@pytest.mark.parametrize("target", FORMATS)
def test_every_pair(document: Document, target: str) -> None:
    """It can be converted, its target's own reader takes it, and twice is the same bytes."""
    first = outcome(document.data, document.format, target)
    again = outcome(document.data, document.format, target)
    assert not first.problems
    assert VALID[target](first.output or b"")
    assert again.output == first.output
    assert again.losses == first.losses


@each_document
def test_protobuf(document: Document) -> None:
    """To and from protobuf is to and from OTLP/JSON."""
    text = written(document.data, document.format, "otlp")
    binary = written(document.data, document.format, "otlp_proto")
    assert written(binary, "otlp_proto", "otlp") == text
    assert otlp.check(Signal.TRACES, binary) == len(spans_of(text))
    for target in FORMATS:
        assert written(binary, "otlp_proto", target) == written(text, "otlp", target)


# There and back


def values(data: bytes) -> list[Any]:
    """The payloads or records of a document, the documentation's comments left out."""
    found = json.loads(data)
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize("between", ["litellm", "noveum", "otlp"])
@pytest.mark.parametrize(
    "document",
    [one for one in DOCUMENTS if one.format in ("litellm", "noveum")],
    ids=lambda one: f"{one.format}-{one.name}",
)
def test_there_and_back(document: Document, between: str) -> None:
    """LiteLLM's payloads and Noveum's records to OTLP, or to each other, and back are the same, to
    the last value."""
    back = written(document.data, document.format, between, document.format)
    assert same(values(back), values(document.data))


@pytest.mark.parametrize("target", ["litellm", "noveum", "otlp"])
@pytest.mark.parametrize("document", OTLP, ids=lambda one: one.name)
def test_otlp_there_and_back(document: Document, target: str) -> None:
    """OTLP to any format that holds whole spans and back is the same bytes."""
    assert written(document.data, "otlp", target, "otlp") == document.data


@pytest.mark.parametrize("between", ["litellm", "noveum"])
@pytest.mark.parametrize("document", BATCHES, ids=lambda one: one.name)
def test_batches_through_other_formats(document: Document, between: str) -> None:
    """A batch that was payloads or records in between leaves as if it had been OTLP."""
    straight = written(document.data, "langfuse", "otlp", "langfuse")
    assert written(document.data, "langfuse", between, "langfuse") == straight


def listed(name: str) -> set[str]:
    """The fields in the first column of a `lossy.md`."""
    text = (FIXTURES / "pairs" / name / "lossy.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def test_langfuse_there_and_back() -> None:
    """Langfuse's batches to OTLP and back: the server stores the same traces and observations, but
    for what the case's lossy.md lists."""
    shared("captures")
    found: set[str] = set()
    for document in BATCHES:
        before = merged(document.data)
        after = merged(written(document.data, "langfuse", "otlp", "langfuse"))
        assert before.keys() - after.keys() == set(), document.name
        found |= {f"{kind} added" for kind, _ in after.keys() - before.keys()}
        for key in before.keys() & after.keys():
            changes = cast("list[list[Any]]", diff(before[key], after[key]))
            for path, *change in changes:
                found |= _changes(key[0], path, change, before[key])
    assert found == listed("langfuse")


def _changes(kind: str, path: list[Any], change: list[Any], before: dict[str, Any]) -> set[str]:
    if path == ["metadata"] and not before.get("metadata"):
        return {f"{kind}.metadata.{name}" for name in change[0]}
    old: Any = before
    for key in path:
        old = old.get(key) if isinstance(old, dict) else None
    if type(old) is float and change == [int(old)]:
        return {"whole numbers"}
    return {f"{kind}." + ".".join(map(str, path))}


def test_batches_of_spans_there_and_back() -> None:
    """A batch that was made from spans is the same batch again after it has been spans: in the
    server's eyes, who stores content as text, all is the same but what is named here."""
    shared("captures")
    found: set[str] = set()
    for document in OTLP:
        batch = written(document.data, "otlp", "langfuse")
        before = _with_texts(merged(batch))
        after = _with_texts(merged(written(batch, "langfuse", "otlp", "langfuse")))
        assert before.keys() == after.keys()
        for key in before:
            changes = cast("list[list[Any]]", diff(before[key], after[key]))
            found |= {f"{key[0]}.{'.'.join(map(str, path))}" for path, *_ in changes}
    assert found == {
        # Tools beside the messages are tools of the conventions.
        "trace.metadata.attributes.gen_ai.tool.definitions",
        "trace.metadata.attributes.llm.tools.0.tool.json_schema",
        # A span that stands for a trace without a root.
        "trace.metadata.scope.attributes.langfuse.ingestion.api",
        # All spans of Langfuse's SDKs describe their trace, each with its own version.
        "trace.version",
    }


def _with_texts(stored: Any) -> dict[Any, Any]:
    for body in stored.values():
        for side in {"input", "output"} & body.keys():
            body[side] = structured(body[side])
    return dict(stored)


def test_otlp_through_langfuse() -> None:
    """What of a span does not come back from a Langfuse batch as the same fact, by name."""
    shared("captures")
    found: set[str] = set()
    for document in OTLP:
        after = {
            span.span_id: span
            for span in spans_of(written(document.data, "otlp", "langfuse", "otlp"))
        }
        for span in spans_of(document.data):
            found |= changed_facts(span, after.pop(span.span_id))
        found |= {"roots" for _ in after}
    assert found == listed("otlp_through_langfuse")


_SPAN_FIELDS: Final = ("name", "kind", "status_code", "status_message", "flags", "trace_state")
_NO_FACTS: Final = frozenset(
    {"consumed", "consumed_events", "vocabularies", "metadata", "read_content"}
)


def changed_facts(before: Span, after: Span) -> set[str]:
    """Fields of the span and of its reading that are not the same; times to the millisecond."""
    changed = {
        f"span.{name}" for name in _SPAN_FIELDS if getattr(before, name) != getattr(after, name)
    }
    for name in ("start_ns", "end_ns"):
        if getattr(before, name) // 10**6 != getattr(after, name) // 10**6:
            changed.add(f"span.{name}")
    if len(before.events) != len(after.events):
        changed.add("span.events")
    old, new = read_observation(before), read_observation(after)
    changed |= _changed(old, new, "")
    changed |= _changed(old.usage, new.usage, "usage.") if old.is_billable else set()
    changed |= _changed(old.cost, new.cost, "cost.") if old.is_billable else set()
    return changed | _changed(old.read_content(), new.read_content(), "content.")


def _changed(old: Any, new: Any, prefix: str) -> set[str]:
    names = {one.name for one in fields(old)} - _NO_FACTS - {"usage", "cost"}
    said = {name for name in names if getattr(old, name) not in (None, {}, [])}
    return {f"{prefix}{name}" for name in said if getattr(old, name) != getattr(new, name)}


# Ids and sums


@each_document
def test_ids(document: Document) -> None:
    """Traces and spans are the same ones whatever formats they have been through."""
    first = spans_of(written(document.data, document.format, "otlp"))
    expected = {(span.trace_id, span.span_id) for span in first}
    for between in FORMATS:
        found = spans_of(written(document.data, document.format, between, "otlp"))
        ids = {(span.trace_id, span.span_id) for span in found}
        if between == "langfuse" and ids != expected:
            # Several roots with content: Langfuse has one trace, for which a span stands.
            assert len([span for span in first if not span.parent_span_id]) > 1
            assert len(ids - expected) == 1
        assert expected <= ids
        assert len(ids) == len(found)


@each_document
def test_sums(document: Document) -> None:
    """Tokens and cost are the same on every way of up to two steps, in each format's own members:
    cached tokens are not counted twice, nor what agents and gateways repeat."""
    expected = TOTALS[document.format](document.data)
    for between in FORMATS:
        text = written(document.data, document.format, between)
        assert TOTALS[between](text) == expected, between
        for target in FORMATS:
            assert TOTALS[target](written(text, between, target)) == expected, (between, target)


def test_sums_say_something() -> None:
    """The judge of the sums is no constant: most documents have tokens, cached ones and costs."""
    shared("captures")
    sums = [TOTALS[one.format](one.data) for one in DOCUMENTS]
    assert len([one for one in sums if one.input and one.output]) > 100
    assert len([one for one in sums if one.cached]) > 50
    assert len([one for one in sums if one.cost]) > 50
    assert len([one for one in sums if one.calls > 1]) > 5


MODEL_CALL: Final = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
SPENT: Final = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 7}


def batch_body(**attributes: Any) -> dict[str, Any]:
    """The observation that Langfuse gets for a call of a model."""
    said = {**MODEL_CALL, **SPENT, **attributes}
    span = Span(trace_id=b"t" * 16, span_id=b"s" * 8, name="x", attributes=said)
    return cast("dict[str, Any]", langfuse.encode_spans([span])[-1].event["body"])


@pytest.mark.parametrize("key", ["gen_ai.cost.total_cost", "operation.cost", "llm.response.cost"])
def test_cost_under_other_names(key: str) -> None:
    """Cost that Langfuse does not read is told to it; what it reads stands; agents have none."""
    assert batch_body(**{key: 0.5})["costDetails"] == {"total": 0.5}
    both = batch_body(**{key: 0.5, "gen_ai.usage.cost": 0.25})
    assert both["costDetails"] == {"total": 0.25}
    assert "costDetails" not in batch_body(**{key: 0.5, "gen_ai.operation.name": "invoke_agent"})


def test_reasoning_is_part_of_the_output() -> None:
    """Reasoning under OpenLIT's name is taken out of the output, not added to it."""
    usage = batch_body(**{"gen_ai.usage.reasoning_tokens": 3})["usageDetails"]
    assert (usage["input"], usage["output"], usage["output_reasoning_tokens"]) == (10, 4, 3)
    assert "reasoning_tokens" not in usage


def test_usage_that_litellm_spells_as_python() -> None:
    """LiteLLM's `otel` callback tells of cached tokens in Python's spelling; they are taken out of
    the input at Langfuse, and no sum changes."""
    said = "{'prompt_tokens': 10, 'prompt_tokens_details': {'cached_tokens': 4}}"
    usage = batch_body(**{"metadata.usage_object": said, "hidden_params": "{}"})["usageDetails"]
    assert (usage["input"], usage["input_cached_tokens"], usage["output"]) == (6, 4, 7)


def test_message_of_a_failure() -> None:
    """A failure that only `error.message` tells is told in every format."""
    said: dict[str, Value] = {**MODEL_CALL, "error.message": "too many"}
    span = Span(trace_id=b"t" * 16, span_id=b"s" * 8, name="x", status_code=2, attributes=said)
    body = cast("dict[str, Any]", langfuse.encode_spans([span])[-1].event["body"])
    assert body["statusMessage"] == "too many"
    [payload] = litellm.encode_spans([span])
    assert payload["error_str"] == "too many"
    [record] = cast("list[dict[str, Any]]", noveum.encode_spans([span]))
    assert json.loads(record["attributes"]["response"]["error"])["message"] == "too many"


def test_agents_have_no_tokens_in_payloads() -> None:
    """LiteLLM's payloads are added up, so an agent's has no tokens; the span keeps them."""
    said: dict[str, Value] = {**SPENT, "gen_ai.operation.name": "invoke_agent"}
    [payload] = litellm.encode_spans([Span(name="agent", attributes=said)])
    assert (payload["prompt_tokens"], payload["total_tokens"]) == (0, 0)
    [span] = litellm.decode_payloads([payload])
    assert span.attributes == said


# What is missing


@each_document
@pytest.mark.parametrize("target", FORMATS)
def test_nothing_is_missing(document: Document, target: str) -> None:
    """Every single value of the source is in the target somewhere, or the report names it."""
    assert missing(document.data, document.format, target) == []


def test_missing_is_found() -> None:
    """The judge sees a value that is gone."""
    data = written(OTLP[0].data, "otlp", "langfuse")
    batch = json.loads(data)
    batch["batch"][-1]["body"]["unknown"] = "a value that Langfuse has no field for"
    text = json.dumps(batch).encode()
    kept = Holder(written(text, "langfuse", "otlp"))
    assert "a value that Langfuse has no field for" not in kept
    assert any(loss.field == "body.unknown" for loss in outcome(text, "langfuse", "otlp").losses)
