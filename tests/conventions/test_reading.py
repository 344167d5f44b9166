"""Precedence between vocabularies, and what holds for every span whatever."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.conventions import VOCABULARIES, Content, Observation, read_observation
from genai_collector.conventions import semconv as s
from genai_collector.model import Attributes, Event, Scope, Span, SpanKind, Value
from tests.conventions.loading import all_cases, recorded_spans, values

KEYS = [
    *sorted({row.key for v in VOCABULARIES for row in v.rows}),
    "langfuse.observation.usage_details", "langfuse.observation.model.parameters",
    "langfuse.observation.metadata.a", "llm.invocation_parameters", "metadata", "metadata.a",
    "llm.input_messages.0.message.content", "llm.input_messages.0.message.role",
    "llm.output_messages.1.message.contents.0.message_content.text", "llm.tools.0.tool.json_schema",
    "gen_ai.completion.0.function_call.name", "gen_ai.cost.other", "ai.settings.seed",
    "llm.token_count.completion_details.audio", "mlflow.chat.tokenUsage", "genkit:name",
]  # fmt: skip


def read(attributes: Attributes, **parts: Any) -> Observation:
    return read_observation(Span(attributes=attributes, **parts))


@pytest.mark.parametrize(
    ("attributes", "field", "wanted", "consumed"),
    [
        # The canonical name wins; what disagrees with it is left to the producer.
        ({"gen_ai.system": "x", "gen_ai.provider.name": "y"}, "provider", "y",
         {"gen_ai.provider.name"}),
        # What agrees is understood too.
        ({"gen_ai.system": "xai", "gen_ai.provider.name": "x_ai"}, "provider", "x_ai",
         {"gen_ai.provider.name", "gen_ai.system"}),
        # A canonical name that says nothing does not win.
        ({"gen_ai.system": "x", "gen_ai.provider.name": ""}, "provider", "x",
         {"gen_ai.provider.name", "gen_ai.system"}),
        ({"gen_ai.system": "x", "gen_ai.provider.name": 7}, "provider", "x", {"gen_ai.system"}),
        ({"gen_ai.system": "_OTHER"}, "provider", None, set()),
        # Producers before deprecated names, whatever the order of arrival.
        ({"enduser.id": "a", "gen_ai.request.user": "b"}, "user_id", "b", {"gen_ai.request.user"}),
        ({"gen_ai.operation.name": "chat", "user.id": "c", "gen_ai.request.user": "b"}, "user_id",
         "c", {"user.id", "gen_ai.operation.name"}),
        ({"gen_ai.operation.name": "acompletion"}, "operation", "chat", {"gen_ai.operation.name"}),
        ({"gen_ai.openai.request.response_format": "json_schema"}, "output_type", "json",
         {"gen_ai.openai.request.response_format"}),
        ({"gen_ai.response.finish_reasons": '["stop"]'}, "finish_reasons", ["stop"],
         {"gen_ai.response.finish_reasons"}),
    ],
)  # fmt: skip
def test_precedence(attributes: Attributes, field: str, wanted: object, consumed: set[str]) -> None:
    """Of several keys that say one field, the earliest readable one is believed."""
    for order in (attributes, dict(reversed(attributes.items()))):
        observation = read(order)
        assert getattr(observation, field) == wanted
        assert observation.consumed == consumed


def test_canonical_last() -> None:
    """On demand other vocabularies are believed before the canonical name."""
    span = Span(attributes={"gen_ai.usage.prompt_tokens": 1, "gen_ai.usage.input_tokens": 2})
    assert read_observation(span).usage.input == 2
    assert read_observation(span, canonical_first=False).usage.input == 1


@pytest.mark.parametrize("old", sorted(s.RENAMED))
def test_renamed(old: str) -> None:
    """Every name that the conventions gave up reads as what it became."""
    value: Value = 7 if "tokens" in old or "seed" in old else "text"
    assert _facts(read({"gen_ai.x": 1, old: value})) == _facts(
        read({"gen_ai.x": 1, s.RENAMED[old]: value})
    )


def _facts(observation: Observation) -> Observation:
    observation.consumed = set()
    return observation


@pytest.mark.parametrize(
    ("values_", "aliases"),
    [(s.PROVIDERS.values(), s.provider), (s.OPERATIONS.values(), s.operation)],
)
def test_aliases_are_final(values_: Any, aliases: Any) -> None:
    """No alias leads to another alias."""
    for value in values_:
        assert aliases(value) == value


@pytest.mark.parametrize(
    ("attributes", "kind", "wanted"),
    [
        ({"gen_ai.operation.name": "chat"}, 0, "generation"),
        ({"gen_ai.operation.name": "embedding"}, 0, "embedding"),
        ({"gen_ai.operation.name": "execute_tool"}, 0, "tool"),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m"}, 0, "agent"),
        ({"gen_ai.operation.name": "invoke_workflow"}, 0, "workflow"),
        ({"gen_ai.operation.name": "retrieval"}, 0, "retriever"),
        ({"gen_ai.operation.name": "fetch_response", "gen_ai.request.model": "m"}, 0, "span"),
        ({"gen_ai.operation.name": "sing", "gen_ai.request.model": "m"}, 0, "generation"),
        ({"gen_ai.operation.name": "sing"}, 0, "span"),
        ({"gen_ai.request.model": "m"}, SpanKind.CLIENT, "generation"),
        # A gateway repeats the model on its own span; only the call inside is a generation.
        ({"gen_ai.request.model": "m"}, SpanKind.SERVER, "span"),
        ({"gen_ai.tool.name": "f"}, 0, "tool"),
        ({"gen_ai.agent.name": "a"}, 0, "agent"),
    ],
)
def test_kind(attributes: Attributes, kind: int, wanted: str) -> None:
    """The kind follows the operation, else what the span names."""
    assert read(attributes, kind=kind).kind == wanted


def test_unlisted_parameters_and_counts_survive() -> None:
    """Parameters and token counts that nobody lists keep the producer's name."""
    observation = read({
        "gen_ai.request.structured_output_schema": "{}", "gen_ai.usage.audio.input_tokens": 3,
        "gen_ai.usage.details.cached": 2, "gen_ai.usage.note": "x", "gen_ai.request.nothing": "",
    })  # fmt: skip
    assert observation.parameters == {"structured_output_schema": "{}"}
    assert observation.usage.details == {"audio.input_tokens": 3, "cached": 2}
    assert {"gen_ai.usage.note", "gen_ai.request.nothing"}.isdisjoint(observation.consumed)


def test_other_spans() -> None:
    """A span without any GenAI attribute is not recognised, and nothing of it is consumed."""
    observation = read({"http.method": "GET", "user.id": "u", "error.type": "500"}, name="GET /")
    assert not observation.is_genai
    assert (observation.name, observation.kind, observation.consumed) == ("GET /", "span", set())
    assert observation.read_content() == Content()


def test_content_is_lazy() -> None:
    """Reading facts touches neither events nor messages; only `read_content` consumes them."""
    (span,) = recorded_spans("openlit_1_34/tools")
    span.set_encoded([b""], _fail, [], _fail)
    observation = read_observation(span)
    assert span.encoded_events is not None
    assert "gen_ai.response.tool_calls" not in observation.consumed


def _fail(_raw: bytes) -> Any:
    raise AssertionError("decoded")


@pytest.mark.parametrize("case", all_cases())
def test_consumed_is_real(case: str) -> None:
    """What a reading says it consumed is on the span, before and after reading the content."""
    for span in recorded_spans(case):
        observation = read_observation(span)
        before = set(observation.consumed)
        observation.read_content()
        assert before <= observation.consumed <= span.attributes.keys()
        assert observation.consumed_events <= {event.name for event in span.events}


def spans() -> st.SearchStrategy[Span]:
    """Spans with known keys, odd keys and any values, events and scopes."""
    keys = st.one_of(
        st.sampled_from(KEYS),
        st.sampled_from([
            "gen_ai.prompt.0.role", "gen_ai.prompt.0.content", "gen_ai.prompt.1.tool_calls.0.name",
            "gen_ai.completion.0.content", "gen_ai.prompt.name", "gen_ai.request.x",
            "gen_ai.usage.x", "telemetry.sdk.name", "x",
        ]),
        st.text(max_size=8).map("gen_ai.".__add__),
    )  # fmt: skip
    names = st.sampled_from([
        "gen_ai.content.prompt", "gen_ai.content.completion", "gen_ai.user.message",
        "gen_ai.choice", "gen_ai.client.inference.operation.details", "exception", "x",
    ])  # fmt: skip
    event_keys = st.sampled_from([
        "gen_ai.prompt", "gen_ai.completion", "content", "message", "tool_calls", "index", "role",
        "gen_ai.event.content", "gen_ai.input.messages", "exception.type", "finish_reason",
    ])  # fmt: skip
    events = st.builds(
        lambda name, attributes: Event(name, 0, attributes),
        names,
        st.dictionaries(event_keys, values(), max_size=4),
    )
    return st.builds(
        lambda name, attributes, events, scope, status: Span(
            name=name, attributes=attributes, events=events, scope=Scope(scope), status_code=status
        ),
        st.sampled_from(["chat m", "embeddings", "", "x y"]),
        st.dictionaries(keys, values(), max_size=10),
        st.lists(events, max_size=3),
        st.sampled_from(["", "openlit", "other"]),
        st.integers(0, 3),
    )


@given(spans())
@settings(max_examples=200, deadline=None)
def test_total(span: Span) -> None:
    """Any attributes whatever are read without an error, and the span stays as it was."""
    before = repr(span.attributes), [repr(event.attributes) for event in span.events]
    observation = read_observation(span)
    observation.read_content()
    assert before == (repr(span.attributes), [repr(event.attributes) for event in span.events])
    assert observation.consumed <= span.attributes.keys()
