"""The pool on threads with clients of all tempers: it stays whole, whatever a client does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from PIL import Image
from pool_kit import POLICY, Asked, answers, colour, endpoint, healthy, idle, run, until

from pixaris.endpoints.base import Endpoint, EndpointClient
from pixaris.endpoints.connection import Connection
from pixaris.endpoints.dispatch.dispatcher import Lease
from pixaris.endpoints.local import LocalPool
from pixaris.exceptions import (
    AccountError,
    CancelledRequestError,
    InterruptedPromptError,
    PixarisError,
    PromptRejectedError,
    RateLimitedError,
    UnreachableError,
)
from pixaris.images import EncodedImage
from pixaris.types import GeneratedImage, GenerationRequest

A, B = Endpoint("http://a"), Endpoint("http://b")
OpenPool = Callable[..., LocalPool]


class Painter(EndpointClient):
    """Makes what is asked for, after doing whatever `first` does.

    Args:
        first: Called with this client and the request before each image.
    """

    def __init__(self, first: Callable[[Painter, GenerationRequest], object] = lambda *_: None) -> None:
        self._first = first
        self._lock = threading.Lock()
        self.runs: list[str] = []
        self.probes = 0
        self.cancelled: list[str] = []
        self.closed = False

    def run(self, request: GenerationRequest) -> GeneratedImage:
        with self._lock:
            self.runs.append(request.item)
        self._first(self, request)
        number = int(request.item.split()[1])
        image = Image.new("RGB", (4, 4), (number >> 16, number >> 8 & 255, number & 255))
        return GeneratedImage(request.id, request.item, EncodedImage.of(image), "painter", 0.0)

    def probe(self) -> None:
        self.probes += 1

    def cancel(self, request_id: str) -> None:
        self.cancelled.append(request_id)

    def close(self) -> None:
        self.closed = True


def failing(error: Exception, times: int = 10**9) -> Callable[[Painter, GenerationRequest], object]:
    """Raises, so many times."""

    def first(client: Painter, request: GenerationRequest) -> None:
        if len(client.runs) <= times:
            raise error

    return first


def colours(count: int, first: int = 1) -> list[Asked]:
    return [colour(number) for number in range(first, first + count)]


def test_an_account_that_is_refused_stops_everything(local_pool: OpenPool) -> None:
    release = threading.Event()
    refuses = Painter(failing(AccountError("no credits left", endpoint=A.url)))
    works = Painter(lambda *_: release.wait(10))
    pool = local_pool(A, B, connect=lambda e: refuses if e == A else works)
    until(lambda: healthy(pool) == 2)
    futures = pool.submit([one.request for one in colours(12)])
    for future in futures:
        error = future.exception(5)
        assert isinstance(error, AccountError)
        assert error.endpoint == A.url
    assert isinstance(pool.status().fatal, AccountError)
    assert pool.status().waiting == 0
    until(lambda: sorted(works.cancelled), 3)  # what ran elsewhere is withdrawn there
    (late,) = pool.submit([colour(50).request])
    assert isinstance(late.exception(1), AccountError)
    release.set()
    until(lambda: idle(pool))
    assert len(refuses.runs) + len(works.runs) <= 4


def test_a_client_that_raises_what_it_must_not_is_an_endpoint_that_failed(local_pool: OpenPool) -> None:
    odd, works = Painter(failing(ValueError("a bug"), times=2)), Painter()
    pool = local_pool(A, B, connect=lambda e: odd if e == A else works)
    asked = colours(20)
    run(pool, asked)
    assert "ValueError: a bug" in pool.status().events[0]
    until(lambda: [one.state for one in pool.status().endpoints] == ["healthy", "healthy"])


def test_a_probe_that_raises_what_it_must_not_is_repeated(local_pool: OpenPool) -> None:
    class Odd(Painter):
        def probe(self) -> None:
            super().probe()
            if self.probes < 3:
                raise KeyError("a bug")

    odd = Odd()
    run(local_pool(A, connect=lambda _: odd), colours(4))
    assert odd.probes == 3


def test_an_image_of_another_request_is_not_passed_on(local_pool: OpenPool) -> None:
    class Confused(Painter):
        def run(self, request: GenerationRequest) -> GeneratedImage:
            image = super().run(request)
            return replace(image, item="somebody else's") if len(self.runs) < 3 else image

    pool = local_pool(A, connect=lambda _: Confused())
    run(pool, colours(6))
    assert "somebody else's" in pool.status().events[0]


def test_a_client_that_asks_to_wait_is_asked_again_later(local_pool: OpenPool) -> None:
    busy = Painter(failing(RateLimitedError("slow down", endpoint=A.url, retry_after=0.3), times=2))
    pool = local_pool(A, connect=lambda _: busy)
    started = time.monotonic()
    run(pool, colours(3))
    assert time.monotonic() - started > 0.25
    assert pool.status().endpoints[0].state == "healthy"


def test_a_request_fails_with_its_last_error_after_so_many_attempts(local_pool: OpenPool) -> None:
    broken = Painter(failing(UnreachableError("no route", endpoint=A.url)))
    pool = local_pool(A, connect=lambda _: broken, policy=replace(POLICY, max_attempts=2, max_quarantine=0.1))
    (future,) = pool.submit([colour(1).request])
    error = future.exception(5)
    assert isinstance(error, UnreachableError)
    assert (error.message, error.endpoint, len(broken.runs)) == ("no route", A.url, 2)
    assert pool.status().failed == 1


def test_futures_cannot_be_cancelled_behind_the_pools_back(local_pool: OpenPool) -> None:
    pool = local_pool(A, connect=lambda _: Painter(lambda *_: time.sleep(0.05)))
    asked = colours(6)
    futures = pool.submit([one.request for one in asked])
    assert not any(future.cancel() for future in futures)
    answers(asked, futures)


def test_endpoints_that_join_later_are_all_used_at_once(local_pool: OpenPool) -> None:
    together = threading.Barrier(24, timeout=5)
    pool = local_pool(connect=lambda _: Painter(lambda *_: together.wait()))
    asked = colours(24)
    futures = pool.submit([one.request for one in asked])
    for number in range(12):
        pool.join(Endpoint(f"http://{number}"))
    answers(asked, futures)


def test_an_endpoint_that_hangs_holds_up_neither_others_nor_who_cancels(local_pool: OpenPool) -> None:
    release = threading.Event()
    hangs, works = Painter(lambda *_: release.wait(20)), Painter()
    pool = local_pool(A, B, connect=lambda e: hangs if e == A else works)
    try:
        until(lambda: [one.state for one in pool.status().endpoints] == ["healthy", "healthy"])
        for start in range(1, 400, 20):
            asked = colours(20, start)
            futures = pool.submit([one.request for one in asked])
            until(lambda futures=futures: sum(future.done() for future in futures) == 18)
            started = time.monotonic()
            pool.cancel([one.id for one in asked])
            assert time.monotonic() - started < 1
            assert all(future.done() for future in futures)
    finally:
        release.set()


def test_a_probe_that_hangs_holds_up_nobody_who_closes_the_pool(local_pool: OpenPool) -> None:
    release = threading.Event()

    class Frozen(Painter):
        def probe(self) -> None:
            super().probe()
            release.wait(20)

    frozen = Frozen()
    pool = local_pool(A, B, connect=lambda e: frozen if e == A else Painter())
    try:
        run(pool, colours(4))
        assert frozen.probes == 1
        started = time.monotonic()
        pool.close()
        assert time.monotonic() - started < 2
        assert frozen.closed
    finally:
        release.set()


def test_the_same_request_can_come_again_after_it_was_cancelled(local_pool: OpenPool) -> None:
    class Slow(Painter):
        def run(self, request: GenerationRequest) -> GeneratedImage:
            image = super().run(request)
            until(lambda: request.id in self.cancelled or len(self.runs) > 1)
            if request.id in self.cancelled and len(self.runs) == 1:
                raise CancelledRequestError("as was asked")
            return image

    slow = Slow()
    pool = local_pool(A, connect=lambda _: slow)
    asked = colour(3)
    (first,) = pool.submit([asked.request])
    until(lambda: slow.runs)
    pool.cancel([asked.id])
    answers([asked], pool.submit([asked.request]))
    assert isinstance(first.exception(1), CancelledRequestError)


def test_many_threads_submit_cancel_and_look_at_once(local_pool: OpenPool) -> None:
    def now_and_then(client: Painter, request: GenerationRequest) -> None:
        if len(client.runs) % 7 == 0:
            raise UnreachableError("now and then", endpoint=A.url)

    flaky = Painter(now_and_then)
    pool = local_pool(A, B, connect=lambda e: flaky if e == A else Painter())
    kept: list[Asked] = []

    def work(number: int) -> None:
        for step in range(10):
            asked = colours(6, 1000 * number + 10 * step)
            futures = pool.submit([one.request for one in asked], priority=step % 3)
            pool.promote([asked[1].id, asked[5].id], 0)
            pool.cancel([asked[5].id])
            assert pool.status().fatal is None
            answers(asked[:5], futures[:5])
            assert futures[5].done()
            kept.extend(asked[:5])

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    status = pool.status()
    assert len(kept) == 300
    assert 300 <= status.done <= 360
    assert (status.failed, status.waiting) == (0, 0)
    assert sum(one.done for one in status.endpoints) == status.done


def test_close_closes_every_client_and_can_be_repeated(local_pool: OpenPool) -> None:
    painters = {A.url: Painter(), B.url: Painter()}
    pool = local_pool(A, B, connect=lambda e: painters[e.url])
    run(pool, colours(4))
    pool.close()
    pool.close()
    assert all(painter.closed for painter in painters.values())


# One connection


def lease(serial: int) -> Lease:
    return Lease("key", A.url, 1, serial)


def test_a_run_that_was_cancelled_before_it_began_does_not_begin() -> None:
    painter = Painter()
    connection = Connection(A.url, painter)
    connection.cancel(lease(1))
    with pytest.raises(CancelledRequestError):
        connection.run(lease(1), colour(1).request)
    connection.run(lease(2), colour(1).request)
    assert painter.runs == ["colour 1"]


def test_a_cancellation_is_repeated_until_the_client_knows_the_request() -> None:
    class Late(Painter):
        """Notices a cancellation only when it has got so far, as a client that has not told the server
        yet.
        """

        def run(self, request: GenerationRequest) -> GeneratedImage:
            self.runs.append(request.item)
            time.sleep(0.1)
            self.cancelled.clear()
            until(lambda: self.cancelled, 3)
            raise CancelledRequestError("withdrawn")

    late = Late()
    connection = Connection(A.url, late)
    asked = colour(1).request
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(connection.run, lease(1), asked)
        until(lambda: late.runs)
        connection.cancel(lease(1))
        assert isinstance(running.exception(3), CancelledRequestError)
    assert late.cancelled == [asked.id]


def test_a_request_that_somebody_else_withdrew_is_tried_elsewhere() -> None:
    connection = Connection(A.url, Painter(failing(CancelledRequestError("by somebody"))))
    with pytest.raises(InterruptedPromptError, match="somebody else"):
        connection.run(lease(1), colour(1).request)


@pytest.mark.parametrize(
    "error", [PromptRejectedError("no", endpoint="http://a", node="Save Image"), UnreachableError("gone")]
)
def test_typed_errors_pass_as_they_are(error: PixarisError) -> None:
    with pytest.raises(type(error)) as caught:
        Connection(A.url, Painter(failing(error))).run(lease(1), colour(1).request)
    assert caught.value is error


def test_timeouts_of_an_endpoint_reach_its_client(local_pool: OpenPool) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    with silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        pool = local_pool(endpoint(url, timeouts=replace(endpoint(url).timeouts, read=0.2)))
        until(lambda: pool.status().events, 3)
        assert "did not answer within 0.2 s" in pool.status().events[0]
