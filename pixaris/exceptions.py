"""Every error Pixaris raises, split by what the caller can do about it.

::

    PixarisError
    ├── ConfigurationError          fix the file, argument or eval set; nothing was generated (exit code 2)
    │   ├── WorkflowError           … the workflow file, or what is bound into it
    │   ├── DatasetError            … the eval set
    │   └── ImageError              … bytes that are not an image Pixaris accepts
    │       └── DamagedImageError   … because they cannot be decoded at all
    ├── RequestError                this image fails the same way everywhere: never tried elsewhere
    │   ├── PromptRejectedError     the server refused the prompt (validation, HTTP 400/500)
    │   ├── ExecutionError          a node raised while it ran
    │   ├── OutOfMemoryError        it needs more memory than the server has: tried once more, on freed memory
    │   ├── ModeratedError          withheld or refused by the content policy of the service
    │   └── NoOutputError           the prompt ended well and the asked-for node gave no image that is read
    ├── EndpointError               the endpoint failed, the request is fine: try another endpoint
    │   ├── UnreachableError        refused, reset, timed out, answered nonsense
    │   ├── PromptLostError         accepted and then forgotten (restart, cleared queue, dead worker thread)
    │   ├── InterruptedPromptError  somebody interrupted the prompt on the server
    │   ├── BadImageError           the image arrived cut short or damaged
    │   ├── RateLimitedError        asked to wait (HTTP 429)
    │   └── ChargedError            no image, though it is or may be paid for: never tried again of itself
    ├── AccountError                the endpoint's account cannot be used: bad key, no credits (exit code 3)
    ├── NoEndpointError             none comes up, or none has been healthy for the wait limit (exit code 3)
    ├── MetricError                 one metric has no score for one item; the item keeps its place
    ├── CancelledRequestError       the request was withdrawn before it was done
    │   └── BudgetSpentError        … because the search's budget does not pay for it
    ├── ClusterError                Ray cannot be started or reached, or has ended (exit code 1)
    ├── StorageError                results cannot be kept any more: disk full, folder gone (exit code 1)
    ├── BucketError                 a bucket of Google Cloud Storage cannot be read or written (exit code 1)
    │   └── BucketChangedError      … because somebody else has changed an object meanwhile
    └── SearchFailedError           the search ended without a single scored trial (exit code 1)

All of them pickle, with their fields, because they cross process borders on Ray.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault found in something a user wrote.

    Attributes:
        where: The place, in the user's own words: ``parameters.radius.randint``, ``node 'Blur', input
            'sigma'``.
        message: The rule, the value and the way out, as one sentence.
        path: The setting it belongs to, dotted: ``parameters.radius.randint``. Whoever has the file that the
            setting stands in adds its line.
    """

    where: str
    message: str
    path: str = ""

    def __str__(self) -> str:
        place = ", ".join(part for part in (self.path, self.where) if part)
        if place:
            return f"{place}: {self.message}"
        return self.message


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the known word nearest to a typo, or an empty string.

    Nearest is not enough: a typo changes a third of the letters at most, or leaves out the end or whole
    words.
    """
    choices = list(known)
    lowered = {choice.lower(): choice for choice in reversed(choices)}
    typed = word.lower()
    for match in get_close_matches(typed, lowered, n=3, cutoff=0.6):
        few = _edits(typed, match) <= max(1, max(len(typed), len(match)) // 3)
        begun = match.startswith(typed) or typed.startswith(match)
        if few or begun or _shares_words(word, lowered[match]):
            return f" (did you mean {lowered[match]!r}?)"
    return ""


_LONGEST_TYPO = 100
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def _edits(one: str, other: str) -> int:
    """Letters to insert, delete, replace, or swap with their neighbour, to make one word of the other."""
    if max(len(one), len(other)) > _LONGEST_TYPO:
        return _LONGEST_TYPO
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        last, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]


def _shares_words(one: str, other: str) -> bool:
    """Whether the words of one name are among those of the other."""
    words = {word.lower() for word in _WORDS.findall(one)}
    others = {word.lower() for word in _WORDS.findall(other)}
    return bool(words and others) and (words <= others or others <= words)


def bounded(text: str, most: int = 2_000) -> str:
    """Text that may come from anybody, cut in its middle where it is too long to be read."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} … {len(text) - most:,} characters … {text[-half:]}"


def first_line(text: str) -> str:
    """The gist of a server's words, which may go on for pages."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines:
        return lines[0]
    return ""


def _rebuild(cls: type[PixarisError], args: tuple[object, ...], state: dict[str, object]) -> PixarisError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class PixarisError(Exception):
    """The root of the tree. ``str(error)`` is what a user reads; ``exit_code`` is what the command line ends
    with.
    """

    exit_code = 1
    cost: float | None = None
    """What the endpoint's account was charged for the attempt all the same, where that is known."""

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


_MOST_TOLD = 100


class ConfigurationError(PixarisError):
    """Something the user wrote is wrong; all faults found are told at once.

    Args:
        problems: One problem or several; a plain string is a problem without a place.
        source: The file or object they are in, e.g. ``search_spaces/restore.yaml``.

    Attributes:
        problems: All of them; its text tells the first hundred.
    """

    exit_code = 2

    def __init__(self, problems: str | Problem | Sequence[str | Problem], source: str = "") -> None:
        if isinstance(problems, str | Problem):
            problems = [problems]
        self.problems = tuple(p if isinstance(p, Problem) else Problem("", p) for p in problems)
        self.source = source
        super().__init__(self._text())

    def _text(self) -> str:
        lines = [bounded(str(problem)) for problem in self.problems[:_MOST_TOLD]]
        lines += [""] * (len(self.problems) - len(lines))
        if len(lines) == 1:
            if self.source:
                return f"{self.source}: {lines[0]}"
            return lines[0]
        if self.source:
            head = f"{self.source}: {len(lines)} problems"
        else:
            head = f"{len(lines)} problems"
        if len(lines) > _MOST_TOLD:
            more = [f"  … and {len(lines) - _MOST_TOLD:,} more"]
        else:
            more = []
        return "\n".join([head, *(f"  - {line}" for line in lines[:_MOST_TOLD]), *more])


class WorkflowError(ConfigurationError):
    """A workflow file, or what is bound into it, is wrong."""


class DatasetError(ConfigurationError):
    """An eval set is missing, empty or its names do not match."""


class ImageError(ConfigurationError):
    """Bytes that are no image, or not one that Pixaris accepts (format, size)."""


class DamagedImageError(ImageError):
    """Bytes that cannot be decoded: cut short, damaged, or no image of a format that is known."""


class FarSideError(PixarisError):
    """Shared by errors that quote another machine.

    Args:
        message: What happened, in one sentence, with the server's own words.
        endpoint: The URL (without credentials) that answered.
        node: Title of the node at fault, where one is known.
    """

    def __init__(self, message: str, *, endpoint: str = "", node: str = "") -> None:
        self.message = bounded(message)
        message = self.message
        self.endpoint = endpoint
        self.node = node
        if endpoint:
            place = f" [{endpoint}]"
        else:
            place = ""
        super().__init__(f"node {node!r}: {message}{place}" if node else f"{message}{place}")


class RequestError(FarSideError):
    """This request fails the same way on every endpoint; the item gets no image, the search goes on."""


class PromptRejectedError(RequestError):
    """The server refused the prompt before running it."""


class ExecutionError(RequestError):
    """A node raised while the prompt ran."""


class OutOfMemoryError(RequestError):
    """The server ran out of memory: a fault of the parameter set, until the same request succeeds elsewhere.

    A pool tries it once more, after the server was asked to free its memory.
    """


class ModeratedError(RequestError):
    """A content policy withheld the image.

    Args:
        reasons: The policy's words for it, as far as it gives any.
    """

    def __init__(
        self, message: str, *, endpoint: str = "", node: str = "", reasons: Sequence[str] = ()
    ) -> None:
        super().__init__(message, endpoint=endpoint, node=node)
        self.reasons = tuple(reasons)


class NoOutputError(RequestError):
    """The prompt succeeded but the output node gave no image, or none that Pixaris reads."""


class EndpointError(FarSideError):
    """The endpoint failed; the same request may succeed elsewhere."""


class UnreachableError(EndpointError):
    """Connection refused or reset, a time-out, or an answer that is not the protocol's."""


class PromptLostError(EndpointError):
    """The server accepted the prompt and then lost it."""


class InterruptedPromptError(EndpointError):
    """The prompt was interrupted on the server by somebody else."""


class BadImageError(EndpointError):
    """The generated image arrived truncated or damaged."""


class RateLimitedError(EndpointError):
    """The server asked to wait.

    Args:
        retry_after: Seconds it asked for, or None.
    """

    def __init__(self, message: str, *, endpoint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, endpoint=endpoint)
        self.retry_after = retry_after


class ChargedError(EndpointError):
    """The request was sent, and its image is lost; sending it again may be charged again, so that is left to
    the user.

    `cost` is None where not even that is known: the answer to the request was lost.
    """


class AccountError(FarSideError):
    """The account behind an endpoint cannot be used (bad key, no credits): the search stops, nothing is
    lost.
    """

    exit_code = 3


class NoEndpointError(PixarisError):
    """No endpoint comes up, or none has been healthy for the wait limit; the search stops and can be
    resumed.
    """

    exit_code = 3


class MetricError(PixarisError):
    """A metric could not score an item; the score is missing for that item and the reason is kept."""


class CancelledRequestError(PixarisError):
    """The request was withdrawn before it was done."""


class BudgetSpentError(CancelledRequestError):
    """The search's budget does not pay for the image, so it was not started."""


class SearchFailedError(PixarisError):
    """The search ended and not one trial has a score."""


class StorageError(PixarisError):
    """Results cannot be kept any more; what was kept before is whole, and the search can be resumed."""


class BucketError(PixarisError):
    """A bucket of Google Cloud Storage cannot be read or written."""


class BucketChangedError(BucketError):
    """An object was replaced or deleted by somebody else meanwhile."""


class ClusterError(PixarisError):
    """Ray cannot be started or reached, or has ended; what was done is kept, and can be resumed."""
