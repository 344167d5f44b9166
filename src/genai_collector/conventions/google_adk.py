"""Google's Agent Development Kit: whole Gemini requests and responses as JSON texts.

`{}` is how it says that content capture is off. Gemini counts thoughts beside the candidates;
output is their sum here, where the span has no count of its own.

Source: ADK's tracing attributes as Langfuse's server reads them, and the Gemini API's bodies. Not
recorded here.
"""

from __future__ import annotations

from typing import Final

from genai_collector.conventions.coerce import keep, text
from genai_collector.conventions.content import fill_request, fill_sides
from genai_collector.conventions.facts import fill_parameters, fill_usage, json_object
from genai_collector.conventions.messages import to_parts_messages, to_tool_definitions
from genai_collector.conventions.observation import Content, Observation
from genai_collector.conventions.parts import text_part
from genai_collector.conventions.vocabulary import Row, Sources, Vocabulary
from genai_collector.model import Span, Value

REQUEST: Final = "gcp.vertex.agent.llm_request"
RESPONSE: Final = "gcp.vertex.agent.llm_response"
_NO_PARAMETERS: Final = ("system_instruction", "tools", "http_options", "labels")


def _content(value: Value) -> Value:
    return None if value == "{}" else value


_ROWS: Final = (
    Row("gcp.vertex.agent.session_id", "conversation_id", text),
    Row(REQUEST, "content.adk_request", keep),
    Row(RESPONSE, "content.adk_response", keep),
    Row("gcp.vertex.agent.tool_call_args", "content.adk_arguments", _content, ("{}",)),
    Row("gcp.vertex.agent.tool_response", "content.adk_result", _content, ("{}",)),
)


def _quirks(span: Span, observation: Observation) -> None:
    request = json_object(span.attributes.get(REQUEST))
    if observation.request_model is None:
        observation.request_model = text(request.get("model"))
    config = json_object(request.get("config"))
    for name in _NO_PARAMETERS:
        config.pop(name, None)
    fill_parameters(observation, config)
    response = json_object(span.attributes.get(RESPONSE))
    fill_usage(observation.usage, _gemini_usage(json_object(response.get("usage_metadata"))))
    reason = text(response.get("finish_reason"))
    if observation.finish_reasons is None and reason is not None:
        observation.finish_reasons = [reason.lower()]


def _gemini_usage(usage: dict[str, Value]) -> dict[str, Value]:
    # The prompt contains what was cached; the candidates do not contain the thoughts.
    counts = {
        "prompt_tokens": usage.get("prompt_token_count"),
        "total_tokens": usage.get("total_token_count"),
        "prompt_tokens_details": {"cached_tokens": usage.get("cached_content_token_count")},
        "completion_tokens_details": {"reasoning_tokens": usage.get("thoughts_token_count")},
    }
    made, thought = usage.get("candidates_token_count"), usage.get("thoughts_token_count")
    if isinstance(made, int):
        counts["completion_tokens"] = made + (thought if isinstance(thought, int) else 0)
    return counts


def _read_content(sources: Sources, content: Content) -> None:
    if sources.kind == "tool":
        given = _content(sources.take("adk_arguments"))
        fill_sides(sources, content, given, _content(sources.take("adk_result")))
        return
    request = json_object(sources.take("adk_request"))
    if request:
        config = json_object(request.get("config"))
        _fill_config(content, config)
        fill_request(content, request.get("contents"))
    response = json_object(sources.take("adk_response"))
    if response and content.output_messages is None:
        candidate: dict[str, Value] = {"content": response.get("content")}
        found = to_parts_messages([candidate], default_role="assistant")
        content.output_messages = sources.finish(found)


def _fill_config(content: Content, config: dict[str, Value]) -> None:
    instruction = config.get("system_instruction")
    if content.system_instructions is None and isinstance(instruction, str) and instruction:
        content.system_instructions = [text_part(instruction)]
    tools = config.get("tools")
    if content.tool_definitions is None and isinstance(tools, list):
        found: list[Value] = []
        for tool in tools:
            declared = json_object(tool).get("function_declarations")
            found += declared if isinstance(declared, list) else [tool]
        content.tool_definitions = to_tool_definitions(found)


GOOGLE_ADK: Final = Vocabulary(
    "google_adk",
    scopes=("gcp.vertex.agent",),
    prefixes=("gcp.vertex.agent.",),
    rows=_ROWS,
    content=_read_content,
    quirks=_quirks,
)
