"""What a search may spend, and whether the next image fits into it. Pure and Ray-free: the caller passes the
time.

One `Ledger` counts for a whole search. It is asked twice: before a trial starts (`Ledger.affords`), so that
trials are whole rather than cut, and before an image starts (`Ledger.admit`), so that nothing is started that
would exceed the budget. What an image will take is certain only where images are counted. Of seconds and
credits it is expected to take as much as the dearest of the last ones, and until the first one is through, it
is alone; a whole trial is expected to take their mean, and two standard errors.

An image that is withdrawn may have been made all the same, and charged. It stays reserved until the pool has
told how many it made and what its accounts were charged (`Ledger.audit`).
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass, replace

from pixaris.results.budget import UNITS, Amounts, Answer, Budget

_RECENT = 32
_SETTLES_SECONDS = 1.0
"""How long after it was withdrawn an image's fate is known to the pool."""


@dataclass(frozen=True)
class _Ticket:
    """An image that was admitted and is not settled."""

    trial: int
    process: str
    since: float


class Ledger:
    """Counts what a search spends. Not thread-safe.

    Args:
        budget: The limits.
        began: When the search was started.
        spent: What was spent before, by the same search.
    """

    def __init__(self, budget: Budget, began: float, spent: Amounts | None = None) -> None:
        self.budget = budget
        self._began = began
        self._before = spent or Amounts()
        self._spent = self._before
        self._open: dict[int, _Ticket] = {}
        self._withdrawn: list[float] = []
        self._unseen = 0
        self._exact = True
        self._all_told = True
        self._tickets = 0
        self._first: float | None = None
        self._latest: dict[str, deque[float]] = {
            name: deque(maxlen=_RECENT) for name in ("seconds", "endpoint_seconds", "credits")
        }

    def spent(self, now: float) -> Amounts:
        """What is spent by now; what is under way is not."""
        return replace(
            self._spent,
            images=self._spent.images + self._unseen,
            seconds=self._elapsed(now),
            endpoint_seconds=self._spent.endpoint_seconds
            + self._unseen * (self._expected("endpoint_seconds") or 0.0),
        )

    def _elapsed(self, now: float) -> float:
        return self._before.seconds + now - self._began

    # Images

    def admit(self, trial: int, process: str, count: int, now: float) -> tuple[list[int], str]:
        """Let as many images start as the budget pays for.

        Args:
            trial: Number of the trial that the images are for.
            process: Unique for the process that runs it: what another process had under way for this trial is
                lost with it.
            count: How many it wants.
            now: Seconds.

        Returns:
            A ticket for each image that may start, to be settled; and why no more ever will, or "". With
            neither, it depends on what is under way: ask again when something is settled.
        """
        for number, ticket in list(self._open.items()):
            if ticket.trial == trial and ticket.process != process:
                self._write_off(number)
        granted: list[int] = []
        while len(granted) < count:
            answer, reason = self._next(now)
            if answer != "go":
                return granted, "" if granted else reason
            self._tickets += 1
            self._open[self._tickets] = _Ticket(trial, process, now)
            granted.append(self._tickets)
        return granted, ""

    def settle(
        self,
        ticket: int,
        now: float,
        *,
        seconds: float | None = None,
        cost: float | None = None,
        withdrawn: bool = False,
    ) -> None:
        """An image that was admitted is through.

        Args:
            ticket: As `admit` gave it.
            now: Seconds.
            seconds: What the server took, or None if there is no image.
            cost: What it was charged, or None if nothing is.
            withdrawn: Nobody waited for it any more, and it may have been made.
        """
        opened = self._open.pop(ticket, None)
        self._exact = False
        self._all_told = self._all_told and not withdrawn and not (seconds is None and cost is None)
        if opened is not None and withdrawn:
            self._withdrawn.append(now)
        if opened is None:
            return
        if seconds is None:  # a failure may be charged too
            self._spent = replace(self._spent, credits=self._spent.credits + (cost or 0.0))
            return
        self._first = now if self._first is None else self._first
        for name, amount in (
            ("seconds", now - opened.since),
            ("endpoint_seconds", seconds),
            ("credits", cost or 0.0),
        ):
            self._latest[name].append(amount)
        self._spend(seconds, cost or 0.0)

    def audit(self, made: int, charged: float, now: float) -> None:
        """Compare with the pool, which knows what became of withdrawn images: as many as it made besides
        those settled were made.

        Args:
            made: Images that it made for this search, in this process.
            charged: What its accounts were charged for them, and for what was given up.
            now: When it said so.
        """
        fresh = [since for since in self._withdrawn if now - since < _SETTLES_SECONDS]
        # At most what the pool has made and nobody has settled; some of that is seen in a moment.
        made_unseen = max(0, self._before.images + made - self._spent.images)
        self._unseen = min(self._unseen + len(self._withdrawn) - len(fresh), made_unseen)
        self._withdrawn = fresh
        # Once all is told the pool knows nothing more, only earlier: what is settled later would count twice.
        if not self._all_told:
            self._spent = replace(
                self._spent, credits=max(self._spent.credits, self._before.credits + charged)
            )
        self._exact = not fresh and not self._open

    def close_trial(self, trial: int) -> None:
        """A trial is over: what it still had under way is lost with its process, and may have been made."""
        for number, ticket in list(self._open.items()):
            if ticket.trial == trial:
                self._write_off(number)

    def _write_off(self, ticket: int) -> None:
        del self._open[ticket]
        self._all_told = False
        self._spend(self._expected("endpoint_seconds") or 0.0, self._expected("credits") or 0.0)

    def _spend(self, seconds: float, cost: float) -> None:
        spent = self._spent
        self._spent = replace(
            spent,
            images=spent.images + 1,
            endpoint_seconds=spent.endpoint_seconds + seconds,
            credits=spent.credits + cost,
        )

    def _expected(self, name: str, images: int = 1) -> float | None:
        """What each of the next images takes, as far as can be known."""
        latest = self._latest[name]
        if images == 1 or len(latest) < 2:
            return max(latest, default=None)
        return statistics.fmean(latest) + 2 * statistics.stdev(latest) / math.sqrt(images)

    def _uncertain(self) -> bool:
        """Whether what may still be spent can turn out to be less."""
        return bool(self._open or self._withdrawn) or (self._unseen > 0 and not self._exact)

    def _next(self, now: float) -> tuple[Answer, str]:
        """Whether one more image may start."""
        return self._fits(1, len(self._open), self._uncertain(), "image", now)

    # Trials

    def affords(self, items: int, committed: int, now: float) -> tuple[Answer, str]:
        """Whether another trial may start.

        Args:
            items: Images it needs to be whole.
            committed: Images that the trials under way may still need.
            now: Seconds.

        Returns:
            "wait" if it depends on what the trials under way leave over; with "no", the reason.
        """
        uncertain = bool(committed) or self._uncertain()
        return self._fits(items, committed, uncertain, f"trial of {items} images", now)

    def _fits(
        self, wanted: int, under_way: int, uncertain: bool, what: str, now: float
    ) -> tuple[Answer, str]:
        """Hold images against every limit.

        Args:
            wanted: Images that are to start.
            under_way: Images that are, or still will be.
            uncertain: Whether it may turn out that less is spent than is reserved.
            what: What is to start, in words.
            now: Seconds.
        """
        answer: Answer = "go"
        reserved = under_way + len(self._withdrawn) + self._unseen
        for name, limit in self.budget.as_dict().items():
            used: float = getattr(self._spent, name)
            each = 1.0 if name == "images" else self._expected(name, wanted)
            if name == "seconds":
                used, each = self._elapsed(now), each if wanted == 1 else self._pace(now)
            never = used >= limit or used + wanted * (each or 0.0) > limit
            side_by_side = name == "seconds" and wanted == 1
            later = (
                reserved and not side_by_side and (each is None or used + (reserved + wanted) * each > limit)
            )
            if never or (later and not uncertain):
                return "no", f"the budget of {limit:g} {UNITS[name]} pays for no other {what}"
            if later:
                answer = "wait"
        return answer, ""

    def _pace(self, now: float) -> float | None:
        """Wall time for an image while all endpoints work, or None before the first one."""
        made = self._spent.images - self._before.images
        if self._first is None or made < 2:
            return None
        return (now - self._first) / (made - 1)
