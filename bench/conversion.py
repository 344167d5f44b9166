"""What it costs to turn records of one format into another, in this process.

    python -m bench.conversion [--rounds N] [--records N]     (also part of `python -m bench`)

A record is one call of a model, 3 kB on its own wire, with a prompt, an answer, ids and times that
no other record has. A round is fresh payloads, so nothing can be remembered from the round before;
each payload goes from the bytes that came in to the bytes that go out, as it would in the
collector, and through orjson and back as the yardstick, in turn. CPU is this process's user and
system time.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson

from bench.payload import text
from genai_collector.formats import langfuse, litellm, noveum, otlp
from genai_collector.model import Signal

RECORDS_PER_PAYLOAD: Final = 50
RECORD_BYTES: Final = 3000
LEAST: Final = 5000
"""Records per CPU-second that we hold ourselves to."""
LIMIT: Final = 3.0
"""How many times orjson's decoding and encoding of the same payload it may cost."""
_GC_THRESHOLDS: Final = (50_000, 20, 50)
"""As the service sets them."""
_START: Final = datetime(2026, 3, 1, tzinfo=UTC)

Json = dict[str, Any]


class _Call(NamedTuple):
    """What a record says, whatever its format."""

    rng: random.Random
    prompt: str
    answer: str
    start: datetime
    seconds: float
    spent: int
    made: int

    def id(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def at(self, seconds: float) -> datetime:
        return self.start + timedelta(seconds=seconds)

    def messages(self) -> list[Json]:
        return [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": self.prompt},
        ]


def _call(rng: random.Random, size: int) -> _Call:
    start = _START + timedelta(microseconds=rng.randrange(10**13))
    seconds = rng.randrange(200_000, 9_000_000) / 1e6
    return _Call(
        rng,
        text(rng, size // 2),
        text(rng, size - size // 2),
        start,
        seconds,
        rng.randrange(100, 900),
        rng.randrange(50, 700),
    )


def _z(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


# ---- records ------------------------------------------------------------------------------------


def _langfuse_events(call: _Call) -> list[Json]:
    """A trace and a generation as Langfuse's Python SDK (release 2) sends them: the generation
    when it begins, and again when it ends."""
    trace, generation = call.id(), call.id()
    trace_body = {
        "id": trace,
        "timestamp": _z(call.start),
        "name": "checkout",
        "userId": f"user-{call.rng.randrange(10**6)}",
        "sessionId": call.id(),
        "release": "v1.2.3",
        "metadata": {"tenant": "acme", "attempt": 1},
        "tags": ["prod", "beta"],
        "environment": "production",
    }
    begin = {
        "traceId": trace,
        "name": "chat",
        "startTime": _z(call.start),
        "metadata": {"provider": "openai"},
        "input": call.messages(),
        "environment": "production",
        "id": generation,
        "model": "gpt-4o-mini",
        "modelParameters": {"temperature": 0.3, "max_tokens": 256, "top_p": 1},
    }
    end = {
        "traceId": trace,
        "output": {"role": "assistant", "content": call.answer},
        "id": generation,
        "endTime": _z(call.at(call.seconds)),
        "completionStartTime": _z(call.at(call.seconds / 3)),
        "usageDetails": {
            "input": call.spent,
            "output": call.made,
            "total": call.spent + call.made,
        },
        "costDetails": {"total": call.spent * 1.5e-07 + call.made * 6e-07},
    }
    return [
        {"id": call.id(), "type": kind, "body": body, "timestamp": _z(call.at(after))}
        for kind, body, after in (
            ("trace-create", trace_body, 0.0002),
            ("generation-create", begin, 0.0004),
            ("generation-update", end, call.seconds + 0.0002),
        )
    ]


def _langfuse_payload(calls: Sequence[_Call]) -> bytes:
    batch = [event for call in calls for event in _langfuse_events(call)]
    metadata = {"batch_size": len(batch), "sdk_name": "python", "sdk_version": "2.60.9"}
    return json.dumps({"batch": batch, "metadata": metadata}, ensure_ascii=False).encode()


def _noveum_record(call: _Call) -> Json:
    """As Noveum's gateway writes it."""
    tokens = {"input": call.spent, "output": call.made, "total": call.spent + call.made}
    answer_id, org, project = call.id(), "org_123", "proj_checkout"
    return {
        "timestamp": call.start.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "resource": {
            "service.name": "noveum_ai_gateway",
            "service.version": "2.0.1",
            "deployment.environment": "production",
        },
        "name": "ai_gateway_request_log",
        "attributes": {
            "id": call.id(),
            "thread_id": call.id(),
            "org_id": org,
            "user_id": f"user-{call.rng.randrange(10**6)}",
            "project_id": project,
            "provider": "openai",
            "model": "gpt-4o-mini",
            "request": {
                "model": "gpt-4o-mini",
                "messages": call.messages(),
                "temperature": 0.7,
                "max_tokens": 256,
            },
            "response": {
                "id": answer_id,
                "object": "chat.completion",
                "created": int(call.start.timestamp()),
                "model": "gpt-4o-mini-2024-07-18",
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": call.answer},
                        "finish_reason": "stop",
                    }
                ],
                "usage": {
                    "prompt_tokens": tokens["input"],
                    "completion_tokens": tokens["output"],
                    "total_tokens": tokens["total"],
                },
            },
            "metadata": {
                "project_id": project,
                "project_name": "Checkout",
                "latency": round(call.seconds * 1000),
                "ttfb": round(call.seconds * 300),
                "tokens": tokens,
                "cost": call.spent * 1.5e-07 + call.made * 6e-07,
                "status": "success",
                "path": "/v1/chat/completions",
                "method": "POST",
                "provider_request_id": answer_id,
            },
        },
    }


def _noveum_payload(calls: Sequence[_Call]) -> bytes:
    return json.dumps([_noveum_record(call) for call in calls], ensure_ascii=False).encode()


def _litellm_record(call: _Call) -> Json:
    """As LiteLLM's generic callback sends it, without what it copies from its price list
    (`model_map_information`, 8 kB that are the same in every record) and empty members."""
    answer_id = f"chatcmpl-{call.rng.getrandbits(96):024x}"
    cost_in, cost_out = call.spent * 1.5e-07, call.made * 6e-07
    begin = call.start.timestamp()
    usage = {
        "completion_tokens": call.made,
        "prompt_tokens": call.spent,
        "total_tokens": call.spent + call.made,
    }
    return {
        "id": answer_id,
        "litellm_call_id": call.id(),
        "trace_id": call.id(),
        "session_id": call.id(),
        "call_type": "acompletion",
        "cache_hit": None,
        "stream": False,
        "status": "success",
        "status_fields": {"llm_api_status": "success", "guardrail_status": "not_run"},
        "custom_llm_provider": "openai",
        "saved_cache_cost": 0.0,
        "startTime": begin,
        "endTime": begin + call.seconds,
        "completionStartTime": begin + call.seconds / 3,
        "response_time": call.seconds,
        "model": "gpt-4o-mini",
        "metadata": {
            "user_api_key_hash": f"{call.rng.getrandbits(256):064x}",
            "user_api_key_alias": "checkout",
            "user_api_key_team_id": "team-7",
            "requester_metadata": {"tenant": "acme"},
            "usage_object": usage,
        },
        "cache_key": None,
        "response_cost": cost_in + cost_out,
        "cost_breakdown": {
            "total_cost": cost_in + cost_out,
            "input_cost": cost_in,
            "output_cost": cost_out,
        },
        **usage,
        "request_tags": ["prod"],
        "end_user": f"user-{call.rng.randrange(10**6)}",
        "api_base": "https://api.openai.com/v1",
        "model_group": "gpt-4o-mini",
        "model_id": f"{call.rng.getrandbits(256):064x}",
        "messages": call.messages(),
        "response": {
            "id": answer_id,
            "created": int(begin),
            "model": "gpt-4o-mini-2024-07-18",
            "object": "chat.completion",
            "system_fingerprint": "fp_07871e2ad8",
            "choices": [
                {
                    "finish_reason": "stop",
                    "index": 0,
                    "message": {
                        "content": call.answer,
                        "role": "assistant",
                        "tool_calls": None,
                        "function_call": None,
                    },
                }
            ],
            "usage": usage,
        },
        "model_parameters": {"temperature": 0.3, "max_tokens": 256},
        "error_str": None,
    }


def _litellm_payload(calls: Sequence[_Call]) -> bytes:
    return json.dumps([_litellm_record(call) for call in calls], ensure_ascii=False).encode()


# ---- conversions --------------------------------------------------------------------------------


def langfuse_to_otlp(data: bytes) -> bytes:
    batch = langfuse.parse_ingestion(data)
    return otlp.encode(Signal.TRACES, langfuse.decode_batch(batch.events, batch.metadata))


def noveum_to_otlp(data: bytes) -> bytes:
    return otlp.encode(Signal.TRACES, noveum.decode_records(noveum.parse(data)))


def litellm_to_langfuse(data: bytes) -> bytes:
    encoded = langfuse.encode_spans(litellm.decode_payloads(litellm.parse(data)))
    return langfuse.encode_batch([one.event for one in encoded])


def through_orjson(data: bytes) -> bytes:
    """The yardstick."""
    return orjson.dumps(orjson.loads(data))


class Conversion(NamedTuple):
    name: str
    payload: Callable[[Sequence[_Call]], bytes]
    convert: Callable[[bytes], bytes]


CONVERSIONS: Final = (
    Conversion("langfuse -> otlp", _langfuse_payload, langfuse_to_otlp),
    Conversion("noveum -> otlp", _noveum_payload, noveum_to_otlp),
    Conversion("litellm -> langfuse", _litellm_payload, litellm_to_langfuse),
)


def payloads(conversion: Conversion, seed: int, records: int) -> list[bytes]:
    """Payloads of records that differ in all that differs between calls, 3 kB each on average."""
    rng = random.Random(f"{conversion.name} {seed}")
    envelope = len(conversion.payload([_call(rng, 0)]))
    count = -(-records // RECORDS_PER_PAYLOAD)
    return [
        conversion.payload(
            [_call(rng, RECORD_BYTES - envelope) for _ in range(RECORDS_PER_PAYLOAD)]
        )
        for _ in range(count)
    ]


def _cpu_s(work: Callable[[bytes], bytes], bodies: Sequence[bytes]) -> float:
    start = time.process_time()
    for body in bodies:
        work(body)
    return time.process_time() - start


def measure(conversion: Conversion, rounds: int, records: int) -> None:
    """Prints one row: the medians of all rounds, and the median of their ratios."""
    ours: list[float] = []
    base: list[float] = []
    size = 0.0
    for body in payloads(conversion, -1, 4 * RECORDS_PER_PAYLOAD):  # imports, caches of constants
        conversion.convert(body)
        through_orjson(body)
    for seed in range(rounds):
        bodies = payloads(conversion, seed, records)
        count = len(bodies) * RECORDS_PER_PAYLOAD
        size = sum(map(len, bodies)) / count
        gc.collect()
        base.append(_cpu_s(through_orjson, bodies) / count)
        ours.append(_cpu_s(conversion.convert, bodies) / count)
    rate = 1 / statistics.median(ours)
    ratio = statistics.median(a / b for a, b in zip(ours, base, strict=True))
    verdict = "ok" if ratio <= LIMIT and rate >= LEAST else "MISSED"
    print(
        f"{conversion.name:<20}{size:>7.0f}{rate:>10.0f}{LEAST:>8}"
        f"{statistics.median(base) * 1e6:>11.1f}{statistics.median(ours) * 1e6:>8.1f}"
        f"{ratio:>8.2f}{LIMIT:>7.1f}  {verdict}",
        flush=True,
    )


def run(only: str, rounds: int, records: int = 2000) -> None:
    """The table of all conversions whose name contains `only`."""
    chosen = [conversion for conversion in CONVERSIONS if only in conversion.name]
    if not chosen:
        return
    print(
        f"\n{'conversion':<20}{'bytes':>7}{'records/s':>10}{'least':>8}"
        f"{'orjson us':>11}{'ours us':>8}{'ratio':>8}{'limit':>7}"
    )
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        for conversion in chosen:
            measure(conversion, rounds, records)
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.conversion", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds of each conversion")
    parser.add_argument("--records", type=int, default=2000, help="records a round")
    parser.add_argument("--only", default="", help="only the cases whose name contains this")
    args = parser.parse_args()
    run(args.only, args.rounds, args.records)


if __name__ == "__main__":
    main()
