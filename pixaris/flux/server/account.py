"""What the server knows: one account's credits, its tasks, and what was asked of it."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pixaris.flux.models import ACTIVE_TASKS, Model
from pixaris.flux.server.faults import DELIVERY, TASK, Faults


@dataclass
class Options:
    """How the server behaves.

    Attributes:
        key: The key it takes; "" takes any.
        credits: The account's balance.
        seconds: How long a task takes.
        active_tasks: Tasks the account may have at once, whatever the model.
        url_seconds: How long an image's signed URL lives.
        faults: Rules to start with; see `pixaris.flux.server.faults`.
    """

    key: str = ""
    credits: float = 1000.0
    seconds: float = 0.3
    active_tasks: int = ACTIVE_TASKS
    url_seconds: float = 600.0
    faults: Faults = field(default_factory=Faults)


@dataclass
class Work:
    """A task.

    Attributes:
        id: Its id.
        model: Its model.
        fields: The request's fields, images left out.
        image: The image's file.
        cost: Credits.
        done_at: When it is done.
        faults: What is wrong with it.
        polls: How often it was asked for.
        hidden: Whether the client was not told where to poll.
        signature: Of its image's URL.
        dies_at: When that ends.
    """

    id: str
    model: Model
    fields: Mapping[str, object]
    image: bytes
    cost: float
    done_at: float
    faults: frozenset[str] = frozenset()
    polls: int = 0
    hidden: bool = False
    signature: str = ""
    dies_at: float = 0.0


@dataclass(frozen=True)
class Asked:
    """A request as it came in.

    Attributes:
        place: "api", "region" or "delivery".
        method: HTTP method.
        path: With its query.
        key: The key it carried, or "".
        body: Its JSON, or None.
    """

    place: str
    method: str
    path: str
    key: str
    body: object = None


class Account:
    """One account. Lives in the server's loop.

    Args:
        options: How it behaves.
        now: Seconds, monotonic.
    """

    def __init__(self, options: Options, now: Callable[[], float] = time.monotonic) -> None:
        self.options = options
        self.faults = options.faults
        self.credits = options.credits
        self.works: dict[str, Work] = {}
        self.asked: deque[Asked] = deque(maxlen=2000)
        self.most_active = 0
        self.arriving = 0
        self.now = now

    @property
    def submitted(self) -> int:
        """Tasks ever accepted."""
        return len(self.works)

    def active(self) -> int:
        """Tasks that are not done, and those that are being taken."""
        return self.arriving + sum(work.done_at > self.now() for work in self.works.values())

    def limit(self, model: Model) -> int:
        """Tasks it may have at once with a model."""
        return min(self.options.active_tasks, model.active_tasks)

    def accept(self, model: Model, fields: Mapping[str, object], image: bytes, cost: float) -> Work:
        """Take a task."""
        struck = self.faults.strike(*TASK)
        work = Work(
            str(uuid.uuid4()),
            model,
            fields,
            image,
            cost,
            self.now() + self.options.seconds,
            frozenset(struck),
        )
        self.works[work.id] = work
        # Less one: it is counted among those that arrive, too.
        self.most_active = max(self.most_active, self.active() - 1)
        if not {"request", "content"} & work.faults:
            self.credits -= cost
        return work

    def sign(self, work: Work) -> str:
        """The query of an image's URL; a new one each time."""
        work.signature, work.dies_at = uuid.uuid4().hex, self.now() + self.options.url_seconds
        return f"sig={work.signature}"

    def delivery_fault(self) -> str:
        """What goes wrong with this download, or ""."""
        return next(iter(self.faults.strike(*DELIVERY)), "")
