"""What of a document is neither in what it was converted to nor named by the report."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from genai_collector.formats.langfuse.io import CONTENT_EVENTS
from genai_collector.formats.loss import Loss
from genai_collector.model import Signal
from tests.support.documents import outcomes
from tests.support.said import Holder, Leaf, leaves

_COUNTS: Final = frozenset({"usage", "usageDetails", "langfuse.observation.usage_details"})
"""Inclusive here and exclusive there; the sums are compared by themselves."""
_REBUILT: Final[Mapping[str, frozenset[str]]] = {
    # The same for all records, the difference of two times, the span's status, and a provider that
    # the conventions spell in another way. They come back, which the tests of the way back show.
    "noveum": frozenset(
        {"name", "attributes.metadata.latency", "attributes.metadata.status",
         "attributes.provider"}
    ),
    # A trace's fields stand where its spans are; that they were sent as an event says nothing.
    "langfuse": frozenset({"batch.type"}),
    "litellm": frozenset(),
    "otlp": frozenset(),
}  # fmt: skip
_SPELLED: Final = (
    ("body.", "batch.body."),
    ("event.", "batch."),
    ("scopeSchemaUrl", "scopeSpans.schemaUrl"),
    ("resourceSchemaUrl", "resourceSpans.schemaUrl"),
    ("statusCode", "spans.status.code"),
    ("attributes.", "spans.attributes."),
    ("events", "spans.events"),
    ("name", "spans.name"),
    ("kind", "spans.kind"),
    ("flags", "spans.flags"),
)
"""How a report's field begins -> how the path in the source does."""


def path_of(loss: Loss) -> str:
    """Where in the source stands what a report names."""
    field = loss.field.partition("[")[0]
    for begins, becomes in _SPELLED:
        if field == begins or (begins.endswith(".") and field.startswith(begins)):
            return field.replace(begins, becomes, 1)
    return field


def is_named(leaf: Leaf, named: Collection[str], source: str) -> bool:
    """Whether the report names it, or what says the same in another way."""
    path = f".{'.'.join(leaf.path)}."
    if any(f".{name}." in path for name in named):
        return True
    if not _COUNTS.isdisjoint(leaf.path):
        return True
    if source == "otlp" and leaf.path[-1] == "kind" and leaf.value == "1":
        return True  # INTERNAL is what a span is without more being said
    if leaf.path[-2:] == ("events", "name") and leaf.value in CONTENT_EVENTS:
        return True  # the event has become input or output, for which its attributes are looked
    if source == "langfuse" and leaf.path == ("batch", "type") and "-create" not in leaf.value:
        return False
    return ".".join(leaf.path) in _REBUILT[source]


def missing(data: bytes, source: str, target: str) -> list[Leaf]:
    """What the document says, the converted one does not, and the report does not name."""
    found = outcomes(data, source, target)
    outputs, losses = [one.output or b"" for one in found], found[0].losses
    if any(loss.field == str(Signal.LOGS) for loss in losses):
        data = without_scores(data)  # each of them is named as a whole
    return not_in(outputs, data, source, losses)


def not_in(
    outputs: Iterable[bytes], data: bytes, source: str, losses: Sequence[Loss]
) -> list[Leaf]:
    """What the document says and none of these do, beside what these losses name."""
    held = [Holder(output) for output in outputs]
    named = {path_of(loss) for loss in losses}
    return [
        leaf
        for leaf in leaves(data)
        if not any(leaf.value in one or word_of(leaf) in one for one in held)
        and not is_named(leaf, named, source)
    ]


def word_of(leaf: Leaf) -> str:
    """What a number of OTLP's stands for."""
    is_error = leaf.path[-2:] == ("status", "code") and leaf.value == "2"
    return "ERROR" if is_error else leaf.value


def without_scores(data: bytes) -> bytes:
    document = json.loads(data)
    document["batch"] = [one for one in document["batch"] if one["type"] != "score-create"]
    return json.dumps(document).encode()
