"""forward passes on what it is given."""

from __future__ import annotations

import pytest

from genai_collector.connectors.forward import FACTORY, Forward, ForwardConfig
from genai_collector.model import Signal
from genai_collector.pipeline.fanout import Fanout
from genai_collector.pipeline.pipeline import Pipeline
from tests.support.builders import batch
from tests.support.fakes import make_context


@pytest.mark.parametrize("route", sorted(FACTORY.routes), ids=str)
def test_the_batch_as_it_is(route: tuple[Signal, Signal]) -> None:
    """The same signal comes out, and the very batch, still encoded."""
    source, target = route
    assert source is target
    context = make_context("forward")
    pipeline = Pipeline("traces/out", Signal.TRACES, [], [], context.log)
    consumer = Fanout(Signal.TRACES, [pipeline], context.telemetry, context.log, context.clock)
    given = batch(3, encoded=True)
    made = Forward(ForwardConfig(), min(FACTORY.routes), consumer, context).connect(given)
    assert made is given
    assert made.is_encoded


def test_every_signal() -> None:
    """Traces, metrics and logs can all be forwarded, each to its own kind."""
    assert {route.source for route in FACTORY.routes} == set(Signal)
    assert all(route.source is route.target for route in FACTORY.routes)
