"""What both of Google's SDKs share: how a question looks, what their answers and errors mean."""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pixaris.exceptions import AccountError, PixarisError, RateLimitedError, UnreachableError
from pixaris.images import EncodedImage
from pixaris.metrics.judges.answers import read_answer
from pixaris.metrics.judges.base import Judge, NoVerdictError, Schema, Usage, Verdict
from pixaris.preview import preview

LOOK_SECONDS = 10.0
"""How long the check waits for an answer."""
_SIDE = 2048
_BYTES = 4 * 1024 * 1024
"""Larger images are scaled down or sent as JPEG: requests have a limit, and models look at less than this
anyway.
"""


@dataclass(frozen=True)
class Account:
    """Which model is asked, and by whom.

    Attributes:
        model: The model's name.
        key: The API key (never shown).
        base_url: Where the API is, "" for Google's own.
        thinking_level: How much the model thinks (minimal, low, medium, high), "" for its own default.
        timeout: Seconds until an answer counts as lost.
    """

    model: str
    key: str = field(repr=False)
    base_url: str = ""
    thinking_level: str = ""
    timeout: float = 120.0


@dataclass(frozen=True)
class Reply:
    """What a model answered, whichever SDK brought it.

    Attributes:
        texts: The parts of its answer, thoughts left out where they are marked.
        finish: Why it ended: ``STOP``, ``MAX_TOKENS``, ``SAFETY``, …, "" if there is no answer at all.
        blocked: Why the prompt was blocked, "" if it was not.
        usage: Tokens.
    """

    texts: tuple[str, ...]
    finish: str
    blocked: str
    usage: Usage


class NoAPIError(AccountError):
    """The address answers, but not as Gemini's API does."""


class GeminiJudge(Judge):
    """A Gemini model, through one of Google's SDKs; those implement `ask`.

    Args:
        account: The model and the key.
    """

    sdk = ""

    def __init__(self, account: Account) -> None:
        self._account = account

    @property
    def identity(self) -> str:
        return f"{self._account.model} {self._account.thinking_level} {self._stand_in()}".strip()

    def _stand_in(self) -> str:
        """Names a server that stands in for Google's, whose verdicts are its own; hashed, for its URL may
        hold a secret.
        """
        url = self._account.base_url
        host = urlsplit(url).hostname or ""
        if not url or host.endswith(".googleapis.com"):
            return ""
        return f"@{hashlib.sha256(url.encode()).hexdigest()[:12]}"

    @property
    def account(self) -> str:
        fingerprint = hashlib.sha256(self._account.key.encode()).hexdigest()[:12]
        return f"{self.sdk} {self.identity} {self._account.base_url} {fingerprint}"

    @property
    def variant(self) -> str:
        return f"timeout {self._account.timeout:g}"

    def judge(self, images: Sequence[EncodedImage], prompt: str, schema: Schema) -> Verdict:
        reply = self.ask([preview(image, _SIDE, _BYTES) for image in images], prompt, schema)
        if reply.blocked:
            raise NoVerdictError(f"the judge refused the question ({reply.blocked})", reply.usage)
        if reply.finish == "MAX_TOKENS":
            raise NoVerdictError("the judge's answer was cut off (MAX_TOKENS)", reply.usage)
        if reply.finish not in ("STOP", "FINISH_REASON_UNSPECIFIED", ""):
            raise NoVerdictError(f"the judge refused to answer ({reply.finish})", reply.usage)
        try:
            return Verdict(read_answer(reply.texts, schema), reply.usage)
        except NoVerdictError as error:
            raise NoVerdictError(str(error), reply.usage) from None

    def check(self) -> None:
        try:
            self.look_up()
        except NoAPIError:
            return  # a proxy may pass questions on and nothing else
        except AccountError:
            raise
        except PixarisError:
            return  # nothing is known: the model itself is asked later

    @abstractmethod
    def look_up(self) -> None:
        """Ask whether the model is there; this costs nothing.

        Raises:
            PixarisError: As `failure` says.
        """

    @abstractmethod
    def ask(self, images: Sequence[bytes], prompt: str, schema: Schema) -> Reply:
        """Send one question; images are PNG or JPEG files.

        Raises:
            NoVerdictError, RateLimitedError, UnreachableError, AccountError: As `Judge.judge`.
        """

    def failure(
        self, code: int, message: str, details: Sequence[object] = (), retry_after: str = ""
    ) -> PixarisError:
        """What an HTTP error means.

        Args:
            code: The HTTP status.
            message: The server's own words.
            details: The entries of the error's ``details``.
            retry_after: The header of that name.
        """
        kinds = _by_type(details)
        model, endpoint = self._account.model, self._account.base_url or "Google"
        said = self.masked(f"{message.strip() or 'no reason given'} (HTTP {code})")
        reason = kinds.get("ErrorInfo", {}).get("reason", "")
        if code in (401, 403) or reason in ("API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED"):
            return AccountError(
                f"the judge's key is refused: {said}; set gemini_api_key in config.yaml, or"
                " PIXARIS_GEMINI_API_KEY",
                endpoint=endpoint,
            )
        if code == 404 and model.removeprefix("models/") not in message:
            return NoAPIError(
                f"there is no such API: {said}; gemini_base_url may be wrong", endpoint=endpoint
            )
        if code == 404:
            return AccountError(
                f"the judge's model {model!r} is not there: {said}; set gemini_model in config.yaml, or"
                " PIXARIS_GEMINI_MODEL",
                endpoint=endpoint,
            )
        if code == 429:
            if spent := _spent(kinds.get("QuotaFailure", {})):
                return AccountError(f"the judge's quota is used up ({spent}): {said}", endpoint=endpoint)
            return RateLimitedError(
                f"the judge asks to wait: {said}",
                endpoint=endpoint,
                retry_after=_delay(kinds, message, retry_after),
            )
        if code in (408, 499) or code >= 500 or code < 400:
            return UnreachableError(f"the judge failed: {said}", endpoint=endpoint)
        return NoVerdictError(f"the judge does not take the question: {said} [{endpoint}]")

    def lost(self, error: BaseException) -> UnreachableError:
        """What a connection that failed means."""
        text = self.masked(str(error))
        name = type(error).__name__
        return UnreachableError(
            f"the judge does not answer: {name}{': ' + text if text else ''}", endpoint=self._account.base_url
        )

    def masked(self, text: str) -> str:
        """Text without the key."""
        if self._account.key:
            return text.replace(self._account.key, "***")
        return text


def mime_type(data: bytes) -> str:
    """Of a PNG or JPEG file."""
    if data.startswith(b"\x89PNG"):
        return "image/png"
    return "image/jpeg"


def label(number: int) -> str:
    """What stands before an image, so that a prompt can name it."""
    return f"Image {number}:"


def _by_type(details: Sequence[object]) -> dict[str, Mapping[str, object]]:
    """``google.rpc`` details by the last word of their type."""
    found: dict[str, Mapping[str, object]] = {}
    for detail in details:
        if isinstance(detail, Mapping):
            found.setdefault(str(detail.get("@type", "")).rpartition(".")[2], detail)
    return found


def _spent(failure: Mapping[str, object]) -> str:
    """The quota that no waiting brings back soon: one per day, or one that is 0."""
    violations = failure.get("violations")
    for violation in violations if isinstance(violations, list) else []:
        if isinstance(violation, Mapping):
            quota = str(violation.get("quotaId", ""))
            if "PerDay" in quota or str(violation.get("quotaValue", "")) == "0":
                return quota or "its limit is 0"
    return ""


def _delay(kinds: Mapping[str, Mapping[str, object]], message: str, retry_after: str) -> float | None:
    """The seconds that the server asks to wait: of RetryInfo, of the header, or of its sentence."""
    given = str(kinds.get("RetryInfo", {}).get("retryDelay", ""))
    for text, pattern in ((given, r"(\d+(?:\.\d+)?)s"), (retry_after.strip(), r"(\d+(?:\.\d+)?)")):
        if match := re.fullmatch(pattern, text):
            return float(match.group(1))
    match = re.search(r"retry in (\d+(?:\.\d+)?)\s?s", message)
    if match:
        return float(match.group(1))
    return None
