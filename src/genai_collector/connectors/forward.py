"""forward: joins pipelines of one signal, or splits one into several.

connectors:
  forward:

service:
  pipelines:
    traces/in:   {receivers: [otlp], processors: [normalize], exporters: [forward]}
    traces/all:  {receivers: [forward], exporters: [otlp_http]}
    traces/some: {receivers: [forward], processors: [filter], exporters: [langfuse]}
"""

from __future__ import annotations

from typing import Final

from genai_collector.component import (
    SAME_SIGNAL,
    Config,
    ConnectorFactory,
    Consumer,
    Context,
    Route,
)
from genai_collector.model import Batch


class ForwardConfig(Config):
    """No options."""


class Forward:
    def __init__(
        self, _config: ForwardConfig, _route: Route, _consumer: Consumer, _context: Context
    ) -> None:
        pass

    def connect(self, batch: Batch, /) -> Batch:
        """The batch as it is, still encoded if it was."""
        return batch


FACTORY: Final = ConnectorFactory("forward", ForwardConfig, Forward, SAME_SIGNAL)
