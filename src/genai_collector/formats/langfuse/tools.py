"""Tool definitions move from metadata into the input of an observation (end of 3.11).

Producers put the definitions of the offered tools into an attribute; Langfuse shows them with the
messages. They move only if they look like tools and the input can take them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from genai_collector.formats.langfuse.values import (
    JSON,
    as_object,
    js_text,
    parse_json,
    parse_payload,
    truthy,
)

Object = dict[str, JSON]

_DEFINITION_ATTRIBUTES: Final = (("ai.prompt.tools", True), ("gen_ai.tool.definitions", False))
"""Attribute, and whether a tool without a name (a provider's own) will do if it has a type."""
_PARAMETERS: Final = "model_request_parameters"


class WithTools(NamedTuple):
    input: JSON
    metadata: Object


def move_tools(given: JSON, metadata: Object) -> WithTools:
    """The input with the tools and the metadata without; both unchanged if there is nothing to
    move or the input has no place for it."""
    tools, rest = _take(metadata)
    if not tools:
        return WithTools(given, metadata)
    merged = _merge(given, tools)
    return WithTools(given, metadata) if merged is None else WithTools(merged, rest)


def _take(metadata: Object) -> tuple[list[JSON], Object]:
    tools: list[JSON] = []
    rest = dict(metadata)
    own = _definitions(metadata.get("tools"), any_type=False)
    if own:
        tools += own
        del rest["tools"]
    attributes = as_object(parse_payload(metadata.get("attributes")))
    if attributes is None:
        return _distinct(tools), rest
    shown = dict(attributes)
    for key, any_type in _DEFINITION_ATTRIBUTES:
        found = _definitions(attributes.get(key), any_type=any_type)
        if found is not None:
            tools += found
            del shown[key]
    _take_from_parameters(attributes, shown, tools)
    _take_indexed(attributes, shown, tools)
    if shown:
        rest["attributes"] = shown
    else:
        rest.pop("attributes", None)
    return _distinct(tools), rest


def _take_from_parameters(attributes: Object, shown: Object, tools: list[JSON]) -> None:
    """Pydantic AI keeps them among the parameters of the request."""
    raw = attributes.get(_PARAMETERS)
    parameters = as_object(parse_payload(raw))
    if parameters is None:
        return
    left = dict(parameters)
    found = _definitions(parameters.get("function_tools"), any_type=False)
    if found is not None:
        tools += found
        del left["function_tools"]
    if left:
        shown[_PARAMETERS] = js_text(left) if isinstance(raw, str) else left
    else:
        del shown[_PARAMETERS]


def _take_indexed(attributes: Object, shown: Object, tools: list[JSON]) -> None:
    """OpenInference has one attribute per tool."""
    positions = []
    for key in attributes:
        position = key.removeprefix("llm.tools.").removesuffix(".tool.json_schema")
        is_one = key == f"llm.tools.{position}.tool.json_schema"
        if is_one and position.isdecimal() and position.isascii():
            positions.append((int(position), key))
    for _, key in sorted(positions, key=lambda found: found[0]):
        tool = _parsed(attributes[key])
        if _name(tool):
            tools.append(tool)
            del shown[key]


def _definitions(value: JSON, *, any_type: bool) -> list[JSON] | None:
    """The list, if every entry is a tool; None if it is something else."""
    listed = parse_payload(value)
    if not isinstance(listed, list):
        return None
    entries = [_parsed(entry) for entry in listed]
    return entries if all(_is_tool(entry, any_type=any_type) for entry in entries) else None


def _is_tool(entry: JSON, *, any_type: bool) -> bool:
    if not isinstance(entry, dict):
        return False
    return _name(entry) or (any_type and isinstance(entry.get("type"), str))


def _name_of(tool: JSON) -> JSON:
    """The name, in OpenAI's nested shape or flat."""
    if not isinstance(tool, dict):
        return None
    function = tool.get("function")
    if function is None:
        return tool.get("name")
    return function.get("name") if isinstance(function, dict) else None


def _name(tool: JSON) -> bool:
    return truthy(_name_of(tool))


def _distinct(tools: list[JSON]) -> list[JSON]:
    """Without a second tool of the same name."""
    seen: set[str] = set()
    kept: list[JSON] = []
    for tool in tools:
        name = _name_of(tool)
        if truthy(name):
            key = js_text(name)
            if key in seen:
                continue
            seen.add(key)
        kept.append(tool)
    return kept


def _merge(given: JSON, tools: list[JSON]) -> JSON:
    """The input with the tools in it; None if it cannot take them."""
    if isinstance(given, str):
        try:
            return _merge_parsed(parse_json(given), tools)
        except ValueError:
            return {"prompt": given, "tools": tools}
    return _merge_parsed(given, tools)


def _merge_parsed(given: JSON, tools: list[JSON]) -> JSON:
    if isinstance(given, list):
        return {"messages": given, "tools": tools}
    if isinstance(given, dict):
        if given.get("tools") is None:
            return {**given, "tools": tools}
        existing = _tools_among(given["tools"])
        return None if existing is None else {**given, "tools": _distinct(existing + tools)}
    if given is None:
        return {"tools": tools}
    return {"prompt": given, "tools": tools} if isinstance(given, str) else None


def _tools_among(value: JSON) -> list[JSON] | None:
    """The tools in a list of an input that has some already."""
    listed = parse_payload(value)
    if not isinstance(listed, list):
        return None
    entries = [_parsed(entry) for entry in listed]
    found = [entry for entry in entries if _is_tool(entry, any_type=True)]
    return found if found or not entries else None


def _parsed(value: JSON) -> JSON:
    if isinstance(value, str):
        try:
            return parse_json(value)
        except ValueError:
            return value
    return value
