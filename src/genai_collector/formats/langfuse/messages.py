"""System instructions that stand beside the messages, put in front of them (end of 3.11)."""

from __future__ import annotations

from genai_collector.formats.langfuse.values import (
    JSON,
    as_object,
    js_string,
    js_text,
    parse_json,
    truthy,
)


def with_system_instructions(messages: JSON, instructions: JSON) -> JSON:
    """The messages with a system message first, in the form they came in (text stays text).

    They stay as they are when they are no list or have a system message already.
    """
    try:
        listed = parse_json(messages) if isinstance(messages, str) else messages
    except ValueError:
        return messages
    if not isinstance(listed, list):
        return messages
    if any((as_object(message) or {}).get("role") == "system" for message in listed):
        return messages
    system: JSON = {"role": "system", "content": _instruction_text(instructions)}
    merged = [system, *listed]
    return js_text(merged) if isinstance(messages, str) else merged


def _instruction_text(instructions: JSON) -> str:
    parsed = instructions
    if isinstance(instructions, str):
        try:
            parsed = parse_json(instructions)
        except ValueError:
            return instructions
    if isinstance(parsed, list):
        return "\n".join([_part_text(part) for part in parsed])
    return "null" if parsed is None else js_string(parsed)


def _part_text(part: JSON) -> str:
    spoken = part.get("content") if isinstance(part, dict) else None
    if truthy(spoken):
        return js_string(spoken)
    return "null" if part is None else js_string(part)
