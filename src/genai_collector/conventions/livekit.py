"""LiveKit Agents: `lk.*` beside the conventions' names on the calls themselves.

Source: LiveKit's trace attribute names as Langfuse's server reads them. Not recorded here.
"""

from __future__ import annotations

from typing import Final

from genai_collector.conventions.coerce import keep, number, text
from genai_collector.conventions.content import fill_sides, structured
from genai_collector.conventions.observation import Content, Observation, ObservationKind
from genai_collector.conventions.vocabulary import Row, Sources, Vocabulary
from genai_collector.model import Span, Value

KINDS: Final[dict[str, ObservationKind]] = {
    "agent_turn": "agent", "start_agent_activity": "agent", "function_tool": "tool",
}  # fmt: skip
"""Names of spans that state no operation."""

_ROWS: Final = (
    Row("lk.agent_name", "agent_name", text),
    Row("lk.function_tool.name", "tool_name", text),
    Row("lk.function_tool.id", "tool_call_id", text),
    Row("lk.response.ttft", "time_to_first_chunk_s", number),
    Row("lk.function_tool.arguments", "content.lk_arguments", keep),
    Row("lk.function_tool.output", "content.lk_result", keep),
    Row("lk.input_text", "content.lk_input", keep),
    Row("lk.user_transcript", "content.lk_transcript", keep),
    Row("lk.chat_ctx", "content.lk_context", keep),
    Row("lk.response.text", "content.lk_output", keep),
)


def _quirks(span: Span, observation: Observation) -> None:
    if observation.operation is None and span.scope.name == "livekit-agents":
        observation.kind = KINDS.get(span.name, observation.kind)


def _read_content(sources: Sources, content: Content) -> None:
    fill_sides(sources, content, sources.take("lk_arguments"), sources.take("lk_result"))
    for field in ("lk_input", "lk_transcript", "lk_context"):
        given: Value = structured(sources.look(field))
        if given is not None and content.input_messages is None and content.input is None:
            sources.take(field)
            if isinstance(given, dict) and isinstance(given.get("items"), list):
                given = given["items"]
            fill_sides(sources, content, given, None)
    fill_sides(sources, content, None, sources.take("lk_output"))


LIVEKIT: Final = Vocabulary(
    "livekit",
    scopes=("livekit-agents",),
    prefixes=("lk.",),
    rows=_ROWS,
    content=_read_content,
    quirks=_quirks,
)
