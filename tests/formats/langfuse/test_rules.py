"""Each rule of the mapping by itself, so that the room is tested without the recordings."""

from __future__ import annotations

import pytest

from genai_collector.formats.langfuse.values import JSON
from genai_collector.model import Attributes, Value
from tests.formats.langfuse.making import body_of, events_of, observation, span, trace

GENERATION: Attributes = {"langfuse.observation.type": "generation"}
FIRST_TOKEN = "langfuse.observation.completion_start_time"
NEW_YEAR = "2025-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("attributes", "scope", "kind"),
    [
        ({}, "x", "span"),
        ({"langfuse.observation.type": "retriever"}, "x", "retriever"),
        ({"langfuse.observation.type": "SPAN"}, "x", "span"),
        ({"openinference.span.kind": "LLM"}, "x", "generation"),
        ({"openinference.span.kind": "RERANKER", "llm.model_name": "m"}, "x", "generation"),
        ({"gen_ai.operation.name": "chat"}, "x", "generation"),
        ({"gen_ai.operation.name": "embeddings"}, "x", "embedding"),
        ({"gen_ai.operation.name": "retrieval"}, "x", "span"),
        ({"genkit:metadata:subtype": "tool.v2"}, "genkit-tracer", "tool"),
        ({"ai.operationId": "ai.streamText.doStream", "ai.model.id": "m"}, "ai", "generation"),
        ({"ai.operationId": "ai.streamText.doStream"}, "ai", "span"),
        ({"operation.name": "ai.embed.doEmbed f", "ai.model.id": "m"}, "ai", "embedding"),
        ({"ai.operationId": "ai.toolCall"}, "ai", "tool"),
        ({"gen_ai.tool.call.id": "c1"}, "x", "tool"),
        ({"gen_ai.tool.name": ""}, "x", "span"),
        ({"flue.task.agent": "a"}, "@flue/opentelemetry", "agent"),
        ({"model": "m"}, "x", "generation"),
        ({"traceloop.span.kind": "agent"}, "x", "span"),
    ],
)
def test_type(attributes: Attributes, scope: str, kind: str) -> None:
    """The first rule that yields a type decides."""
    assert observation(span(attributes, scope=scope))[0] == f"{kind}-create"


@pytest.mark.parametrize(
    ("version", "kind"),
    [("3.3.0", "generation"), ("2.60.3", "generation"), ("3.4.0", "span"), ("4.0", "span")],
)
def test_spans_of_old_python_sdks_are_generations(version: str, kind: str) -> None:
    """Up to 3.3 the Python SDK called generations spans; their attributes tell."""
    made = span(
        {"langfuse.observation.type": "span", "langfuse.observation.model.name": "m"},
        scope="langfuse-sdk",
        scope_version=version,
        resource={"telemetry.sdk.language": "python"},
    )
    assert observation(made)[0] == f"{kind}-create"


@pytest.mark.parametrize(
    ("name", "kind", "level"),
    [
        ("agent_turn", "agent", "DEFAULT"),
        ("function_tool", "tool", "DEFAULT"),
        ("tts_node", "span", "DEBUG"),
    ],
)
def test_livekit_spans_by_name(name: str, kind: str, level: str) -> None:
    """LiveKit's spans are told apart by name, in its scope only."""
    made, body = observation(span(name=name, scope="livekit-agents"))
    assert (made, body["level"]) == (f"{kind}-create", level)
    assert observation(span(name=name))[1]["level"] == "DEFAULT"


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"gen_ai.tool.name": "t", "logfire.msg": "m"}, "t"),
        ({"genkit:name": "g", "logfire.msg": "m"}, "g"),
        ({"logfire.msg": "m", "ai.toolCall.name": "a"}, "m"),
        ({"ai.toolCall.name": "a", "ai.operationId": "o"}, "a"),
        ({"ai.operationId": "o", "ai.telemetry.functionId": "f"}, "f:o"),
        ({"ai.operationId": "o"}, "o"),
        ({"gen_ai.tool.name": 7}, "7"),
        ({}, "span-name"),
    ],
)
def test_name(attributes: Attributes, name: str) -> None:
    """Tool, framework and operation names come before the span's."""
    made = span(attributes)
    assert observation(made)[1]["name"] == name
    assert trace(made)["name"] == name


@pytest.mark.parametrize(
    ("said", "code", "level"),
    [
        ("warn", 2, "WARNING"),
        (" Fatal ", 0, "ERROR"),
        ("trace", 0, "DEBUG"),
        ("bogus", 2, "ERROR"),
        ("bogus", 1, "DEFAULT"),
        (None, 2, "ERROR"),
    ],
)
def test_level(said: str | None, code: int, level: str) -> None:
    """The producer's level in any spelling, else the status."""
    attributes: Attributes = {} if said is None else {"langfuse.observation.level": said}
    assert observation(span(attributes, status_code=code))[1]["level"] == level


def test_status_message() -> None:
    """The attribute comes before the status; an empty message is none."""
    said: Attributes = {"langfuse.observation.status_message": "a"}
    assert observation(span(said, status_message="s"))[1]["statusMessage"] == "a"
    assert observation(span(status_message="s"))[1]["statusMessage"] == "s"
    assert "statusMessage" not in observation(span())[1]


@pytest.mark.parametrize(
    ("attributes", "resource", "environment"),
    [
        ({}, {}, "default"),
        ({"langfuse.environment": "Prod"}, {"langfuse.environment": "r"}, "prod"),
        ({"deployment.environment": "a"}, {"deployment.environment.name": "b"}, "b"),
        ({"deployment.environment": "a"}, {}, "a"),
        ({}, {"langfuse.environment": "langfuse-langfuse_x"}, "x"),
        ({"langfuse.environment": "my env"}, {}, "default"),
        ({"langfuse.environment": "e" * 50}, {}, "e" * 40),
        ({"langfuse.environment": 5}, {}, "default"),
    ],
)
def test_environment(attributes: Attributes, resource: Attributes, environment: str) -> None:
    """Key by key, the span before the resource; normalised as the server does."""
    made = span(attributes, resource=resource)
    assert observation(made)[1]["environment"] == environment
    assert trace(made)["environment"] == environment


def test_environment_of_a_failed_judge_call() -> None:
    """OpenRouter echoes the request of a failed call, which tells its environment."""
    completion = (
        '{"completion":null,"rawRequest":{"trace":{"environment":"langfuse-llm-as-a-judge"}}}'
    )
    attributes: Attributes = {"openrouter.source": "openrouter", "gen_ai.completion": completion}
    made = span(attributes, resource={"service.name": "openrouter"})
    assert trace(made)["environment"] == "llm-as-a-judge"
    assert trace(span(attributes))["environment"] == "default"


@pytest.mark.parametrize(
    ("attributes", "field", "value"),
    [
        ({"langfuse.user.id": "a", "user.id": "b"}, "userId", "a"),
        ({"user.id": 7}, "userId", "7"),
        ({"ai.telemetry.metadata.userId": "c"}, "userId", "c"),
        ({"enduser.id": "d"}, "userId", None),
        ({"session.id": "s", "gen_ai.conversation.id": "c"}, "sessionId", "s"),
        ({"gen_ai.conversation.id": "c"}, "sessionId", "c"),
        ({"langfuse.trace.tags": ["a", "b"]}, "tags", ["a", "b"]),
        ({"langfuse.tags": '["a",1]'}, "tags", ["a", "1"]),
        ({"langfuse.tags": "[a"}, "tags", ["[a"]),
        ({"tag.tags": "a, b"}, "tags", ["a", "b"]),
        ({"tag.tags": "one"}, "tags", ["one"]),
        ({"tag.tags": 5}, "tags", None),
        ({"langfuse.trace.public": "true"}, "public", True),
        ({"langfuse.public": 1}, "public", False),
        ({}, "public", None),
        ({"langfuse.version": "v"}, "version", "v"),
        ({}, "version", "9.9"),
        ({"langfuse.release": "r"}, "release", "r"),
        ({}, "release", "rr"),
        ({"langfuse.trace.name": "n"}, "name", "n"),
        ({"langfuse.trace.name": "n" * 1001}, "name", "n" * 1000),
        ({"langfuse.trace.name": "\U0001f600" * 501}, "name", "\U0001f600" * 500),
        ({"langfuse.trace.name": 5}, "name", "5"),
    ],
)
def test_trace_fields(attributes: Attributes, field: str, value: JSON) -> None:
    """What the root span says of its trace."""
    resource: Attributes = {"service.version": "9.9", "langfuse.release": "rr", "user.id": "no"}
    assert trace(span(attributes, resource=resource)).get(field) == value


@pytest.mark.parametrize(
    ("attributes", "usage"),
    [
        (
            {"gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 3},
            {"input": 5, "output": 3},
        ),
        ({"gen_ai.usage.prompt_tokens": 0, "gen_ai.usage.input_tokens": 5}, {"input": 0}),
        ({"llm.token_count.prompt": 5, "llm.token_count.total": "9"}, {"input": 5, "total": 9}),
        (
            {"gen_ai.usage.input_tokens": 5, "gen_ai.usage.cache_read.input_tokens": 2,
             "gen_ai.usage.cache_creation_input_tokens": 1},
            {"input": 2, "input_cached_tokens": 2, "input_cache_creation": 1},
        ),
        (
            {"gen_ai.usage.input_tokens": 5, "gen_ai.usage.cache_read.input_tokens": 0,
             "gen_ai.usage.cache_read_input_tokens": 4},
            {"input": 5, "input_cached_tokens": 0},
        ),
        (
            {"gen_ai.usage.output_tokens": 5, "gen_ai.usage.reasoning.output_tokens": 9},
            {"output": 0, "output_reasoning_tokens": 9},
        ),
        (
            {"llm.token_count.completion": 5, "llm.token_count.completion_details.audio": 2},
            {"output": 3, "output_audio_tokens": 2},
        ),
        ({"gen_ai.usage.details.custom": 4, "gen_ai.usage.x": "y"}, {"custom": 4}),
        ({"gen_ai.usage.input_tokens": 1.5, "gen_ai.usage.output_tokens": 2.0}, {"output": 2}),
        ({"gen_ai.usage.cost": 0.5}, None),
        (
            {"langfuse.observation.usage_details": '{"a": 1, "b": 1.5, "c": "3.9"}'},
            {"a": 1, "c": 3},
        ),
        (
            {"langfuse.observation.usage_details": '{"prompt_tokens": 9, "completion_tokens": 4,'
             '"total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 2}}'},
            {"input": 7, "output": 4, "total": 13, "input_cached_tokens": 2},
        ),
        ({"langfuse.observation.usage_details": "[]", "gen_ai.usage.input_tokens": 1}, None),
        ({"langfuse.observation.usage_details": "{", "gen_ai.usage.input_tokens": 1}, {"input": 1}),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 1}, None),
    ],
)  # fmt: skip
def test_usage(attributes: Attributes, usage: JSON) -> None:
    """Inclusive counts become exclusive buckets."""
    assert observation(span({**GENERATION, **attributes}))[1].get("usageDetails") == usage


@pytest.mark.parametrize(
    ("attributes", "usage"),
    [
        (
            {"gen_ai.usage.input_tokens": 10, "ai.usage.cachedInputTokens": 4,
             "gen_ai.usage.output_tokens": 6, "ai.usage.reasoningTokens": '{"intValue": 2}'},
            {"input": 6, "output": 4, "input_cached_tokens": 4, "output_reasoning_tokens": 2},
        ),
        (
            {"gen_ai.usage.input_tokens": 10, "ai.response.providerMetadata":
             '{"openai": {"cachedPromptTokens": 3, "acceptedPredictionTokens": 1}}'},
            {"input": 7, "output": 0, "input_cached_tokens": 3, "accepted_prediction_tokens": 1},
        ),
        (
            {"gen_ai.usage.input_tokens": 100, "ai.response.providerMetadata":
             '{"anthropic": {"usage": {"cache_creation_input_tokens": 30, "cache_creation":'
             '{"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 5}}}}'},
            {"input": 70, "output": 0, "input_cache_creation": 5, "input_cache_creation_5m": 20,
             "input_cache_creation_1h": 5},
        ),
        (
            {"gen_ai.usage.input_tokens": 9, "ai.response.providerMetadata":
             '{"bedrock": {"usage": {"cacheReadInputTokens": 4}}}'},
            {"input": 5, "output": 0, "input_cache_read": 4},
        ),
        (
            {"gen_ai.usage.input_tokens": 9, "ai.response.providerMetadata":
             '{"bedrock": {"usage": {"cacheReadInputTokens": 4, "cacheWriteInputTokens": 3,'
             '"cacheCreationInputTokens": 1}}}'},
            {"input": 1, "output": 0, "input_cache_read": 4, "input_cache_write": 3,
             "input_cache_creation": 1},
        ),
        ({"gen_ai.usage.input_tokens": 9, "ai.response.providerMetadata": "{"}, {"input": 9}),
        ({"gen_ai.usage.input_tokens": 9, "ai.response.providerMetadata": "7"}, {"input": 9}),
    ],
)  # fmt: skip
def test_usage_of_the_ai_sdk(attributes: Attributes, usage: JSON) -> None:
    """Its own attributes and what providers add; the generic reading where they make no sense."""
    made = span({**GENERATION, **attributes}, scope="ai")
    assert observation(made)[1].get("usageDetails") == usage


def test_usage_in_blobs() -> None:
    """Genkit and Google's ADK tell of usage only inside their responses."""
    genkit: Attributes = {
        "genkit:output": '{"usage": {"inputTokens": 5, "outputTokens": 9, "thoughtsTokens": 2}}'
    }
    body = observation(span({**GENERATION, **genkit}, scope="genkit-tracer"))[1]
    assert body["usageDetails"] == {"input": 5, "output": 7, "output_reasoning": 2}
    adk: Attributes = {
        "gen_ai.usage.input_tokens": 10,
        "gcp.vertex.agent.llm_response": '{"usage_metadata": {"cached_content_token_count": 4}}',
    }
    body = observation(span({**GENERATION, **adk}, scope="gcp.vertex.agent"))[1]
    assert body["usageDetails"] == {"input": 6, "input_cached_tokens": 4}


@pytest.mark.parametrize(
    ("attributes", "cost"),
    [
        ({"gen_ai.usage.cost": 0.5, "llm.cost.total": 1.0}, {"total": 0.5}),
        ({"llm.cost.total": 1}, {"total": 1}),
        ({"gen_ai.usage.cost": "0.5"}, None),
        ({"gen_ai.usage.cost": -1.0}, None),
        (
            {"langfuse.observation.cost_details": '{"input": 0.1, "x": "2", "y": -1}'},
            {"input": 0.1},
        ),
    ],
)
def test_cost(attributes: Attributes, cost: JSON) -> None:
    """Numbers that are not negative, else nothing."""
    assert observation(span({**GENERATION, **attributes}))[1].get("costDetails") == cost


@pytest.mark.parametrize(
    ("attributes", "model"),
    [
        ({"gen_ai.response.model": "r", "gen_ai.request.model": "q"}, "r"),
        ({"gen_ai.request.model": "q", "llm.response.model": "l"}, "q"),
        ({"llm.response.model": "l", "llm.model_name": "n"}, "l"),
        ({"langfuse.observation.model.name": "", "model": 4}, "4"),
        ({"genkit:metadata:subtype": "model", "genkit:name": "g"}, "g"),
        ({"gen_ai.operation.name": "agent_step", "model": "m"}, None),
    ],
)
def test_model(attributes: Attributes, model: str | None) -> None:
    """The first truthy name; none for spans that repeat their children."""
    assert observation(span({**GENERATION, **attributes}))[1].get("model") == model


@pytest.mark.parametrize(
    ("attributes", "parameters"),
    [
        (
            {"gen_ai.request.model": "m", "gen_ai.request.temperature": 0.5,
             "gen_ai.request.stream": True, "gen_ai.request.stop": ["a"],
             "llm.invocation_parameters.top_k": 3},
            {"temperature": 0.5, "stream": "true", "stop": '["a"]', "top_k": 3},
        ),
        ({"llm.invocation_parameters": '{"a": null, "b": {"c": 1.0}}', "model_config": '{"x": 1}'},
         {"a": "null", "b": '{"c":1}'}),
        ({"llm.invocation_parameters": "{", "model_config": '{"x": "1"}'}, {"x": "1"}),
        ({"langfuse.observation.model.parameters": '{"t": 1}', "gen_ai.request.t": 2}, {"t": 1}),
        ({"langfuse.observation.model.parameters": "7"}, None),
    ],
)  # fmt: skip
def test_parameters(attributes: Attributes, parameters: JSON) -> None:
    """Explicit JSON, then the vocabularies' own, then the prefixes."""
    assert observation(span({**GENERATION, **attributes}))[1].get("modelParameters") == parameters


def test_parameters_of_the_ai_sdk() -> None:
    """A fixed set as strings, overlaid by the explicit ones."""
    attributes: Attributes = {
        **GENERATION,
        "gen_ai.request.max_tokens": 5,
        "gen_ai.response.finish_reasons": ["stop", "x"],
        "ai.model.provider": "openai",
        "ai.response.providerMetadata": '{"openai": {"serviceTier": "flex"}}',
        "langfuse.observation.model.parameters": '{"mode": "m"}',
    }
    assert observation(span(attributes, scope="ai"))[1]["modelParameters"] == {
        "maxTokens": "5",
        "finishReason": "stop,x",
        "system": "openai",
        "service_tier": "flex",
        "mode": "m",
    }


@pytest.mark.parametrize(
    ("attributes", "time"),
    [
        ({FIRST_TOKEN: NEW_YEAR}, NEW_YEAR),
        ({FIRST_TOKEN: '"2025-01-01T00:00:00Z"'}, NEW_YEAR),
        ({FIRST_TOKEN: "2025-01-01 01:00:00+01:00"}, NEW_YEAR),
        ({FIRST_TOKEN: "soon"}, None),
        ({FIRST_TOKEN: 1735689600000}, None),
        ({"ai.response.msToFirstChunk": 1500.2}, "2024-04-30T14:48:52.187Z"),
        ({"ai.stream.msToFirstChunk": "x"}, None),
        ({"gen_ai.server.time_to_first_token": 0.5}, None),
    ],
)  # fmt: skip
def test_completion_start(attributes: Attributes, time: str | None) -> None:
    """Said as a date, or counted from the start; never anything the server would refuse."""
    body = observation(span({**GENERATION, **attributes}))[1]
    assert body.get("completionStartTime") == time


@pytest.mark.parametrize(
    ("version", "link"),
    [(3, ("p", 3)), ("3", ("p", 3)), ("v3", (None, None)), (0, (None, None)), (None, (None, None))],
)
def test_prompt_link(version: Value, link: tuple[str | None, int | None]) -> None:
    """Name and version, or neither; a version written as text is a number all the same."""
    attributes: Attributes = {**GENERATION, "langfuse.observation.prompt.name": "p"}
    if version is not None:
        attributes["langfuse.observation.prompt.version"] = version
    body = observation(span(attributes))[1]
    assert (body.get("promptName"), body.get("promptVersion")) == link


def test_prompt_link_elsewhere() -> None:
    """The AI SDK's JSON is read too; only generations have prompts."""
    attributes: Attributes = {"ai.telemetry.metadata.langfusePrompt": '{"name": "p", "version": 2}'}
    body = observation(span({**attributes, **GENERATION}))[1]
    assert (body["promptName"], body["promptVersion"]) == ("p", 2)
    body = observation(span({**attributes, "langfuse.observation.type": "agent"}))[1]
    assert "promptName" not in body


def test_metadata_of_a_root_span() -> None:
    """User metadata by object and by key, attributes as text, resource and scope."""
    made = span(
        {
            "langfuse.observation.metadata": '{"a": 1, "b": 2}',
            "langfuse.observation.metadata.b": "B",
            "langfuse.trace.metadata.t": "T",
            "ai.telemetry.metadata.k": [1, 2],
            "ai.telemetry.metadata.userId": "u",
            "n": 1,
            "f": 1.0,
            "l": ["x"],
            "gen_ai.prompt.0.content": "hidden",
        },
        scope_version="1",
        resource={"service.name": "s", "n": 5},
    )
    shared = {
        "attributes": {"n": "1", "f": "1", "l": '["x"]'},
        "resourceAttributes": {"service.name": "s", "n": 5},
        "scope": {"name": "x", "version": "1", "attributes": {}},
    }
    own = {"a": 1, "b": "B", "k": [1, 2]}
    assert observation(made)[1]["metadata"] == {**own, **shared}
    assert trace(made)["metadata"] == {**own, "t": "T", **shared}


def test_langfuse_sdks_keep_their_attributes_to_themselves() -> None:
    """Spans of Langfuse's SDKs have no `attributes` in their metadata."""
    body = observation(span({"a": "b"}, scope="langfuse-sdk"))[1]
    assert body["metadata"] == {
        "resourceAttributes": {},
        "scope": {"name": "langfuse-sdk", "attributes": {}},
    }


def test_odd_values_become_text() -> None:
    """Maps, bytes and NaN are JSON text wherever they appear."""
    body = observation(span({"m": {"a": 1}, "x": float("nan"), "input": b"\x01"}))[1]
    metadata = body["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["attributes"] == {
        "m": '{"kvlistValue":{"values":[{"key":"a","value":{"intValue":"1"}}]}}',
        "x": "NaN",
    }
    assert body["input"] == '{"bytesValue":"AQ=="}'


def test_times() -> None:
    """A missing edge is the other one; events have no end; below a millisecond is cut."""
    _, body = observation(span(start_ns=0))
    assert body["startTime"] == body["endTime"] == "2024-04-30T14:48:50.687Z"
    _, body = observation(span(end_ns=0))
    assert body["startTime"] == body["endTime"] == "2024-04-30T14:48:50.686Z"
    kind, body = observation(span({"langfuse.observation.type": "event"}))
    assert kind == "event-create"
    assert "endTime" not in body


def test_spans_have_no_model() -> None:
    """What the server strips from a span is not sent."""
    made: Attributes = {
        "langfuse.observation.type": "span",
        "model": "m",
        "gen_ai.usage.input_tokens": 1,
    }
    body = body_of(events_of(span(made))[-1])
    assert not body.keys() & {"model", "usageDetails", "modelParameters"}
