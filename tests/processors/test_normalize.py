"""normalize: today's conventions from whatever a span speaks, without losing or inventing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.conventions import Content, read_observation
from genai_collector.conventions.coerce import from_json, to_json
from genai_collector.conventions.writing import plan_change
from genai_collector.formats.otlp import batch_from_protobuf, batch_of
from genai_collector.model import Batch, Event, Signal, Span, Value
from genai_collector.processors.normalize import FACTORY, NormalizeConfig
from tests.conventions.loading import (
    all_cases,
    recorded,
    recorded_spans,
)
from tests.conventions.schema import faults, schema
from tests.conventions.test_reading import spans as any_spans
from tests.processors.items import logs, record
from tests.support.fakes import make_context


def run(batch: Batch, **options: Any) -> Batch:
    return FACTORY.create(NormalizeConfig(**options), make_context("normalize")).process(batch)


def received(*items: Span) -> Batch:
    batch = batch_of(Signal.TRACES, list(items))
    return batch_from_protobuf(Signal.TRACES, batch.encoded())


def after(span: Span, **options: Any) -> Span:
    """The span as it leaves, over the wire and back."""
    out = run(received(span), **options)
    return batch_from_protobuf(Signal.TRACES, out.encoded()).view_spans()[0]


def test_openlit_1_34_span() -> None:
    """An old OpenLIT span has every fact under today's names, and keeps what it had."""
    before = recorded("openlit_1_34/chat_params")
    span = after(recorded("openlit_1_34/chat_params"))
    changed = {
        "gen_ai.provider.name": "openai",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.max_tokens": 256,
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": 0.2,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ["\n\n", "END"],
        "gen_ai.request.stream": False,
        "openai.request.service_tier": "flex",
        "openai.response.service_tier": "default",
        "openai.response.system_fingerprint": "fp_07871e2ad8",
        "user.id": "user-123",
    }
    messages = ("gen_ai.input.messages", "gen_ai.output.messages")
    attributes = {k: v for k, v in span.attributes.items() if k not in messages}
    assert attributes == before.attributes | changed
    assert _messages(span, messages[0]) == [
        {"role": role, "parts": [{"type": "text", "content": said}]}
        for role, said in (
            ("system", "You are a terse geography assistant."),
            ("user", "What is the capital of France?"),
        )
    ]
    assert [event.name for event in span.events] == [event.name for event in before.events]


def test_remove_originals() -> None:
    """Originals go once they are represented; what only says "not set" goes too; the rest stays."""
    before = recorded("openlit_1_34/tools")
    span = after(recorded("openlit_1_34/tools"), remove_originals=True)
    assert before.attributes.keys() - span.attributes.keys() == {
        "gen_ai.system", "gen_ai.request.is_stream", "gen_ai.request.max_tokens",
        "gen_ai.request.seed", "gen_ai.request.stop_sequences", "gen_ai.request.user",
        "gen_ai.request.service_tier", "gen_ai.response.service_tier",
        "gen_ai.response.system_fingerprint", "gen_ai.response.tool_calls",
    }  # fmt: skip
    assert span.events == []
    # The total has no canonical name.
    assert span.attributes["gen_ai.usage.total_tokens"] == 59


def _messages(span: Span, key: str) -> Value:
    value = span.attributes[key]
    assert isinstance(value, str)
    return from_json(value)


@pytest.mark.parametrize(
    ("before", "options", "changed"),
    [
        # Spelling is repaired in place, whoever wrote it.
        ({"gen_ai.operation.name": "acompletion"}, {}, {"gen_ai.operation.name": "chat"}),
        ({"gen_ai.provider.name": "vertex_ai"}, {}, {"gen_ai.provider.name": "gcp.vertex_ai"}),
        ({"gen_ai.request.top_k": 40.0}, {}, {"gen_ai.request.top_k": 40}),
        ({"gen_ai.request.temperature": 1}, {}, {"gen_ai.request.temperature": 1.0}),
        ({"gen_ai.response.finish_reasons": '["stop"]'}, {},
         {"gen_ai.response.finish_reasons": ["stop"]}),
        # A list that is one already is left alone, odd entries included.
        ({"gen_ai.response.finish_reasons": ["stop", None]}, {}, {}),
        # Unreadable values stay.
        ({"gen_ai.request.seed": "abc"}, {"remove_originals": True}, {}),
        ({"gen_ai.request.max_tokens": -1}, {}, {}),
        ({"gen_ai.request.max_tokens": -1}, {"remove_originals": True},
         {"gen_ai.request.max_tokens": None}),
        # Renames.
        # A count moves even if originals stay: backends add up the prefix.
        ({"gen_ai.usage.prompt_tokens": 3}, {},
         {"gen_ai.usage.input_tokens": 3, "gen_ai.usage.prompt_tokens": None}),
        ({"gen_ai.usage.prompt_tokens": 3}, {"remove_originals": True},
         {"gen_ai.usage.input_tokens": 3, "gen_ai.usage.prompt_tokens": None}),
        ({"gen_ai.usage.cache_write.input_tokens": 3}, {},
         {"gen_ai.usage.cache_creation.input_tokens": 3,
          "gen_ai.usage.cache_write.input_tokens": None}),
        ({"gen_ai.openai.request.response_format": "json_object"}, {},
         {"gen_ai.output.type": "json"}),
        ({"gen_ai.system": "a", "session.id": "s"}, {"remove_originals": True},
         {"gen_ai.provider.name": "a", "gen_ai.system": None, "gen_ai.conversation.id": "s"}),
        # The canonical name wins; what disagrees with it is never removed.
        ({"gen_ai.usage.prompt_tokens": 3, "gen_ai.usage.input_tokens": 4},
         {"remove_originals": True}, {}),
        ({"gen_ai.usage.prompt_tokens": 3, "gen_ai.usage.input_tokens": 4},
         {"remove_originals": True, "overwrite": True},
         {"gen_ai.usage.input_tokens": 3, "gen_ai.usage.prompt_tokens": None}),
        # Content.
        ({"gen_ai.input.messages": '[{"role": "user", "parts": []}]'}, {}, {}),
        ({"gen_ai.input.messages": '[{"role": "user", "con'}, {"remove_originals": True}, {}),
        ({"gen_ai.output.messages": "done"}, {},
         {"gen_ai.output.messages":
          '[{"role":"assistant","parts":[{"type":"text","content":"done"}]}]'}),
        ({"gen_ai.input.messages": [{"role": "user", "content": "a"}]}, {},
         {"gen_ai.input.messages":
          [{"role": "user", "parts": [{"type": "text", "content": "a"}]}]}),
        ({"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "a"},
         {"remove_originals": True},
         {"gen_ai.input.messages":
          '[{"role":"user","parts":[{"type":"text","content":"a"}]}]',
          "gen_ai.prompt.0.role": None, "gen_ai.prompt.0.content": None}),
        ({"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "a"}, {"content": False}, {}),
        ({"gen_ai.prompt": '[{"role": "us'}, {"remove_originals": True}, {}),
        ({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "f",
          "gen_ai.tool.input": '{"a": 1}'}, {"remove_originals": True},
         {"gen_ai.tool.call.arguments": '{"a":1}', "gen_ai.tool.input": None}),
        # Not GenAI.
        ({"session.id": "s", "user.id": ""}, {"remove_originals": True}, {}),
    ],
)  # fmt: skip
def test_attributes(before: Any, options: Any, changed: dict[str, Value]) -> None:
    """Exactly these attributes change (None: is removed)."""
    if before.get("gen_ai.tool.input"):
        before = {**before, "telemetry.sdk.name": "openlit"}
    span = after(Span(attributes=dict(before)), **options)
    wanted = {k: v for k, v in (before | changed).items() if changed.get(k, v) is not None}
    assert span.attributes == wanted
    assert {k: type(v) for k, v in span.attributes.items()} == {
        k: type(v) for k, v in wanted.items()
    }


def test_defaults_made_up_by_the_producer_stay() -> None:
    """A temperature of 1.0 that OpenLIT made up is what the producer said."""
    span = after(recorded("openlit_1_45/stream"), remove_originals=True)
    assert (
        span.attributes["gen_ai.request.temperature"],
        span.attributes["gen_ai.request.seed"],
    ) == (1.0, 0)


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}, "chat m"),
        ({"gen_ai.operation.name": "aembedding", "gen_ai.request.model": "m"}, "embeddings m"),
        ({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "f"}, "execute_tool f"),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a"}, "invoke_agent a"),
        ({"gen_ai.operation.name": "chat"}, "openai.chat"),
        ({"gen_ai.request.model": "m"}, "openai.chat"),
    ],
)
def test_rename_spans(attributes: dict[str, Value], name: str) -> None:
    """Spans are named by operation and target, where both are known, and only on demand."""
    span = Span(name="openai.chat", attributes=attributes)
    assert after(span, rename_spans=True).name == name
    assert after(span).name == "openai.chat"


def test_unknown_event_attributes_keep_the_event() -> None:
    """An event that says more than was converted stays."""
    span = Span(
        attributes={"gen_ai.system": "openai"},
        events=[
            Event("gen_ai.user.message", 0, {"content": "a"}),
            Event("gen_ai.user.message", 0, {"content": "b", "mood": "good"}),
            Event("exception", 0, {}),
        ],
    )
    out = after(span, remove_originals=True)
    assert [event.attributes for event in out.events] == [{"content": "b", "mood": "good"}, {}]
    assert [m["role"] for m in _listed(_messages(out, "gen_ai.input.messages"))] == ["user"] * 2


def _listed(value: Value) -> list[Any]:
    assert isinstance(value, list)
    return value


def test_untouched_batches_stay_bytes() -> None:
    """A batch in which nothing changes is still the bytes it came in."""
    already = run(received(recorded("openlit_1_45/stream")))
    other = Span(name="GET /", attributes={"http.method": "GET"})
    batch = received(*already.view_spans(), other)
    sent = batch.encoded()
    out = run(batch)
    assert out.is_encoded
    assert out.encoded() is sent
    of_logs = logs(record())
    assert run(of_logs) is of_logs


def test_changed_batches_give_up_their_bytes() -> None:
    """A batch in which something changes is encoded anew, other spans included."""
    other = Span(name="GET /", attributes={"http.method": "GET"})
    batch = received(Span(name="a", attributes={"gen_ai.system": "x"}), other)
    out = run(batch)
    assert not out.is_encoded
    names = [s.name for s in batch_from_protobuf(Signal.TRACES, out.encoded()).view_spans()]
    assert names == ["a", "GET /"]


@pytest.mark.parametrize("case", all_cases())
def test_recordings(case: str) -> None:
    """A recorded span reads the same before and after, and its messages are valid."""
    for span in recorded_spans(case):
        before, said = read_observation(span), read_observation(span).read_content()
        out = after(span, remove_originals=True)
        observation = read_observation(out)
        assert _facts(observation) == _facts(before)
        assert _written(observation.read_content()) == _written(said)
        if span.attributes.get("gen_ai.operation.name") is not None:
            assert _valid(out)


def _valid(span: Span) -> bool:
    for key, name in (
        ("gen_ai.input.messages", "gen-ai-input-messages"),
        ("gen_ai.output.messages", "2026-09/gen-ai-output-messages"),
        ("gen_ai.system_instructions", "gen-ai-system-instructions"),
    ):
        value = span.attributes.get(key)
        if isinstance(value, str):
            assert faults(from_json(value), schema(name)) == []
    return True


def _facts(observation: Any) -> str:
    fields = ("kind", "operation", "provider", "request_model", "response_model", "parameters",
              "usage", "cost", "time_to_first_chunk_s", "response_id", "finish_reasons",
              "output_type", "conversation_id", "user_id", "agent_name", "workflow_name",
              "tool_name", "tool_call_id", "prompt_name", "error_type", "level")  # fmt: skip
    parameters = dict(sorted(observation.parameters.items()))
    return repr([parameters if f == "parameters" else getattr(observation, f) for f in fields])


def _written(content: Content) -> list[str | None]:
    return [
        to_json(value)  # type: ignore[arg-type]
        for value in (content.input_messages or None, content.output_messages or None,
                      content.system_instructions or None, content.tool_definitions or None)
    ]  # fmt: skip


OPTIONS = st.fixed_dictionaries({
    "content": st.booleans(), "overwrite": st.booleans(), "remove_originals": st.booleans(),
    "rename": st.booleans(),
})  # fmt: skip


@given(any_spans(), OPTIONS)
@settings(max_examples=150, deadline=None)
def test_laws(span: Span, options: Any) -> None:
    """Twice is once; facts, totals and content stay; nothing unknown is touched."""
    attributes = dict(span.attributes)
    before = read_observation(span, canonical_first=not options["overwrite"])
    said = before.read_content()
    change = plan_change(span, **options)
    if change is not None:
        change.apply(span)
    assert plan_change(span, **options) is None
    now = read_observation(span)
    if before.is_genai:
        assert _facts(now) == _facts(before)
        if options["content"]:
            assert _written(now.read_content()) == _written(said)
    for key, value in attributes.items():
        if key in span.attributes and (change is None or key not in change.set):
            assert span.attributes[key] is value
        elif not options["remove_originals"] and not key.startswith("gen_ai.usage."):
            assert key in span.attributes
