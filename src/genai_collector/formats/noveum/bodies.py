"""What the request and response bodies inside a record say.

The gateway records the provider's bodies whole, in five shapes: a chat completion, a list of its
chunks, raw Anthropic events (release 1.0.1), the sample's aggregate (`choices[].delta` with the
counts under `x_groq`), and an error. Its sanitiser turns nested contents and errors into JSON
strings, so those are read as JSON again. Everything here only reads; nothing raises on odd data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from genai_collector.formats.fits import is_int64
from genai_collector.formats.json_text import try_loads
from genai_collector.model import Value

Body: TypeAlias = "dict[str, Value]"


@dataclass(slots=True)
class Reply:
    """One reading of a response body."""

    id: str | None = None
    messages: list[Body] = field(default_factory=list)
    """In OpenAI's shape, each with its `finish_reason`."""
    usage: Body = field(default_factory=dict)
    system_fingerprint: str | None = None
    service_tier: str | None = None
    error: Body | None = None

    @property
    def finish_reasons(self) -> list[str]:
        reasons = (message.get("finish_reason") for message in self.messages)
        return [reason for reason in reasons if isinstance(reason, str)]


def as_body(value: Value) -> Body:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Value) -> list[Body]:
    """The objects of a list; nothing for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text_or_none(value: Value) -> str | None:
    return value if isinstance(value, str) else None


def expand_messages(messages: Value) -> Value:
    """Messages with the sanitiser's JSON strings in `content` made parts again."""
    if not isinstance(messages, list):
        return messages
    return [_expand_message(message) for message in messages]


def _expand_message(message: Value) -> Value:
    if not isinstance(message, dict):
        return message
    content = message.get("content")
    if not isinstance(content, str) or not content.startswith("[{"):
        return message
    parts = try_loads(content)
    # Text that merely looks like JSON stays text: parts are objects with a type.
    if isinstance(parts, list) and all(isinstance(p, dict) and "type" in p for p in parts):
        return {**message, "content": parts}
    return message


def read_reply(response: Value) -> Reply:
    """What a response body says."""
    body = as_body(response)
    reply = Reply(id=text_or_none(body.get("id")), error=_error(body))
    chunks = objects(body.get("streamed_data"))
    reply.messages = _with_reasons(_choices(body), _join(chunks))
    reply.usage = as_body(body.get("usage")) or as_body(as_body(body.get("x_groq")).get("usage"))
    _take_names(reply, body)
    for chunk in chunks:
        reply.id = reply.id or text_or_none(chunk.get("id"))
        reply.error = reply.error or _error(chunk)
        _take_names(reply, chunk)
        _take_usage(reply, chunk)
    return reply


def _with_reasons(whole: list[Body], joined: list[Body]) -> list[Body]:
    """The aggregate, which knows no finish reasons, completed from its chunks."""
    if not whole:
        return joined
    for message, other in zip(whole, joined, strict=False):
        message["finish_reason"] = message["finish_reason"] or other["finish_reason"]
    return whole


def _take_names(reply: Reply, body: Body) -> None:
    fingerprint, tier = body.get("system_fingerprint"), body.get("service_tier")
    reply.system_fingerprint = reply.system_fingerprint or text_or_none(fingerprint)
    reply.service_tier = reply.service_tier or text_or_none(tier)


def _take_usage(reply: Reply, chunk: Body) -> None:
    """Counts come at the end of a stream; Anthropic's input counts at its beginning."""
    message = as_body(chunk.get("message"))
    reply.id = reply.id or text_or_none(message.get("id"))
    for usage in (
        message.get("usage"),
        as_body(chunk.get("x_groq")).get("usage"),
        chunk.get("usage"),
    ):
        if isinstance(usage, dict):
            reply.usage = {**reply.usage, **usage}


def _error(body: Body) -> Body | None:
    error = body.get("error")
    if isinstance(error, str):
        parsed = try_loads(error)
        return parsed if isinstance(parsed, dict) else {"message": error}
    if isinstance(error, dict):
        return error
    return {} if body.get("type") == "error" else None


def _choices(body: Body) -> list[Body]:
    found: list[Body] = []
    for choice in objects(body.get("choices")):
        message = choice.get("message", choice.get("delta"))
        if isinstance(message, dict):
            found.append({**message, "finish_reason": choice.get("finish_reason")})
    return found


def _join(chunks: list[Body]) -> list[Body]:
    """Whole messages from the chunks of a stream."""
    if any(isinstance(chunk.get("choices"), list) for chunk in chunks):
        return _join_openai(chunks)
    return _join_anthropic(chunks)


def _join_openai(chunks: list[Body]) -> list[Body]:
    joined: dict[int, _Joined] = {}
    for chunk in chunks:
        for choice in objects(chunk.get("choices")):
            index = choice.get("index")
            message = joined.setdefault(index if type(index) is int else 0, _Joined())
            message.add_delta(as_body(choice.get("delta")))
            message.finish_reason = choice.get("finish_reason") or message.finish_reason
    return [joined[index].message() for index in sorted(joined)]


def _join_anthropic(chunks: list[Body]) -> list[Body]:
    message = _Joined()
    seen = False
    for chunk in chunks:
        delta = as_body(chunk.get("delta"))
        block = as_body(chunk.get("content_block"))
        index = chunk.get("index")
        at = index if type(index) is int else 0
        seen = seen or bool(delta or block or chunk.get("message"))
        if block.get("type") == "tool_use":
            message.add_call(at, {"id": block.get("id"), "function": {"name": block.get("name")}})
        message.add_text(block.get("text"))
        message.add_text(delta.get("text"))
        message.add_call_text(at, delta.get("partial_json"))
        message.finish_reason = delta.get("stop_reason") or message.finish_reason
    return [message.message()] if seen else []


class _Joined:
    """One message, growing delta by delta."""

    __slots__ = ("_calls", "_role", "_texts", "finish_reason")

    def __init__(self) -> None:
        self._role: Value = "assistant"
        self._texts: list[str] = []
        self._calls: dict[int, _Call] = {}
        self.finish_reason: Value = None

    def add_delta(self, delta: Body) -> None:
        self._role = delta.get("role") or self._role
        self.add_text(delta.get("content"))
        for at, call in enumerate(objects(delta.get("tool_calls"))):
            index = call.get("index")
            self.add_call(index if type(index) is int else at, call)

    def add_text(self, text: Value) -> None:
        if isinstance(text, str):
            self._texts.append(text)

    def add_call(self, index: int, call: Body) -> None:
        function = as_body(call.get("function"))
        known = self._calls.setdefault(index, _Call())
        known.id = call.get("id") or known.id
        known.name = function.get("name") or known.name
        self.add_call_text(index, function.get("arguments"))

    def add_call_text(self, index: int, text: Value) -> None:
        if isinstance(text, str):
            self._calls.setdefault(index, _Call()).arguments.append(text)

    def message(self) -> Body:
        text = "".join(self._texts)
        message: Body = {"role": self._role, "content": text or None if self._calls else text}
        if self._calls:
            message["tool_calls"] = [self._calls[at].body() for at in sorted(self._calls)]
        message["finish_reason"] = self.finish_reason
        return message


class _Call:
    """One tool call, growing with its message."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self) -> None:
        self.id: Value = None
        self.name: Value = None
        self.arguments: list[str] = []

    def body(self) -> Body:
        function: Body = {"name": self.name, "arguments": "".join(self.arguments)}
        return {"id": self.id, "type": "function", "function": function}


@dataclass(slots=True)
class Tokens:
    """Counts under the convention's names; `input` includes what came from a cache."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_creation: int | None = None
    reasoning: int | None = None


def read_tokens(said: Body, usage: Body) -> Tokens:
    """`metadata.tokens`, completed from the body's usage where the record says nothing."""
    prompt_details = as_body(usage.get("prompt_tokens_details"))
    output_details = as_body(usage.get("completion_tokens_details"))
    tokens = Tokens(
        input=_first_int(said.get("input"), usage.get("prompt_tokens"), usage.get("input_tokens")),
        output=_first_int(
            said.get("output"), usage.get("completion_tokens"), usage.get("output_tokens")
        ),
        cache_read=_first_int(
            prompt_details.get("cached_tokens"), usage.get("cache_read_input_tokens")
        ),
        cache_creation=_first_int(usage.get("cache_creation_input_tokens")),
        reasoning=_first_int(output_details.get("reasoning_tokens")),
    )
    # Anthropic counts cached tokens beside the input, not within it.
    if tokens.input is not None and not prompt_details:
        inclusive = tokens.input + (tokens.cache_read or 0) + (tokens.cache_creation or 0)
        tokens.input = inclusive if is_int64(inclusive) else tokens.input
    return tokens


def _first_int(*values: Value) -> int | None:
    for value in values:
        if type(value) is int and is_int64(value):
            return value
    return None
