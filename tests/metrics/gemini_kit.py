"""A stand-in for Gemini's API over a real socket: it answers as it is told, and remembers what it was
asked.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

from pixaris.images import EncodedImage, decode

KEY = "AIza-stand-in-key"
MODEL = "gemini-test-flash"

Response = tuple[int, dict[str, Any] | str]


@dataclass(frozen=True)
class Asked:
    """One request as it came over the wire."""

    method: str
    path: str
    key: str
    body: dict[str, Any]
    at: float = field(default_factory=time.monotonic)

    @property
    def parts(self) -> list[dict[str, Any]]:
        return list(self.body["contents"][0]["parts"])

    @property
    def prompt(self) -> str:
        return str(self.parts[-1]["text"])

    @property
    def images(self) -> list[Image.Image]:
        """What is shown, decoded, whichever case the SDK writes."""
        inline = [part.get("inlineData") or part.get("inline_data") for part in self.parts]
        return [
            decode(base64.b64decode(one["data"], b"-_" if set(one["data"]) & set("-_") else None))
            for one in inline
            if one
        ]

    @property
    def digests(self) -> list[str]:
        return [EncodedImage.of(image).digest for image in self.images]

    @property
    def schema(self) -> dict[str, Any]:
        config = self.body["generationConfig"]
        return dict(config.get("responseJsonSchema") or config.get("responseSchema"))


class StandIn:
    """The server. ``answer`` is called for every question, in its own thread.

    Args:
        answer: Gives the HTTP status and the body for a question.
    """

    def __init__(self, answer: Callable[[Asked], Response]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.looked_up: list[Asked] = []
        self.models: Callable[[Asked], Response] = lambda asked: (200, {"name": f"models/{MODEL}"})
        self.headers: dict[str, str] = {}
        self.most_at_once = 0
        self._now = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> StandIn:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked = Asked("GET", self.path, self.headers.get("x-goog-api-key", ""), {})
                stand_in.looked_up.append(asked)
                self._send(*stand_in.models(asked))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked = Asked("POST", self.path, self.headers.get("x-goog-api-key", ""), body)
                with stand_in._lock:
                    stand_in.asked.append(asked)
                    stand_in._now += 1
                    stand_in.most_at_once = max(stand_in.most_at_once, stand_in._now)
                try:
                    self._send(*stand_in.answer(asked))
                finally:
                    with stand_in._lock:
                        stand_in._now -= 1

            def _send(self, status: int, body: dict[str, Any] | str) -> None:
                data = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in stand_in.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        return Handler


def says(
    answer: object,
    *,
    prompt_tokens: int = 1000,
    answer_tokens: int = 20,
    thoughts: int = 0,
    finish: str = "STOP",
) -> Response:
    """A good answer, or a text that is none."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    usage = {"promptTokenCount": prompt_tokens, "candidatesTokenCount": answer_tokens}
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": finish, "index": 0}
    total = {"totalTokenCount": prompt_tokens + answer_tokens + thoughts}
    return 200, {"candidates": [candidate], "usageMetadata": {**usage, **total}, "modelVersion": MODEL}


def blocked(reason: str = "PROHIBITED_CONTENT") -> Response:
    """The prompt was refused: no candidates."""
    return 200, {
        "promptFeedback": {"blockReason": reason},
        "usageMetadata": {"promptTokenCount": 500, "totalTokenCount": 500},
    }


def unsafe(reason: str = "SAFETY") -> Response:
    """The answer was refused: a candidate without content."""
    usage = {"promptTokenCount": 500, "totalTokenCount": 500}
    return 200, {"candidates": [{"finishReason": reason, "index": 0}], "usageMetadata": usage}


def error(code: int, status: str, message: str, *details: dict[str, Any]) -> Response:
    """An error as Google writes it."""
    return code, {"error": {"code": code, "status": status, "message": message, "details": list(details)}}


def bad_key(key: str = KEY) -> Response:
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
    }
    return error(400, "INVALID_ARGUMENT", f"API key not valid: {key}. Please pass a valid API key.", info)


def no_model() -> Response:
    return error(404, "NOT_FOUND", f"models/{MODEL} is not found for API version v1")


PER_MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"


def quota(delay: str = "37s", quota_id: str = PER_MINUTE, value: str = "5") -> Response:
    """The limit is reached."""
    violation = {"quotaMetric": "generate_requests", "quotaId": quota_id, "quotaValue": value}
    details = [
        {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]},
    ]
    if delay:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
    return error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", *details)
