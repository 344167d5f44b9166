"""OpenInference (Arize): its instrumentations, SmolAgents, LiteLLM's `arize`, `langfuse_otel`.

* `openinference.span.kind` says what a span is; agents and chains repeat token counts.
* Request parameters, the model that was asked for included, are one JSON text.
* Messages, content blocks, tool calls, tools and documents are flattened into indexed attributes;
  indices may start at 1.
* `input.value` and `output.value` are the raw request and response, or what a chain was given.
* The first token of a stream is a span event without attributes.

Source: the attribute constants of openinference-semantic-conventions 0.1.42; recorded requests of
openinference-instrumentation-openai 0.1.66 and LiteLLM 1.109.
"""

from __future__ import annotations

from typing import Final

from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import count, from_json, keep, number, text, texts
from genai_collector.conventions.content import fill_request, fill_sides, indexed, structured
from genai_collector.conventions.facts import elapsed, fill_parameters, json_object
from genai_collector.conventions.langfuse_sdk import tags
from genai_collector.conventions.messages import to_parts_messages, to_tool_definitions
from genai_collector.conventions.observation import Content, Observation
from genai_collector.conventions.vocabulary import Row, Sources, Vocabulary
from genai_collector.model import Span, Value

SPAN_KIND: Final = "openinference.span.kind"
INVOCATION_PARAMETERS: Final = "llm.invocation_parameters"
INPUT_MESSAGES: Final = "llm.input_messages."
OUTPUT_MESSAGES: Final = "llm.output_messages."
TOOLS: Final = "llm.tools."
_MODEL_NAME: Final = "llm.model_name"
_STREAM_STARTED: Final = "First Token Stream Event"
_ANSWERED: Final = (s.GEN_AI_RESPONSE_MODEL, "llm.response.model_name", "llm.response.model")
_REDACTED: Final = ("__REDACTED__", "")

KINDS: Final = {
    "LLM": "generation", "EMBEDDING": "embedding", "AGENT": "agent", "TOOL": "tool",
    "CHAIN": "chain", "RETRIEVER": "retriever", "RERANKER": "reranker", "GUARDRAIL": "guardrail",
    "EVALUATOR": "evaluator",
}  # fmt: skip
"""`openinference.span.kind`; others (`PROMPT`, `UNKNOWN`) say nothing."""


def _kind(value: Value) -> str | None:
    return KINDS.get(value.upper()) if isinstance(value, str) else None


def _io(value: Value) -> Value:
    return None if value in _REDACTED else value


_ROWS: Final = (
    Row(SPAN_KIND, "kind", _kind),
    Row("llm.provider", "provider", s.provider),
    Row("llm.system", "provider", s.provider),
    Row("llm.request.model_name", "request_model", text),
    Row("embedding.model_name", "request_model", text),
    Row("reranker.model_name", "request_model", text),
    Row("llm.response.model_name", "response_model", text),
    Row("llm.response.model", "response_model", text),
    Row(_MODEL_NAME, "response_model", text),
    Row("llm.finish_reason", "finish_reasons", texts),
    Row("llm.token_count.prompt", "usage.input", count),
    Row("llm.token_count.completion", "usage.output", count),
    Row("llm.token_count.total", "usage.total", count),
    Row("llm.token_count.prompt_details.cache_read", "usage.cache_read", count),
    Row("llm.token_count.prompt_details.cache_write", "usage.cache_creation", count),
    Row("llm.token_count.completion_details.reasoning", "usage.reasoning", count),
    Row("llm.cost.total", "cost.total", number),
    Row("llm.cost.prompt", "cost.input", number),
    Row("llm.cost.completion", "cost.output", number),
    Row("agent.name", "agent_name", text),
    Row("tool.name", "tool_name", text),
    Row("tool.id", "tool_call_id", text),
    Row("llm.prompt_template.version", "prompt_version", s.version),
    Row("tag.tags", "tags", tags),
    Row("tool.parameters", "content.tool_parameters", keep),
    Row("input.value", "content.value_in", _io, _REDACTED),
    Row("output.value", "content.value_out", _io, _REDACTED),
    Row("reranker.query", "content.reranker_query", keep),
)


def _quirks(span: Span, observation: Observation) -> None:
    attributes = span.attributes
    fill_parameters(observation, json_object(attributes.get(INVOCATION_PARAMETERS)))
    name = text(attributes.get(_MODEL_NAME))
    if (
        name is not None
        and observation.response_model == name
        and text(attributes.get("llm.request.model_name")) is not None
        and not any(text(attributes.get(key)) for key in _ANSWERED)
    ):
        # Only repeats the requested model, for readers that know no other name.
        observation.response_model = None
    if name and observation.request_model is None and observation.response_model != name:
        # Whoever tells the answering model apart means the requested one by the general name.
        observation.request_model = name
        observation.consumed.add(_MODEL_NAME)
    if observation.time_to_first_chunk_s is None and span.has_events:
        for event in span.events:
            if event.name == _STREAM_STARTED:
                observation.time_to_first_chunk_s = elapsed(span.start_ns, event.time_ns)
                break
    for key, value in json_object(attributes.get("metadata")).items():
        if value not in (None, ""):
            observation.metadata.setdefault(key, value)


def _read_content(sources: Sources, content: Content) -> None:
    _read_messages(sources, content)
    if content.tool_definitions is None:
        content.tool_definitions = _tools(indexed(sources, TOOLS))
    given, made = _io(sources.look("value_in")), _io(sources.look("value_out"))
    if sources.kind == "embedding":
        _read_embedding(sources, content)
    elif sources.kind in ("retriever", "reranker"):
        _read_documents(sources, content)
    elif sources.kind == "tool" and given is None:
        given = sources.take("tool_parameters")
    if sources.kind == "generation" and content.input_messages is not None and given is not None:
        # The raw request beside the messages still knows instructions and tools.
        fill_request(content, structured(given))
        sources.take("value_in")
    else:
        fill_sides(sources, content, sources.take("value_in") if given is not None else None, None)
    if made is not None and content.output_messages is None and content.output is None:
        sources.take("value_out")
        fill_sides(sources, content, None, made)


def _read_messages(sources: Sources, content: Content) -> None:
    if content.input_messages is None:
        given = [message_of(item) for item in indexed(sources, INPUT_MESSAGES)]
        content.input_messages = to_parts_messages(given) if given else None
    if content.output_messages is None:
        made = [message_of(item) for item in indexed(sources, OUTPUT_MESSAGES)]
        found = to_parts_messages(made, default_role="assistant") if made else None
        content.output_messages = sources.finish(found)


def message_of(item: Value) -> Value:
    """One unflattened message in OpenAI's shape."""
    raw = item.get("message") if isinstance(item, dict) else None
    if not isinstance(raw, dict):
        return item
    message: dict[str, Value] = {k: v for k, v in raw.items() if k not in _MESSAGE_LISTS}
    blocks = raw.get("contents")
    if isinstance(blocks, list):
        message["content"] = [_block(block) for block in blocks]
    calls = raw.get("tool_calls")
    if isinstance(calls, list):
        message["tool_calls"] = [
            call["tool_call"] if isinstance(call, dict) and "tool_call" in call else call
            for call in calls
        ]
    if isinstance(raw.get("function_call_name"), str):
        message["function_call"] = {
            "name": raw["function_call_name"],
            "arguments": raw.get("function_call_arguments_json"),
        }
    message.setdefault("content", None)
    return message


_MESSAGE_LISTS: Final = frozenset((
    "contents", "tool_calls", "function_call_name", "function_call_arguments_json",
))  # fmt: skip


def _block(item: Value) -> Value:
    block = item.get("message_content") if isinstance(item, dict) else None
    if not isinstance(block, dict):
        return item
    image = block.get("image")
    inner = image.get("image") if isinstance(image, dict) else None
    url = inner.get("url") if isinstance(inner, dict) else None
    return {"type": "image_url", "image_url": {"url": url}} if url is not None else block


def tool_of(item: Value) -> Value:
    """One unflattened tool as its definition."""
    inner = item.get("tool") if isinstance(item, dict) else None
    schema = inner.get("json_schema") if isinstance(inner, dict) else None
    if isinstance(schema, str):
        return from_json(schema) or schema
    if isinstance(item, dict) and isinstance(item.get("parameters"), str):
        return {**item, "parameters": from_json(str(item["parameters"])) or item["parameters"]}
    return item if schema is None else schema


def is_tool(item: Value) -> bool:
    """Whether this is the definition of a tool, and no wrapper that could not be read."""
    return isinstance(item, dict) and "tool" not in item


def _tools(items: list[Value]) -> Value:
    tools: list[Value] = [tool for item in items if is_tool(tool := tool_of(item))]
    return to_tool_definitions(tools) if tools else None


def _read_embedding(sources: Sources, content: Content) -> None:
    found = [
        embedding.get("text")
        for item in indexed(sources, "embedding.embeddings.")
        if isinstance(item, dict) and isinstance(embedding := item.get("embedding"), dict)
    ]
    said = [item for item in found if isinstance(item, str)]
    if said and content.input_messages is None and content.input is None:
        content.input_messages = to_parts_messages([*said])


def _read_documents(sources: Sources, content: Content) -> None:
    if content.input is None:
        content.input = sources.take("reranker_query")
    for prefix in ("retrieval.documents.", "reranker.output_documents."):
        found = [
            item["document"] if isinstance(item, dict) and "document" in item else item
            for item in indexed(sources, prefix)
        ]
        if found and content.output is None:
            content.output = found


OPENINFERENCE: Final = Vocabulary(
    "openinference",
    scopes=("openinference.",),
    prefixes=(SPAN_KIND, "llm.token_count.", INPUT_MESSAGES, OUTPUT_MESSAGES, _MODEL_NAME,
              INVOCATION_PARAMETERS, "input.value", "output.value",
              TOOLS, "embedding.embeddings.", "retrieval.documents.", "reranker."),
    rows=_ROWS,
    content=_read_content,
    quirks=_quirks,
)  # fmt: skip
