"""Takes images from a cache, and keeps what is generated in it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from functools import partial

from pixaris.cache.base import CachedImage, CacheStore
from pixaris.exceptions import CancelledRequestError
from pixaris.experiment.submitters import Submitter
from pixaris.generation.base import ItemArgs
from pixaris.types import GeneratedImage


class CachingSubmitter(Submitter):
    """Submits only the items that the cache does not have. It belongs above everything that counts what
    images cost.

    An image is kept as soon as it arrives, before anybody scores it: a program that is killed then has it the
    next time.

    Args:
        key: Tells items apart, ``ImageGenerator.cache_key`` for instance; an item without a key is always
            generated.
        submitter: Has the others generated.
        cache: Has images.
        own: Whether what it has was made, and paid, by the same run: then it does not count as taken from a
            cache, and what another cache gives is not kept in it.
    """

    def __init__(
        self,
        key: Callable[[ItemArgs], str | None],
        submitter: Submitter,
        cache: CacheStore,
        *,
        own: bool = False,
    ) -> None:
        self._key = key
        self._submitter = submitter
        self._cache = cache
        self._own = own
        self._submitted: dict[Future[GeneratedImage], Future[GeneratedImage]] = {}

    def submit(self, items: Sequence[ItemArgs], priority: int) -> list[Future[GeneratedImage]]:
        keys = [self._key(args) for args in items]
        futures: list[Future[GeneratedImage]] = [Future() for _ in items]
        missing: list[int] = []
        for index, (args, key) in enumerate(zip(items, keys, strict=True)):
            found = self._cache.get(key) if key is not None else None
            if found is None:
                missing.append(index)
                continue
            where, seconds, cost = found.endpoint, found.seconds, found.cost
            taken = GeneratedImage(
                uuid.uuid4().hex,
                args.item,
                found.image,
                where,
                seconds,
                cost=cost,
                cached=not self._own,
                others=found.others,
            )
            futures[index].set_result(taken)
        if missing:
            submitted = self._submitter.submit([items[index] for index in missing], priority)
            for index, inner in zip(missing, submitted, strict=True):
                outer = futures[index]
                # whoever holds it cannot cancel it, so setting it cannot fail
                outer.set_running_or_notify_cancel()
                self._submitted[outer] = inner
                inner.add_done_callback(partial(self._arrived, outer, keys[index]))
        return futures

    def promote(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        self._submitter.promote(self._inner(futures))

    def cancel(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        self._submitter.cancel(self._inner(futures))

    def _inner(self, futures: Sequence[Future[GeneratedImage]]) -> list[Future[GeneratedImage]]:
        submitted: Mapping[Future[GeneratedImage], Future[GeneratedImage]] = self._submitted.copy()
        return [submitted[future] for future in futures if future in submitted]

    def _arrived(self, outer: Future[GeneratedImage], key: str | None, inner: Future[GeneratedImage]) -> None:
        try:
            made = inner.result()
            if key is not None and not (self._own and made.cached):
                kept = self._cache.put(
                    key, CachedImage(made.image, made.endpoint, made.seconds, made.cost, made.others)
                )
                if kept is not None:
                    made = replace(made, image=kept.image, others=kept.others)
            outer.set_result(made)
        except CancelledError:  # before it began
            outer.set_exception(CancelledRequestError("the request was cancelled"))
        except Exception as error:  # noqa: BLE001  (passed on as it is)
            outer.set_exception(error)
        finally:
            self._submitted.pop(outer, None)
