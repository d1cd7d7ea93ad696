"""The seam of what brings endpoints up while a search runs, and what it reports."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pixaris.endpoints.base import Endpoint
from pixaris.exceptions import PixarisError, UnreachableError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Up:
    """An endpoint is there.

    Attributes:
        name: Which of the feed's names it is.
        endpoint: The endpoint.
        answered: Whether it has answered already; else the pool's first probe will tell.
    """

    name: str
    endpoint: Endpoint
    answered: bool = True


@dataclass(frozen=True)
class Down:
    """An endpoint is gone."""

    url: str


@dataclass(frozen=True)
class Failed:
    """What a name stands for does not come up, at least for now. The error's text is told to the user."""

    name: str
    error: PixarisError


@dataclass(frozen=True)
class Told:
    """A sentence for the user."""

    sentence: str


Notice: TypeAlias = Up | Down | Failed | Told
Report: TypeAlias = Callable[[Notice], None]


class Feed(ABC):
    """Brings up the endpoints of a source and watches them, in threads of its own.

    Whoever uses it calls `start` once and `stop` once, from one thread; `stop` is called even if `start`
    raised. For every one of `names` the feed reports `Up` or `Failed` within a time of its own; what failed
    may come up later.
    """

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """What it is to bring up, unique among all feeds of a search."""

    @abstractmethod
    def start(self, report: Report) -> None:
        """Begin, without waiting for anything.

        Args:
            report: Takes every notice; called from the feed's threads.
        """

    @abstractmethod
    def stop(self) -> None:
        """End what it started; nothing is reported afterwards."""


def run_thread(names: Sequence[str], work: Callable[[], None], report: Report) -> threading.Thread:
    """Start a feed's thread. A fault in it is reported, because somebody may wait for what it brings up.

    Args:
        names: Those of the feed's names that the thread serves.
        work: What the thread does.
        report: As `Feed.start`.
    """

    def body() -> None:
        try:
            work()
        except PixarisError as error:
            for name in names:
                report(Failed(name, error))
        except Exception as error:
            log.exception("the watch over %s failed", ", ".join(names))
            for name in names:
                report(Failed(name, UnreachableError(f"{name}: {type(error).__name__}: {error}")))

    thread = threading.Thread(target=body, name=f"pixaris-{names[0]}", daemon=True)
    thread.start()
    return thread
