"""How fast a judge is asked, and how long it is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pixaris.exceptions import MetricError, RateLimitedError, UnreachableError
from pixaris.images import EncodedImage
from pixaris.metrics.judges.base import Judge, Schema, Verdict

_SHORTEST_DELAY = 0.1
_FIRST_DELAY = 1.0
_LONGEST_DELAY = 60.0


@dataclass(frozen=True)
class Limits:
    """What an account is asked at most.

    Attributes:
        concurrency: Questions at once.
        requests_per_minute: Questions per minute, 0 for no limit of our own.
        attempts: How often a question that got no answer (a time-out, HTTP 5xx) is asked.
        longest_wait: Seconds that one question may wait because the server asks to (HTTP 429), all its waits
            together.
    """

    concurrency: int = 8
    requests_per_minute: float = 0.0
    attempts: int = 4
    longest_wait: float = 600.0


class Pace:
    """Lets questions through: evenly, and none while the account is told to wait. Thread-safe.

    Args:
        per_minute: Questions per minute, 0 for no limit.
        clock: Seconds, monotonic.
        sleep: Waits.
    """

    def __init__(
        self,
        per_minute: float = 0.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.clock = clock
        self.sleep = sleep
        if per_minute:
            self._interval = 60.0 / per_minute
        else:
            self._interval = 0.0
        self._next = self._open = clock()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next question may be sent."""
        while True:
            with self._lock:
                now = self.clock()
                at = max(self._next, self._open)
                if at <= now:
                    self._next = now + self._interval
                    return
            self.sleep(at - now)

    def pause(self, seconds: float) -> None:
        """Let nobody through for so long."""
        with self._lock:
            self._open = max(self._open, self.clock() + seconds)


class PatientJudge(Judge):
    """Asks another judge at its account's pace, and again where that may help.

    Args:
        judge: The one that is asked.
        limits: Its limits.
        pace: Its pace.
    """

    def __init__(self, judge: Judge, limits: Limits, pace: Pace) -> None:
        self._judge = judge
        self._limits = limits
        self._pace = pace

    @property
    def identity(self) -> str:
        return self._judge.identity

    def judge(self, images: Sequence[EncodedImage], prompt: str, schema: Schema) -> Verdict:
        """Ask until there is an answer.

        Raises:
            NoVerdictError, AccountError: As the judge.
            MetricError: It asks to wait for longer than the limit, or still does not answer.
        """
        waited, delay, failures = 0.0, _FIRST_DELAY, 0
        while True:
            self._pace.wait()
            try:
                return self._judge.judge(images, prompt, schema)
            except RateLimitedError as error:
                # A server that asks for 0 s may ask for it for ever.
                seconds = max(error.retry_after or delay, _SHORTEST_DELAY)
                waited += seconds
                if waited > self._limits.longest_wait:
                    limit = self._limits.longest_wait
                    raise MetricError(
                        f"{error}; that is {waited:.0f} s in all, more than the {limit:.0f} s allowed"
                    ) from None
                self._pace.pause(seconds)
            except UnreachableError as error:
                failures += 1
                if failures >= self._limits.attempts:
                    raise MetricError(f"{error}; asked {failures} times") from None
                self._pace.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)
