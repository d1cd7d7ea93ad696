"""The host that is this process: threads that take what waits and answer it in batches."""

from __future__ import annotations

import os
import queue
import threading
from concurrent.futures import Future
from typing import Any

from pixaris.exceptions import ConfigurationError
from pixaris.metrics.hosts.service import A, Host, Q, Service


class LocalHost(Host):
    """Keeps services in this process. A service is opened by the first request for it, in a thread of its
    own.
    """

    def __init__(self) -> None:
        self._desks: dict[str, _Desk] = {}
        self._lock = threading.Lock()

    def submit(self, service: Service[Q, A], request: Q) -> Future[A]:
        with self._lock:
            desk = self._desks.get(service.key)
            if desk is None:
                desk = self._desks[service.key] = _Desk(service)
        future: Future[A] = Future()
        desk.put(request, future)
        return future


class _Desk:
    """One service: its queue, and as many threads as it answers batches at once, started as they are
    needed.
    """

    def __init__(self, service: Service[Any, Any]) -> None:
        self._service = service
        self._waiting: queue.SimpleQueue[tuple[Any, Future[Any]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._threads = 0
        self._asked = 0
        self._answer: Any = None
        self._failure: ConfigurationError | None = None

    def put(self, request: object, future: Future[Any]) -> None:
        with self._lock:
            self._asked += 1
            grow = self._threads < min(self._service.parallel, self._asked)
            self._threads += grow
        self._waiting.put((request, future))
        if grow:
            threading.Thread(
                target=self._serve, name=f"pixaris-{type(self._service).__name__}", daemon=True
            ).start()

    def _serve(self) -> None:
        while True:
            batch = [self._waiting.get()]
            while len(batch) < self._service.batch:
                try:
                    batch.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            wanted = [(request, future) for request, future in batch if future.set_running_or_notify_cancel()]
            if wanted:
                self._settle(wanted)
            with self._lock:
                self._asked -= len(batch)

    def _settle(self, batch: list[tuple[object, Future[object]]]) -> None:
        answers = self._answers([request for request, _ in batch])
        if (
            len(batch) > 1
            and all(isinstance(answer, Exception) for answer in answers)
            and self._failure is None
        ):
            # one request may have spoilt the batch, or the batch was too large: each is asked by itself
            answers = [answer for request, _ in batch for answer in self._answers([request])]
        for (_, future), answer in zip(batch, answers, strict=True):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def _answers(self, requests: list[object]) -> list[object]:
        """As many answers as requests; what cannot be asked at all is every request's answer."""
        try:
            answers = list(self._opened()(requests))
            if len(answers) != len(requests):
                raise AssertionError(f"{len(requests)} requests and {len(answers)} answers")
        except Exception as error:  # noqa: BLE001  (it is the answer to every request)
            return [error] * len(requests)
        return answers

    def _opened(self) -> Any:  # noqa: ANN401  (what the service's `open` gives)
        with self._opening:  # its own lock: who puts requests does not wait for a model to load
            if self._failure is not None:
                raise self._failure  # weights that are not there are not looked for again for every image
            if self._answer is None:
                try:
                    self._answer = self._service.open()
                except ConfigurationError as error:
                    self._failure = error
                    raise
            return self._answer


_hosts: dict[int, LocalHost] = {}
_hosts_lock = threading.Lock()


def this_process() -> LocalHost:
    """The one host of this process; a forked one has its own, because threads do not survive a fork."""
    with _hosts_lock:
        return _hosts.setdefault(os.getpid(), LocalHost())
