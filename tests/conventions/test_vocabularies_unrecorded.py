"""Vocabularies and spans of which nothing is recorded: from their documentation."""

from __future__ import annotations

import json

from genai_collector.conventions import Content, Observation, read_observation
from genai_collector.conventions.messages import parts_of, text_of
from genai_collector.model import Attributes, Scope, Span
from tests.conventions.test_vocabularies import check


def said(attributes: Attributes, scope: str = "", name: str = "") -> tuple[Observation, Content]:
    observation = read_observation(Span(name=name, attributes=attributes, scope=Scope(scope)))
    return observation, observation.read_content()


def test_vercel_ai() -> None:
    """The inner span is the call, the outer one an agent; times are ms, tools JSON texts."""
    inner, content = said({
        "ai.operationId": "ai.streamText.doStream", "ai.model.id": "gpt-4o",
        "ai.model.provider": "openai.chat", "ai.prompt.messages":
            '[{"role":"user","content":[{"type":"text","text":"hi"}]}]',
        "ai.prompt.tools": ['{"type":"function","name":"f","inputSchema":{"type":"object"}}'],
        "ai.response.text": "yo", "ai.response.toolCalls":
            '[{"toolCallId":"c","toolName":"f","input":"{\\"x\\":1}"}]',
        "ai.response.finishReason": "tool-calls", "ai.response.msToFirstChunk": 12.5,
        "ai.usage.inputTokens": 10, "ai.usage.outputTokens": 5, "ai.usage.cachedInputTokens": 4,
        "ai.settings.maxOutputTokens": 9, "ai.settings.maxRetries": 2,
        "ai.telemetry.metadata.userId": "u", "ai.telemetry.metadata.sessionId": "s",
        "ai.telemetry.metadata.custom": "c", "ai.telemetry.functionId": "fn",
    }, "ai")  # fmt: skip
    check(inner, {
        "kind": "generation", "operation": "chat", "provider": "openai", "request_model": "gpt-4o",
        "usage": (10, 5, None, 4, None, None), "finish_reasons": ["tool_calls"],
        "time_to_first_chunk_s": 0.0125, "parameters": {"max_tokens": 9, "maxRetries": 2},
        "user_id": "u", "conversation_id": "s",
        "metadata": {"custom": "c"}, "agent_name": "fn",
    })  # fmt: skip
    assert content.input_messages == [
        {"role": "user", "parts": [{"type": "text", "content": "hi"}]}
    ]
    assert content.output_messages == [{
        "role": "assistant", "finish_reason": "tool_call", "parts": [
            {"type": "text", "content": "yo"},
            {"type": "tool_call", "id": "c", "name": "f", "arguments": {"x": 1}},
        ],
    }]  # fmt: skip
    assert content.tool_definitions == [
        {"type": "function", "name": "f", "parameters": {"type": "object"}}
    ]
    outer, content = said({
        "ai.operationId": "ai.streamText", "ai.model.id": "gpt-4o", "ai.usage.inputTokens": 10,
        "ai.prompt": '{"system":"Be terse.","prompt":"hi"}',
    }, "ai")  # fmt: skip
    assert (outer.kind, outer.operation, outer.is_billable) == ("agent", "invoke_agent", False)
    assert content.input_messages == [
        {"role": "user", "parts": [{"type": "text", "content": "hi"}]}
    ]
    tool, content = said({
        "ai.operationId": "ai.toolCall", "ai.toolCall.name": "w", "ai.toolCall.args": '{"a":1}',
        "ai.toolCall.result": "r",
    })  # fmt: skip
    assert (tool.kind, tool.tool_name, content.input, content.output) == (
        "tool",
        "w",
        {"a": 1},
        "r",
    )
    assert said({"ai.operationId": "ai.embed", "ai.model.id": "e"})[0].kind == "chain"


def test_logfire_events() -> None:
    """Older Pydantic AI: one JSON list of events on a span."""
    _, content = said({
        "gen_ai.operation.name": "chat", "events": json.dumps([
            {"event.name": "gen_ai.user.message", "content": "hi", "gen_ai.message.index": 0},
            {"event.name": "gen_ai.choice", "index": 0, "message": {"content": "yo"}},
        ]),
    }, "pydantic-ai")  # fmt: skip
    assert content.input_messages == [
        {"role": "user", "parts": [{"type": "text", "content": "hi"}]}
    ]
    assert content.output_messages == [
        {"role": "assistant", "parts": [{"type": "text", "content": "yo"}]}
    ]


def test_traceloop_workflows() -> None:
    """Kinds, entity names, association properties and the decorated function's arguments."""
    tool, content = said({
        "traceloop.span.kind": "tool", "traceloop.entity.name": "w",
        "traceloop.entity.input": '{"args": [], "kwargs": {"a": 1}}',
        "traceloop.entity.output": '"r"', "traceloop.association.properties.user_id": "u",
        "traceloop.association.properties.plan": "gold",
    })  # fmt: skip
    check(tool, {"kind": "tool", "operation": "execute_tool", "tool_name": "w", "user_id": "u",
                 "metadata": {"plan": "gold"}})  # fmt: skip
    assert content.input == {"a": 1}
    check(said({"traceloop.span.kind": "task", "gen_ai.request.model": "m"})[0],
          {"kind": "chain", "operation": None})  # fmt: skip
    check(said({"llm.request.type": "completion"})[0], {"operation": "text_completion"})


def test_mlflow() -> None:
    """Values are JSON texts, words included."""
    observation, content = said({
        "mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.model": '"m"',
        "mlflow.spanInputs": '{"messages": [{"role": "user", "content": "hi"}], "tools": []}',
        "mlflow.spanOutputs": '{"choices": [{"message": {"role": "assistant", "content": "yo"}}]}',
        "mlflow.chat.tokenUsage": '{"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}',
        "mlflow.trace.session": '"s"',
    })  # fmt: skip
    check(observation, {"kind": "generation", "operation": "chat", "request_model": "m",
                        "usage": (3, 4, 7, None, None, None), "conversation_id": "s"})  # fmt: skip
    assert content.input_messages is not None
    assert content.output_messages is not None
    assert [text_of(m) for m in (*content.input_messages, *content.output_messages)] == ["hi", "yo"]


def test_livekit() -> None:
    """Turns are agents, function tools are tools."""
    turn, content = said({"lk.user_transcript": "hi", "lk.response.text": "yo"}, "livekit-agents",
                         "agent_turn")  # fmt: skip
    assert turn.kind == "agent"
    assert content.input_messages is not None
    assert [text_of(m) for m in content.input_messages] == ["hi"]
    tool, content = said({
        "lk.function_tool.name": "f", "lk.function_tool.arguments": '{"a": 1}',
        "lk.function_tool.output": "r",
    }, "livekit-agents", "function_tool")  # fmt: skip
    assert (tool.kind, tool.tool_name, content.input) == ("tool", "f", {"a": 1})


def test_google_adk() -> None:
    """A Gemini request and response in two attributes."""
    observation, content = said({
        "gen_ai.system": "gcp.vertex.agent", "gcp.vertex.agent.session_id": "s",
        "gcp.vertex.agent.llm_request": json.dumps({
            "model": "gemini-2.5-flash", "config": {
                "system_instruction": "Be terse.", "temperature": 0.5,
                "tools": [{"function_declarations": [{"name": "f", "parameters": {}}]}],
            }, "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        }),
        "gcp.vertex.agent.llm_response": json.dumps({
            "content": {"role": "model", "parts": [{"text": "yo"}]}, "finish_reason": "STOP",
            "usage_metadata": {
                "prompt_token_count": 10, "candidates_token_count": 5, "thoughts_token_count": 3,
                "total_token_count": 18, "cached_content_token_count": 4,
            },
        }),
    }, "gcp.vertex.agent")  # fmt: skip
    check(observation, {
        "kind": "generation", "provider": "gcp.vertex_ai", "request_model": "gemini-2.5-flash",
        "usage": (10, 8, 18, 4, None, 3), "finish_reasons": ["stop"], "conversation_id": "s",
        "parameters": {"temperature": 0.5},
    })  # fmt: skip
    assert content.system_instructions == [{"type": "text", "content": "Be terse."}]
    assert content.output_messages is not None
    assert text_of(content.output_messages[0]) == "yo"
    assert content.tool_definitions == [{"type": "function", "name": "f", "parameters": {}}]


def test_genkit() -> None:
    """A model's action: provider and model in its name, usage in its output."""
    observation, content = said({
        "genkit:metadata:subtype": "model", "genkit:name": "googleai/gemini-2.5-flash",
        "genkit:input": '{"messages":[{"role":"user","content":[{"text":"hi"}]}],'
                        '"config":{"temperature":0.5}}',
        "genkit:output": json.dumps({
            "message": {"role": "model", "content": [
                {"toolRequest": {"name": "f", "ref": "c", "input": {"x": 1}}},
            ]},
            "finishReason": "stop", "usage": {"inputTokens": 10, "outputTokens": 8,
                                              "thoughtsTokens": 3, "totalTokens": 18},
        }),
    }, "genkit-tracer")  # fmt: skip
    check(observation, {
        "kind": "generation", "provider": "gcp.gemini", "request_model": "gemini-2.5-flash",
        "usage": (10, 8, 18, None, None, 3), "parameters": {"temperature": 0.5},
    })  # fmt: skip
    assert content.output_messages is not None
    assert parts_of(content.output_messages[0]) == [
        {"type": "tool_call", "id": "c", "name": "f", "arguments": {"x": 1}}
    ]
    tool, content = said({"genkit:metadata:subtype": "tool", "genkit:name": "f",
                          "genkit:input": '{"x":1}'}, "genkit-tracer")  # fmt: skip
    assert (tool.kind, tool.tool_name, content.input) == ("tool", "f", {"x": 1})


def test_openinference_chains_and_documents() -> None:
    """Chains, retrievers and tools have input and output that are no messages."""
    chain, content = said({"openinference.span.kind": "CHAIN", "input.value": '{"q": 1}',
                           "output.value": "done", "metadata": '{"a": 1}'})  # fmt: skip
    assert (chain.kind, chain.operation, chain.metadata) == ("chain", None, {"a": 1})
    assert (content.input, content.output) == ({"q": 1}, "done")
    retriever, content = said({
        "openinference.span.kind": "RETRIEVER", "input.value": "q",
        "retrieval.documents.0.document.content": "d", "retrieval.documents.0.document.score": 0.5,
    })  # fmt: skip
    assert (retriever.kind, retriever.operation) == ("retriever", "retrieval")
    assert content.output == [{"content": "d", "score": 0.5}]
    agent, _ = said({"openinference.span.kind": "AGENT", "llm.token_count.prompt": 5})
    assert (agent.usage.input, agent.is_billable) == (5, False)
    assert said({"input.value": "__REDACTED__"})[1].input is None
