"""prometheus: what metrics say now, for Prometheus to scrape.

    exporters:
      prometheus:
        endpoint: localhost:8889

Gauges, sums, histograms and summaries become Prometheus text (0.0.4); exponential histograms become
classic ones at powers of two. Names and labels are otelcol's; see docs/prometheus.md.
"""

from __future__ import annotations

import re
from collections import Counter
from types import TracebackType
from typing import Annotated, ClassVar, Final, Self

from pydantic import AfterValidator, Field

from genai_collector.component import Config, Context, Duration, ExporterFactory, Sent
from genai_collector.delivery import BatchConfig, DeliveryConfig, QueueConfig
from genai_collector.exporters._prometheus_store import Rules, SeriesStore
from genai_collector.model import Batch, Signal
from genai_collector.telemetry.prometheus import CONTENT_TYPE
from genai_collector.telemetry.server import PlainServer, Reply, split_endpoint

_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def _is_endpoint(endpoint: str) -> str:
    split_endpoint(endpoint)
    return endpoint


def _is_path(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError("expected a path that begins with /")
    return path


def _is_namespace(name: str) -> str:
    if name and not _NAME.fullmatch(name):
        raise ValueError("expected letters, digits and _, not beginning with a digit")
    return name


def _are_labels(labels: dict[str, str]) -> dict[str, str]:
    for name in labels:
        _is_namespace(name)
    return labels


class PrometheusQueueConfig(QueueConfig):
    """A queue that keeps the order: a value must not be followed by the one before it."""

    num_consumers: int = Field(default=1, ge=1, le=1)
    """Always one."""
    batch: BatchConfig | None = None
    """Off: nothing is gained by larger batches here."""


class ResourceConversionConfig(Config):
    """Attributes of resources as labels."""

    enabled: bool = False
    """Every attribute of the resource on every series, instead of `target_info`."""


class PrometheusConfig(DeliveryConfig):
    """Where to be scraped, and what series are called."""

    listens: ClassVar[bool] = True
    endpoint: Annotated[str, AfterValidator(_is_endpoint)] = "localhost:8889"
    """Host and port to listen on."""
    path: Annotated[str, AfterValidator(_is_path)] = "/metrics"
    """Path of the metrics."""
    namespace: Annotated[str, AfterValidator(_is_namespace)] = ""
    """Put before every name, with a `_` between."""
    const_labels: Annotated[dict[str, str], AfterValidator(_are_labels)] = Field(
        default_factory=dict
    )
    """Labels of every series; they win over labels of the same name."""
    metric_expiration: Duration = Field(default=300.0, gt=0)
    """A series that gets no new value for this long is not shown any more."""
    send_timestamps: bool = False
    """Write the time of each value, which Prometheus otherwise takes from the scrape."""
    add_metric_suffixes: bool = True
    """Unit and `_total` at the end of names."""
    without_scope_info: bool = False
    """Leave out the labels otel_scope_name and otel_scope_version."""
    resource_to_telemetry_conversion: ResourceConversionConfig = ResourceConversionConfig()
    """Attributes of resources as labels."""
    series_limit: int = Field(default=50_000, ge=1)
    """How many series there may be; new ones are dropped (`series_limit`) until old ones expire."""
    sending_queue: PrometheusQueueConfig = PrometheusQueueConfig()
    """The bounded queue before the series; `null` is `enabled: false`."""


class Prometheus:
    def __init__(self, config: PrometheusConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self._store = SeriesStore(_rules(config))
        option = f"exporters.{context.id}.endpoint"
        self._server = PlainServer(config.endpoint, {config.path: self.scrape}, option)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._server.port

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        fields = {"endpoint": self._config.endpoint, "path": self._config.path}
        self._context.log.info("Serving metrics", extra=fields)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.__aexit__(exc_type, exc, traceback)

    async def export(self, batch: Batch, /) -> Sent:
        """Takes the points at once; there is nobody to wait for."""
        now_s = self._context.clock()
        refused: Counter[str] = Counter()
        for metric in batch.view_metrics():
            refused += self._store.add(metric, now_s)
        return Sent(batch.count - refused.total(), dict(refused))

    def scrape(self) -> Reply:
        """What is shown now."""
        return Reply(200, CONTENT_TYPE, self._store.render(self._context.clock()))


def _rules(config: PrometheusConfig) -> Rules:
    return Rules(
        namespace=config.namespace,
        const_labels=config.const_labels,
        suffixes=config.add_metric_suffixes,
        scope_labels=not config.without_scope_info,
        resource_labels=config.resource_to_telemetry_conversion.enabled,
        timestamps=config.send_timestamps,
        expiration_s=config.metric_expiration,
        series_limit=config.series_limit,
    )


FACTORY: Final = ExporterFactory(
    "prometheus", PrometheusConfig, Prometheus, signals=frozenset({Signal.METRICS})
)
