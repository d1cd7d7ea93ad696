"""Gemini through google-generativeai, the SDK that Google has ended (extra ``gemini-legacy``).

It needs protobuf below 6 and so cannot be installed beside current TensorBoard; it serves those who are bound
to it.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Sequence
from typing import Any

from pixaris.exceptions import ConfigurationError
from pixaris.metrics.judges.answers import simplified
from pixaris.metrics.judges.base import Schema, Usage
from pixaris.metrics.judges.google import LOOK_SECONDS, GeminiJudge, Reply, label, mime_type

_lock = threading.Lock()
_configured: list[tuple[str, str]] = []
"""The SDK has one account per process, a global of its own."""


class GenerativeAIJudge(GeminiJudge):
    """Asks a model with google-generativeai, over REST."""

    sdk = "google-generativeai"

    def ask(self, images: Sequence[bytes], prompt: str, schema: Schema) -> Reply:
        parts: list[object] = []
        for number, data in enumerate(images, 1):
            parts += [label(number), {"mime_type": mime_type(data), "data": data}]
        config = {"response_mime_type": "application/json", "response_schema": simplified(schema)}
        sdk = self._configured_sdk()
        model = sdk.GenerativeModel(self._account.model)
        answer = self._call(model.generate_content, [*parts, prompt], generation_config=config)
        texts: tuple[str, ...] = ()
        finish = ""
        if answer.candidates:
            candidate = answer.candidates[0]
            texts = tuple(part.text for part in candidate.content.parts if part.text)
            finish = _word(candidate.finish_reason)
        usage = answer.usage_metadata
        blocked = answer.prompt_feedback.block_reason
        return Reply(
            texts=texts,
            finish=finish,
            blocked=_word(blocked) if blocked else "",
            usage=Usage(
                calls=1,
                prompt_tokens=usage.prompt_token_count,
                # total, because this SDK does not know of thoughts, which are billed as written
                answer_tokens=max(
                    usage.candidates_token_count, usage.total_token_count - usage.prompt_token_count
                ),
            ),
        )

    def look_up(self) -> None:
        sdk = self._configured_sdk()
        self._call(
            sdk.get_model, f"models/{self._account.model.removeprefix('models/')}", seconds=LOOK_SECONDS
        )

    def _call(self, method: Any, *given: object, seconds: float = 0.0, **arguments: object) -> Any:  # noqa: ANN401  (the SDK's)
        from google.api_core import exceptions
        from google.protobuf import json_format

        options = {"timeout": seconds or self._account.timeout, "retry": None}
        try:
            return method(*given, **arguments, request_options=options)
        except exceptions.GoogleAPICallError as error:
            headers = getattr(error.response, "headers", None) or {}
            after = str(headers.get("retry-after") or "")
            # The SDK puts the request before the server's words.
            message = re.sub(r"^[A-Z]+ https?://\S+: ", "", str(error.message or ""))
            failure = self.failure(int(error.code or 0), message, list(error.details or ()), after)
        except (exceptions.GoogleAPIError, json_format.Error, OSError, ValueError, TypeError) as error:
            failure = self.lost(error)
        raise failure

    def _configured_sdk(self) -> Any:  # noqa: ANN401  (the module)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # says at every import that it has ended
            import google.generativeai as sdk

        mine = (self._account.key, self._account.base_url)
        with _lock:
            if not _configured:
                if self._account.base_url:
                    options = {"api_endpoint": self._account.base_url}
                else:
                    options = None
                sdk.configure(api_key=self._account.key, transport="rest", client_options=options)
                _configured.append(mine)
        if _configured != [mine]:
            raise ConfigurationError(
                "google-generativeai has one account per process; use the SDK google-genai for several"
            )
        return sdk


def _word(reason: object) -> str:
    return str(getattr(reason, "name", reason))
