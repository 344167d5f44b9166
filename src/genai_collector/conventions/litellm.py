"""LiteLLM's `otel` callback, both lines: v1 (default) and V2 (`LITELLM_OTEL_V2`).

* v1 names the operation by its own call types (`acompletion`), finish reasons as a JSON text, costs
  `gen_ai.cost.*`, and drops tool calls from its messages: they stand in
  `gen_ai.completion.{i}.function_call`, where i counts calls, not choices.
* V2 has OpenAI-shaped messages under the conventions' names, `litellm.cost.*`, and tools as
  `gen_ai.tool.{i}.*`.
* v1 writes every key of its metadata, empty where unset, dicts as Python repr. One of them,
  `metadata.usage_object`, is the only place where it tells of cached tokens and reasoning.
* Steps of the proxy (`route {model}`) repeat the model without being a call of it.
* `raw_gen_ai_request` spans repeat the call in the provider's words; they are plain spans here.

Source: recorded requests of LiteLLM 1.109, library and proxy.
"""

from __future__ import annotations

from typing import Final, cast

from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import flag, number, text
from genai_collector.conventions.content import indexed
from genai_collector.conventions.facts import family, fill_usage, json_object
from genai_collector.conventions.messages import parts_of
from genai_collector.conventions.observation import Content, Observation, Part
from genai_collector.conventions.parts import tool_call_part
from genai_collector.conventions.traceloop import FUNCTIONS, functions
from genai_collector.conventions.vocabulary import Row, Sources, Vocabulary
from genai_collector.model import Span, Value

_COMPLETIONS: Final = "gen_ai.completion."
_METADATA: Final = "metadata."
USAGE_OBJECT: Final = "metadata.usage_object"
_LONGEST_USAGE: Final = 16 * 1024
"""A few hundred bytes are usual; to read Python's repr costs a multiple of its size."""
_COSTS: Final = ("gen_ai.cost.", "litellm.cost.")
_ANSWERED: Final = (s.GEN_AI_RESPONSE_MODEL, "llm.response.model", "llm.response.model_name")
_COST_NAMES: Final = frozenset((
    "total_cost", "input_cost", "output_cost", "total", "input", "output",
))  # fmt: skip

_ROWS: Final = (
    Row("litellm.call_type", "operation", s.operation),
    Row("llm.response.id", "response_id", text),
    Row("litellm.request.streaming", "parameters.stream", flag),
    Row("litellm.end_user.id", "user_id", text),
    Row("metadata.user_api_key_end_user_id", "user_id", text),
    Row("gen_ai.cost.total_cost", "cost.total", number),
    Row("gen_ai.cost.input_cost", "cost.input", number),
    Row("gen_ai.cost.output_cost", "cost.output", number),
    Row("litellm.cost.total", "cost.total", number),
    Row("litellm.cost.input", "cost.input", number),
    Row("litellm.cost.output", "cost.output", number),
    Row("llm.response.cost", "cost.total", number),
)


def _quirks(span: Span, observation: Observation) -> None:
    attributes = span.attributes
    name = text(attributes.get("llm.model_name"))
    if name is not None:
        # LiteLLM's OpenInference names the requested model so, and the other `llm.response.model`.
        observation.request_model = observation.request_model or name
        if not any(text(attributes.get(key)) for key in _ANSWERED):
            observation.response_model = None
    for key, value in family(attributes, *_COSTS):
        amount = number(value)
        if amount is not None and key not in _COST_NAMES and not key.endswith("percent"):
            observation.cost.details.setdefault(key.removesuffix("_cost"), amount)
    said = attributes.get(USAGE_OBJECT)
    if isinstance(said, str) and len(said) <= _LONGEST_USAGE:
        buckets = json_object(said)
        buckets.pop("cost", None)
        fill_usage(observation.usage, buckets)
    for key, value in family(attributes, _METADATA):
        if value not in ("[]", "{}"):
            observation.metadata.setdefault(key, value)
    if observation.operation is None and observation.kind == "span":
        # A call always states its operation; the proxy's router repeats the model on a step.
        observation.kind = "chain" if observation.request_model is not None else "span"


def _read_content(sources: Sources, content: Content) -> None:
    if content.output_messages:
        calls = _function_calls(sources)
        parts = parts_of(content.output_messages[0])
        if calls and not any(part.get("type") == "tool_call" for part in parts):
            first = {**content.output_messages[0], "parts": cast("list[Value]", [*parts, *calls])}
            content.output_messages = [first, *content.output_messages[1:]]
    for prefix in (FUNCTIONS, "gen_ai.tool."):
        if content.tool_definitions is None:
            content.tool_definitions = functions(sources, prefix)


def _function_calls(sources: Sources) -> list[Part]:
    return [
        tool_call_part(None, call.get("name"), call.get("arguments"))
        for item in indexed(sources, _COMPLETIONS)
        if isinstance(item, dict) and isinstance(call := item.get("function_call"), dict)
    ]


LITELLM: Final = Vocabulary(
    "litellm",
    scopes=("litellm",),
    prefixes=("litellm.", "hidden_params"),
    rows=_ROWS,
    content=_read_content,
    quirks=_quirks,
)
