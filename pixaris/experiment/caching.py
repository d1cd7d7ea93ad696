"""Takes images from a cache, and keeps what is generated in it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from pixaris.cache.base import CachedImage, CacheStore
from pixaris.exceptions import CancelledRequestError
from pixaris.experiment.submitters import Submitter
from pixaris.generation.base import ItemArgs
from pixaris.types import GeneratedImage

Keys: TypeAlias = Sequence[str | None]
"""An item's key in each store."""


@dataclass(frozen=True)
class Layer:
    """A store of images, and how items are told apart in it.

    Attributes:
        key: ``ImageGenerator.cache_key`` for instance; an item without a key is always generated.
        store: Has images.
        own: Whether what it has was made, and paid, by the same run: then it does not count as taken from a
            cache, and what another store gives is not kept in it.
    """

    key: Callable[[ItemArgs], str | None]
    store: CacheStore
    own: bool = False


class CachingSubmitter(Submitter):
    """Submits only the items that no store has. It belongs above everything that counts what images cost.

    An image is kept as soon as it arrives, before anybody scores it: a program that is killed then has it the
    next time. The first store has it first: what a run has made must not be found in a cache alone.

    Args:
        submitter: Has the others generated.
        layers: The stores, in the order in which they are asked, and in which they are given what is made.
    """

    def __init__(self, submitter: Submitter, layers: Sequence[Layer]) -> None:
        self._submitter = submitter
        self._layers = tuple(layers)
        self._submitted: dict[Future[GeneratedImage], Future[GeneratedImage]] = {}

    def submit(self, items: Sequence[ItemArgs], priority: int) -> list[Future[GeneratedImage]]:
        futures: list[Future[GeneratedImage]] = [Future() for _ in items]
        missing: dict[int, Keys] = {}
        for index, args in enumerate(items):
            keys: list[str | None] = []
            found = self._find(args, keys)
            if found is None:
                missing[index] = keys
            else:
                futures[index].set_result(found)
        if missing:
            submitted = self._submitter.submit([items[index] for index in missing], priority)
            for index, inner in zip(missing, submitted, strict=True):
                outer = futures[index]
                # whoever holds it cannot cancel it, so setting it cannot fail
                outer.set_running_or_notify_cancel()
                self._submitted[outer] = inner
                inner.add_done_callback(partial(self._arrived, outer, missing[index]))
        return futures

    def _find(self, args: ItemArgs, keys: list[str | None]) -> GeneratedImage | None:
        """An item's image from the first store that has it; `keys` gets the item's key in each that was
        asked.
        """
        for layer in self._layers:
            key = layer.key(args)
            keys.append(key)
            if key is not None:
                found = layer.store.get(key)
            else:
                found = None
            if found is not None:
                return GeneratedImage(
                    uuid.uuid4().hex,
                    args.item,
                    found.image,
                    found.endpoint,
                    found.seconds,
                    cost=found.cost,
                    cached=not layer.own,
                    others=found.others,
                )
        return None

    def _keep(self, keys: Keys, made: GeneratedImage) -> GeneratedImage:
        for layer, key in zip(self._layers, keys, strict=True):
            if key is None or (layer.own and made.cached):
                continue
            image = CachedImage(made.image, made.endpoint, made.seconds, made.cost, made.others)
            kept = layer.store.put(key, image)
            if kept is not None:
                made = replace(made, image=kept.image, others=kept.others)
        return made

    def promote(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        self._submitter.promote(self._inner(futures))

    def cancel(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        self._submitter.cancel(self._inner(futures))

    def _inner(self, futures: Sequence[Future[GeneratedImage]]) -> list[Future[GeneratedImage]]:
        submitted: Mapping[Future[GeneratedImage], Future[GeneratedImage]] = self._submitted.copy()
        return [submitted[future] for future in futures if future in submitted]

    def _arrived(self, outer: Future[GeneratedImage], keys: Keys, inner: Future[GeneratedImage]) -> None:
        try:
            outer.set_result(self._keep(keys, inner.result()))
        except CancelledError:  # before it began
            outer.set_exception(CancelledRequestError("the request was cancelled"))
        except Exception as error:  # noqa: BLE001  (passed on as it is)
            outer.set_exception(error)
        finally:
            self._submitted.pop(outer, None)
