"""What the collector says of itself: metrics (OpenTelemetry SDK), logs, memory.

metrics.py      component.Telemetry under otelcol's metric names
prometheus.py   the same as Prometheus text, for :8888/metrics
otlp_export.py  the same over OTLP
log.py          structured logs
memory.py       resident memory and how much there may be
server.py       the small HTTP server that metrics and health answer from
"""
