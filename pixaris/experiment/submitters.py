"""How a run has its images made: through a pool of endpoints, or by calling the generator in threads."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

from pixaris.endpoints.base import EndpointPool
from pixaris.exceptions import ExecutionError, PixarisError
from pixaris.generation.base import ImageGenerator, ItemArgs, choose, makes_itself
from pixaris.images import EncodedImage
from pixaris.types import GeneratedImage, GenerationRequest

log = logging.getLogger(__name__)

AHEAD = 10
"""Priority of images generated before anybody waits for them."""


class Submitter(Protocol):
    """Has items generated: what an experiment run needs of a pool."""

    def submit(self, items: Sequence[ItemArgs], priority: int) -> list[Future[GeneratedImage]]:
        """Queue the items and return their futures."""

    def promote(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        """Make what was queued ahead as urgent as the rest."""

    def cancel(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        """Cancel items nobody waits for any more."""


class PoolSubmitter:
    """Items as requests to an endpoint pool.

    Args:
        generator: Describes them.
        pool: Runs them.
        run: Id of the run they are for: the same item of the same run is then the same request, whoever makes
            it. Without one, every request is one of its own.

    Attributes:
        pool: As given; it may be changed between runs.
        run: As given; likewise.
    """

    def __init__(self, generator: ImageGenerator, pool: EndpointPool, run: str = "") -> None:
        self._generator = generator
        self.pool = pool
        self.run = run
        self._ids: dict[Future[GeneratedImage], str] = {}

    def submit(self, items: Sequence[ItemArgs], priority: int) -> list[Future[GeneratedImage]]:
        requests = [request_of_run(self._generator.request(args), args, self.run) for args in items]
        futures = self.pool.submit(requests, priority=priority)
        self._ids = {f: request_id for f, request_id in self._ids.items() if not f.done()}
        self._ids.update(zip(futures, (request.id for request in requests), strict=True))
        return futures

    def promote(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        if waiting := self._unanswered(futures):
            self.pool.promote(waiting, 0)

    def cancel(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        if waiting := self._unanswered(futures):
            self.pool.cancel(waiting)

    def has(self, future: Future[GeneratedImage]) -> bool:
        """Whether it is one of its own."""
        return future in self._ids

    def _unanswered(self, futures: Sequence[Future[GeneratedImage]]) -> list[str]:
        return [self._ids[future] for future in futures if not future.done() and future in self._ids]


def request_of_run(request: GenerationRequest, args: ItemArgs, run: str) -> GenerationRequest:
    """The request under an id made of the run, the item and its seed's number; as it is, without a run."""
    if not run:
        return request
    return replace(
        request, id=str(uuid.uuid5(uuid.NAMESPACE_OID, "\0".join((run, args.item, str(args.repeat)))))
    )


class ThreadSubmitter:
    """Items as calls of a generator that makes its images itself.

    Args:
        generator: Is called for every item.
        parallel: Calls at once.
    """

    def __init__(self, generator: ImageGenerator, parallel: int) -> None:
        self._generator = generator
        self._threads = ThreadPoolExecutor(
            max_workers=max(1, parallel), thread_name_prefix="pixaris-generator"
        )

    def submit(self, items: Sequence[ItemArgs], priority: int) -> list[Future[GeneratedImage]]:
        return [self._threads.submit(self._generate, args) for args in items]

    def promote(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        pass  # threads take items in the order they came

    def cancel(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        for future in futures:
            future.cancel()

    def _generate(self, args: ItemArgs) -> GeneratedImage:
        generator, own = choose(self._generator, args)
        started = time.monotonic()
        try:
            image, _ = generator.generate_single_image(own)
            encoded = EncodedImage.of(image)
        except PixarisError:
            raise
        except Exception as error:
            # a user's own generator runs here
            log.debug("%s failed for %s", type(generator).__name__, args.item, exc_info=True)
            raise ExecutionError(
                f"{type(generator).__name__} raised {type(error).__name__}: {error}"
            ) from error
        return GeneratedImage(
            uuid.uuid4().hex, args.item, encoded, type(generator).__name__, time.monotonic() - started
        )


class RoutingSubmitter:
    """Items of several generators, some of which ask endpoints and some make their images themselves.

    Args:
        generator: A choice between them.
        pooled: Has those made that go to endpoints.
        called: Calls the generators that need none.
    """

    def __init__(self, generator: ImageGenerator, pooled: PoolSubmitter, called: ThreadSubmitter) -> None:
        self._generator = generator
        self._pooled = pooled
        self._called = called

    def submit(self, items: Sequence[ItemArgs], priority: int) -> list[Future[GeneratedImage]]:
        at_endpoints = [choose(self._generator, args)[0].uses_endpoints for args in items]
        pooled = [args for args, is_pooled in zip(items, at_endpoints, strict=True) if is_pooled]
        called = [args for args, is_pooled in zip(items, at_endpoints, strict=True) if not is_pooled]
        of_pool = iter(self._pooled.submit(pooled, priority) if pooled else ())
        of_calls = iter(self._called.submit(called, priority))
        return [next(of_pool if is_pooled else of_calls) for is_pooled in at_endpoints]

    def promote(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        self._pooled.promote(futures)

    def cancel(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        self._pooled.cancel(futures)
        self._called.cancel([future for future in futures if not self._pooled.has(future)])


def submitter_of(generator: ImageGenerator, pooled: PoolSubmitter | None, parallel: int) -> Submitter:
    """What has a generator's images made.

    Args:
        generator: One, or a choice between several.
        pooled: For those that ask endpoints.
        parallel: Calls at once of those that make their images themselves.
    """
    if pooled is None:
        return ThreadSubmitter(generator, parallel)
    if makes_itself(generator):
        return RoutingSubmitter(generator, pooled, ThreadSubmitter(generator, parallel))
    return pooled
