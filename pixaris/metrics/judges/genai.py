"""Gemini through google-genai, Google's current SDK (extra ``gemini``)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from pixaris.metrics.judges.base import Schema, Usage
from pixaris.metrics.judges.google import LOOK_SECONDS, Account, GeminiJudge, Reply, label, mime_type


class GenaiJudge(GeminiJudge):
    """Asks a model with google-genai. Sends no temperature: newer models ignore it, or refuse it."""

    sdk = "google-genai"

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._open()

    def _open(self) -> None:
        self._client: object = (
            None  # made by the process that uses it: it neither pickles nor survives a fork
        )
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        return {"_account": self._account}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._open()

    def ask(self, images: Sequence[bytes], prompt: str, schema: Schema) -> Reply:
        from google.genai import types

        parts: list[object] = []
        for number, data in enumerate(images, 1):
            parts += [label(number), types.Part.from_bytes(data=data, mime_type=mime_type(data))]
        level = self._account.thinking_level
        thinking = None
        if level:
            thinking = types.ThinkingConfig(thinking_level=types.ThinkingLevel(level.upper()))
        config = types.GenerateContentConfig(
            response_mime_type="application/json",
            response_json_schema=dict(schema),
            thinking_config=thinking,
        )
        answer = self._call("generate_content", contents=[*parts, prompt], config=config)
        texts: tuple[str, ...] = ()
        finish = ""
        if answer.candidates:
            candidate = answer.candidates[0]
            finish = _word(candidate.finish_reason)
            written = (candidate.content.parts if candidate.content is not None else None) or []
            texts = tuple(part.text for part in written if part.text and not part.thought)
        feedback, usage = answer.prompt_feedback, answer.usage_metadata
        read = billed = 0
        if usage:
            read = usage.prompt_token_count or 0
            # thoughts are billed as what is written
            billed = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
        return Reply(
            texts=texts,
            finish=finish,
            blocked=_word(feedback.block_reason) if feedback is not None else "",
            usage=Usage(calls=1, prompt_tokens=read, answer_tokens=billed),
        )

    def look_up(self) -> None:
        from google.genai import types

        self._call(
            "get",
            config=types.GetModelConfig(http_options=types.HttpOptions(timeout=int(LOOK_SECONDS * 1000))),
        )

    def _call(self, method: str, **arguments: object) -> Any:  # noqa: ANN401  (the SDK's own answer)
        import httpx2
        from google.genai import errors

        try:
            return getattr(self._connected().models, method)(model=self._account.model, **arguments)
        except errors.APIError as error:
            if isinstance(error.details, dict):
                body = error.details
            else:
                body = {}
            inner = body.get("error", body)
            if isinstance(inner, dict):
                details = inner.get("details", [])
            else:
                details = []
            headers = getattr(error.response, "headers", None) or {}
            after = str(headers.get("retry-after") or "")
            failure = self.failure(int(error.code or 0), str(error.message or ""), _list(details), after)
        except (httpx2.HTTPError, errors.UnknownApiResponseError, ValueError) as error:
            failure = self.lost(error)
        raise failure  # outside: the SDK's own error holds the request, with the key in its headers

    def _connected(self) -> Any:  # noqa: ANN401  (the SDK's client)
        from google import genai
        from google.genai import types

        with self._lock:
            if self._client is None:
                # No redirects: the key travels in a header of its own, which would go to another host, too.
                options = types.HttpOptions(
                    base_url=self._account.base_url or None,
                    timeout=int(self._account.timeout * 1000),
                    client_args={"follow_redirects": False},
                )
                self._client = genai.Client(api_key=self._account.key, vertexai=False, http_options=options)
            return self._client


def _word(reason: Any) -> str:  # noqa: ANN401  (an enum of the SDK, or None)
    return str(getattr(reason, "value", reason) or "")


def _list(value: object) -> list[object]:
    if isinstance(value, list):
        return value
    return []
