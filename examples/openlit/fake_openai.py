"""A fake OpenAI server, so that the example needs no key and no network.

Answers `/v1/chat/completions` (plain, streamed, with a tool call, with an error) and
`/v1/embeddings` with fixed texts and token counts. Standard library only.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

MODEL = "gpt-4o-mini-2024-07-18"
USAGE = {
    "prompt_tokens": 42,
    "completion_tokens": 17,
    "total_tokens": 59,
    "prompt_tokens_details": {"cached_tokens": 16},
}
ANSWER = "A collector receives telemetry, understands it, and passes it on without losing any."
TOOL_CALL = {
    "id": "call_weather_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'},
}


def completion(number: int, message: dict[str, Any], finish_reason: str) -> dict[str, Any]:
    """A `chat.completion` as the real API answers it."""
    return {
        "id": f"chatcmpl-fake-{number}",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": USAGE,
        "system_fingerprint": "fp_fake",
        "service_tier": "default",
    }


def chunks(number: int) -> list[dict[str, Any]]:
    """The same answer as a stream of `chat.completion.chunk`, usage on the last one."""
    head = {
        "id": f"chatcmpl-fake-{number}",
        "object": "chat.completion.chunk",
        "created": 1_750_000_000,
        "model": MODEL,
        "system_fingerprint": "fp_fake",
    }
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word + " "} for word in ANSWER.split()]
    out = [head | {"choices": [{"index": 0, "delta": d, "finish_reason": None}]} for d in deltas]
    out.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    out.append(head | {"choices": [], "usage": USAGE})
    return out


class Handler(BaseHTTPRequestHandler):
    calls: ClassVar[int] = 0

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Handler.calls += 1
        if self.path.endswith("/embeddings"):
            return self.reply(200, self.embeddings(request))
        if request["model"] == "no-such-model":
            error = {"message": "The model `no-such-model` does not exist", "type": "invalid_request_error", "param": None, "code": "model_not_found"}  # fmt: skip  # noqa: E501
            return self.reply(404, {"error": error})
        if request.get("stream"):
            return self.stream(chunks(Handler.calls))
        if request.get("tools"):
            message = {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}
            return self.reply(200, completion(Handler.calls, message, "tool_calls"))
        message = {"role": "assistant", "content": ANSWER}
        return self.reply(200, completion(Handler.calls, message, "stop"))

    def embeddings(self, request: dict[str, Any]) -> dict[str, Any]:
        vector = {"object": "embedding", "index": 0, "embedding": [0.1, 0.2, 0.3]}
        usage = {"prompt_tokens": 8, "total_tokens": 8}
        return {"object": "list", "data": [vector], "model": request["model"], "usage": usage}

    def reply(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self, parts: list[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for part in parts:
            self.wfile.write(f"data: {json.dumps(part)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *args: object) -> None:
        """Quiet: the example's own lines are what should be read."""


def start() -> str:
    """Start the server on a free port and return the base URL for the OpenAI client."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/v1"
