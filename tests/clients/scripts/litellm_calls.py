"""LiteLLM with one of its callbacks: `langfuse`, `otel` or the generic API logger.

LITELLM_CALLBACK chooses; the callback's own variables say where the telemetry goes.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import litellm

QUESTION = [{"role": "user", "content": "What is a collector?"}]
METADATA = {
    "generation_name": "answer",
    "trace_name": "support",
    "trace_user_id": "user-1",
    "session_id": "session-1",
    "tags": ["beta", "web"],
}


def install() -> Any:
    """Turn the callback on; the generic one is an object that must be flushed."""
    name = os.environ["LITELLM_CALLBACK"]
    if name == "generic_api":
        from litellm.integrations.generic_api.generic_api_callback import GenericAPILogger

        logger = GenericAPILogger()
        litellm.callbacks = [logger]
        return logger
    if name == "otel":
        litellm.callbacks = ["otel"]
    else:
        litellm.success_callback = [name]
        litellm.failure_callback = [name]
    return None


async def calls() -> None:
    logger = install()
    common: dict[str, Any] = {
        "api_base": os.environ["OPENAI_BASE_URL"], "api_key": "sk-fake", "max_retries": 0,
        "num_retries": 0, "messages": QUESTION, "user": "user-1",
    }  # fmt: skip
    await litellm.acompletion(
        model="openai/gpt-4o-mini", temperature=0.3, metadata=dict(METADATA), **common
    )
    stream = await litellm.acompletion(
        model="openai/gpt-4o-mini", stream=True, stream_options={"include_usage": True},
        metadata=dict(METADATA), **common,
    )  # fmt: skip
    async for _ in stream:
        pass
    try:
        await litellm.acompletion(model="openai/no-such-model", metadata=dict(METADATA), **common)
    except litellm.NotFoundError:
        pass
    await asyncio.sleep(1)  # callbacks run as tasks of their own, which LiteLLM gives no handle to
    if logger is not None:
        await logger.flush_queue()


def flush() -> None:
    """Every exporter that a callback may have made, so that nothing waits for its interval."""
    if os.environ["LITELLM_CALLBACK"] == "otel":
        from opentelemetry import _logs, metrics, trace

        for provider in (
            trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()
        ):  # fmt: skip
            if hasattr(provider, "force_flush"):
                provider.force_flush()
    elif os.environ["LITELLM_CALLBACK"] == "langfuse":
        from litellm.litellm_core_utils import litellm_logging

        logger = litellm_logging.langFuseLogger
        client = getattr(logger, "Langfuse", logger)  # its releases name the SDK differently
        if client is not None:
            client.flush()


if __name__ == "__main__":
    asyncio.run(calls())
    flush()
