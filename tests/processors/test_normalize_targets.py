"""normalize: every target says the same, and no count is ever added up twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genai_collector.conventions import Content, read_observation
from genai_collector.conventions.coerce import from_json, to_json
from genai_collector.conventions.message_forms import whole_input
from genai_collector.conventions.reading import OPERATIONS_OF_KINDS
from genai_collector.conventions.targets import TARGETS
from genai_collector.conventions.writing import plan_change
from genai_collector.formats.langfuse import encode_spans
from genai_collector.model import Event, Span, Value
from tests.conventions.loading import CAPTURED, captured_spans, recorded
from tests.conventions.test_reading import spans as any_spans
from tests.processors.test_normalize import _facts, after

TARGETED = st.fixed_dictionaries({
    "target": st.sampled_from(sorted(TARGETS)), "overwrite": st.booleans(),
    "remove_originals": st.booleans(),
})  # fmt: skip


def _whole(content: Content) -> list[str]:
    """What was said, instructions counted as the first input message."""
    said = (whole_input(content) or None, content.output_messages or None,
            content.tool_definitions or None)  # fmt: skip
    texts = [to_json(value) for value in said]  # type: ignore[arg-type]
    return [json.dumps(json.loads(text or "null"), sort_keys=True) for text in texts]


def _stated(observation: Any) -> Any:
    """With the operation that the kind implies: OpenInference cannot state one without other."""
    observation.operation = observation.operation or OPERATIONS_OF_KINDS.get(observation.kind)
    return observation


def _check_target(span: Span, **options: Any) -> None:
    options = {**options, "target": TARGETS[options["target"]]}
    before = read_observation(span, canonical_first=not options.get("overwrite"))
    said = before.read_content()
    change = plan_change(span, **options)
    if change is not None:
        change.apply(span)
    assert plan_change(span, **options) is None
    now = read_observation(span)
    if before.is_genai:
        assert _facts(_stated(now)) == _facts(_stated(before))
        assert _whole(now.read_content()) == _whole(said)


def _rivals(side: str) -> Span:
    """A call of which two vocabularies say different things."""
    here, there = (json.dumps([{"role": "user", "content": word}]) for word in "ab")
    return Span(attributes={
        "langfuse.observation.type": "generation", f"langfuse.observation.{side}": here,
        f"gen_ai.{side}.messages": there,
    })  # fmt: skip


BARE: dict[str, Any] = {"target": "openinference", "overwrite": False, "remove_originals": True}


@given(any_spans(), TARGETED)
@example(
    Span(
        attributes={"langfuse.observation.input": []}, events=[Event("gen_ai.user.message", 0, {})]
    ),
    BARE,
)
@example(Span(attributes={"mlflow.chat.tools": [[b""]]}), BARE)
@example(Span(attributes={"mlflow.chat.tools": [{"name": b""}]}), BARE)
@example(_rivals("input"), BARE)
@example(_rivals("output"), BARE)
@settings(max_examples=150, deadline=None)
def test_laws_of_targets(span: Span, options: Any) -> None:
    """For every target: twice is once, and facts, totals and content read the same after."""
    _check_target(span, **options)


@pytest.mark.parametrize("remove_originals", [False, True])
@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("folder", sorted(CAPTURED))
def test_captures_in_every_target(folder: str, target: str, remove_originals: bool) -> None:
    """Every captured span reads the same in every target, whatever it spoke."""
    for span in captured_spans(folder):
        _check_target(span, target=target, remove_originals=remove_originals)


def _langfuse_buckets(span: Span) -> dict[str, int]:
    span.trace_id, span.span_id = bytes(range(1, 17)), bytes(range(1, 9))
    events = [event.event for event in encode_spans([span]) if event.span_index is not None]
    body: Any = events[-1]["body"]
    return body.get("usageDetails") or {}


@pytest.mark.parametrize("remove_originals", [False, True])
@pytest.mark.parametrize("folder", sorted(CAPTURED))
def test_totals_at_langfuse(folder: str, remove_originals: bool) -> None:
    """Langfuse adds up the same tokens before and after, and any total it has is the same one."""
    for span in captured_spans(folder):
        before = _langfuse_buckets(span)
        out = after(span, remove_originals=remove_originals)
        now = _langfuse_buckets(out)
        if not _repeats(out, before):
            # A total may be made from the parts, for names that Langfuse does not take apart.
            totals = {before.pop("total", None), now.pop("total", None)} - {None}
            assert sum(now.values()) == sum(before.values())
            assert len(totals) <= 1


def _repeats(span: Span, before: dict[str, int]) -> bool:
    """An agent's sum of its calls, which Langfuse leaves out once the span says it is an agent."""
    return bool(before) and read_observation(span).kind == "agent"


def test_agents_are_not_counted() -> None:
    """Usage that an agent repeats is never written where a backend would add it up."""
    attributes: dict[str, Value] = {
        "gen_ai.operation.name": "invoke_agent", "gen_ai.aggregated_usage.input_tokens": 42,
        "pydantic_ai.all_messages": "[]",
    }  # fmt: skip
    span = after(Span(attributes=dict(attributes)), remove_originals=True)
    assert read_observation(span).usage.input == 42
    assert not [key for key in span.attributes if key.startswith("gen_ai.usage.")]
    assert not read_observation(span).is_billable


def test_errors_told_by_attributes() -> None:
    """Langfuse's level ERROR becomes the status of a span that has none."""
    out = after(Span(attributes={
        "langfuse.observation.level": "ERROR", "langfuse.observation.status_message": "no",
    }))  # fmt: skip
    assert (out.status_code, out.status_message) == (2, "no")


def test_semconv_1_36() -> None:
    """A call of today for a backend that knows v1.36 only: gen_ai.system and message events."""
    span = Span(
        start_ns=1, end_ns=2,
        attributes={
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "x_ai",
            "gen_ai.system_instructions": '[{"type": "text", "content": "Be terse."}]',
            "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", '
                                     '"content": "a"}]}]',
            "gen_ai.output.messages": '[{"role": "assistant", "parts": [{"type": "tool_call", '
                                      '"id": "c", "name": "f", "arguments": {"x": 1}}], '
                                      '"finish_reason": "tool_call"}]',
        },
    )  # fmt: skip
    out = after(span, target="semconv_1_36", remove_originals=True)
    assert out.attributes == {"gen_ai.operation.name": "chat", "gen_ai.system": "xai"}
    assert [(e.name, e.time_ns, e.attributes) for e in out.events] == [
        ("gen_ai.system.message", 1, {"gen_ai.system": "x_ai", "content": "Be terse."}),
        ("gen_ai.user.message", 1, {"gen_ai.system": "x_ai", "content": "a"}),
        ("gen_ai.choice", 2, {
            "gen_ai.system": "x_ai", "index": 0, "finish_reason": "tool_calls",
            "message": '{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":'
                       '"function","function":{"name":"f","arguments":"{\\"x\\":1}"}}]}',
        }),
    ]  # fmt: skip


def test_openinference() -> None:
    """An OpenLIT call for a backend that knows OpenInference only."""
    out = after(recorded("openlit_1_45/chat_params"), target="openinference", remove_originals=True)
    wanted = {
        "openinference.span.kind": "LLM", "llm.provider": "openai", "llm.system": "openai",
        "llm.model_name": "gpt-4o-2024-08-06", "llm.request.model_name": "gpt-4o",
        "llm.token_count.prompt": 42, "llm.token_count.completion": 17, "llm.token_count.total": 59,
        "llm.token_count.prompt_details.cache_read": 16, "llm.cost.total": 0.000255,
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.1.message.content": "What is the capital of France?",
        "user.id": "user-123",
    }  # fmt: skip
    assert {key: out.attributes.get(key) for key in wanted} == wanted
    parameters = from_json(str(out.attributes["llm.invocation_parameters"]))
    assert isinstance(parameters, dict)
    assert (parameters["stop"], parameters["n"], parameters["temperature"]) == (
        ["\n\n", "END"],
        2,
        0.2,
    )
    assert not [
        key for key in out.attributes if key.startswith(("gen_ai.usage.", "gen_ai.request."))
    ]
