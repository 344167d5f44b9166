"""What a span shows of a record: the attributes that others read, and what the residual holds."""

from __future__ import annotations

import json
from typing import TypeAlias

import pytest

from genai_collector.conventions import read_observation
from genai_collector.formats import noveum
from genai_collector.formats.equal import same_span
from genai_collector.formats.noveum import Record
from genai_collector.formats.noveum.fields import provider_to_noveum, provider_to_semconv
from genai_collector.model import Attributes, Span, SpanKind, StatusCode, Value
from tests.formats.noveum.material import RECORDS, changed, load


def span_of(record: Record) -> Span:
    [span] = noveum.decode_records([record])
    return span


def call(**attributes: Value) -> Record:
    """A record with these members, in the gateway's spelling."""
    return {"timestamp": 1741190600, "attributes": {"thread_id": "t", **attributes}}


def said_of(record: Record) -> Attributes:
    return span_of(record).attributes


def test_fields_of_a_record_have_their_attributes() -> None:
    """Each member of a gateway record is the attribute that the mapping names."""
    span = span_of(load("derived_v1.0.1")[0])
    expected: Attributes = {
        "noveum.spelling": "gateway",
        "noveum.log.id": "msg_5a001eef",
        "gen_ai.conversation.id": "thread_fee100a5",
        "user.id": "user_456",
        "noveum.org.id": "org_123",
        "noveum.project.id": "proj_chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.stream": False,
        "gen_ai.response.id": "chatcmpl-B1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 18,
        "gen_ai.usage.output_tokens": 9,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 0,
        "gen_ai.usage.cost": 0.0008100000000000001,
        "noveum.cost.total_usd": 0.0008100000000000001,
        "noveum.ttfb_ms": 905,
        "noveum.provider_latency_ms": 0,
        "noveum.provider_request_id": "req_6f1d2c",
        "http.request.method": "POST",
        "url.path": "/v1/chat/completions",
        "http.response.status_code": 200,
        "http.request.body.size": 126,
        "http.response.body.size": 562,
        "openai.response.system_fingerprint": "fp_eb9dce56a8",
        "openai.response.service_tier": "default",
    }
    assert {key: span.attributes.get(key) for key in expected} == expected
    assert (span.name, span.kind) == ("chat gpt-4o", SpanKind.CLIENT)
    assert span.end_ns - span.start_ns == 913_000_000
    assert span.end_ns % 1_000_000_000 == 123_456_701
    assert span.resource.attributes["service.name"] == "noveum_ai_gateway"
    assert span.resource.attributes["deployment.environment.name"] == "production"


def test_the_span_is_read_like_any_other() -> None:
    """The neutral reading of a record's span has its model, usage, cost and messages."""
    seen = read_observation(span_of(load("derived_v1.0.1")[12]))
    content = seen.read_content()
    assert (seen.kind, seen.provider, seen.request_model) == ("generation", "openai", "gpt-4o")
    assert (seen.usage.input, seen.usage.output, seen.usage.cache_read) == (118, 19, 64)
    assert seen.conversation_id is not None
    assert content.input_messages is not None
    assert [message["role"] for message in content.input_messages] == ["user", "assistant", "tool"]
    assert content.output_messages is not None
    assert len(content.output_messages) == 2


# What the residual holds of the 21 recorded records: what nobody else says.
Paths: TypeAlias = "list[list[str]]"
STATUS: Paths = [["attributes", "metadata", "status"]]
COSTS: Paths = [
    ["attributes", "metadata", "cost_breakdown"],
    ["attributes", "metadata", "pricing_version"],
]
RESIDUALS: dict[str, list[Paths]] = {
    "seed_records": [[]] * 3,
    "derived_v1.0.1": [[]] * 9 + [STATUS] * 3 + [[]] + [STATUS],
    "derived_v2.0.1": [COSTS] * 3 + [STATUS],
}


@pytest.mark.parametrize("name", RESIDUALS)
def test_residuals_are_small(name: str) -> None:
    """The sample needs no residual; a gateway's record only what has no home."""
    for record, expected in zip(load(name), RESIDUALS[name], strict=True):
        residual = json.loads(str(said_of(record).get("noveum.residual", "[]")))
        assert [operation[0] for operation in residual] == expected


@pytest.mark.parametrize(
    ("provider", "ours"),
    [
        ("openai", "openai"),
        ("OpenAI", "openai"),
        ("bedrock", "aws.bedrock"),
        ("azure", "azure.ai.openai"),
        ("azure-openai", "azure.ai.openai"),
        ("mistral", "mistral_ai"),
        ("google", "gcp.gemini"),
        ("gemini", "gcp.gemini"),
        ("xai", "x_ai"),
        ("grok", "x_ai"),
        ("together", "together"),
        ("fireworks", "fireworks"),
    ],
)
def test_providers(provider: str, ours: str) -> None:
    """Providers have the convention's names; the first alias is the way back."""
    assert provider_to_semconv(provider) == ours
    assert said_of(call(provider=provider))["gen_ai.provider.name"] == ours
    assert provider_to_semconv(provider_to_noveum(ours)) == ours


def test_first_alias_is_the_way_back() -> None:
    """Of several gateway names for one provider, the first is written."""
    ours = ("azure.ai.openai", "gcp.gemini", "x_ai", "gcp.vertex_ai", "groq")
    assert [provider_to_noveum(name) for name in ours] == [
        "azure",
        "google",
        "xai",
        "google",
        "groq",
    ]


@pytest.mark.parametrize(
    ("body", "attribute", "value"),
    [
        ({"temperature": 0}, "temperature", 0.0),
        ({"top_p": 0.5}, "top_p", 0.5),
        ({"top_k": 40}, "top_k", 40),
        ({"max_completion_tokens": 9}, "max_tokens", 9),
        ({"stop": "END"}, "stop_sequences", ["END"]),
        ({"stop": ["a", "b"]}, "stop_sequences", ["a", "b"]),
        ({"n": 2}, "choice.count", 2),
        ({"n": 1}, "choice.count", None),
        ({"seed": "7"}, "seed", None),
        ({"temperature": True}, "temperature", None),
        ({"stream": "yes"}, "stream", None),
        ({"seed": 10**30}, "seed", None),
    ],
)
def test_request_parameters(body: Record, attribute: str, value: Value) -> None:
    """Parameters become attributes of the convention's type; odd ones stay in the body alone."""
    assert said_of(call(request=body)).get(f"gen_ai.request.{attribute}") == value


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/chat/completions", "chat"),
        ("/v1/completions", "text_completion"),
        ("/v1/embeddings", "embeddings"),
        (None, "chat"),
        (5, "chat"),
    ],
)
def test_operation_from_path(path: Value, operation: str) -> None:
    """The path says which operation it was."""
    record = call(provider="openai", metadata={"path": path})
    assert said_of(record)["gen_ai.operation.name"] == operation


def text_of(record: Record, key: str = "gen_ai.output.messages") -> str:
    [message] = json.loads(str(said_of(record)[key]))
    return "".join(part["content"] for part in message["parts"] if part["type"] == "text")


def test_streams_are_joined() -> None:
    """Chunks become one message: OpenAI's, with the reason at the end; and Anthropic's events."""
    openai, anthropic = load("derived_v1.0.1")[1], load("derived_v1.0.1")[4]
    assert text_of(openai) == "Iron"
    assert said_of(openai)["gen_ai.response.finish_reasons"] == ["stop"]
    assert said_of(openai)["gen_ai.response.time_to_first_chunk"] == 0.301
    assert text_of(anthropic) == "Rust"
    assert said_of(anthropic)["gen_ai.response.id"] == "msg_01Y"
    assert said_of(anthropic)["gen_ai.response.finish_reasons"] == ["end_turn"]


def test_aggregate_and_its_chunks() -> None:
    """The sample's aggregate has the text, its chunks the finish reason, `x_groq` the counts."""
    record = load("seed_records")[2]
    assert text_of(record).startswith('"Moonlit Dreams"')
    assert said_of(record)["gen_ai.response.finish_reasons"] == ["stop"]


def delta(**members: Value) -> Value:
    return {"choices": [{"index": 0, "delta": members}]}


def test_streamed_tool_calls_are_joined() -> None:
    """A tool call's arguments come in pieces, under its index; in both providers' ways."""
    first: Value = [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a"'}}]
    rest: Value = [{"index": 0, "function": {"arguments": ":1}"}}]
    block: Value = {"type": "tool_use", "id": "c1", "name": "f"}
    streams: list[Value] = [
        [delta(role="assistant", tool_calls=first), delta(tool_calls=rest)],
        [
            {"type": "content_block_start", "index": 1, "content_block": block},
            {"type": "content_block_delta", "index": 1, "delta": {"partial_json": '{"a"'}},
            {"type": "content_block_delta", "index": 1, "delta": {"partial_json": ":1}"}},
        ],
    ]
    for stream in streams:
        said = said_of(call(request={}, response={"streamed_data": stream}))
        [message] = json.loads(str(said["gen_ai.output.messages"]))
        assert message["parts"] == [
            {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}}
        ]


def test_sanitised_content_is_expanded() -> None:
    """Content that the gateway made a JSON string is parts again; JSON that a user wrote is not."""
    record = load("derived_v1.0.1")[9]
    [message] = json.loads(str(said_of(record)["gen_ai.input.messages"]))
    assert [part["type"] for part in message["parts"]] == ["text", "blob"]
    for content in ('[{"a": 1}]', "[1]", "[{broken", '{"type": "text"}'):
        asked = call(request={"messages": [{"role": "user", "content": content}]})
        assert text_of(asked, "gen_ai.input.messages") == content


@pytest.mark.parametrize(
    ("record", "error_type", "message"),
    [
        (load("derived_v1.0.1")[9], "rate_limit_exceeded", "Rate limit reached"),
        (load("derived_v1.0.1")[10], "MissingApiKey", "Missing or invalid API key"),
        (load("derived_v1.0.1")[11], "504", ""),
        (load("derived_v1.0.1")[13], "429", ""),
        (load("derived_v2.0.1")[3], "overloaded_error", "Overloaded"),
        (call(response={"type": "error"}), "_OTHER", ""),
        (call(response={"error": "boom"}), "_OTHER", "boom"),
        (call(response={"streamed_data": [{"error": {"type": "t", "message": "m"}}]}), "t", "m"),
        (call(metadata={"status": "error"}), "_OTHER", ""),
        (call(metadata={"error_count": 1, "error_type": "timeout"}), "timeout", ""),
    ],
)
def test_failures_are_seen(record: Record, error_type: str, message: str) -> None:
    """Gateways write "success" whatever happened, so failure is read from what they saw."""
    span = span_of(record)
    assert span.status_code == StatusCode.ERROR
    assert span.attributes["error.type"] == error_type
    assert span.status_message == message


def test_success_is_no_error() -> None:
    """No status is invented for a call that went well."""
    span = span_of(RECORDS[0])
    assert span.status_code == StatusCode.UNSET
    assert "error.type" not in span.attributes


@pytest.mark.parametrize(
    ("usage", "said", "expected"),
    [
        ({"prompt_tokens": 9}, {}, (9, None, None)),
        ({"prompt_tokens": 9}, {"input": 5}, (5, None, None)),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}},
            {"input": 9},
            (9, 4, None),
        ),
        (
            {"input_tokens": 9, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2},
            {"input": 9},
            (15, 4, 2),
        ),
        ({"input_tokens": "9"}, {"input": 2.0}, (None, None, None)),
    ],
)
def test_tokens(usage: Record, said: Record, expected: tuple[int | None, ...]) -> None:
    """The record's count wins over the body's; what Anthropic counts beside the input is added."""
    found = said_of(call(request={}, response={"usage": usage}, metadata={"tokens": said}))
    names = ("input_tokens", "cache_read.input_tokens", "cache_creation.input_tokens")
    assert tuple(found.get(f"gen_ai.usage.{name}") for name in names) == expected


@pytest.mark.parametrize(
    ("timestamp", "ns"),
    [
        ("2025-03-05T16:03:20.123Z", 1741190600_123_000_000),
        ("2025-03-05T16:03:20Z", 1741190600_000_000_000),
        ("2025-03-05T18:03:20.5+02:00", 1741190600_500_000_000),
        ("2025-03-05 16:03:20.123456789", 1741190600_123_456_789),
        (1741190600, 1741190600_000_000_000),
        (1741190600.5, 1741190600_500_000_000),
        (1741190600123, 1741190600_123_000_000),
        (1741190600123456, 1741190600_123_456_000),
        (1741190600123456789, 1741190600_123_456_789),
        ("yesterday", 0),
        ("2025-13-05T16:03:20Z", 0),
        ("1969-03-05T16:03:20Z", 0),
        ("2025-03-05T16:03:20+99:00", 0),
        (-1, 0),
        (float("nan"), 0),
        (10**30, 0),
        (True, 0),
        (None, 0),
    ],
)
def test_timestamps(timestamp: Value, ns: int) -> None:
    """Text or a number of any unit; what is neither has no time, and comes back all the same."""
    record = changed(RECORDS[0], ("timestamp",), timestamp)
    span = span_of(record)
    assert span.end_ns == ns
    [again] = noveum.encode_spans([span])
    assert repr(again.get("timestamp")) == repr(timestamp)


def test_prompts_and_instructions() -> None:
    """A completion's prompt is one user message; instructions given apart stay apart."""
    said = said_of(call(request={"prompt": "hi", "system": "be brief"}))
    assert text_of(call(request={"prompt": "hi"}), "gen_ai.input.messages") == "hi"
    assert json.loads(str(said["gen_ai.system_instructions"])) == [
        {"type": "text", "content": "be brief"}
    ]


@pytest.mark.parametrize("key", ["noveum.request", "noveum.response", "noveum.residual"])
@pytest.mark.parametrize("text", ["{broken", "5", "null", "[]", '[[["attributes"],1]]', 7])
def test_damaged_marks(key: str, text: Value) -> None:
    """Whatever happened to what we keep, the span is a record and comes back the same."""
    span = span_of(load("derived_v2.0.1")[0])
    span.attributes[key] = text
    [record] = noveum.encode_spans([span])
    [again] = noveum.decode_records(noveum.parse(noveum.dump(record)))
    assert same_span(again, span)


def test_removed_bodies_are_rebuilt() -> None:
    """When a processor removes the whole bodies, the record has what the views still say."""
    span = span_of(load("derived_v1.0.1")[0])
    del span.attributes["noveum.request"], span.attributes["noveum.response"]
    [record] = noveum.encode_spans([span])
    attributes = record["attributes"]
    assert isinstance(attributes, dict)
    request, response = attributes["request"], attributes["response"]
    assert isinstance(request, dict)
    assert isinstance(response, dict)
    assert request["model"] == "gpt-4o"
    assert request["messages"] == [
        {"role": "user", "content": "Write a very short poem about Rust"}
    ]
    assert response["id"] == "chatcmpl-B1"


def test_a_changed_attribute_changes_the_record() -> None:
    """What a processor says of a record's span is what the record says afterwards."""
    span = span_of(RECORDS[0])
    span.attributes["user.id"] = "hidden"
    [record] = noveum.encode_spans([span])
    attributes = record["attributes"]
    assert isinstance(attributes, dict)
    assert attributes["user_id"] == "hidden"
    assert attributes["threadId"] == "thread_29"
