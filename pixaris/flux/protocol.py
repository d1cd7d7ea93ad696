"""What the API's answers mean. Pure: replies in, values or typed errors out; a body's status counts before
the HTTP code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

from pixaris.exceptions import (
    AccountError,
    ChargedError,
    ExecutionError,
    ModeratedError,
    PixarisError,
    PromptRejectedError,
    RateLimitedError,
    UnreachableError,
)
from pixaris.http import Reply

PENDING = ("pending", "reasoning", "generating")
MODERATED = ("request moderated", "content moderated")
FAILED = ("error", "failed")
UNKNOWN = "task not found"

_TOLD = 500


@dataclass(frozen=True)
class Task:
    """A task that the API has accepted.

    Attributes:
        id: Its id.
        polling_url: Where its state is asked for.
        cost: Credits, or None if the answer does not say.
    """

    id: str
    polling_url: str
    cost: float | None = None


@dataclass(frozen=True)
class Waiting:
    """A task is not done, or this answer does not say.

    Attributes:
        why: What the answer was where it was no proper one, else "".
        known: Whether the API told that it works on the task.
        lasting: Whether the same answer is to be expected for ever (a redirect, a refusal).
        seconds: How long it asks to wait, or None.
    """

    why: str = ""
    known: bool = False
    lasting: bool = False
    seconds: float | None = None


@dataclass(frozen=True)
class Missing:
    """The API does not know the task (yet, or any more)."""


@dataclass(frozen=True)
class Ready:
    """A task is done.

    Attributes:
        sample: Signed URL of the image; it dies soon.
        seconds: How long the API worked on it, or None.
    """

    sample: str
    seconds: float | None = None


State: TypeAlias = Waiting | Missing | Ready


def read_submission(reply: Reply, base: str) -> Task:
    """Read the answer to a submitted request.

    Args:
        reply: The answer.
        base: The API's base URL.

    Raises:
        PixarisError: There is no task, with the API's own words; `ChargedError` where there may be one.
    """
    body = _object(reply)
    task_id, polling_url = body.get("id"), body.get("polling_url")
    status = _status(body)
    # Before the id is looked for: a refused request has one too, and no image ever comes of it.
    if status in MODERATED or (status in FAILED and task_id):
        raise _refused_task(status, body, base)
    # An error with a polling URL has begun a task all the same, which is charged.
    if isinstance(task_id, str) and task_id and (reply.status < 300 or polling_url):
        if isinstance(polling_url, str) and polling_url:
            url = polling_url
        else:
            url = f"{base}/v1/get_result?id={task_id}"
        return Task(task_id, url, _number(body.get("cost")))
    raise submission_error(reply, base)


def submission_error(reply: Reply, base: str) -> PixarisError:
    """Why a request was not accepted, by the HTTP code."""
    code, words = reply.status, gist(reply)
    if code == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitedError(
            f"has no place for another task ({words})", endpoint=base, retry_after=_wait(reply)
        )
    if refused := _account_error(code, words, base):
        return refused
    # The request went through the gateway, and nobody knows how far: to send it again might be charged twice.
    if code in (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT):
        return lost(f"a gateway lost the answer ({words})", base)
    # Answered by the API itself, which has begun nothing.
    if code >= 500:
        return UnreachableError(f"could not take the request ({words})", endpoint=base)
    # Not followed: the key would go wherever the redirect says.
    if 300 <= code < 400:
        return UnreachableError(
            f"redirects elsewhere (HTTP {code}), where the key must not go; correct its URL", endpoint=base
        )
    if code == HTTPStatus.NOT_FOUND:
        return PromptRejectedError(f"does not know this model, or is no Flux API ({words})", endpoint=base)
    if code >= 400:
        return PromptRejectedError(f"refused the request: {words}", endpoint=base)
    return lost(f"answered without a task's id ({words})", base)


def lost(message: str, base: str) -> ChargedError:
    """The answer to a request was lost."""
    return ChargedError(f"{message}; the request may have been charged, and is not sent again", endpoint=base)


def read_state(reply: Reply, base: str, *, with_key: bool = True) -> State:
    """Read the answer to a poll.

    Args:
        reply: The answer.
        base: The API's base URL.
        with_key: Whether the poll carried the key.

    Raises:
        ModeratedError: A content policy withheld the image.
        ExecutionError: The task failed.
        AccountError: The key is refused.
    """
    body = _object(reply)
    status = _status(body)
    if status in PENDING:
        return Waiting(known=True)
    if status == "ready":
        result = body.get("result")
        if isinstance(result, dict):
            sample = result.get("sample")
        else:
            sample = None
        if not isinstance(sample, str) or not sample:
            return Waiting("says that the image is ready, but not where", lasting=True)
        if isinstance(result, dict):
            seconds = _number(result.get("duration"))
        else:
            seconds = None
        return Ready(sample, seconds)
    if status in MODERATED or status in FAILED:
        raise _refused_task(status, body, base)
    # Also right after the submission: a task may not be known everywhere at once.
    if status == UNKNOWN:
        return Missing()
    if status:
        return Waiting(f"has the unknown status {str(body['status'])[:80]!r}")
    words = gist(reply)
    if with_key and (refused := _account_error(reply.status, words, base)):
        raise refused
    # These say that it is worth asking again soon.
    passing = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
    lasting = 300 <= reply.status < 500 and reply.status not in passing
    if with_key or not lasting:
        hint = ""
    else:
        hint = "; the polling URL is on a host that the key is not sent to"
    return Waiting(
        f"{words}{hint}", lasting=lasting, seconds=_wait(reply) if reply.status in passing else None
    )


def read_credits(reply: Reply, base: str) -> float:
    """Read an account's balance.

    Raises:
        AccountError: The key is refused.
        EndpointError: The answer is none.
    """
    words = gist(reply)
    if refused := _account_error(reply.status, words, base):
        raise refused
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise RateLimitedError(f"asks to wait ({words})", endpoint=base, retry_after=_wait(reply))
    balance = _number(_object(reply).get("credits"))
    if reply.status != HTTPStatus.OK or balance is None:
        raise UnreachableError(
            f"did not tell the account's credits ({words}); is this a Flux API?", endpoint=base
        )
    return balance


def gist(reply: Reply) -> str:
    """An answer in the API's own words: ``HTTP 422: steps: Input should be less than or equal to 50``."""
    body = _object(reply)
    detail = body.get("detail")
    # FastAPI's own errors are lists with a place each; all others are one sentence.
    if isinstance(detail, list):
        words = "; ".join(filter(None, map(_fault, detail)))
    else:
        words = next(
            (_line(body[key]) for key in ("detail", "message", "error") if isinstance(body.get(key), str)), ""
        )
        words = words or _line(detail)
    if words:
        return f"HTTP {reply.status}: {words[:_TOLD]}"
    return reply.gist


def _account_error(code: int, words: str, base: str) -> AccountError | None:
    if code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return AccountError(f"refuses the key ({words}); check PIXARIS_FLUX_API_KEY", endpoint=base)
    if code == HTTPStatus.PAYMENT_REQUIRED:
        return AccountError(
            f"the account has no credits left ({words}); add some, then resume", endpoint=base
        )
    return None


def _refused_task(status: str, body: Mapping[str, object], base: str) -> PixarisError:
    details = body.get("details")
    if status in MODERATED:
        if isinstance(details, dict):
            found = details.get("Moderation Reasons")
        else:
            found = None
        if isinstance(found, list):
            reasons = [_line(one) for one in found]
        else:
            reasons = []
        if status.startswith("request"):
            what = "the request"
        else:
            what = "the image"
        if reasons:
            told = f" ({', '.join(reasons)})"
        else:
            told = ""
        return ModeratedError(f"a content policy withheld {what}{told}", endpoint=base, reasons=reasons)
    said = _line(details) or _line(body.get("detail")) or _line(body.get("result")) or "without a reason"
    return ExecutionError(f"the task failed: {said}", endpoint=base)


def _fault(entry: object) -> str:
    """One entry of a FastAPI error list."""
    if not isinstance(entry, dict):
        return _line(entry)
    place = entry.get("loc")
    if isinstance(place, list):
        names = [str(part) for part in place if part != "body"]
    else:
        names = []
    if names:
        return f"{'.'.join(names)}: {_line(entry.get('msg'))}"
    return _line(entry.get("msg"))


def _object(reply: Reply) -> Mapping[str, object]:
    try:
        body = reply.json()
    except ValueError:
        return {}
    if isinstance(body, dict):
        return body
    return {}


def _status(body: Mapping[str, object]) -> str:
    status = body.get("status")
    if isinstance(status, str):
        return status.strip().casefold()
    return ""


def _number(value: object) -> float | None:
    # A balance or a wait that is none must not be reckoned with.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return float(value)


def _wait(reply: Reply) -> float | None:
    """Seconds to wait: of the header, else of the body; neither is promised."""
    if reply.retry_after is not None:
        return reply.retry_after
    return _number(_object(reply).get("retry_after"))


def _line(value: object) -> str:
    """A value as one line that a terminal can show."""
    if value is None:
        text = ""
    else:
        text = str(value)
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:_TOLD]
