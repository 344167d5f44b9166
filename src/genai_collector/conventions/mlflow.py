"""MLflow Tracing: every attribute value is a JSON text, also plain words (`"\\"LLM\\""`).

Source: the attribute keys and span types of MLflow's documentation. Not recorded here.
"""

from __future__ import annotations

from typing import Final

from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import keep, text
from genai_collector.conventions.content import fill_sides, structured
from genai_collector.conventions.facts import fill_cost, fill_usage, json_object, unquoted
from genai_collector.conventions.messages import to_tool_definitions
from genai_collector.conventions.observation import Content, Observation
from genai_collector.conventions.vocabulary import Row, Sources, Vocabulary
from genai_collector.model import Span, Value

KINDS: Final = {
    "LLM": "generation", "CHAT_MODEL": "generation", "EMBEDDING": "embedding", "AGENT": "agent",
    "TOOL": "tool", "CHAIN": "chain", "TASK": "chain", "RETRIEVER": "retriever",
    "RERANKER": "reranker", "GUARDRAIL": "guardrail", "EVALUATOR": "evaluator",
    "WORKFLOW": "workflow",
}  # fmt: skip
"""`mlflow.spanType`; others (`PARSER`, `MEMORY`, `UNKNOWN`) say nothing."""


def _kind(value: Value) -> str | None:
    word = unquoted(value)
    return KINDS.get(word.upper()) if isinstance(word, str) else None


def _text(value: Value) -> str | None:
    return text(unquoted(value))


def _provider(value: Value) -> str | None:
    return s.provider(unquoted(value))


_ROWS: Final = (
    Row("mlflow.spanType", "kind", _kind),
    Row("mlflow.llm.provider", "provider", _provider),
    Row("mlflow.llm.model", "request_model", _text),
    Row("mlflow.trace.user", "user_id", _text),
    Row("mlflow.trace.session", "conversation_id", _text),
    Row("mlflow.spanInputs", "content.mlflow_inputs", keep),
    Row("mlflow.spanOutputs", "content.mlflow_outputs", keep),
    Row("mlflow.chat.tools", "content.mlflow_tools", keep),
)


def _quirks(span: Span, observation: Observation) -> None:
    usage = json_object(span.attributes.get("mlflow.chat.tokenUsage"))
    if usage:
        # MLflow's counts are inclusive, whoever was asked.
        fill_usage(observation.usage, {**usage, "input_tokens_details": None})
    cost = json_object(span.attributes.get("mlflow.llm.cost"))
    fill_cost(observation.cost, {key.removesuffix("_cost"): v for key, v in cost.items()})


def _read_content(sources: Sources, content: Content) -> None:
    if content.tool_definitions is None:
        tools = structured(sources.take("mlflow_tools"))
        content.tool_definitions = to_tool_definitions(tools) if isinstance(tools, list) else None
    given, made = sources.take("mlflow_inputs"), sources.take("mlflow_outputs")
    fill_sides(sources, content, unquoted(given), unquoted(made))


MLFLOW: Final = Vocabulary(
    "mlflow",
    prefixes=("mlflow.",),
    rows=_ROWS,
    content=_read_content,
    quirks=_quirks,
)
