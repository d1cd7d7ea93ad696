"""The seam of what brings endpoints up and watches them while a search runs, and the events it emits."""

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
        name: Which of the discovery's names it is.
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
    """What a name stands for does not come up, at least for now. The user is shown the error's text."""

    name: str
    error: PixarisError


@dataclass(frozen=True)
class Note:
    """A sentence for the user."""

    sentence: str


Event: TypeAlias = Up | Down | Failed | Note
Emitter: TypeAlias = Callable[[Event], None]


class Discovery(ABC):
    """Brings up the endpoints of a source and watches them, in threads of its own.

    Whoever uses it calls `start` once and `stop` once, from one thread; `stop` is called even if `start`
    raised. For every one of `names` it emits `Up` or `Failed` within a time of its own; what failed may come
    up later.
    """

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """What it is to bring up, unique among all discoveries of a search."""

    @abstractmethod
    def start(self, emit: Emitter) -> None:
        """Begin, without waiting for anything.

        Args:
            emit: Takes every event; called from the discovery's threads.
        """

    @abstractmethod
    def stop(self) -> None:
        """End what it started; nothing is emitted afterwards."""


def run_thread(names: Sequence[str], work: Callable[[], None], emit: Emitter) -> threading.Thread:
    """Start a discovery's thread. A fault in it is emitted, because somebody may wait for what it brings up.

    Args:
        names: Those of the discovery's names that the thread serves.
        work: What the thread does.
        emit: As `Discovery.start`.
    """

    def body() -> None:
        try:
            work()
        except PixarisError as error:
            for name in names:
                emit(Failed(name, error))
        except Exception as error:
            # a thread of its own, maybe with a user's code: whoever waits for these endpoints is told
            log.exception("the watch over %s failed", ", ".join(names))
            for name in names:
                emit(Failed(name, UnreachableError(f"{name}: {type(error).__name__}: {error}")))

    thread = threading.Thread(target=body, name=f"pixaris-{names[0]}", daemon=True)
    thread.start()
    return thread
