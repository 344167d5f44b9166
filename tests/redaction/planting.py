"""Secrets, and where they are planted: at every text of a document, also inside JSON in texts.

Each secret has a core that must not be found in anything that leaves. None is real.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, cast

from genai_collector.formats import otlp
from genai_collector.model import (
    Attributes,
    Event,
    LogRecord,
    Metric,
    Resource,
    Scope,
    Signal,
    Span,
    SummaryPoint,
    Value,
)


class Plant(NamedTuple):
    rule: str
    text: str
    core: str


_JWT: Final = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJwbGFudGVkIn0.UGxhbnRlZFNpZ25hdHVyZTEyMzQ1"
)
_PEM: Final = (
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEplantedpemAQEA\nplantedpemsecondline\n"
    "-----END RSA PRIVATE KEY-----"
)

PLANTS: Final = (
    Plant("email", "planted.person@mail-example.org", "planted.person"),
    Plant("email", "Jörg.Plantedmüller@bücher.example", "Plantedm"),
    Plant("card", "4111 1111 1111 1111", "4111 1111"),
    Plant("card", "4111111111111111", "4111111111111111"),
    Plant("card", "3782-822463-10005", "822463"),
    Plant("card", "5555-5555-5555-4444", "5555-5555"),
    Plant("iban", "DE89 3704 0044 0532 0130 00", "3704 0044"),
    Plant("iban", "GB82WEST12345698765432", "WEST12345698"),
    Plant("phone", "+49 30 901820123", "901820123"),
    Plant("phone", "(415) 555-2671", "555-2671"),
    Plant("phone", "+14155552672", "4155552672"),
    Plant("us_ssn", "536-22-1234", "536-22"),
    Plant("openai_key", "sk-proj-Planted4Openai0Key1234567890ab", "Planted4Openai"),
    Plant("anthropic_key", "sk-ant-api03-PlantedAnthropicKey0123456789", "PlantedAnthropic"),
    Plant("langfuse_key", "sk-lf-91abcdef-0000-4000-8000-plantedlangf", "plantedlangf"),
    Plant("aws_access_key", "AKIAPLANTED123456789", "PLANTED123456789"),
    Plant("aws_secret_key", "aws_secret_access_key = wJalrXUtnFEMIK7MDENGbPxRfiCYPLANTEDKEYab",
          "PLANTEDKEYab"),
    Plant("github_token", "ghp_PlantedGithub0123456789abcdefghij", "PlantedGithub"),
    Plant("gitlab_token", "glpat-PlantedGitlab01234567", "PlantedGitlab"),
    Plant("slack_token", "xoxb-123456789012-PlantedSlackToken", "PlantedSlack"),
    Plant("google_key", "AIzaPlantedGoogleKey0123456789abcdefghi", "PlantedGoogle"),
    Plant("stripe_key", "sk_live_PlantedStripe0123456789", "PlantedStripe"),
    Plant("huggingface_token", "hf_PlantedHuggingface0123456789abcdefghij", "PlantedHugging"),
    Plant("groq_key", "gsk_PlantedGroq0123456789abcdefghijklmnopqrstuvwxyz012345", "PlantedGroq"),
    Plant("npm_token", "npm_PlantedNpm0123456789abcdefghijklmnop", "PlantedNpm"),
    Plant("sendgrid_key", "SG.PlantedSendgrid01.PlantedSendgridSecond0123", "PlantedSendgrid"),
    Plant("jwt", _JWT, "UGxhbnRlZFNpZ25hdHVyZ"),
    Plant("private_key", _PEM, "plantedpem"),
    Plant("url_password", "postgres://shop:plantedpass9@db.example:5432/orders", "plantedpass9"),
    Plant("url_parameter", "https://api.example/v1?api_key=PlantedParameter1&x=1",
          "PlantedParameter"),
    Plant("authorization", "Authorization: Bearer PlantedBearer0123456789", "PlantedBearer"),
)  # fmt: skip

KEY_CORE: Final = "planted under a key"
"""The core of what is planted under a secret key."""
HIDDEN_NUMBER: Final = 5500005555555559
"""A card as a number."""

CORES: Final = (*dict.fromkeys(plant.core for plant in PLANTS), KEY_CORE, str(HIDDEN_NUMBER))

_CLOTHES: Final = ("{0} {1}", "{1}\n{0}", "{0} ({1})", '{0} "{1}", and', "{0}\n{1}\nthen", "{1}")


class Gardener:
    """Plants the secrets in turn, each time in other surroundings; `planted` counts them."""

    def __init__(self, first: int = 0, *, everywhere: bool) -> None:
        self.planted = 0
        self._everywhere = everywhere
        self._plants = itertools.cycle(
            [*PLANTS[first % len(PLANTS) :], *PLANTS[: first % len(PLANTS)]]
        )
        self._clothes = itertools.cycle(_CLOTHES)

    def text(self, text: str) -> str:
        """The text, or each text of the JSON in it, with a secret."""
        inner = _container(text)
        if inner is not None:
            planted = self.json(inner, free=True)
            plain = self.planted % 2 == 0
            return json.dumps(
                planted, ensure_ascii=plain, indent=1 if self.planted % 5 == 0 else None
            )
        if not self._everywhere and " " not in text and len(text) < 40:
            return text
        self.planted += 1
        return next(self._clothes).format(text, next(self._plants).text)

    def json(self, value: Any, *, free: bool = False) -> Any:
        """A JSON value with a secret at each text; `free`: members may be added."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.json(item, free=free) for item in value]
        if isinstance(value, dict):
            members = {key: self.json(item, free=free or key in _FREE)
                       if key not in _KEPT else item for key, item in value.items()}  # fmt: skip
            return members | self.members() if free else members
        return value

    def members(self) -> dict[str, Any]:
        """Secrets under keys, in a number, and in a key."""
        self.planted += 4
        return {
            "password": f"{KEY_CORE} 1",
            "Api-Key": {"any": [f"{KEY_CORE} 2"]},
            "card_number": HIDDEN_NUMBER,
            PLANTS[0].text: 1,
        }

    def value(self, value: Value) -> Value:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            self.planted += 1
            return value + b" " + next(self._plants).text.encode()
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        return value

    def attributes(self, attributes: Attributes) -> Attributes:
        planted = {key: self.value(value) for key, value in attributes.items()}
        if self._everywhere:
            planted |= {
                "http.request.header.authorization": [f"Basic {KEY_CORE}"],
                "app.user-password": KEY_CORE,
                "db.password": KEY_CORE,
                "raw": next(self._plants).text.encode() + b"\xff",
                "card": HIDDEN_NUMBER,
                "nested": cast("Value", self.members()),
                "cut": '{"role": "user", "content": "' + json.dumps(next(self._plants).text)[1:-1],
                "printed": str({"token": 1, "api_key": KEY_CORE}),
            }
            self.planted += 11
        return planted


_FREE: Final = frozenset(
    {"metadata", "input", "output", "arguments", "attributes", "modelParameters"}
)
_KEPT: Final = frozenset({"id", "traceId", "type", "timestamp", "startTime", "endTime", "role"})


def _container(text: str) -> Any:
    if text[:1] not in ("{", "["):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict | list) else None


def plant_span(span: Span, gardener: Gardener) -> None:
    """At every text of a span, and of its resource and scope."""
    span.name = gardener.text(span.name)
    span.status_message = gardener.text(span.status_message or "failed for")
    span.trace_state = "vendor=planted.person@mail-example.org"
    span.attributes = gardener.attributes(span.attributes)
    span.events = [
        Event(gardener.text(event.name), event.time_ns, gardener.attributes(event.attributes))
        for event in span.events
    ]
    for link in span.links:
        link.attributes = gardener.attributes(link.attributes)
    span.resource, span.scope = _sender(span, gardener)


def plant_log(record: LogRecord, gardener: Gardener) -> None:
    record.body = gardener.value(record.body)
    record.attributes = gardener.attributes(record.attributes)
    record.resource, record.scope = _sender(record, gardener)


def plant_metric(metric: Metric, gardener: Gardener) -> None:
    metric.description = gardener.text(metric.description or "counts for")
    metric.metadata = gardener.attributes(metric.metadata)
    for point in metric.points:
        point.attributes = gardener.attributes(point.attributes)
        if not isinstance(point, SummaryPoint):
            for exemplar in point.exemplars:
                exemplar.filtered_attributes = gardener.attributes(exemplar.filtered_attributes)
    metric.resource, metric.scope = _sender(metric, gardener)


def _sender(item: Span | LogRecord | Metric, gardener: Gardener) -> tuple[Resource, Scope]:
    resource = item.resource.replace_attributes(gardener.attributes(item.resource.attributes))
    scope = item.scope
    made = Scope(gardener.text(scope.name), scope.version, gardener.attributes(scope.attributes))
    return resource, made


def cores_in(data: bytes) -> set[str]:
    """Which secrets are there, as they are or as JSON writes them, once or twice."""
    found = set()
    for core in CORES:
        once = json.dumps(core)[1:-1]
        forms = {core, once, json.dumps(once)[1:-1]}
        if any(form.encode() in data for form in forms):
            found.add(core)
    return found


def texts_of(value: Value) -> Iterator[str]:
    """Every text and key in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for member in value.values():
            yield from texts_of(member)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)


def again(signal: Signal, data: bytes) -> Any:
    """The items that were encoded, to be changed."""
    return otlp.decode(signal, data)
