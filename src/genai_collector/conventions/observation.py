"""The one typed reading of a GenAI span, whatever vocabulary it speaks.

`conventions.read_observation(span)` fills it from tables with an explicit precedence;
`normalize`, the Noveum and LiteLLM formats and the debug exporter write from it.

Messages are in the shape of the current GenAI semantic conventions, as plain JSON values:
`{"role": ..., "parts": [{"type": "text", "content": ...}, ...], "finish_reason": ...}`. They are
parsed only when asked for, because most readers do not ask.

Token counts are inclusive, as the conventions define them: `usage.input` contains the cached
tokens, `usage.output` contains reasoning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from genai_collector.model import Value

ObservationKind: TypeAlias = Literal[
    "generation",
    "embedding",
    "agent",
    "tool",
    "chain",
    "retriever",
    "reranker",
    "guardrail",
    "evaluator",
    "workflow",
    "span",
]
Message: TypeAlias = "dict[str, Value]"
"""`{"role": str, "parts": [...], "finish_reason"?: str, "name"?: str}`."""
Part: TypeAlias = "dict[str, Value]"


@dataclass(slots=True)
class Usage:
    """Token counts; None = not said. Inclusive (see the module)."""

    input: int | None = None
    output: int | None = None
    total: int | None = None
    cache_read: int | None = None
    cache_creation: int | None = None
    reasoning: int | None = None
    details: dict[str, int] = field(default_factory=dict)
    """Other buckets under the producer's own names."""


@dataclass(slots=True)
class Cost:
    """US dollars; None = not said. Never derived here."""

    total: float | None = None
    input: float | None = None
    output: float | None = None
    details: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Content:
    """What went in and came out. Each is None when the producer did not say."""

    input_messages: list[Message] | None = None
    output_messages: list[Message] | None = None
    system_instructions: list[Part] | None = None
    tool_definitions: Value = None
    input: Value = None
    """Input that is no list of messages: a tool's arguments, a query, plain text."""
    output: Value = None


@dataclass(slots=True)
class Observation:
    kind: ObservationKind = "span"
    operation: str | None = None
    """`gen_ai.operation.name` in today's words: chat, embeddings, execute_tool ..."""
    name: str = ""
    provider: str | None = None
    """`gen_ai.provider.name` in today's words."""
    request_model: str | None = None
    response_model: str | None = None
    parameters: dict[str, Value] = field(default_factory=dict)
    """Request parameters under today's names without the prefix `gen_ai.request.`."""
    usage: Usage = field(default_factory=Usage)
    cost: Cost = field(default_factory=Cost)
    time_to_first_chunk_s: float | None = None
    response_id: str | None = None
    finish_reasons: list[str] | None = None
    output_type: str | None = None
    conversation_id: str | None = None
    user_id: str | None = None
    tags: list[str] | None = None
    agent_name: str | None = None
    agent_id: str | None = None
    workflow_name: str | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None
    prompt_name: str | None = None
    prompt_version: str | int | None = None
    error_type: str | None = None
    level: str | None = None
    """Langfuse's words: DEBUG, DEFAULT, WARNING, ERROR."""
    status_message: str | None = None
    metadata: dict[str, Value] = field(default_factory=dict)
    vocabularies: tuple[str, ...] = ()
    """Which vocabularies were recognised, most specific first."""
    consumed: set[str] = field(default_factory=set, repr=False)
    """Attribute keys that this reading was made from; the rest is the producer's own."""
    consumed_events: set[str] = field(default_factory=set, repr=False)
    """Names of span events that the content was read from."""
    read_content: Callable[[], Content] = field(default=Content, repr=False, compare=False)
    """Parses the messages; costs what the messages cost. Call it once and keep the result."""

    @property
    def model(self) -> str | None:
        """The model that answered, else the one that was asked."""
        return self.response_model or self.request_model

    @property
    def is_billable(self) -> bool:
        """Whether the usage and cost here are to be added up. Only calls of a model are: agents,
        workflows and gateways often repeat what the calls below them have used."""
        return self.kind in ("generation", "embedding")

    @property
    def is_genai(self) -> bool:
        """Whether any vocabulary recognised this span as generative AI."""
        return bool(self.vocabularies)
