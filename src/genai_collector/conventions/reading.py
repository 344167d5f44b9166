"""One reading of a span, whatever vocabularies it mixes.

Strategy: the rows of all vocabularies are merged into one table at import, each with a rank (the
place of its vocabulary, then its own); where several keys say the same field, the lowest rank wins.
Which rows apply depends only on a span's keys, so that is worked out once per set of keys and
remembered. Content is left alone until somebody calls `read_content`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, partial
from typing import Final, NamedTuple, TypeAlias

from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import count, text
from genai_collector.conventions.generations import SEMCONV, SEMCONV_OLD
from genai_collector.conventions.genkit import GENKIT
from genai_collector.conventions.google_adk import GOOGLE_ADK
from genai_collector.conventions.langfuse_sdk import LANGFUSE
from genai_collector.conventions.litellm import LITELLM
from genai_collector.conventions.livekit import LIVEKIT
from genai_collector.conventions.mlflow import MLFLOW
from genai_collector.conventions.observation import Content, Observation, ObservationKind
from genai_collector.conventions.openinference import OPENINFERENCE
from genai_collector.conventions.openlit import OPENLIT
from genai_collector.conventions.pydantic_ai import PYDANTIC_AI
from genai_collector.conventions.traceloop import TRACELOOP
from genai_collector.conventions.vercel_ai import VERCEL_AI
from genai_collector.conventions.vocabulary import (
    Read,
    Row,
    Sources,
    Vocabulary,
    always,
    no_quirks,
)
from genai_collector.model import Attributes, Span, SpanKind, StatusCode, Value

VOCABULARIES: Final[tuple[Vocabulary, ...]] = (
    SEMCONV, LANGFUSE, OPENINFERENCE, LITELLM, VERCEL_AI, PYDANTIC_AI, TRACELOOP, OPENLIT, MLFLOW,
    LIVEKIT, GOOGLE_ADK, GENKIT, SEMCONV_OLD,
)  # fmt: skip
"""Every vocabulary, in order of precedence: where two say one field, the earlier is believed.

Today's conventions come first, because what stands under the canonical name was put there on
purpose; then the producers' own words; last the names that the conventions gave up. A new
vocabulary is one file and one entry before `SEMCONV_OLD`."""

KINDS: Final[dict[str, ObservationKind]] = {
    "chat": "generation",
    "generate_content": "generation",
    "text_completion": "generation",
    "embeddings": "embedding",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "invoke_workflow": "workflow",
    "plan": "chain",
    "retrieval": "retriever",
    "search_memory": "retriever",
    # Outside the conventions: OpenLIT, Vercel AI SDK, LiteLLM, OpenLLMetry.
    "image": "generation",
    "audio": "generation",
    "speech_to_text": "generation",
    "video": "generation",
    "realtime": "generation",
    "agent_step": "agent",
    "rerank": "reranker",
    "vectordb": "retriever",
    "vector_db_retrieve": "retriever",
    "execute_task": "chain",
    "llm_request": "generation",
    "evaluation": "evaluator",
    "guardrail": "guardrail",
}
"""Operation -> kind. Other operations are a generation if they name a model, else a span."""

OPERATIONS_OF_KINDS: Final[dict[str, str]] = {
    "generation": "chat",
    "embedding": "embeddings",
    "tool": "execute_tool",
    "agent": "invoke_agent",
    "workflow": "invoke_workflow",
    "retriever": "retrieval",
    "reranker": "rerank",
    "guardrail": "guardrail",
    "evaluator": "evaluation",
}
"""A kind that the producer states -> the operation of a span that states none."""

_NO_MODEL_CALL: Final = frozenset((
    "fetch_response", "create_memory", "update_memory", "upsert_memory", "delete_memory",
    "create_memory_store", "delete_memory_store",
))  # fmt: skip

_GROUPS: Final = ("parameters", "usage", "cost", "content")
_REQUEST: Final = "gen_ai.request."
_USAGES: Final = ("gen_ai.usage.", "llm.token_count.")
_FAMILIES: Final = (_REQUEST, *_USAGES)
_SHAPES_REMEMBERED: Final = 512
_MOST_KEYS: Final = 512
"""Larger spans are planned anew each time, so that what is remembered stays small."""


class _Ranked(NamedTuple):
    """A row with its place in the precedence."""

    rank: int
    group: str
    """One of `_GROUPS`, or empty for the observation's own fields."""
    name: str
    row: Row


def _merge(vocabularies: Iterable[Vocabulary]) -> dict[str, _Ranked]:
    table: dict[str, _Ranked] = {}
    for rank, row in enumerate([row for v in vocabularies for row in v.rows]):
        group, _, name = row.field.partition(".")
        if group not in _GROUPS:
            group, name = "", row.field
        table.setdefault(row.key, _Ranked(rank, group, name, row))
    return table


_CANONICAL_FIRST: Final = _merge(VOCABULARIES)
_CANONICAL_LAST: Final = _merge((*VOCABULARIES[1:], SEMCONV))


def read_observation(span: Span, *, canonical_first: bool = True) -> Observation:
    """What the span says, in today's words. Pure; never raises, whatever the attributes are.

    A span that no vocabulary recognises gives `is_genai == False` with its name and status only.
    `canonical_first=False` believes other vocabularies before the canonical names. Call
    `read_content` before changing the span's attributes or events.
    """
    observation = Observation(name=span.name)
    if span.status_code == StatusCode.ERROR:
        observation.level = "ERROR"
        observation.status_message = span.status_message or None
    keys = tuple(span.attributes)
    plan_of = _remembered_plan if len(keys) <= _MOST_KEYS else _plan
    plan = plan_of(keys, span.scope.name, canonical_first)
    spoken = plan.spoken
    for asked in plan.asked:
        if not asked.confirm(span):
            spoken = tuple([v for v in spoken if v is not asked])
    if not spoken:
        return observation
    observation.vocabularies = tuple([v.name for v in reversed(spoken)])
    _read_attributes(span.attributes, observation, plan)
    for vocabulary in spoken:
        if vocabulary.quirks is not no_quirks:
            vocabulary.quirks(span, observation)
    if observation.level == "ERROR":
        _read_exception(span, observation)
    observation.kind = _kind(span, observation)
    if observation.kind in ("generation", "embedding"):
        # Some producers list the tools that the model asked for here; that is content.
        observation.tool_name = observation.tool_call_id = None
    sources = Sources(span, plan.content, observation)
    observation.read_content = partial(_read_content, sources, spoken)
    return observation


Step: TypeAlias = "tuple[str, str, Read]"
"""The name of a field, the key that says it, and how to read it."""


class _Plan(NamedTuple):
    """How to read every span that has exactly these attribute keys."""

    spoken: tuple[Vocabulary, ...]
    asked: tuple[Vocabulary, ...]
    """Those of them that must confirm it for each span."""
    keys: frozenset[str]
    """The keys of all steps, which are consumed unless a step finds nothing to read."""
    own: tuple[Step, ...]
    parameters: tuple[Step, ...]
    usage: tuple[Step, ...]
    cost: tuple[Step, ...]
    contested: tuple[tuple[str, str, tuple[Row, ...]], ...]
    """Fields that several keys say: group, name, and their rows in order of precedence."""
    content: dict[str, str]
    """Content field -> the key that says it."""
    unlisted: tuple[str, ...]


def _plan(keys: tuple[str, ...], scope: str, canonical_first: bool) -> _Plan:
    # One producer's spans have few different sets of keys, so this is worked out once per set.
    by_scope = [v for v in VOCABULARIES if _has_scope(v, scope)]
    spoken = [v for v in VOCABULARIES if v in by_scope or _has_keys(v, keys)]
    asked = [v for v in spoken if v.confirm is not always and v not in by_scope]
    table = _CANONICAL_FIRST if canonical_first else _CANONICAL_LAST
    fields: dict[tuple[str, str], list[_Ranked]] = {}
    for ranked in sorted([table[key] for key in keys if key in table]):
        fields.setdefault((ranked.group, ranked.name), []).append(ranked)
    steps: dict[str, list[Step]] = {group: [] for group in ("", *_GROUPS)}
    contested = []
    for (group, name), rivals in fields.items():
        row = rivals[0].row
        if len(rivals) == 1 or group == "content":
            steps[group].append((name, row.key, row.read))
        else:
            contested.append((group, name, tuple([rival.row for rival in rivals])))
    plain = [step for group, found in steps.items() if group != "content" for step in found]
    return _Plan(
        spoken=tuple(spoken),
        asked=tuple(asked),
        keys=frozenset([key for _, key, _ in plain]),
        own=tuple(steps[""]),
        parameters=tuple(steps["parameters"]),
        usage=tuple(steps["usage"]),
        cost=tuple(steps["cost"]),
        contested=tuple(contested),
        content={name: key for name, key, _ in steps["content"]},
        unlisted=tuple([k for k in keys if k not in table and k.startswith(_FAMILIES)]),
    )


_remembered_plan: Final = lru_cache(maxsize=_SHAPES_REMEMBERED)(_plan)


def _has_scope(vocabulary: Vocabulary, scope: str) -> bool:
    return any(
        scope.startswith(name) if name[-1] in ".-" else scope == name for name in vocabulary.scopes
    )


def _has_keys(vocabulary: Vocabulary, keys: tuple[str, ...]) -> bool:
    prefixes = vocabulary.prefixes
    return bool(prefixes) and any(key.startswith(prefixes) for key in keys)


def _read_attributes(attributes: Attributes, observation: Observation, plan: _Plan) -> None:
    consumed = observation.consumed = set(plan.keys)
    parameters = observation.parameters
    for name, key, read in plan.parameters:
        fact = read(attributes[key])
        if fact is not None:
            parameters[name] = fact
        elif not is_unset(key, attributes[key]):
            consumed.discard(key)
    for target, steps in (
        (observation, plan.own), (observation.usage, plan.usage), (observation.cost, plan.cost),
    ):  # fmt: skip
        for name, key, read in steps:
            fact = read(attributes[key])
            if fact is not None:
                setattr(target, name, fact)
            elif not is_unset(key, attributes[key]):
                consumed.discard(key)
    for group, name, rows in plan.contested:
        _settle(attributes, observation, group, name, rows)
    for key in plan.unlisted:
        _read_unlisted(key, attributes[key], observation)


def is_unset(key: str, value: Value) -> bool:
    """Whether this is the producer's way of saying "not set": understood, and nothing to keep."""
    ranked = _CANONICAL_FIRST.get(key)
    return ranked is not None and value in ranked.row.unset


def _settle(
    attributes: Attributes, observation: Observation, group: str, name: str, rows: tuple[Row, ...]
) -> None:
    """The first readable of several keys is believed; one that differs from it is not consumed."""
    winner: Value = None
    for row in rows:
        fact = row.read(attributes[row.key])
        if winner is None:
            winner = fact
        if fact == winner if fact is not None else is_unset(row.key, attributes[row.key]):
            observation.consumed.add(row.key)
    if winner is None:
        return
    if group == "parameters":
        observation.parameters[name] = winner
    else:
        setattr(getattr(observation, group) if group else observation, name, winner)


def _read_unlisted(key: str, value: Value, observation: Observation) -> None:
    """Parameters and token counts that no row knows keep the producer's name."""
    if key.startswith(_REQUEST):
        if value is not None and value != "":
            observation.parameters[key[len(_REQUEST) :]] = value
            observation.consumed.add(key)
    else:
        tokens = count(value)
        name = key
        if tokens is not None:
            for prefix in (*_USAGES, "details."):
                name = name.removeprefix(prefix)
            observation.usage.details.setdefault(name, tokens)
            observation.consumed.add(key)


def _read_exception(span: Span, observation: Observation) -> None:
    if observation.error_type is not None and observation.status_message is not None:
        return
    if observation.status_message is None:
        observation.status_message = text(span.attributes.get(s.ERROR_MESSAGE))
    for event in span.events if span.has_events else ():
        if event.name == "exception":
            if observation.error_type is None:
                observation.error_type = text(event.attributes.get("exception.type"))
            if observation.status_message is None:
                observation.status_message = text(event.attributes.get("exception.message"))
            return


def _kind(span: Span, observation: Observation) -> ObservationKind:
    operation = observation.operation
    known = KINDS.get(operation or "")
    if known is not None:
        return known
    said = observation.kind
    if said != "span":
        if operation is None:
            observation.operation = OPERATIONS_OF_KINDS.get(said)
        return said
    if operation in _NO_MODEL_CALL or span.kind == SpanKind.SERVER:
        # A gateway's server span repeats the model of the call inside.
        return "span"
    if observation.model is not None:
        return "generation"
    if observation.tool_name is not None:
        return "tool"
    if observation.agent_name is not None:
        return "agent"
    return "span" if observation.workflow_name is None else "workflow"


def _read_content(sources: Sources, spoken: tuple[Vocabulary, ...]) -> Content:
    content = Content()
    # The conventions' own places are looked at first even where no attribute speaks them.
    SEMCONV.content(sources, content)
    for vocabulary in spoken:
        if vocabulary is not SEMCONV:
            vocabulary.content(sources, content)
    SEMCONV_OLD.content(sources, content)
    return content
