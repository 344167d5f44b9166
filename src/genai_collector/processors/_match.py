"""`include` and `exclude` of the attributes processor: which items an edit is for.

As in otelcol (`filterconfig`): every property that is written must match; within one property one
of the list is enough, except `attributes` and `resources`, which must all match. A property that a
signal does not have (span names of a log record) never matches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple, Self, TypeAlias

from pydantic import model_validator

from genai_collector.component import Config
from genai_collector.model import (
    Attributes,
    LogRecord,
    Metric,
    Point,
    Resource,
    Scope,
    Span,
    SpanKind,
    Value,
)
from genai_collector.processors._actions import to_text
from genai_collector.processors._patterns import compile_pattern, searcher

Test: TypeAlias = "Callable[[Subject], bool]"
_TextTest: TypeAlias = "Callable[[str], bool]"


class Subject(NamedTuple):
    """What is judged: an item, with the attributes in question (of a metric: a point's)."""

    item: Span | LogRecord | Metric
    attributes: Attributes
    resource: Resource
    scope: Scope
    point: Point | None = None


class AttributeMatch(Config):
    """An attribute that must be there, and what it must be."""

    key: str
    """The attribute."""
    value: Any = None
    """What the value must equal (`regexp`: what is found in it); absent: any."""


class LibraryMatch(Config):
    """An instrumentation library (scope)."""

    name: str
    """The library's name."""
    version: str | None = None
    """Absent: any version."""


class SeverityMatch(Config):
    """A least severity of log records."""

    min: int
    """OTLP's severity number: 9 is INFO, 13 WARN, 17 ERROR."""
    match_undefined: bool = False
    """Whether a record without severity matches."""


class MatchConfig(Config):
    """Properties of the items that are meant."""

    match_type: Literal["strict", "regexp"]
    """strict: equal texts. regexp: the pattern is found somewhere in the text."""
    services: list[str] | None = None
    """`service.name` of the resource."""
    span_names: list[str] | None = None
    """Names of spans."""
    span_kinds: list[str] | None = None
    """Kinds of spans: `SPAN_KIND_CLIENT`, or `client`."""
    metric_names: list[str] | None = None
    """Names of metrics."""
    log_bodies: list[str] | None = None
    """Bodies of log records that are texts."""
    log_severity_texts: list[str] | None = None
    """Severity texts of log records."""
    log_severity_number: SeverityMatch | None = None
    """Least severity of log records."""
    attributes: list[AttributeMatch] | None = None
    """Attributes of the span, log record or data point; all must match."""
    resources: list[AttributeMatch] | None = None
    """Attributes of the resource; all must match."""
    libraries: list[LibraryMatch] | None = None
    """Instrumentation libraries (scopes)."""

    @model_validator(mode="after")
    def _can_match(self) -> Self:
        if not self.model_fields_set - {"match_type"}:
            raise ValueError("needs at least one property to match on")
        compile_match(self)
        return self


def compile_match(config: MatchConfig) -> Test:
    """One test for all properties. Raises ValueError for a pattern that is none."""
    tests: list[Test] = []
    for name, read in _TEXTS.items():
        wanted: list[str] | None = getattr(config, name)
        if wanted is not None:
            if name == "span_kinds" and config.match_type == "strict":
                wanted = [_KINDS.get(kind.lower(), kind) for kind in wanted]
            tests.append(_text_test(_any_text(wanted, config.match_type), read))
    if config.log_severity_number is not None:
        tests.append(_severity_test(config.log_severity_number))
    if config.libraries is not None:
        tests.append(_library_test(config.libraries, config.match_type))
    for matches, read_from in (
        (config.attributes, _own_attributes),
        (config.resources, _resource_attributes),
    ):
        tests += [_attribute_test(match, config.match_type, read_from) for match in matches or ()]
    return lambda subject: all(test(subject) for test in tests)


def compile_selection(include: MatchConfig | None, exclude: MatchConfig | None) -> Test | None:
    """Included and not excluded; None when everything is meant."""
    if include is None and exclude is None:
        return None
    included = compile_match(include) if include is not None else None
    excluded = compile_match(exclude) if exclude is not None else None

    def selected(subject: Subject) -> bool:
        if included is not None and not included(subject):
            return False
        return excluded is None or not excluded(subject)

    return selected


def _service_name(subject: Subject) -> str | None:
    name = subject.resource.attributes.get("service.name")
    return name if isinstance(name, str) else None


def _span_name(subject: Subject) -> str | None:
    return subject.item.name if isinstance(subject.item, Span) else None


def _span_kind(subject: Subject) -> str | None:
    if not isinstance(subject.item, Span):
        return None
    known = subject.item.kind in SpanKind.__members__.values()
    return f"SPAN_KIND_{SpanKind(subject.item.kind).name}" if known else None


def _metric_name(subject: Subject) -> str | None:
    return subject.item.name if isinstance(subject.item, Metric) else None


def _log_body(subject: Subject) -> str | None:
    body = subject.item.body if isinstance(subject.item, LogRecord) else None
    return body if isinstance(body, str) else None


def _severity_text(subject: Subject) -> str | None:
    return subject.item.severity_text if isinstance(subject.item, LogRecord) else None


def _own_attributes(subject: Subject) -> Attributes:
    return subject.attributes


def _resource_attributes(subject: Subject) -> Attributes:
    return subject.resource.attributes


_TEXTS: Final[dict[str, Callable[[Subject], str | None]]] = {
    "services": _service_name,
    "span_names": _span_name,
    "span_kinds": _span_kind,
    "metric_names": _metric_name,
    "log_bodies": _log_body,
    "log_severity_texts": _severity_text,
}
_KINDS: Final = {kind.name.lower(): f"SPAN_KIND_{kind.name}" for kind in SpanKind}


def _any_text(wanted: Sequence[str], match_type: str) -> _TextTest:
    if match_type == "strict":
        equal = frozenset(wanted)
        return lambda text: text in equal
    searches = [searcher(pattern) for pattern in wanted]
    return lambda text: any(search(text) for search in searches)


def _text_test(matches: _TextTest, read: Callable[[Subject], str | None]) -> Test:
    def test(subject: Subject) -> bool:
        text = read(subject)
        return text is not None and matches(text)

    return test


def _severity_test(wanted: SeverityMatch) -> Test:
    def test(subject: Subject) -> bool:
        if not isinstance(subject.item, LogRecord):
            return False
        number = subject.item.severity_number
        return wanted.match_undefined if number == 0 else number >= wanted.min

    return test


def _library_test(wanted: Sequence[LibraryMatch], match_type: str) -> Test:
    tests = [
        (
            _any_text([library.name], match_type),
            None if library.version is None else _any_text([library.version], match_type),
        )
        for library in wanted
    ]

    def test(subject: Subject) -> bool:
        scope = subject.scope
        return any(
            name(scope.name) and (version is None or version(scope.version))
            for name, version in tests
        )

    return test


def _attribute_test(
    wanted: AttributeMatch, match_type: str, read: Callable[[Subject], Attributes]
) -> Test:
    key, value = wanted.key, wanted.value
    if value is None:
        return lambda subject: key in read(subject)
    if match_type == "regexp":
        compile_pattern(to_text(value))
        search = searcher(to_text(value))

        def found(subject: Subject) -> bool:
            text = read(subject).get(key)
            return isinstance(text, str) and search(text) is not None

        return found
    return lambda subject: _equal(read(subject).get(key), value)


def _equal(actual: Value, wanted: Value) -> bool:
    return type(actual) is type(wanted) and actual == wanted
