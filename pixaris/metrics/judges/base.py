"""The seam for judges."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pixaris.exceptions import MetricError
from pixaris.images import EncodedImage

Schema: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Usage:
    """What judging cost.

    Attributes:
        calls: Requests that were answered, a refusal included.
        prompt_tokens: Tokens that were read, images included.
        answer_tokens: Tokens that were written, thoughts included.
        cached: Verdicts that were known already and cost nothing.
    """

    calls: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    cached: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.answer_tokens + other.answer_tokens,
            self.cached + other.cached,
        )


class NoVerdictError(MetricError):
    """The judge refused, or its answer does not follow the schema.

    Args:
        message: Why.
        usage: What it cost all the same.
    """

    def __init__(self, message: str, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.usage = usage or Usage()


@dataclass(frozen=True)
class Verdict:
    """A judge's answer.

    Attributes:
        answer: What it said; it follows the schema.
        usage: What it cost.
    """

    answer: Mapping[str, Any]
    usage: Usage = field(default_factory=Usage)


class Judge(ABC):
    """Looks at images and answers a question about them; implement `judge`.

    It must pickle (open connections lazily), and is called from several threads at once. Waiting, repeating,
    remembering and counting are done above it.
    """

    @property
    def identity(self) -> str:
        """Names all that changes its verdicts (the model, how it thinks), for the cache; holds no secret."""
        return f"{type(self).__module__}:{type(self).__qualname__}"

    @property
    def account(self) -> str:
        """Names what the limits belong to: judges of one account wait together; holds no secret."""
        return self.identity

    @property
    def variant(self) -> str:
        """Names what of it changes neither its verdicts nor its account, such as how long it is waited
        for.
        """
        return ""

    @abstractmethod
    def judge(self, images: Sequence[EncodedImage], prompt: str, schema: Schema) -> Verdict:
        """Ask once.

        Args:
            images: What it looks at; the prompt calls them image 1, image 2, …
            prompt: The question.
            schema: JSON schema of the answer, an object.

        Raises:
            NoVerdictError: It refused, or its answer does not follow the schema.
            RateLimitedError: It asks to wait.
            UnreachableError: It does not answer; asking again may help.
            AccountError: The key, the model's name or the account is no good; asking again does not help.
        """

    def check(self) -> None:  # noqa: B027  (not every judge can know)
        """Find out whether it can be asked at all, without spending anything. By default nothing is known.

        Raises:
            AccountError: The key or the model's name is refused.
        """
