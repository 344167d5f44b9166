"""A record from any span, by its neutral reading (`Observation`).

What the producer said wins: a member that a span names in the gateway's or in HTTP's vocabulary is
taken as it is, and only what is missing is derived. Content that has no form in OpenAI's shape
(reasoning, files) stays in `attributes.otel`, where the whole span is.
"""

from __future__ import annotations

import hashlib
from typing import Final

from genai_collector.conventions import read_observation
from genai_collector.conventions.observation import Content, Observation
from genai_collector.formats.fits import is_int64, is_number
from genai_collector.formats.json_text import canonical, dumps
from genai_collector.formats.noveum import fields
from genai_collector.formats.noveum.clock import render_timestamp
from genai_collector.formats.noveum.fields import Holds, Record, Row, Spelling
from genai_collector.formats.openai_bodies import request_body, response_body, total_tokens
from genai_collector.formats.otel_block import BlockWriter
from genai_collector.model import Attributes, Resource, Span, StatusCode

LLM_KINDS: Final = frozenset({"generation", "embedding"})
RESOURCE_KEYS: Final = (
    "service.name",
    "service.version",
    "deployment.environment",
)
_LATEST_STATUS: Final = 599


def is_llm_call(observation: Observation) -> bool:
    """Whether a gateway would have logged it: a call of a model."""
    return observation.kind in LLM_KINDS


class ObservedWriter:
    """Writes records from OTLP-born spans."""

    __slots__ = ("_resources", "_rows", "blocks", "spelling")

    def __init__(self, spelling: Spelling) -> None:
        self.spelling: Spelling = spelling
        self.blocks = BlockWriter()
        self._resources: dict[int, tuple[Resource, Record]] = {}
        self._rows = [_plain_row(row, spelling) for row in fields.PLAIN_ROWS]

    def record(self, span: Span, observation: Observation | None = None) -> Record:
        """The record of one span, with the whole span in `attributes.otel`."""
        seen = read_observation(span) if observation is None else observation
        block = self.blocks.block(span)
        attributes = self._identity(span, seen, block)
        metadata = self._metadata(span, seen)
        name = fields.OTHER_SPAN_NAME
        if is_llm_call(seen):
            name = fields.LOG_NAME
            content = seen.read_content()
            self._call(attributes, metadata, seen, content)
            attributes["response"] = answer(span, seen, content)
        self._plain_rows(attributes, metadata, span.attributes)
        attributes["metadata"] = metadata
        attributes["otel"] = block
        return self.envelope(span.resource, span.end_ns or span.start_ns, name, attributes)

    def call_members(self, span: Span, seen: Observation) -> Record:
        """What a call's record says of it, for an event that describes a call."""
        attributes = self._identity(span, seen, {})
        del attributes["id"]
        metadata: Record = {}
        content = seen.read_content()
        self._call(attributes, metadata, seen, content)
        attributes["response"] = answer(span, seen, content)
        attributes["metadata"] = metadata
        return attributes

    def envelope(self, resource: Resource, time_ns: int, name: str, attributes: Record) -> Record:
        """The outside of every record."""
        return {
            "timestamp": render_timestamp(time_ns, zulu=self.spelling == "seed"),
            "resource": self._resource(resource),
            "name": name,
            "attributes": attributes,
        }

    def _resource(self, resource: Resource) -> Record:
        known = self._resources.get(id(resource))
        if known is None:
            known = self._resources[id(resource)] = (resource, resource_view(resource))
        return known[1]

    def _identity(self, span: Span, seen: Observation, block: Record) -> Record:
        said = span.attributes.get(fields.RECORD_ID)
        if isinstance(said, str):
            record_id = said
        elif span.span_id:
            record_id = "msg_" + span.span_id.hex()
        else:
            record_id = "msg_" + hashlib.sha256(canonical(block)).hexdigest()[:16]
        attributes: Record = {"id": record_id}
        if seen.conversation_id is not None or self.spelling == "gateway":
            attributes[self._name("thread_id", "threadId")] = seen.conversation_id
        if seen.user_id is not None or self.spelling == "gateway":
            attributes["user_id"] = seen.user_id
        return attributes

    def _name(self, gateway: str, seed: str) -> str:
        return gateway if self.spelling == "gateway" else seed

    def _metadata(self, span: Span, seen: Observation) -> Record:
        failed = span.status_code == StatusCode.ERROR
        metadata: Record = {
            "latency": max(0, span.end_ns - span.start_ns) // 1_000_000,
            "status": "error" if failed else "success",
        }
        if self.spelling == "gateway":
            metadata.update(fields.GATEWAY_CONSTANTS)
            if failed:
                metadata["error_count"] = 1
                metadata["error_type"] = seen.error_type
        code = _status_code(span.attributes, seen)
        if code is not None:
            metadata["status_code"] = code
        return metadata

    def _call(
        self, attributes: Record, metadata: Record, seen: Observation, content: Content
    ) -> None:
        usage, cost = seen.usage, seen.cost.total
        if seen.provider is not None:
            attributes["provider"] = fields.provider_to_noveum(seen.provider)
        attributes["model"] = seen.model or ""
        attributes["request"] = request_body(seen, content)
        total = total_tokens(seen)
        metadata["tokens"] = {"input": usage.input, "output": usage.output, "total": total}
        if cost is not None and is_number(cost):
            metadata["cost"] = cost
        if self.spelling == "gateway" and seen.operation in fields.OPERATION_PATHS:
            # The path is the only place where a record says which operation it was.
            metadata["path"] = fields.OPERATION_PATHS[seen.operation]
            metadata["method"] = "POST"
        first = seen.time_to_first_chunk_s
        if first is not None and 0 <= first < 1e9:
            metadata["ttfb"] = int(first * 1000)

    def _plain_rows(self, attributes: Record, metadata: Record, said: Attributes) -> None:
        for key, in_metadata, attribute, holds, null in self._rows:
            target = metadata if in_metadata else attributes
            value = said.get(attribute)
            if value is not None and holds(value):
                target[key] = value
            elif null:
                target.setdefault(key, None)
        project = attributes.get("project_id")
        if project is not None or self.spelling == "gateway":
            metadata[self._name("project_id", "projectId")] = project


def _plain_row(row: Row, spelling: Spelling) -> tuple[str, bool, str, Holds, bool]:
    path = row.path_in(spelling)
    null = spelling == "gateway" and row.gateway_default is None
    return path[-1], len(path) > 1, row.attribute, row.holds, null


def resource_view(resource: Resource) -> Record:
    """The three members that the gateway writes; the whole resource is in `attributes.otel`."""
    said = resource.attributes
    view: Record = {key: said[key] for key in RESOURCE_KEYS if isinstance(said.get(key), str)}
    environment = said.get("deployment.environment.name")
    if isinstance(environment, str):
        view.setdefault("deployment.environment", environment)
    return view


def _status_code(said: Attributes, seen: Observation) -> int | None:
    """The HTTP status: said, or the error's type when that is a status (`error.type` may be)."""
    for key in ("http.response.status_code", "http.status_code"):
        value = said.get(key)
        if type(value) is int and is_int64(value):
            return value
    text = seen.error_type or ""
    if len(text) == 3 and text.isascii() and text.isdigit() and 400 <= int(text) <= _LATEST_STATUS:
        return int(text)
    return None


def answer(span: Span, seen: Observation, content: Content) -> Record:
    """The response's body, with the span's failure in it."""
    body = response_body(span, seen, content)
    if span.status_code == StatusCode.ERROR:
        body["error"] = _error_text(span, seen)
    return body


def _error_text(span: Span, seen: Observation) -> str:
    # A JSON string, because the gateway's sanitiser writes errors that way.
    message = seen.status_message or span.status_message
    error: Record = {"message": message, "type": seen.error_type}
    return dumps({key: said for key, said in error.items() if said}).decode("utf-8")
