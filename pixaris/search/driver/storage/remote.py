"""What a trial holds of the search's files on a node that does not have them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

import ray
from ray.exceptions import RayError, RayTaskError

from pixaris.cache.base import CachedImage, CacheStore
from pixaris.endpoints.ray.messages import ActorHandle
from pixaris.exceptions import PixarisError, StorageError, first_line
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.images import EncodedImage
from pixaris.search.driver.storage.actor import RunNews, Which
from pixaris.types import EvalSet, GeneratedImage, ItemResult, RunRecord


class RemoteStorage:
    """A trial process's hold of the storage actor. Thread-safe.

    Each image's bytes travel once: what the actor has on its disk is named by its digest after that.

    Args:
        actor: Its handle.
    """

    def __init__(self, actor: ActorHandle) -> None:
        self.actor = actor
        self._there: set[str] = set()

    def log(self, text: str) -> None:
        """Append to the search's file of unexpected errors."""
        try:
            ray.get(self.actor.log.remote(text))
        except RayError:
            logging.getLogger(__name__).debug("the log's text could not be sent", exc_info=True)

    def bare(self, image: EncodedImage) -> EncodedImage:
        """An image without its bytes, where the actor has them."""
        if image.digest in self._there:
            return EncodedImage(b"", image.digest)
        return image

    def there(self, images: Iterable[EncodedImage]) -> None:
        """The actor has these on its disk."""
        self._there.update(image.digest for image in images)


class RemoteCache(CacheStore):
    """A store on the driver's machine.

    Args:
        storage: Reaches it.
        which: Which one.
    """

    def __init__(self, storage: RemoteStorage, which: Which) -> None:
        self._storage = storage
        self._which = which

    def get(self, key: str) -> CachedImage | None:
        try:
            found: CachedImage | None = ray.get(self._storage.actor.get.remote(self._which, key))
        except RayError as error:
            _help_only(error)
            return None
        if found is not None:
            self._storage.there((found.image, *found.others))
        return found

    def put(self, key: str, made: CachedImage) -> CachedImage | None:
        bare = self._storage.bare
        short = replace(made, image=bare(made.image), others=tuple(map(bare, made.others)))
        try:
            kept = self._put(key, short)
            if kept is None:
                # The bytes were to be there and are not: the actor was started again, or its cache has made
                # room.
                kept = self._put(key, made)
        except RayError as error:
            _help_only(error)
            return None
        if kept:
            self._storage.there((made.image, *made.others))
        return None  # its file is on another machine

    def _put(self, key: str, made: CachedImage) -> bool | None:
        kept: bool | None = ray.get(self._storage.actor.put.remote(self._which, key, made))
        return kept


class RemoteHandler(ExperimentHandler):
    """Stores results on the driver's machine: sends what is new of a run.

    Args:
        storage: Reaches it.
    """

    def __init__(self, storage: RemoteStorage) -> None:
        self._storage = storage
        self._run_id = ""
        self._sent: dict[int, ItemResult] = {}

    def store_results(self, run: RunRecord) -> None:
        """Store a run as it stands.

        Raises:
            PixarisError: It cannot be stored there.
        """
        if run.id != self._run_id:  # a process works at one run after the other
            self._run_id, self._sent = run.id, {}
        # By identity: an item that has changed is another object.
        fresh = [item for item in run.items if self._sent.get(item.index) is not item]
        if not self._send(run, [_mapped(item, self._storage.bare) for item in fresh]):
            self._send(run, run.items)
        self._sent.update({item.index: item for item in fresh})

    def _send(self, run: RunRecord, items: Iterable[ItemResult]) -> bool:
        order = tuple(item.index for item in run.items)
        light = replace(run, items=(), eval_set=EvalSet(run.eval_set.name, ()), workflow_image=None)
        news = RunNews(light, order, tuple(items))
        try:
            stored: bool | PixarisError = ray.get(self._storage.actor.store_results.remote(news))
        except RayTaskError as error:
            raise error.cause from error
        except RayError as error:
            raise StorageError(
                "results cannot be kept: the process that keeps them on the driver's machine does not answer"
                f" ({first_line(str(error))}); resume"
            ) from None
        if isinstance(stored, PixarisError):
            raise stored
        return stored


def _mapped(item: ItemResult, change: Callable[[EncodedImage], EncodedImage]) -> ItemResult:
    """A result with its images changed."""
    generated = item.generated
    if generated is not None:
        generated = _changed(generated, change)
    return replace(item, generated=generated, samples=tuple(_mapped(one, change) for one in item.samples))


def _changed(made: GeneratedImage, change: Callable[[EncodedImage], EncodedImage]) -> GeneratedImage:
    return replace(made, image=change(made.image), others=tuple(map(change, made.others)))


def _help_only(error: RayError) -> None:
    """A store is a help and never a reason to fail."""
    logging.getLogger(__name__).warning("the driver's store does not answer: %s", first_line(str(error)))
