"""Records of OTLP-born spans, member by member."""

from __future__ import annotations

import json

import pytest

from genai_collector.formats import noveum
from genai_collector.formats.equal import same_span
from genai_collector.formats.noveum import Record
from genai_collector.model import Attributes, Resource, Span, StatusCode, Value

CALL: Attributes = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "aws.bedrock",
    "gen_ai.request.model": "claude",
    "gen_ai.response.model": "claude-3",
    "gen_ai.response.id": "r1",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.stop_sequences": ["END"],
    "gen_ai.request.choice.count": 2,
    "gen_ai.request.max_tokens": 64,
    "gen_ai.usage.input_tokens": 40,
    "gen_ai.usage.output_tokens": 2,
    "gen_ai.usage.cache_read.input_tokens": 16,
    "gen_ai.usage.cost": 0.25,
    "gen_ai.conversation.id": "c1",
    "user.id": "u1",
    "gen_ai.system_instructions": '[{"type":"text","content":"be brief"}]',
    "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]',
    "gen_ai.output.messages": (
        '[{"role":"assistant","parts":[{"type":"tool_call","id":"t","name":"f",'
        '"arguments":{"a":1}}],"finish_reason":"tool_call"}]'
    ),
    "gen_ai.tool.definitions": '[{"type":"function","name":"f","parameters":{}}]',
}


def span(**changes: Value) -> Span:
    """A call of a model that took 1.9999 s, with changed attributes (dots written as `__`)."""
    said = CALL | {key.replace("__", "."): value for key, value in changes.items()}
    return Span(
        trace_id=b"\x01" * 16,
        span_id=b"\x02" * 8,
        name="chat claude",
        kind=3,
        start_ns=1_741_190_600_000_000_001,
        end_ns=1_741_190_601_999_900_001,
        attributes={key: value for key, value in said.items() if value is not None},
        resource=Resource({
            "service.name": "app", "deployment.environment.name": "prod", "host.name": "h",
        }),
    )  # fmt: skip


def record_of(made: Span) -> Record:
    [record] = noveum.encode_spans([made])
    [arrived] = noveum.parse(noveum.dump(record))
    return arrived


def members(made: Span, *path: str) -> Record:
    node: Value = record_of(made)["attributes"]
    for key in path:
        assert isinstance(node, dict)
        node = node[key]
    assert isinstance(node, dict)
    return node


def test_a_call_in_the_gateways_spelling() -> None:
    """Every member that released gateways write is there, with what the span says."""
    record = record_of(span())
    assert record["timestamp"] == "2025-03-05T16:03:21.999900001+00:00"
    assert record["name"] == "ai_gateway_request_log"
    assert record["resource"] == {"service.name": "app", "deployment.environment": "prod"}
    attributes = members(span())
    del attributes["otel"]
    assert attributes == {
        "id": "msg_0202020202020202",
        "thread_id": "c1",
        "user_id": "u1",
        "org_id": None,
        "project_id": None,
        "experiment_id": None,
        "provider": "bedrock",
        "model": "claude-3",
        "request": {
            "model": "claude",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "hi"},
            ],
            "temperature": 0.5,
            "stop": ["END"],
            "n": 2,
            "max_tokens": 64,
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        },
        "response": {
            "id": "r1",
            "model": "claude-3",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {
                                "id": "t",
                                "type": "function",
                                "function": {"name": "f", "arguments": '{"a":1}'},
                            }
                        ],
                    },
                    "finish_reason": "tool_calls",
                }
            ],
            "usage": {
                "prompt_tokens": 40,
                "completion_tokens": 2,
                "total_tokens": 42,
                "prompt_tokens_details": {"cached_tokens": 16},
            },
        },
        "metadata": {
            "project_id": None,
            "project_name": None,
            "latency": 1999,
            "status": "success",
            "tokens": {"input": 40, "output": 2, "total": 42},
            "cost": 0.25,
            "path": "/v1/chat/completions",
            "method": "POST",
            "error_count": 0,
            "error_type": None,
            "provider_error_count": 0,
            "provider_error_type": None,
            "provider_status_code": 0,
            "provider_request_id": None,
        },
    }


def test_a_call_in_the_samples_spelling() -> None:
    """camelCase names, `Z`, and no members that the sample does not have."""
    [record] = noveum.encode_spans([span(noveum__project__id="p")], spelling="seed")
    attributes = record["attributes"]
    assert isinstance(attributes, dict)
    assert record["timestamp"] == "2025-03-05T16:03:21.999900001Z"
    assert attributes["threadId"] == "c1"
    assert attributes["project_id"] == "p"
    assert attributes["metadata"] == {
        "projectId": "p",
        "latency": 1999,
        "status": "success",
        "tokens": {"input": 40, "output": 2, "total": 42},
        "cost": 0.25,
    }
    assert not {"thread_id", "org_id", "experiment_id"} & attributes.keys()


def test_what_the_producer_said_wins() -> None:
    """Members named in the gateway's own vocabulary or HTTP's are taken as they are."""
    said = span(
        noveum__log__id="mine",
        noveum__org__id="o",
        noveum__project__id="p",
        noveum__project__name="P",
        noveum__experiment__id="e",
        noveum__cost__total_usd=1.5,
        noveum__ttfb_ms=7,
        url__path="/custom",
        http__request__method="PUT",
        http__response__status_code=201,
        http__request__body__size=10,
    )
    attributes = members(said)
    assert [attributes[key] for key in ("id", "org_id", "project_id", "experiment_id")] == [
        "mine",
        "o",
        "p",
        "e",
    ]
    metadata = members(said, "metadata")
    expected = {
        "project_name": "P",
        "project_id": "p",
        "cost": 1.5,
        "ttfb": 7,
        "path": "/custom",
        "method": "PUT",
        "status_code": 201,
        "request_size": 10,
    }
    assert {key: metadata.get(key) for key in expected} == expected


def test_members_of_the_wrong_type_are_not_shown() -> None:
    """A status code that is a text is no status code; it stays in the block."""
    metadata = members(span(http__response__status_code="ok", noveum__ttfb_ms=1.5), "metadata")
    assert not {"status_code", "ttfb"} & metadata.keys()


@pytest.mark.parametrize(
    ("error_type", "code"),
    [("429", 429), ("rate_limit", None), ("999", None), ("\u0664\u0662\u0669", None)],
)
def test_failures(error_type: str, code: int | None) -> None:
    """An error is counted, typed, and in the response as the gateway writes it: a JSON string."""
    failed = span(error__type=error_type, gen_ai__output__messages=None)
    failed.status_code, failed.status_message = StatusCode.ERROR, "no more"
    metadata = members(failed, "metadata")
    assert (metadata["status"], metadata["error_count"]) == ("error", 1)
    assert metadata["error_type"] == error_type
    assert metadata.get("status_code") == code
    error = json.loads(str(members(failed, "response")["error"]))
    assert error == {"message": "no more", "type": error_type}
    [again] = noveum.decode_records([record_of(failed)])
    assert again.status_message == "no more"


def test_embeddings() -> None:
    """An embedding's input is a text or a list of texts, and its path says what it was."""
    said = span(
        gen_ai__operation__name="embeddings",
        gen_ai__output__messages=None,
        gen_ai__usage__output_tokens=None,
        gen_ai__system_instructions=None,
        gen_ai__tool__definitions=None,
    )
    assert members(said, "request")["input"] == "hi"
    assert members(said, "metadata")["path"] == "/v1/embeddings"
    assert members(said, "metadata", "tokens") == {"input": 40, "output": None, "total": 40}


def test_a_call_without_content() -> None:
    """Where content is not captured, the rest of request and response is still there."""
    silent = span(
        gen_ai__input__messages=None,
        gen_ai__output__messages=None,
        gen_ai__system_instructions=None,
    )
    assert "messages" not in members(silent, "request")
    assert members(silent, "response")["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": None},
            "finish_reason": "stop",
        }
    ]


def test_foreign_marks() -> None:
    """A span that happens to use our attribute names is still exact, changed record or not."""
    for marks in (
        {"noveum__residual": "x"},
        {"noveum__residual": '[[["name"],"x"]]', "noveum__residual__spelling": "gateway"},
        {"noveum__residual__spelling": "gateway"},
        {"noveum__residual__spelling": 5},
        {"noveum__spelling": "neither"},
    ):
        marked = span(**marks)
        record = record_of(marked)
        [again] = noveum.decode_records([record])
        assert same_span(again, marked)
        record["extra"] = 1
        assert noveum.encode_spans(noveum.decode_records([record])) == [record]


def test_spans_that_are_no_call() -> None:
    """They are records of their own name, without model and provider, or left out."""
    other = Span(span_id=b"\x03" * 8, name="GET", start_ns=5, end_ns=2_000_005, kind=3)
    record = record_of(other)
    attributes = record["attributes"]
    assert isinstance(attributes, dict)
    assert record["name"] == "otel_span"
    assert not {"provider", "model", "request", "response"} & attributes.keys()
    assert members(other, "metadata")["latency"] == 2
    assert noveum.encode_spans([other], include_other_spans=False) == []
    assert len(noveum.encode_spans([other, span()], include_other_spans=False)) == 1


def test_records_are_kept_when_other_spans_are_left_out() -> None:
    """A span that was a Noveum record is one, whatever it says."""
    [was] = noveum.decode_records([{"name": "anything"}])
    assert noveum.encode_spans([was], include_other_spans=False) == [{"name": "anything"}]


def test_ids_are_deterministic() -> None:
    """The same span is the same record twice, with or without a span id of its own."""
    without = span()
    without.span_id = b""
    for made in (span(), without):
        assert noveum.dump(record_of(made)) == noveum.dump(record_of(made))
    other = span()
    other.span_id, other.name = b"", "another"
    assert members(other)["id"] != members(without)["id"]


def test_content_that_json_cannot_say() -> None:
    """Bytes and NaN inside content are readable text in the record, exact in its block."""
    message: Value = {"role": "user", "parts": [{"type": "text", "content": b"\xff", "x": [1e999]}]}
    odd = span(gen_ai__input__messages=[message], gen_ai__request__weird=float("nan"))
    data = noveum.dump(record_of(odd))
    json.loads(data, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    [again] = noveum.decode_records(noveum.parse(data))
    assert again.attributes["gen_ai.input.messages"] == [message]


def test_content_nested_without_end() -> None:
    """Deeply nested arguments are cut where people read them, so that the record stays one."""
    deep = "[" * 150 + "]" * 150
    messages = f'[{{"role":"user","parts":[{{"type":"tool_call","arguments":{deep},"x":{deep}}}]}}]'
    [again] = noveum.decode_records([record_of(span(gen_ai__input__messages=messages))])
    assert again.attributes["gen_ai.input.messages"] == messages
