"""Events that a Langfuse SDK was told are safe, and a kill before they have become spans.

An observation comes in two requests: created, with its input, and later ended, with its output.
Each is repeated, with the same event ids, until it is answered with 207. Kills fall between the
two, and between the answer and the span. At the end there is one span for each observation, with
both halves in it.
"""

from __future__ import annotations

import json
import random
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.crash import config, sink
from tests.crash.processes import Life, Lives, Sinks, end, kill, wait_until
from tests.support.running import free_port

RECEIVER: Final = """
receivers:
  langfuse:
    endpoint: "127.0.0.1:{port}"
    assembly: {{ settle_time: 1s, storage: file_storage }}
"""
"""What stands in front; another receiver that speaks this API may be put there."""
_PIPELINE: Final = """
exporters:{exporter}
extensions: {{ file_storage: {{ directory: "{directory}/storage" }} }}
service:
  extensions: [file_storage]
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    traces: {{ receivers: [langfuse], exporters: [otlp_http/http] }}
"""
_ROUNDS_EACH: Final = 6
_PER_BATCH: Final = 5
_RUNS_S: Final = (0.0, 0.6)
_SETTLES_S: Final = 60.0


@dataclass(frozen=True)
class Assembled:
    """What came of the observations."""

    observations: int
    kills: int
    spans: int
    """Different ones."""
    missing: int
    halves: int
    """Spans that have not both input and output."""
    duplicates: int
    strangers: int
    """Spans that are no observation of ours."""
    late: int
    """Late updates in the collector's logs."""

    @property
    def good(self) -> bool:
        return not (self.missing or self.halves or self.strangers)

    @property
    def text(self) -> str:
        return (
            f"langfuse: {self.observations} observations acknowledged, {self.kills} kills, "
            f"{self.spans} spans, {self.missing} missing, {self.halves} incomplete, "
            f"{self.duplicates} duplicates, {self.strangers} unknown"
        )


def _event(kind: str, key: str, second: int, **body: Any) -> dict[str, Any]:
    moment = f"2025-01-01T00:00:{second:02d}.000Z"
    return {"id": f"{kind}-{key}", "type": kind, "timestamp": moment, "body": body}


def _created(trace: str, keys: list[str]) -> list[dict[str, Any]]:
    return [
        _event("trace-create", trace, 0, id=trace, name="chat", userId="u"),
        *(
            _event("generation-create", key, 1, id=key, traceId=trace, name="g", model="m",
                   startTime="2025-01-01T00:00:01.000Z", input=f"asked {key}")
            for key in keys
        ),
    ]  # fmt: skip


def _ended(trace: str, keys: list[str]) -> list[dict[str, Any]]:
    return [
        _event("generation-update", key, 2, id=key, traceId=trace, output=f"answered {key}",
               endTime="2025-01-01T00:00:02.000Z")
        for key in keys
    ]  # fmt: skip


def _post(port: int, events: list[dict[str, Any]]) -> bool:
    """Whether every event was acknowledged."""
    url = f"http://127.0.0.1:{port}/api/public/ingestion"
    body = json.dumps({"batch": events}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            answer = json.load(response)
            return response.status == 207 and len(answer["successes"]) == len(events)
    except (OSError, ValueError, urllib.error.URLError):
        return False


@dataclass
class Run:
    """The scenario. `receiver` is a `receivers` section with a `{port}`."""

    directory: Path
    seed: int
    kills: int
    receiver: str = RECEIVER

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._port = free_port()
        self._sinks = Sinks(self.directory, free_port(), {"http": ("http", free_port())})
        _, at = self._sinks.addresses["http"]
        queue = "queue_size: 64MiB, storage: file_storage"
        exporter = config.exporter("http", "http", at, queue=queue, timeout="2s")
        text = self.receiver + _PIPELINE
        self._lives = Lives(
            self.directory,
            text.format(port=self._port, directory=self.directory, exporter=exporter),
        )

    def __call__(self) -> Assembled:
        self._sinks.start()
        self._sinks.mode("http", "keep")
        keys: list[str] = []
        open_ones: list[tuple[str, list[str]]] = []
        try:
            for _ in range(self.kills):
                life = self._started()
                for trace, batch in list(open_ones):
                    if self._send(life, _ended(trace, batch)):
                        open_ones.remove((trace, batch))
                for trace, batch in self._new():
                    if self._send(life, _created(trace, batch)):
                        keys += batch
                        open_ones.append((trace, batch))
                time.sleep(self._rng.uniform(*_RUNS_S))
                kill(life.process)
            life = self._started()
            for trace, batch in open_ones:
                assert self._send(life, _ended(trace, batch))
            wait_until(lambda: not self._missing(keys), "every observation is a span", _SETTLES_S)
            end(life.process)
        finally:
            self._lives.close()
            self._sinks.kill()
        return self._result(keys)

    def _started(self) -> Life:
        life = self._lives.start()
        life.wait_ready()
        return life

    def _send(self, life: Life, events: list[dict[str, Any]]) -> bool:
        """Send, a kill now and then included: then it is not acknowledged, and came or not."""
        return life.process.poll() is None and _post(self._port, events)

    def _new(self) -> Iterator[tuple[str, list[str]]]:
        for _ in range(_ROUNDS_EACH):
            trace = f"{self._rng.getrandbits(128):032x}"
            yield trace, [f"{self._rng.getrandbits(64):016x}" for _ in range(_PER_BATCH)]

    def _arrived(self) -> Iterator[tuple[str, dict[str, str]]]:
        if not (self.directory / "http.bodies").exists():
            return
        for body in sink.kept(self.directory, "http"):
            for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for of_scope in of_resource.scope_spans:
                    for span in of_scope.spans:
                        said = {one.key: one.value.string_value for one in span.attributes}
                        yield span.span_id.hex(), said

    def _missing(self, keys: list[str]) -> set[str]:
        return set(keys) - {key for key, _ in self._arrived()}

    def _result(self, keys: list[str]) -> Assembled:
        arrived = list(self._arrived())
        counts = Counter(key for key, _ in arrived)
        halves = {
            key
            for key, said in arrived
            if said.get("langfuse.observation.input") != f"asked {key}"
            or said.get("langfuse.observation.output") != f"answered {key}"
        }
        text = "".join(life.text for life in self._lives.lives)
        return Assembled(
            observations=len(keys),
            kills=self.kills,
            spans=len(counts),
            missing=len(set(keys) - counts.keys()),
            halves=len(halves & set(keys)),
            duplicates=sum(counts.values()) - len(counts),
            strangers=len(counts.keys() - set(keys)),
            late=text.count("late_update"),
        )
