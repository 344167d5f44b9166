"""Merged records as span attributes: Langfuse's own words, and today's conventions beside them.

`langfuse.*` (section 5) is what a Langfuse server and the way back read. `gen_ai.*` is for everyone
else; Langfuse looks at its own words first, so nothing is counted twice. Usage is exclusive in
Langfuse's buckets and inclusive in the conventions.
"""

from __future__ import annotations

from typing import Final, cast

from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import number, texts, to_json, whole
from genai_collector.conventions.messages import to_parts_messages
from genai_collector.formats.langfuse.instants import time_ns
from genai_collector.formats.langfuse.keys import OBSERVATION_METADATA, TRACE_METADATA_KEY
from genai_collector.formats.langfuse.merge import Object, Record
from genai_collector.formats.langfuse.span_values import as_text, json_text, metadata_attributes
from genai_collector.formats.langfuse.values import JSON
from genai_collector.model import Attributes, Value

SDK_SCOPE: Final = "langfuse-sdk"
API_ATTRIBUTE: Final = "langfuse.ingestion.api"
"""Scope attribute: which of Langfuse's ways in the span came through."""
BATCH_API: Final = "batch"
SDK_NAME: Final = "langfuse.sdk.name"
SDK_INTEGRATION: Final = "langfuse.sdk.integration"
PROJECT: Final = "langfuse.project.name"
TRACE_VERSION: Final = "langfuse.trace.version"
TRACE_TIMESTAMP: Final = "langfuse.trace.timestamp"
TRACE_EXTERNAL_ID: Final = "langfuse.trace.external_id"
TRACE_INPUT: Final = "langfuse.trace.input"
TRACE_OUTPUT: Final = "langfuse.trace.output"
SYNTHETIC: Final = "langfuse.internal.synthetic_root"
"""On a root span that stands for a trace and never was an observation."""
PARENTLESS: Final = "langfuse.internal.parentless"
"""On a span whose parent is such a root: the observation had none."""
INHERITED_VERSION: Final = "langfuse.internal.version_of_trace"
"""On a span whose version is its trace's, because the observation has none."""
OPEN: Final = "langfuse.internal.open"
"""On a span that nobody ended; it is written as one that took no time."""
MODEL_PARAMETERS: Final = "langfuse.observation.model.parameters"
ORIGINAL_ID: Final = "original_id"
ORIGINAL_PARENT_ID: Final = "original_parent_id"
ORIGINAL_TRACE_ID: Final = "original_trace_id"
"""Metadata keys of ids that are no OTLP ids, visible wherever the span is looked at."""

_TRACE_TEXTS: Final = {
    "name": "langfuse.trace.name",
    "userId": "user.id",
    "sessionId": "session.id",
    "release": "langfuse.release",
    "version": TRACE_VERSION,
    "timestamp": TRACE_TIMESTAMP,
    "externalId": TRACE_EXTERNAL_ID,
}
_OBSERVATION_TEXTS: Final = {
    "environment": "langfuse.environment",
    "level": "langfuse.observation.level",
    "statusMessage": "langfuse.observation.status_message",
    "version": "langfuse.version",
    "model": "langfuse.observation.model.name",
    "completionStartTime": "langfuse.observation.completion_start_time",
    "promptName": "langfuse.observation.prompt.name",
    "promptVersion": "langfuse.observation.prompt.version",
}
_OBSERVATION_JSON: Final = {
    "modelParameters": MODEL_PARAMETERS,
    "usageDetails": "langfuse.observation.usage_details",
    "costDetails": "langfuse.observation.cost_details",
}
_OBSERVATION_CONTENTS: Final = {
    "input": "langfuse.observation.input",
    "output": "langfuse.observation.output",
}
_TRACE_CONTENTS: Final = {"input": TRACE_INPUT, "output": TRACE_OUTPUT}
_OPERATIONS: Final = {
    "generation": "chat",
    "embedding": "embeddings",
    "tool": "execute_tool",
    "agent": "invoke_agent",
    "retriever": "retrieval",
}
_SPENDING: Final = ("model", "usageDetails", "costDetails")
_WHOLE: Final = {
    "max_tokens": s.GEN_AI_REQUEST_MAX_TOKENS,
    "maxTokens": s.GEN_AI_REQUEST_MAX_TOKENS,
    "max_completion_tokens": s.GEN_AI_REQUEST_MAX_TOKENS,
    "max_output_tokens": s.GEN_AI_REQUEST_MAX_TOKENS,
    "n": s.GEN_AI_REQUEST_CHOICE_COUNT,
    "seed": s.GEN_AI_REQUEST_SEED,
}
_NUMBERS: Final = {
    "temperature": s.GEN_AI_REQUEST_TEMPERATURE,
    "top_p": s.GEN_AI_REQUEST_TOP_P,
    "topP": s.GEN_AI_REQUEST_TOP_P,
    "top_k": s.GEN_AI_REQUEST_TOP_K,
    "frequency_penalty": s.GEN_AI_REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": s.GEN_AI_REQUEST_PRESENCE_PENALTY,
}
_PLAIN_USAGE: Final = {
    "input": s.GEN_AI_USAGE_INPUT_TOKENS,
    "output": s.GEN_AI_USAGE_OUTPUT_TOKENS,
    "total": "",
}
_CACHE_READ: Final = frozenset(
    {"input_cached_tokens", "cache_read_input_tokens", "input_cache_read", "cached_tokens"}
)
_CACHE_CREATION: Final = frozenset(
    {"input_cache_creation", "cache_creation_input_tokens", "input_cache_write"}
)
_REASONING: Final = frozenset({"output_reasoning_tokens", "output_reasoning", "reasoning_tokens"})
_PROVIDER_TOTALS: Final = {
    "prompt_tokens": "input",
    "input_tokens": "input",
    "completion_tokens": "output",
    "output_tokens": "output",
}
_PARTS: Final = (
    (s.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS, _CACHE_READ),
    (s.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS, _CACHE_CREATION),
    (s.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS, _REASONING),
)


def trace_attributes(trace: Record) -> Attributes:
    """What every span of the trace says of it; its content is for one span only."""
    body = trace.body
    found: Attributes = {}
    _copy(body, _TRACE_TEXTS, found)
    if "sessionId" in body:
        found[s.GEN_AI_CONVERSATION_ID] = cast("Value", body["sessionId"])
    tags = body.get("tags")
    if isinstance(tags, list) and tags:
        found["langfuse.trace.tags"] = [str(tag) for tag in tags]
    if "public" in body:
        found["langfuse.trace.public"] = cast("Value", body["public"])
    found.update(metadata_attributes(TRACE_METADATA_KEY, body.get("metadata")))
    return found


def trace_content(trace: Record) -> Attributes:
    """The trace's own input and output."""
    return _contents(trace.body, _TRACE_CONTENTS)


def observation_attributes(observation: Record) -> Attributes:
    """Everything of the observation but its ids, name, times and status."""
    kind, body = observation
    found: Attributes = {"langfuse.observation.type": kind}
    _copy(body, _OBSERVATION_TEXTS, found)
    for field, key in _OBSERVATION_JSON.items():
        if body.get(field) is not None:
            found[key] = json_text(body[field])
    found.update(_contents(body, _OBSERVATION_CONTENTS))
    found.update(metadata_attributes(OBSERVATION_METADATA, body.get("metadata")))
    found.update(gen_ai_attributes(observation))
    return found


def _copy(body: Object, names: dict[str, str], found: Attributes) -> None:
    for field, key in names.items():
        value = body.get(field)
        if value is not None:
            found[key] = cast("Value", value)


def _contents(body: Object, names: dict[str, str]) -> Attributes:
    return {key: as_text(body[side]) for side, key in names.items() if body.get(side) is not None}


# ---- today's conventions ------------------------------------------------------------------------


def gen_ai_attributes(observation: Record) -> Attributes:
    """The same facts under the conventions' names, as far as those have a place for them."""
    kind, body = observation
    found: Attributes = {}
    operation = _OPERATIONS.get(kind)
    # Langfuse ignores what an agent spent, because its children say it again. Where the producer
    # put it on the agent itself, the agent must not be called one in a way that hides it.
    if operation is not None and not (kind == "agent" and any(body.get(key) for key in _SPENDING)):
        found[s.GEN_AI_OPERATION_NAME] = operation
    name = body.get("name")
    if isinstance(name, str) and name:
        if kind == "agent":
            found[s.GEN_AI_AGENT_NAME] = name
        elif kind == "tool":
            found[s.GEN_AI_TOOL_NAME] = name
    model = body.get("model")
    if isinstance(model, str) and model:
        found[s.GEN_AI_REQUEST_MODEL] = found[s.GEN_AI_RESPONSE_MODEL] = model
    found.update(_parameters(body.get("modelParameters")))
    found.update(usage_attributes(body.get("usageDetails")))
    found.update(_cost(body.get("costDetails")))
    found.update(_first_token(body))
    found.update(_messages(kind, body))
    return found


def _parameters(parameters: JSON) -> Attributes:
    found: Attributes = {}
    if not isinstance(parameters, dict):
        return found
    for name, value in cast("Attributes", parameters).items():
        if name in _WHOLE and whole(value) is not None:
            found[_WHOLE[name]] = whole(value)
        elif name in _NUMBERS and number(value) is not None:
            found[_NUMBERS[name]] = number(value)
        elif name in {"stop", "stop_sequences"} and texts(value):
            found[s.GEN_AI_REQUEST_STOP_SEQUENCES] = texts(value)
        elif name == "stream" and isinstance(value, bool):
            found[s.GEN_AI_REQUEST_STREAM] = value
    return found


def usage_attributes(usage: JSON) -> Attributes:
    """Inclusive totals of exclusive buckets.

    Some producers fill the buckets inclusively, which shows: the total is then input plus output
    alone. Their input and output are taken as they are.
    """
    if not isinstance(usage, dict):
        return {}
    if usage.keys() <= _PLAIN_USAGE.keys():
        return {
            _PLAIN_USAGE[key]: cast("int", value)
            for key, value in usage.items()
            if key != "total" and _is_count(value)
        }
    counts = {key: cast("int", value) for key, value in usage.items() if _is_count(value)}
    is_inclusive = _rename(counts)
    spent, made = _side(counts, "input"), _side(counts, "output")
    plain = (counts.get("input"), counts.get("output"))
    is_inclusive |= "total" in counts and counts["total"] == sum(n or 0 for n in plain)
    found: Attributes = {}
    for key, inclusive, own in zip(
        (s.GEN_AI_USAGE_INPUT_TOKENS, s.GEN_AI_USAGE_OUTPUT_TOKENS),
        (spent, made),
        plain,
        strict=True,
    ):
        value = own if is_inclusive else inclusive
        if value is not None:
            found[key] = value
    for key, names in _PARTS:
        named = [counts[name] for name in names if name in counts]
        if named:
            found[key] = max(named)
    return found


def _rename(counts: dict[str, int]) -> bool:
    """Totals under the providers' names become `input` and `output`, where those are missing.
    Whether there were any: such totals include their parts."""
    renamed = False
    for name, side in _PROVIDER_TOTALS.items():
        if name in counts:
            count = counts.pop(name)
            renamed |= side not in counts
            counts.setdefault(side, count)
    return renamed


def _is_count(value: JSON) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _side(counts: dict[str, int], side: str) -> int | None:
    """The sum of a side's buckets, None if there are none."""
    found = [
        value
        for key, value in counts.items()
        if key == side or key.startswith(f"{side}_") or _is_part(key, side)
    ]
    return sum(found) if found else None


def _is_part(key: str, side: str) -> bool:
    if side == "output":
        return key in _REASONING
    return key in _CACHE_READ or key in _CACHE_CREATION


def _cost(costs: JSON) -> Attributes:
    if not isinstance(costs, dict):
        return {}
    total = costs.get("total")
    if total is None and costs and costs.keys() <= {"input", "output"}:
        total = sum(cast("list[float]", list(costs.values())))
    found = number(cast("Value", total))
    return {} if found is None else {s.GEN_AI_USAGE_COST: found}


def _first_token(body: Object) -> Attributes:
    first, start = body.get("completionStartTime"), body.get("startTime")
    if not isinstance(first, str) or not isinstance(start, str):
        return {}
    waited = time_ns(first) - time_ns(start)
    return {} if waited < 0 else {s.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: waited / 1e9}


def _messages(kind: str, body: Object) -> Attributes:
    found: Attributes = {}
    if kind == "generation":
        for side, key, role in (
            ("input", s.GEN_AI_INPUT_MESSAGES, "user"),
            ("output", s.GEN_AI_OUTPUT_MESSAGES, "assistant"),
        ):
            if body.get(side) is not None:
                messages = to_parts_messages(cast("Value", body[side]), default_role=role)
                text = to_json(cast("Value", messages)) if messages else None
                if text is not None:
                    found[key] = text
    elif kind == "tool":
        for side, key in (
            ("input", s.GEN_AI_TOOL_CALL_ARGUMENTS),
            ("output", s.GEN_AI_TOOL_CALL_RESULT),
        ):
            if body.get(side) is not None:
                found[key] = as_text(body[side])
    return found
