"""What OpenLIT says in its own way: 1.34 (in the field since 2025) and 1.45 (today).

Its newest releases write the conventions' names; these are the rest, from recorded payloads of
1.34.3 and 1.45.0 and from the constants of the releases between:

* 1.34 numbers may be strings ("0.2", "-1"), which every row of the conventions reads anyway.
* "Not set" is -1 for max_tokens, "" for the seed and the user, "[]" for stop sequences. 1.45 makes
  up temperature 1.0, top_p 1.0, penalties 0.0 and seed 0: that is what the producer said, it stays.
* `gen_ai.client.token.usage` on a span is the total (it is a metric's name elsewhere).
* `gen_ai.server.time_to_first_token` of a call without streaming is its duration.
* 1.34 content events hold one "role: text" line per message; a completion of only tool calls is the
  word "None", and the calls are in `gen_ai.response.tool_calls` as Python repr.
* 1.45 joins the calls of a response in `gen_ai.tool.name`, `.call.id` and `.args` with ", ".
* 1.34 error spans have no attributes at all: operation and model are in the span's name.
"""

from __future__ import annotations

import json
import re
from typing import Final, cast

from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import count, flag, keep, literal, number, text
from genai_collector.conventions.content import CONTENT_COMPLETION, CONTENT_PROMPT, structured
from genai_collector.conventions.messages import parts_of, to_parts_messages
from genai_collector.conventions.observation import Content, Message, Observation, Part
from genai_collector.conventions.parts import text_part, tool_call_part
from genai_collector.conventions.vocabulary import Row, Sources, Vocabulary
from genai_collector.model import Span, Value

TOOL_CALLS: Final = "gen_ai.response.tool_calls"
TOOL_ARGS: Final = "gen_ai.tool.args"
_TTFT: Final = "gen_ai.server.time_to_first_token"
_ROLE_LINE: Final = re.compile(r"^(system|developer|user|assistant|tool|function): ", re.MULTILINE)
_NAMED_OPERATIONS: Final = frozenset(("chat", "embeddings", "text_completion", "generate_content"))

_ROWS: Final = (
    Row("gen_ai.request.is_stream", "parameters.stream", flag),
    Row("gen_ai.request.service_tier", "parameters.service_tier", text),
    Row("gen_ai.request.user", "user_id", text),
    Row("gen_ai.user.id", "user_id", text),
    Row("gen_ai.session.id", "conversation_id", text),
    Row("gen_ai.client.token.usage", "usage.total", count),
    Row("gen_ai.usage.total_tokens", "usage.total", count),
    Row("gen_ai.usage.reasoning_tokens", "usage.reasoning", count),
    Row(_TTFT, "time_to_first_chunk_s", number),
    Row("gen_ai.content.reasoning", "content.reasoning", keep),
    Row(TOOL_CALLS, "content.tool_calls", keep),
    Row(TOOL_ARGS, "content.tool_args", keep),
    Row("gen_ai.tool.input", "content.input", keep),
    Row("gen_ai.tool.output", "content.output", keep),
    Row("gen_ai.workflow.input", "content.input", keep),
    Row("gen_ai.workflow.output", "content.output", keep),
)


def _is_openlit_sdk(span: Span) -> bool:
    return span.attributes.get("telemetry.sdk.name") == "openlit"


def _quirks(span: Span, observation: Observation) -> None:
    if (
        _TTFT in observation.consumed
        and observation.parameters.get("stream") is not True
        and s.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK not in span.attributes
    ):
        observation.time_to_first_chunk_s = None
        observation.consumed.discard(_TTFT)
    if observation.operation is None and observation.request_model is None:
        operation, _, model = span.name.partition(" ")
        if operation in _NAMED_OPERATIONS and model:
            observation.operation, observation.request_model = operation, model


def _read_content(sources: Sources, content: Content) -> None:
    """OpenLIT's content, where the conventions' attributes did not hold it already."""
    if sources.operation == "execute_tool":
        if content.input is None:
            content.input = structured(sources.take("tool_args"))
        return
    if content.input_messages is None or content.output_messages is None:
        _read_events(sources, content)
    reasoning = text(sources.look("reasoning"))
    if reasoning is not None and _add_reasoning(content, reasoning):
        sources.take("reasoning")


def _read_events(sources: Sources, content: Content) -> None:
    prompts: list[str] = []
    completions: list[str] = []
    for event in sources.span.events if sources.span.has_events else ():
        if event.name == CONTENT_PROMPT:
            prompts.append(text(event.attributes.get("gen_ai.prompt")) or "")
        elif event.name == CONTENT_COMPLETION:
            completions.append(text(event.attributes.get("gen_ai.completion")) or "")
    if content.input_messages is None and prompts:
        content.input_messages = [m for prompt in prompts for m in role_lines(prompt)]
        sources.consumed_events.add(CONTENT_PROMPT)
    if content.output_messages is None:
        calls = _tool_calls(sources)
        content.output_messages = sources.finish(_outputs(completions, calls))
        if completions:
            sources.consumed_events.add(CONTENT_COMPLETION)


def role_lines(prompt: str) -> list[Message]:
    """Messages from "role: text" lines; a line that starts with no role continues the one above.

    An embedding's input is the repr of a list, one user message per item; text before the first
    role is a user message.
    """
    starts = list(_ROLE_LINE.finditer(prompt))
    if not starts:
        return to_parts_messages(prompt) or _text_messages("user", prompt)
    messages = _text_messages("user", prompt[: starts[0].start()].rstrip("\n"))
    ends = [start.start() for start in starts[1:]] + [len(prompt) + 1]
    for start, end in zip(starts, ends, strict=True):
        content = prompt[start.end() : end - 1]
        messages += _text_messages(start[1], content) or [{"role": start[1], "parts": []}]
    return messages


def _text_messages(role: str, content: str) -> list[Message]:
    return [{"role": role, "parts": [text_part(content)]}] if content else []


def _outputs(completions: list[str], calls: list[Part]) -> list[Message] | None:
    messages: list[Message] = []
    for completion in completions or ([""] if calls else []):
        said = "" if completion == "None" and calls else completion
        parts: list[Value] = [text_part(said)] if said or not calls else []
        messages.append({"role": "assistant", "parts": parts})
    if calls:
        messages[0]["parts"] = [*cast("list[Value]", messages[0]["parts"]), *calls]
    return messages or None


def _tool_calls(sources: Sources) -> list[Part]:
    said = sources.look("tool_calls")
    if said is not None:
        calls = literal(said) if isinstance(said, str) else said
        found = to_parts_messages([{"role": "assistant", "tool_calls": calls}])
        parts = parts_of(found[0]) if found else []
        if parts:
            sources.take("tool_calls")
        return parts
    names = text(sources.span.attributes.get(s.GEN_AI_TOOL_NAME))
    ids = text(sources.span.attributes.get(s.GEN_AI_TOOL_CALL_ID))
    arguments = text(sources.look("tool_args"))
    return joined_tool_calls(names, ids, arguments) if names and arguments else []


def joined_tool_calls(names: str, ids: str | None, arguments: str | None) -> list[Part]:
    """Calls from names, ids and JSON arguments that were each joined with ", ".

    A list whose length does not match the names cannot be attributed, and is left out.
    """
    name_list = names.split(", ")
    id_list = (ids or "").split(", ")
    argument_list = _joined_json(arguments or "")
    if len(id_list) != len(name_list) or not ids:
        id_list = []
    if len(argument_list) != len(name_list):
        argument_list = []
    return [
        tool_call_part(
            id_list[i] if id_list else None, name, argument_list[i] if argument_list else None
        )
        for i, name in enumerate(name_list)
    ]


def _joined_json(joined: str) -> list[Value]:
    decoder = json.JSONDecoder()
    values: list[Value] = []
    at = 0
    while at < len(joined):
        try:
            value, at = decoder.raw_decode(joined, at)
        except (ValueError, RecursionError):
            return []
        values.append(value)
        if not joined.startswith(", ", at):
            return values if at == len(joined) else []
        at += 2
    return values


def _add_reasoning(content: Content, reasoning: str) -> bool:
    if not content.output_messages:
        content.output_messages = [{"role": "assistant", "parts": []}]
    first = content.output_messages[0]
    parts = cast("list[Value]", first["parts"])
    if any(isinstance(part, dict) and part.get("type") == "reasoning" for part in parts):
        return False
    part: Value = {"type": "reasoning", "content": reasoning}
    content.output_messages = [{**first, "parts": [part, *parts]}, *content.output_messages[1:]]
    return True


OPENLIT: Final = Vocabulary(
    "openlit",
    scopes=("openlit", "openlit.", "openlit-"),
    prefixes=("telemetry.sdk.name",),
    confirm=_is_openlit_sdk,
    rows=_ROWS,
    content=_read_content,
    quirks=_quirks,
)
