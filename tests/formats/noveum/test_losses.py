"""The loss report: what of a span Noveum itself would not show."""

from __future__ import annotations

from genai_collector.formats import noveum
from genai_collector.model import Event, Link, Span, StatusCode
from tests.formats.noveum.material import RECORDS
from tests.formats.noveum.test_observed import CALL


def fields_of(span: Span, *, others: bool = True) -> dict[str, str]:
    found = noveum.loss([span], include_other_spans=others)
    assert {loss.where for loss in found} <= {f"span {span.span_id.hex()}"}
    return {loss.field: loss.why for loss in found}


def test_a_call_that_fits_has_no_loss() -> None:
    """What every member says is not reported."""
    assert fields_of(Span(span_id=b"\x02" * 8, attributes=dict(CALL))) == {}


def test_fields_without_a_home_are_named() -> None:
    """Attributes of the producer's own, events, links, parents, parts that OpenAI has not."""
    span = Span(
        span_id=b"\x02" * 8,
        parent_span_id=b"\x03" * 8,
        trace_state="a=b",
        status_code=StatusCode.OK,
        attributes=CALL
        | {
            "my.own": 1,
            "gen_ai.agent.name": "planner",
            "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"reasoning"}]}]',
        },
        events=[Event("retry")],
        links=[Link(b"\x01" * 16, b"\x01" * 8)],
    )
    span.resource.attributes["host.name"] = "h"
    span.resource.attributes["service.name"] = "s"
    assert fields_of(span).keys() == {
        "attributes.my.own",
        "agent.name",
        "messages.parts[type=reasoning]",
        "events",
        "links",
        "trace_state",
        "parent_span_id",
        "status.code",
        "resource.host.name",
    }


def test_spans_that_are_no_call() -> None:
    """They lose nearly everything, or everything when they are not sent."""
    span = Span(span_id=b"\x02" * 8, attributes={"http.method": "GET"})
    assert fields_of(span).keys() == {"span", "attributes.http.method"}
    assert fields_of(span, others=False).keys() == {"span"}
    assert "not sent" in fields_of(span, others=False)["span"]


def test_records_lose_nothing() -> None:
    """A span that was a record has a home for everything."""
    assert noveum.loss(noveum.decode_records(RECORDS)) == []
