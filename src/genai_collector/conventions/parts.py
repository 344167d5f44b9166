"""Every shape of a message part found in the wild, turned into the conventions' part.

Strategy: one table by the `type` that a part carries, one by the key that marks a part without a
type, and a rule for what matches neither: it stays as it is, because the conventions allow parts
of any type. Sources: the message schemas of the GenAI conventions; the content blocks of OpenAI
(Chat Completions, Responses), Anthropic (Messages), Google (Gemini), AWS Bedrock (Converse) and
the Vercel AI SDK, as instrumentations copy them into attributes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from genai_collector.conventions.coerce import from_json, to_json
from genai_collector.conventions.observation import Part
from genai_collector.model import Value

Reader: TypeAlias = Callable[[dict[str, Value]], Part]

_DATA_URL: Final = re.compile(r"data:([^;,]*)[^,]*;base64,(.*)", re.DOTALL)


def to_parts(content: Value) -> list[Part] | None:
    """Parts from a message's content: text, one part, or a list of parts and texts.

    None if it cannot be content at all. Nothing said (None) is no part; an empty text stays one.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [text_part(content)]
    if isinstance(content, dict):
        return [to_part(content)]
    if not isinstance(content, list):
        return [text_part(to_json(content) or "")]
    parts: list[Part] = []
    for item in content:
        if isinstance(item, dict):
            parts.append(to_part(item))
        elif isinstance(item, str):
            parts.append(text_part(item))
        else:
            return None
    return parts


def to_part(raw: dict[str, Value]) -> Part:
    """One part in the conventions' shape. A part that already has it comes back equal."""
    kind = raw.get("type")
    if isinstance(kind, str):
        reader = _BY_TYPE.get(kind)
        return raw if reader is None else reader(raw)
    for key, reader in _BY_KEY:
        if key in raw:
            return reader(raw)
    return {"type": "unknown", **raw}


def text_part(content: str) -> Part:
    return {"type": "text", "content": content}


def tool_call_part(id: Value, name: Value, arguments: Value) -> Part:
    """`arguments` is best an object; a JSON text of one is parsed."""
    part: Part = {"type": "tool_call"}
    if id is not None:
        part["id"] = id
    part["name"] = name if isinstance(name, str) else ""
    if arguments is not None:
        part["arguments"] = to_object(arguments)
    return part


def tool_response_part(id: Value, response: Value) -> Part:
    part: Part = {"type": "tool_call_response"}
    if id is not None:
        part["id"] = id
    part["response"] = response
    return part


def to_object(arguments: Value) -> Value:
    """What a JSON text of an object says; anything else as it is."""
    if isinstance(arguments, str):
        parsed = from_json(arguments)
        return parsed if isinstance(parsed, dict) else arguments
    return arguments


def media_part(url: str, modality: str, extra: dict[str, Value] | None = None) -> Part:
    """`blob` for a base64 data URL, `uri` for any other."""
    match = _DATA_URL.fullmatch(url)
    part: Part
    if match is None:
        part = {"type": "uri", "modality": modality, "uri": url}
    else:
        part = blob_part(match[2], modality, match[1] or None)
    return _keeping(part, extra or {})


def blob_part(content: Value, modality: str, mime_type: Value) -> Part:
    part: Part = {"type": "blob", "modality": modality}
    if isinstance(mime_type, str):
        part["mime_type"] = mime_type
    part["content"] = _string(content)
    return part


def _string(value: Value) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else to_json(value) or ""


def _rest(raw: dict[str, Value], *known: str) -> dict[str, Value]:
    return {key: value for key, value in raw.items() if key not in known}


def _keeping(part: Part, raw: dict[str, Value], *known: str) -> Part:
    """The part, with what `raw` says beyond it."""
    for key, value in raw.items():
        if key not in known:
            part.setdefault(key, value)
    return part


def _first(raw: dict[str, Value], *keys: str) -> Value:
    for key in keys:
        if (value := raw.get(key)) is not None:
            return value
    return None


def _modality(mime_type: Value) -> str:
    kind = mime_type.split("/")[0] if isinstance(mime_type, str) else ""
    return kind if kind in ("image", "video", "audio") else "document"


# Parts that the conventions define: repaired only where the schema would refuse them.
def _text(raw: dict[str, Value]) -> Part:
    if isinstance(raw.get("content"), str):
        return raw
    said = _string(_first(raw, "content", "text"))
    return _keeping(text_part(said), raw, "type", "content", "text")


def _tool_call(raw: dict[str, Value]) -> Part:
    arguments = raw.get("arguments")
    if isinstance(raw.get("name"), str) and not isinstance(arguments, str):
        return raw
    return {**raw, "name": _string(raw.get("name")), "arguments": to_object(arguments)}


def _tool_call_response(raw: dict[str, Value]) -> Part:
    if "response" in raw:
        return raw
    # The conventions' own examples said `result` until mid 2026.
    return {**_rest(raw, "result"), "response": raw.get("result")}


# Parts of the providers' own interfaces.
def _openai_text(raw: dict[str, Value]) -> Part:
    return _keeping(text_part(_string(raw.get("text"))), raw, "type", "text")


def _image_url(raw: dict[str, Value]) -> Part:
    image = raw.get("image_url")
    extra = _rest(raw, "type", "image_url")
    if isinstance(image, dict):
        extra |= _rest(image, "url")
        image = image.get("url")
    if isinstance(image, str):
        return media_part(image, "image", extra)
    if isinstance(raw.get("file_id"), str):
        return {**raw, "type": "file", "modality": "image"}
    return raw


def _input_audio(raw: dict[str, Value]) -> Part:
    audio = raw.get("input_audio")
    if not isinstance(audio, dict):
        return raw
    kind = audio.get("format")
    return blob_part(audio.get("data"), "audio", f"audio/{kind}" if isinstance(kind, str) else None)


def _file(raw: dict[str, Value]) -> Part:
    if isinstance(raw.get("modality"), str) and isinstance(raw.get("file_id"), str):
        return raw
    inner = raw.get("file")
    file = {**_rest(raw, "file", "type"), **inner} if isinstance(inner, dict) else raw
    data, url = file.get("file_data"), file.get("file_url")
    extra = _rest(file, "file_data", "file_url", "type")
    if isinstance(file.get("file_id"), str):
        return _keeping({"type": "file", "modality": "document"}, extra)
    if isinstance(data, str) or isinstance(url, str):
        return media_part(_string(data or url), "document", extra)
    return raw


def _sourced(raw: dict[str, Value]) -> Part:
    # Anthropic's image and document; the Vercel AI SDK's image.
    modality = "image" if raw.get("type") == "image" else "document"
    source = raw.get("source")
    if isinstance(source, dict):
        extra = _rest(raw, "type", "source")
        if isinstance(source.get("url"), str):
            return media_part(_string(source["url"]), modality, extra)
        if isinstance(source.get("file_id"), str):
            file: Part = {"type": "file", "modality": modality, "file_id": source["file_id"]}
            return _keeping(file, extra)
        if source.get("type") == "base64":
            blob = blob_part(source.get("data"), modality, source.get("media_type"))
            return _keeping(blob, extra)
        return raw
    image = raw.get("image")
    if isinstance(image, str):
        if image.startswith(("http://", "https://", "data:")):
            return media_part(image, modality)
        return blob_part(image, modality, _first(raw, "mediaType", "mimeType"))
    return raw


def _tool_use(raw: dict[str, Value]) -> Part:
    part = tool_call_part(raw.get("id"), raw.get("name"), raw.get("input"))
    return _keeping(part, raw, "input")


def _tool_result(raw: dict[str, Value]) -> Part:
    part = tool_response_part(raw.get("tool_use_id"), raw.get("content"))
    return _keeping(part, raw, "tool_use_id", "content")


def _server_tool_use(raw: dict[str, Value]) -> Part:
    name = _string(raw.get("name"))
    call: dict[str, Value] = {"type": name, "input": raw.get("input")}
    return {**_rest(raw, "input"), "type": "server_tool_call", "name": name,
            "server_tool_call": call}  # fmt: skip


def _thinking(raw: dict[str, Value]) -> Part:
    part: Part = {"type": "reasoning", "content": _string(raw.get("thinking"))}
    return _keeping(part, raw, "thinking")


def _reasoning(raw: dict[str, Value]) -> Part:
    if isinstance(raw.get("content"), str):
        return raw
    said = _first(raw, "text", "summary", "content")
    if isinstance(said, list):
        texts = [item.get("text") for item in said if isinstance(item, dict)]
        said = "\n".join([text for text in texts if isinstance(text, str)])
    return _keeping({"type": "reasoning", "content": _string(said)}, raw, "text", "summary")


def _vercel_call(raw: dict[str, Value]) -> Part:
    arguments = _first(raw, "input", "args")
    part = tool_call_part(raw.get("toolCallId"), raw.get("toolName"), arguments)
    return _keeping(part, raw, "toolCallId", "toolName", "input", "args")


def _vercel_result(raw: dict[str, Value]) -> Part:
    response = _first(raw, "output", "result")
    if isinstance(response, dict) and "value" in response:
        response = response["value"]
    part = tool_response_part(raw.get("toolCallId"), response)
    return _keeping(part, raw, "toolCallId", "output", "result")


def _openai_call(raw: dict[str, Value]) -> Part:
    function = raw.get("function")
    if not isinstance(function, dict):
        # The Responses API has the function's fields on the item itself.
        function = raw
    return tool_call_part(
        _first(raw, "call_id", "id"), function.get("name"), function.get("arguments")
    )


def _openai_call_output(raw: dict[str, Value]) -> Part:
    return tool_response_part(raw.get("call_id"), raw.get("output"))


def _google_call(raw: dict[str, Value]) -> Part:
    call = _first(raw, "functionCall", "function_call")
    call = call if isinstance(call, dict) else {}
    return tool_call_part(call.get("id"), call.get("name"), call.get("args"))


def _google_response(raw: dict[str, Value]) -> Part:
    call = _first(raw, "functionResponse", "function_response")
    call = call if isinstance(call, dict) else {}
    part = tool_response_part(call.get("id"), call.get("response"))
    return part | ({"name": call["name"]} if "name" in call else {})


def _google_data(raw: dict[str, Value]) -> Part:
    data = _first(raw, "inlineData", "inline_data", "fileData", "file_data")
    data = data if isinstance(data, dict) else {}
    mime_type = _first(data, "mimeType", "mime_type")
    uri = _first(data, "fileUri", "file_uri")
    if isinstance(uri, str):
        part: Part = {"type": "uri", "modality": _modality(mime_type), "uri": uri}
        return part | ({"mime_type": mime_type} if isinstance(mime_type, str) else {})
    return blob_part(data.get("data"), _modality(mime_type), mime_type)


def _bedrock_call(raw: dict[str, Value]) -> Part:
    call = raw.get("toolUse")
    call = call if isinstance(call, dict) else {}
    return tool_call_part(call.get("toolUseId"), call.get("name"), call.get("input"))


def _bedrock_result(raw: dict[str, Value]) -> Part:
    result = raw.get("toolResult")
    result = result if isinstance(result, dict) else {}
    part = tool_response_part(result.get("toolUseId"), result.get("content"))
    return _keeping(part, result, "toolUseId", "content")


def _genkit_call(raw: dict[str, Value]) -> Part:
    call = raw.get("toolRequest")
    call = call if isinstance(call, dict) else {}
    return tool_call_part(call.get("ref"), call.get("name"), call.get("input"))


def _genkit_response(raw: dict[str, Value]) -> Part:
    call = raw.get("toolResponse")
    call = call if isinstance(call, dict) else {}
    part = tool_response_part(call.get("ref"), call.get("output"))
    return part | ({"name": call["name"]} if "name" in call else {})


_BY_TYPE: Final[dict[str, Reader]] = {
    # The conventions.
    "text": _text,
    "tool_call": _tool_call,
    "tool_call_response": _tool_call_response,
    "reasoning": _reasoning,
    # OpenAI.
    "input_text": _openai_text,
    "output_text": _openai_text,
    "image_url": _image_url,
    "input_image": _image_url,
    "input_audio": _input_audio,
    "file": _file,
    "input_file": _file,
    "function": _openai_call,
    "function_call": _openai_call,
    "function_call_output": _openai_call_output,
    # Anthropic.
    "image": _sourced,
    "document": _sourced,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "server_tool_use": _server_tool_use,
    "thinking": _thinking,
    # Vercel AI SDK.
    "tool-call": _vercel_call,
    "tool-result": _vercel_result,
}

_BY_KEY: Final[tuple[tuple[str, Reader], ...]] = (
    # Google.
    ("functionCall", _google_call),
    ("function_call", _google_call),
    ("functionResponse", _google_response),
    ("function_response", _google_response),
    ("inlineData", _google_data),
    ("inline_data", _google_data),
    ("fileData", _google_data),
    ("file_data", _google_data),
    # Genkit.
    ("toolRequest", _genkit_call),
    ("toolResponse", _genkit_response),
    # AWS Bedrock.
    ("toolUse", _bedrock_call),
    ("toolResult", _bedrock_result),
    # An OpenAI tool call without its type; then anything with a text.
    ("function", _openai_call),
    ("text", _openai_text),
    ("content", _text),
)
"""For parts without a type: the first key that is there decides."""
