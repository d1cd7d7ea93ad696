"""From what a user writes about the judge to the judge."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pixaris.config import Config
from pixaris.exceptions import ConfigurationError, Problem, nearest
from pixaris.metrics.extras import require
from pixaris.metrics.judges.base import Judge, Usage
from pixaris.metrics.judges.google import Account
from pixaris.metrics.judges.limits import Limits
from pixaris.metrics.judges.service import JudgeService

SDKS: Mapping[str, tuple[str, str]] = {
    "google-genai": ("gemini", "google.genai"),
    "google-generativeai": ("gemini-legacy", "google.generativeai"),
}
"""SDK to the extra that brings it, and its module."""

LEVELS = ("minimal", "low", "medium", "high")
_NUMBERS = {"timeout": 0.001, "requests_per_minute": 0.0, "longest_wait": 0.0}
_COUNTS = ("concurrency", "attempts")
_TEXTS = ("sdk", "model", "base_url", "thinking_level")
KNOWN = (*_TEXTS, *_NUMBERS, *_COUNTS, "cache", "prices")


@dataclass(frozen=True)
class Prices:
    """Dollars for a million tokens.

    Attributes:
        prompt: That are read.
        answer: That are written.
    """

    prompt: float = 0.0
    answer: float = 0.0

    def of(self, usage: Usage) -> float:
        """Dollars."""
        return (usage.prompt_tokens * self.prompt + usage.answer_tokens * self.answer) / 1e6


def service_of(
    given: Judge | Mapping[str, object] | None, environ: Mapping[str, str] | None = None
) -> tuple[JudgeService, Prices]:
    """Make the judge.

    Args:
        given: A judge; or settings, which win over the configuration's: ``sdk``, ``model``, ``base_url``,
            ``thinking_level``, ``timeout``, ``concurrency``, ``requests_per_minute``, ``attempts``,
            ``longest_wait``, ``cache`` (a folder, or false), ``prices`` (dollars for a million tokens:
            ``{prompt: 0.3, answer: 2.5}``).
        environ: The environment, ``os.environ`` by default. ``GEMINI_API_KEY`` and ``GOOGLE_API_KEY`` count
            where no ``PIXARIS_GEMINI_API_KEY`` is set.

    Raises:
        ConfigurationError: All that is wrong with it.
    """
    if environ is None:
        environ = os.environ
    config = Config.load(environ)
    if isinstance(given, Judge):
        return JudgeService(given, Limits(), config.judge_cache.absolute()), Prices()
    problems: list[Problem] = []
    settings = _settings({} if given is None else given, problems)
    sdk = settings.get("sdk", config.gemini_sdk)
    key = config.gemini_api_key or environ.get("GEMINI_API_KEY", "") or environ.get("GOOGLE_API_KEY", "")
    account = _account(settings, config, key)
    problems += _account_problems(account, key)
    problems += _sdk_problems(sdk, settings)
    if problems:
        raise ConfigurationError(problems)
    chosen = {field.name: settings[field.name] for field in fields(Limits) if field.name in settings}
    folder = settings.get("cache", config.judge_cache)
    if folder:
        cache = folder.absolute()
    else:
        cache = None
    service = JudgeService(_judge(sdk, account), Limits(**chosen), cache)
    return service, settings.get("prices", Prices())


def _account(settings: Mapping[str, Any], config: Config, key: str) -> Account:
    """Who asks whom: what is set here wins over the configuration."""
    base_url = settings.get("base_url", config.gemini_base_url)
    return Account(
        settings.get("model", config.gemini_model),
        key.strip(),
        base_url.rstrip("/"),
        settings.get("thinking_level", ""),
        settings.get("timeout", 120.0),
    )


def _account_problems(account: Account, key: str) -> Iterator[Problem]:
    if not account.model:
        way_out = "name the model that judges, or set PIXARIS_GEMINI_MODEL, or gemini_model in config.yaml"
        yield Problem("judge.model", f"is missing; {way_out}")
    yield from _key_problems(key)
    if account.base_url and not _is_url(account.base_url):
        # a URL may hold a password
        yield Problem("judge.base_url", "must be a URL such as https://proxy.example.com (it is not shown)")


def _key_problems(key: str) -> Iterator[Problem]:
    if not key.strip():
        names = "PIXARIS_GEMINI_API_KEY, GEMINI_API_KEY, GOOGLE_API_KEY"
        message = f"is missing; set gemini_api_key in config.yaml, or one of {names}"
        yield Problem("the judge's API key", message)
    elif not (key.isascii() and key.isprintable()):
        yield Problem("the judge's API key", "must be plain text without line breaks (it is not shown)")


def _sdk_problems(sdk: str, settings: Mapping[str, Any]) -> Iterator[Problem]:
    if sdk not in SDKS:
        rule = f"{sdk!r} is no known SDK{nearest(str(sdk), SDKS)}; known are {', '.join(SDKS)}"
        yield Problem("judge.sdk", rule)
        return
    extra, module = SDKS[sdk]
    try:
        require("the LLM judge", extra, module)
    except ConfigurationError as error:
        yield from error.problems
    if sdk == "google-generativeai" and "thinking_level" in settings:
        rule = "google-generativeai knows no thinking levels; use the SDK google-genai"
        yield Problem("judge.thinking_level", rule)


def _judge(sdk: str, account: Account) -> Judge:
    if sdk == "google-genai":
        from pixaris.metrics.judges.genai import GenaiJudge

        return GenaiJudge(account)
    from pixaris.metrics.judges.generativeai import GenerativeAIJudge

    return GenerativeAIJudge(account)


def _settings(given: object, problems: list[Problem]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        problems.append(
            Problem("judge", f"must be a Judge or a mapping of settings (got {type(given).__name__})")
        )
        return {}
    found: dict[str, Any] = {}
    for name, value in given.items():
        where = f"judge.{name}"
        if name in ("api_key", "key", "gemini_api_key"):
            message = (
                "does not belong here (it is not shown); set gemini_api_key in config.yaml, or"
                " PIXARIS_GEMINI_API_KEY"
            )
            problems.append(Problem(where, message))
        elif name not in KNOWN:
            problems.append(
                Problem(
                    where, f"is no known setting{nearest(str(name), KNOWN)}; known are {', '.join(KNOWN)}"
                )
            )
        elif (fault := _fault(name, value)) is not None:
            problems.append(Problem(where, fault))
        elif name == "cache":
            if value:
                found[name] = Path(value)
            else:
                found[name] = None
        elif name == "prices":
            found[name] = Prices(**{kind: float(price) for kind, price in value.items()})
        else:
            found[name] = value
    return found


def _fault(name: str, value: object) -> str | None:
    """What is wrong with a setting, or None."""
    if name == "thinking_level":
        if value in LEVELS:
            return None
        return f"must be one of {', '.join(LEVELS)} (got {value!r})"
    if name in _TEXTS:
        if isinstance(value, str) and value.strip():
            return None
        return f"must be text (got {type(value).__name__})"
    if name in _COUNTS:
        whole = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000
        if whole:
            return None
        return f"must be a whole number from 1 to 1000 (got {value!r})"
    if name in _NUMBERS:
        least = _NUMBERS[name]
        if _number(value) >= least:
            return None
        return f"must be a number, at least {least:g} (got {value!r})"
    if name == "prices":
        right = (
            isinstance(value, Mapping)
            and set(value) <= {"prompt", "answer"}
            and all(_number(v) >= 0 for v in value.values())
        )
        if right:
            return None
        return f"must be dollars for a million tokens, {{prompt: 0.3, answer: 2.5}} (got {value!r})"
    text = value is False or (isinstance(value, str | Path) and str(value))
    if text:
        return None
    return f"must be a folder, or false for no cache (got {value!r})"


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port  # read only now
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return -1.0  # below every limit
    return float(value)
