"""Never a wrong image: sixteen askers, servers that show in every image what they executed, and everything
dying all the time.

A short form runs with the tests; ``make chaos`` asks for ten thousand images on Ray (``--chaos-requests`` and
``--chaos-seed``).
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
import requests
from kit import start_servers
from PIL import Image
from pool_kit import HASTY, OpenPool, endpoint, fault, heal, node

from pixaris.comfyui.workflow import Workflow
from pixaris.endpoints.base import EndpointPool
from pixaris.endpoints.dispatch.dispatcher import Policy
from pixaris.endpoints.sources import process as server_process
from pixaris.endpoints.sources.process import ServerProcess
from pixaris.generation.base import ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.images import EncodedImage
from pixaris.types import GeneratedImage, GenerationParam

ASKERS = 16
SERVERS = 8
BATCH = 8
ITEMS = 50

SCALED = Workflow.load(
    {
        "1": node("LoadImage", "Load Input Image", image="none.png"),
        "2": node(
            "ImageScale",
            "Scale",
            image=["1", 0],
            upscale_method="nearest-exact",
            width=1,
            height=1,
            crop="disabled",
        ),
        "3": node("SaveImage", "Save Image", images=["2", 0], filename_prefix="chaos"),
    }
)
"""Shows what it executed: the colour is the item's, the size is the parameters'."""

POLICY = Policy(first_quarantine=0.1, max_quarantine=1.0, memory_rest=0.1, rate_rest=0.2)


def colour_of(item: int) -> tuple[int, int, int]:
    return (item * 5 % 256, item * 7 % 256, 255 - item)


class Ask:
    """One request, made of its number, and the check that an image is its own."""

    def __init__(self, number: int, pictures: list[EncodedImage]) -> None:
        self.item = number % ITEMS
        width, height = number // ITEMS % 40 + 1, number // ITEMS // 40 + 1
        self.size = (width, height)
        args = ItemArgs(
            {},
            item=f"item {self.item}",
            images={"Load Input Image": pictures[self.item]},
            params=[GenerationParam("Scale", "width", width), GenerationParam("Scale", "height", height)],
        )
        self.request = ComfyGenerator(SCALED).request(args)

    def check(self, generated: GeneratedImage) -> None:
        assert (generated.request_id, generated.item) == (self.request.id, f"item {self.item}")
        image = generated.image.image
        assert image.size == self.size
        assert image.convert("RGB").getcolors() == [(self.size[0] * self.size[1], colour_of(self.item))]


class Monkey:
    """Breaks something every moment, and mends what it broke."""

    def __init__(
        self, fleet: list[ServerProcess], pool: EndpointPool, seed: int, answered: Callable[[], int]
    ) -> None:
        self._answered = answered
        self.done: Counter[str] = Counter()
        self._fleet, self._pool, self._random = fleet, pool, random.Random(seed)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ours: list[Callable[[], None]] = (
            [self._kill_worker, self._kill_actor] if hasattr(pool, "pids") else []
        )

    @contextmanager
    def breaking(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._thread.join(30)
            for process in self._fleet:
                self._signal(process, signal.SIGCONT)
                with suppress(requests.RequestException):
                    heal(process.url)

    def _run(self) -> None:
        last_of_ours, seen = time.monotonic() - 5, 0  # also where there is little time
        before, patience = 0, 0
        while not self._ended.wait(self._random.uniform(0.05, 0.4)):
            patience = 0 if self._answered() > before else patience + 1
            before = self._answered()
            if patience > SERVERS and patience % 50:
                continue  # everything is broken; on a slow machine it takes its time to come back
            recovered = (
                self._answered() > seen + 40
            )  # on a slow machine the last death must be over before the next one
            if self._ours and recovered and time.monotonic() - last_of_ours > self._random.uniform(4, 8):
                last_of_ours, seen = time.monotonic(), self._answered()
                with suppress(Exception):  # it is being started again after the last time
                    self._random.choice(self._ours)()
                continue
            process = self._random.choice(self._fleet)
            self._random.choice((self._kill, self._freeze, self._fault, self._fault, self._fault))(process)

    def _kill(self, process: ServerProcess) -> None:
        self._signal(process, signal.SIGKILL)
        self.done["server killed (and started again)"] += 1

    def _freeze(self, process: ServerProcess) -> None:
        self._signal(process, signal.SIGSTOP)
        self._ended.wait(self._random.uniform(0.2, 2.0))
        self._signal(process, signal.SIGCONT)
        self.done["server stopped (SIGSTOP) for a while"] += 1

    def _fault(self, process: ServerProcess) -> None:
        name, rule = self._random.choice(FAULTS)
        with suppress(requests.RequestException):  # it is being started
            fault(process.url, name, **rule)
            self.done[name] += 1

    def _kill_worker(self) -> None:
        os.kill(self._random.choice(self._pool.pids()[1:]), signal.SIGKILL)  # type: ignore[attr-defined]
        self.done["endpoint worker killed"] += 1

    def _kill_actor(self) -> None:
        os.kill(self._pool.pids()[0], signal.SIGKILL)  # type: ignore[attr-defined]
        self.done["pool actor killed"] += 1

    def _signal(self, process: ServerProcess, number: int) -> None:
        if process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("delay", {"seconds": 0.3}),
    ("lose", {}),
    ("lose", {"times": 3}),
    ("error500", {"route": "/view"}),
    ("error500", {"route": "/history"}),
    ("error500", {"route": "/upload/image"}),
    ("truncate", {"times": 3}),
    ("truncate", {"times": 2, "how": "cut"}),
    ("refuse", {"times": 3}),
    ("drop_sockets", {}),
    ("crash", {}),
    ("oom", {}),
]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ServerProcess]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            server_process, "_STEADY_SECONDS", 0.0
        )  # however often one is killed, it is started again at once
        with start_servers(tmp_path_factory.mktemp("fleet"), SERVERS, "--faults") as started:
            yield started.processes


@pytest.fixture(scope="module")
def pictures() -> list[EncodedImage]:
    return [EncodedImage.of(Image.new("RGB", (6, 5), colour_of(item))) for item in range(ITEMS)]


def test_every_image_is_the_one_that_was_asked_for_whatever_dies(
    open_pool: OpenPool,
    fleet: list[ServerProcess],
    pictures: list[EncodedImage],
    request: pytest.FixtureRequest,
) -> None:
    count: int = request.config.getoption("--chaos-requests")
    seed: int = request.config.getoption("--chaos-seed")
    timeouts = replace(HASTY, read=1.5)
    pool = open_pool(*(endpoint(process.url, timeouts=timeouts) for process in fleet), policy=POLICY)
    answered: Counter[str] = Counter()
    monkey = Monkey(fleet, pool, seed, lambda: len(answered))
    wrong: list[str] = []

    def ask(first: int) -> None:
        numbers = range(first, count, ASKERS)
        for start in range(0, len(numbers), BATCH):
            asked = [Ask(number, pictures) for number in numbers[start : start + BATCH]]
            for one, future in zip(asked, pool.submit([one.request for one in asked]), strict=True):
                try:
                    one.check(future.result(240))
                except Exception as error:  # noqa: BLE001  (whatever it is, the others' images are looked at too)
                    wrong.append(f"{one.request.item} {one.size}: {type(error).__name__}: {error}")
                answered[one.request.id] += 1

    with monkey.breaking(), ThreadPoolExecutor(ASKERS) as askers:
        for future in [askers.submit(ask, first) for first in range(ASKERS)]:
            future.result()
    print(f"\n{count} images, {dict(monkey.done)}")  # noqa: T201  (what was survived, for whoever calls make chaos)
    assert wrong == []
    assert len(answered) == count
    assert set(answered.values()) == {1}
    assert sum(monkey.done.values()) > 5
    status = pool.status()
    assert (status.waiting, status.failed) == (0, 0)
    if not monkey.done["pool actor killed"]:  # one that is started again counts from zero
        assert status.done == count
