"""The Noveum log record as tables: which member is which span attribute, in both spellings.

Sources: the gateway's serialiser (releases 1.0.1 and 2.0.1, snake_case) and the sample in its
documentation (camelCase `threadId`, `projectId`, `projectName`; no released gateway wrote it).
A row is read for both directions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple, TypeAlias

from genai_collector.formats.fits import is_int64, is_number, is_text
from genai_collector.model import Value

Record: TypeAlias = "dict[str, Value]"
Spelling: TypeAlias = Literal["gateway", "seed"]
Path: TypeAlias = "tuple[str, ...]"
Holds: TypeAlias = "Callable[[Value], bool]"

LOG_NAME: Final = "ai_gateway_request_log"
OTHER_SPAN_NAME: Final = "otel_span"
METRIC_NAME: Final = "otel_metric"
OTEL_LOG_NAME: Final = "otel_log"

# What a span says about the record that it was.
SPELLING: Final = "noveum.spelling"
RESIDUAL: Final = "noveum.residual"
RESIDUAL_SPELLING: Final = "noveum.residual.spelling"
RECORD_NAME: Final = "noveum.log.name"
RECORD_ID: Final = "noveum.log.id"
REQUEST: Final = "noveum.request"
RESPONSE: Final = "noveum.response"
TOTAL_TOKENS: Final = "noveum.usage.total_tokens"
SCOPE_NAME: Final = "noveum.ai_gateway"


class _Absent:
    """The default of a member that is left out."""


ABSENT: Final = _Absent()


class Row(NamedTuple):
    path: Path
    """Where in `attributes`, in the gateway's spelling."""
    attribute: str
    holds: Holds = is_text
    """Which values the attribute can carry; others stay in the residual."""
    gateway_default: Value | _Absent = ABSENT
    """What the gateway writes when there is nothing to say; the sample leaves it out."""
    seed_path: Path | None = None

    def path_in(self, spelling: Spelling) -> Path:
        return self.path if spelling == "gateway" else self.seed_path or self.path


PROVIDER: Final = Row(("provider",), "gen_ai.provider.name")
MODEL: Final = Row(("model",), "gen_ai.response.model", is_text, "")
INPUT_TOKENS: Final = Row(
    ("metadata", "tokens", "input"), "gen_ai.usage.input_tokens", is_int64, None
)
OUTPUT_TOKENS: Final = Row(
    ("metadata", "tokens", "output"), "gen_ai.usage.output_tokens", is_int64, None
)

# Members that an Observation does not know. They are also read from OTLP-born spans: a producer, or
# an operator with the attributes processor, may set them by these names.
PLAIN_ROWS: Final = (
    Row(("org_id",), "noveum.org.id", is_text, None),
    Row(("project_id",), "noveum.project.id", is_text, None),
    Row(("experiment_id",), "noveum.experiment.id", is_text, None),
    Row(("metadata", "project_name"), "noveum.project.name", is_text, None,
        ("metadata", "projectName")),
    Row(("metadata", "method"), "http.request.method"),
    Row(("metadata", "path"), "url.path"),
    Row(("metadata", "status_code"), "http.response.status_code", is_int64),
    Row(("metadata", "request_size"), "http.request.body.size", is_int64),
    Row(("metadata", "response_size"), "http.response.body.size", is_int64),
    Row(("metadata", "provider_request_id"), "noveum.provider_request_id", is_text, None),
    Row(("metadata", "provider_latency"), "noveum.provider_latency_ms", is_int64),
    Row(("metadata", "ttfb"), "noveum.ttfb_ms", is_int64),
    Row(("metadata", "cost"), "noveum.cost.total_usd", is_number, None),
)  # fmt: skip

# Members that an Observation knows under several names.
IDENTITY_ROWS: Final = (
    Row(("id",), RECORD_ID),
    Row(("thread_id",), "gen_ai.conversation.id", is_text, ABSENT, ("threadId",)),
    Row(("user_id",), "user.id", is_text, None),
)

RECORD_ROWS: Final = (
    *IDENTITY_ROWS,
    PROVIDER,
    MODEL,
    *PLAIN_ROWS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
)


class Home(NamedTuple):
    """A row in one spelling, once it is known in which object its member stands."""

    key: str
    attribute: str
    holds: Holds
    default: Value | _Absent
    """What need not be said by an attribute."""
    written: Value | _Absent
    """What is written where the attribute says nothing."""
    is_derived: bool
    """Whether its attribute is read from more than this member."""


class Homes(NamedTuple):
    """All rows of one spelling, by the object that the member is in; in the rows' order."""

    attributes: tuple[Home, ...]
    metadata: tuple[Home, ...]
    tokens: tuple[Home, ...]


_DERIVED: Final = frozenset({PROVIDER, INPUT_TOKENS, OUTPUT_TOKENS})


def _homes(spelling: Spelling) -> Homes:
    found: dict[Path, list[Home]] = {(): [], ("metadata",): [], ("metadata", "tokens"): []}
    for row in RECORD_ROWS:
        *outer, key = row.path_in(spelling)
        written = row.gateway_default if spelling == "gateway" else ABSENT
        home = Home(key, row.attribute, row.holds, row.gateway_default, written, row in _DERIVED)
        found[tuple(outer)].append(home)
    return Homes(*map(tuple, found.values()))


HOMES: Final[dict[Spelling, Homes]] = {"gateway": _homes("gateway"), "seed": _homes("seed")}

# What the gateway writes in every record, whatever happened; it never fills these.
GATEWAY_CONSTANTS: Final[dict[str, Value]] = {
    "error_count": 0,
    "error_type": None,
    "provider_error_count": 0,
    "provider_error_type": None,
    "provider_status_code": 0,
}

# The gateway's provider names to the convention's; the first of several is the way back.
_TO_SEMCONV: Final = {
    "bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "mistral": "mistral_ai",
    "google": "gcp.gemini",
    "gemini": "gcp.gemini",
    "xai": "x_ai",
    "grok": "x_ai",
}
_TO_NOVEUM: Final = {
    **{ours: theirs for theirs, ours in reversed(_TO_SEMCONV.items())},
    "azure.ai.inference": "azure",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
}


def provider_to_semconv(provider: str) -> str:
    """`gen_ai.provider.name` for the gateway's `provider`, which comes in any case."""
    lower = provider.lower()
    return _TO_SEMCONV.get(lower, lower)


def provider_to_noveum(provider: str) -> str:
    """The gateway's name for a `gen_ai.provider.name`."""
    return _TO_NOVEUM.get(provider, provider)


OPERATION_PATHS: Final = {
    "chat": "/v1/chat/completions",
    "text_completion": "/v1/completions",
    "embeddings": "/v1/embeddings",
}


def operation_of_path(path: Value) -> str:
    """`gen_ai.operation.name` of a gateway path."""
    if isinstance(path, str):
        if path.endswith("/embeddings"):
            return "embeddings"
        if path.endswith("/completions") and not path.endswith("/chat/completions"):
            return "text_completion"
    return "chat"


def get_path(node: Value, path: Path) -> Value | _Absent:
    """The member at a path, or ABSENT."""
    for key in path:
        if not isinstance(node, dict) or key not in node:
            return ABSENT
        node = node[key]
    return node


def spelling_of(record: Record) -> Spelling:
    """Which spelling a record came in; the sample's, which has no fixed members, when in doubt."""
    if get_path(record, ("attributes", "thread_id")) is not ABSENT:
        return "gateway"
    project = get_path(record, ("attributes", "metadata", "project_id"))
    return "seed" if project is ABSENT else "gateway"
