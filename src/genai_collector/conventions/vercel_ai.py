"""The Vercel AI SDK, versions 4 to 6 (`ai.*`); version 7 writes the conventions' names.

* Each call is two spans that both carry usage: `ai.generateText` around
  `ai.generateText.doGenerate`. Only the inner one is a call of the model; the outer one is an agent
  here, as version 7 has it (`invoke_agent`).
* The provider comes with its interface: `openai.chat`.
* Finish reasons have hyphens; times are milliseconds; tools are a list of JSON texts.

Source: the SDK's own telemetry code, `legacy-open-telemetry` of version 7 included, and its
documentation for the names of version 4. Not recorded here.
"""

from __future__ import annotations

from typing import Final

from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import count, from_json, keep, number, text, texts
from genai_collector.conventions.content import fill_request, fill_sides, structured
from genai_collector.conventions.facts import family, fill_parameters
from genai_collector.conventions.langfuse_sdk import tags
from genai_collector.conventions.messages import to_parts_messages, to_tool_definitions
from genai_collector.conventions.observation import Content, Observation
from genai_collector.conventions.vocabulary import Row, Sources, Vocabulary
from genai_collector.model import Span, Value

_SETTINGS: Final = "ai.settings."
_METADATA: Final = "ai.telemetry.metadata."
_NOT_METADATA: Final = frozenset(("userId", "sessionId", "tags", "langfusePrompt"))

KINDS: Final = {
    "ai.generateText": "agent", "ai.streamText": "agent", "ai.generateObject": "agent",
    "ai.streamObject": "agent", "ai.generateText.doGenerate": "generation",
    "ai.streamText.doStream": "generation", "ai.generateObject.doGenerate": "generation",
    "ai.streamObject.doStream": "generation", "ai.embed": "chain", "ai.embedMany": "chain",
    "ai.embed.doEmbed": "embedding", "ai.embedMany.doEmbed": "embedding", "ai.toolCall": "tool",
    "ai.rerank": "chain", "ai.rerank.doRerank": "reranker",
}  # fmt: skip
"""`ai.operationId`, or the first word of `operation.name`."""


def _kind(value: Value) -> str | None:
    return KINDS.get(value.partition(" ")[0]) if isinstance(value, str) else None


def _seconds(value: Value) -> float | None:
    milliseconds = number(value)
    return None if milliseconds is None or milliseconds < 0 else milliseconds / 1000


def _reasons(value: Value) -> list[Value] | None:
    found = texts(value)
    return None if found is None else [str(reason).replace("-", "_") for reason in found]


_ROWS: Final = (
    Row("ai.operationId", "kind", _kind),
    Row("operation.name", "kind", _kind),
    Row("ai.model.provider", "provider", s.provider),
    Row("ai.model.id", "request_model", text),
    Row("ai.response.model", "response_model", text),
    Row("ai.response.id", "response_id", text),
    Row("ai.response.finishReason", "finish_reasons", _reasons),
    Row("ai.finishReason", "finish_reasons", _reasons),
    Row("ai.response.msToFirstChunk", "time_to_first_chunk_s", _seconds),
    Row("ai.stream.msToFirstChunk", "time_to_first_chunk_s", _seconds),
    Row("ai.usage.inputTokens", "usage.input", count),
    Row("ai.usage.promptTokens", "usage.input", count),
    Row("ai.usage.tokens", "usage.input", count),
    Row("ai.usage.outputTokens", "usage.output", count),
    Row("ai.usage.completionTokens", "usage.output", count),
    Row("ai.usage.totalTokens", "usage.total", count),
    Row("ai.usage.cachedInputTokens", "usage.cache_read", count),
    Row("ai.usage.inputTokenDetails.cacheReadTokens", "usage.cache_read", count),
    Row("ai.usage.inputTokenDetails.cacheWriteTokens", "usage.cache_creation", count),
    Row("ai.usage.reasoningTokens", "usage.reasoning", count),
    Row("ai.usage.outputTokenDetails.reasoningTokens", "usage.reasoning", count),
    Row("ai.telemetry.functionId", "agent_name", text),
    Row("ai.telemetry.metadata.userId", "user_id", text),
    Row("ai.telemetry.metadata.sessionId", "conversation_id", text),
    Row("ai.telemetry.metadata.tags", "tags", tags),
    Row("ai.toolCall.name", "tool_name", text),
    Row("ai.toolCall.id", "tool_call_id", text),
    Row("ai.toolCall.args", "content.ai_args", keep),
    Row("ai.toolCall.result", "content.ai_result", keep),
    Row("ai.prompt.messages", "content.ai_messages", keep),
    Row("ai.prompt", "content.ai_prompt", keep),
    Row("ai.value", "content.ai_values", keep),
    Row("ai.values", "content.ai_values", keep),
    Row("ai.prompt.tools", "content.ai_tools", keep),
    Row("ai.response.text", "content.ai_text", keep),
    Row("ai.result.text", "content.ai_text", keep),
    Row("ai.response.reasoning", "content.ai_reasoning", keep),
    Row("ai.response.toolCalls", "content.ai_calls", keep),
    Row("ai.result.toolCalls", "content.ai_calls", keep),
    Row("ai.response.object", "content.ai_object", keep),
    Row("ai.result.object", "content.ai_object", keep),
)


def _quirks(span: Span, observation: Observation) -> None:
    attributes = span.attributes
    settings = {
        key: value for key, value in family(attributes, _SETTINGS) if not key.startswith("context.")
    }
    fill_parameters(observation, settings)
    for key, value in family(attributes, _METADATA):
        if key not in _NOT_METADATA:
            observation.metadata.setdefault(key, value)


def _read_content(sources: Sources, content: Content) -> None:
    if sources.kind == "tool":
        fill_sides(sources, content, sources.take("ai_args"), sources.take("ai_result"))
        return
    _read_prompt(sources, content)
    if content.output_messages is None and content.output is None:
        message = _answer(sources)
        if message is not None:
            content.output_messages = sources.finish(
                to_parts_messages([message], default_role="assistant")
            )


def _read_prompt(sources: Sources, content: Content) -> None:
    tools = sources.take("ai_tools")
    if isinstance(tools, list) and content.tool_definitions is None:
        parsed = [from_json(tool) if isinstance(tool, str) else tool for tool in tools]
        content.tool_definitions = to_tool_definitions([_tool(tool) for tool in parsed])
    if content.input_messages is not None:
        return
    messages = sources.take("ai_messages")
    if messages is not None:
        fill_sides(sources, content, messages, None)
        return
    prompt = structured(sources.take("ai_prompt"))
    if isinstance(prompt, dict):
        fill_request(content, prompt)
        if content.input_messages is None:
            prompt = prompt.get("prompt", prompt)
    fill_sides(sources, content, prompt, None)
    values = structured(sources.take("ai_values"))
    if isinstance(values, list):
        # The texts to embed are JSON texts one by one.
        values = [value.strip('"') if isinstance(value, str) else value for value in values]
    elif isinstance(values, str):
        values = values.strip('"')
    fill_sides(sources, content, values, None)


def _tool(tool: Value) -> Value:
    if isinstance(tool, dict) and "inputSchema" in tool and "parameters" not in tool:
        tool = {("parameters" if k == "inputSchema" else k): v for k, v in tool.items()}
    return tool


def _answer(sources: Sources) -> Value:
    said = text(sources.take("ai_text"))
    reasoning = text(sources.take("ai_reasoning"))
    calls = structured(sources.take("ai_calls"))
    found = sources.take("ai_object")
    blocks: list[Value] = []
    if reasoning is not None:
        blocks.append({"type": "reasoning", "text": reasoning})
    if said is None:
        said = text(found)
    if said is not None:
        blocks.append({"type": "text", "text": said})
    if isinstance(calls, list):
        blocks += [{"type": "tool-call", **call} for call in calls if isinstance(call, dict)]
    return {"role": "assistant", "content": blocks} if blocks else None


VERCEL_AI: Final = Vocabulary(
    "vercel_ai",
    scopes=("ai",),
    prefixes=("ai.operationId", "ai.model.", "ai.prompt", "ai.response.", "ai.toolCall.",
              "ai.settings.", "ai.usage.", "ai.telemetry."),
    rows=_ROWS,
    content=_read_content,
    quirks=_quirks,
)  # fmt: skip
