"""The actor on the driver's node that keeps what trials on other nodes make."""

from __future__ import annotations

import contextlib
import os
import pickle
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import ray

from pixaris.cache.base import CachedImage, CacheStore
from pixaris.exceptions import PixarisError
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.files import append_text, storing
from pixaris.images import EncodedImage
from pixaris.results.paths import SearchPaths
from pixaris.types import EvalSet, GeneratedImage, ItemResult, RunRecord

Which: TypeAlias = Literal["store", "cache"]


@dataclass(frozen=True)
class Kept:
    """Where a search keeps what it makes, all of it on the driver's machine.

    Attributes:
        handler: Keeps the trials' results.
        store: Images that the search has made.
        cache: Images that need not be generated again.
        paths: The search's own folder.
        eval_set: Belongs to every run; it does not travel with each.
        workflow_image: So does the workflow's picture, or None.
    """

    handler: ExperimentHandler
    store: CacheStore
    cache: CacheStore
    paths: SearchPaths
    eval_set: EvalSet
    workflow_image: EncodedImage | None


@dataclass(frozen=True)
class RunNews:
    """What is new of a run since it was stored last.

    Attributes:
        run: The run without its items, its eval set and the workflow's picture.
        order: The indices of all of its items.
        items: Those that are new.
    """

    run: RunRecord
    order: tuple[int, ...]
    items: tuple[ItemResult, ...]


class _ImageOnDisk(EncodedImage):
    """An image whose bytes are read when somebody needs them: most handlers need those of new images only."""

    def __init__(self, known_digest: str, path: Path) -> None:
        object.__setattr__(self, "known_digest", known_digest)
        object.__setattr__(self, "file", path)
        object.__setattr__(self, "path", path)

    @property
    def data(self) -> bytes:
        """PNG bytes."""
        path: Path = self.__dict__["path"]
        return path.read_bytes()

    def __reduce__(self) -> tuple[object, ...]:
        return EncodedImage, (self.data, self.known_digest)


class StorageActor:
    """Keeps results, images and logs for trials that do not share the search's folder. Threaded.

    It may be started again at any time: what it must know of a run it asks its trial for.

    Args:
        held: Pickled reference to what says where everything belongs.
    """

    def __init__(self, held: bytes) -> None:
        kept: Kept = ray.get(pickle.loads(held))
        self._kept = kept
        self._stores: dict[Which, CacheStore] = {"store": kept.store, "cache": kept.cache}
        self._files: dict[str, Path] = {}
        self._runs: dict[str, dict[int, ItemResult]] = {}
        self._storing = threading.Lock()

    def get(self, which: Which, key: str) -> CachedImage | None:
        """As `CacheStore.get`."""
        found = self._stores[which].get(key)
        if found is not None:
            self._learn((found.image, *found.others))
        return found

    def put(self, which: Which, key: str, made: CachedImage) -> bool | None:
        """As `CacheStore.put`.

        Args:
            which: Into which store.
            key: The image's.
            made: The image; its bytes may be left out where this actor has them.

        Returns:
            Whether it is kept; None where bytes are missing.
        """
        store = self._stores[which]
        images = [self._whole(image) for image in (made.image, *made.others)]
        whole = [image for image in images if image is not None]
        if len(whole) < len(images):
            return None
        kept = store.put(key, replace(made, image=whole[0], others=tuple(whole[1:])))
        if kept is None:
            return False
        self._learn((kept.image, *kept.others))
        return True

    def store_results(self, news: RunNews) -> bool | PixarisError:
        """Store a run.

        Returns:
            True; False where something of the run is not known here, so that all of it must be told; or the
            error that keeps it from being stored.
        """
        # One run after the other: the handler is one object, and trials of all nodes call at once.
        with self._storing:
            held = self._runs.setdefault(news.run.id, {})
            try:
                held.update({item.index: self._with_images(item) for item in news.items})
            except KeyError:
                return False
            # This process was started again since the trial told the others.
            if any(index not in held for index in news.order):
                return False
            items = tuple(held[index] for index in news.order)
            run = replace(
                news.run,
                eval_set=self._kept.eval_set,
                workflow_image=self._kept.workflow_image,
                items=items,
            )
            try:
                with storing(self._kept.paths.folder):
                    self._kept.handler.store_results(run)
            except PixarisError as error:
                return error
            # A run that is over is stored once more by nobody: its items need not be held.
            if run.status != "running":
                del self._runs[run.id]
        return True

    def log(self, text: str) -> None:
        """Append to the file of unexpected errors."""
        with contextlib.suppress(OSError):  # the disk may be what failed; the reason travels with the result
            append_text(self._kept.paths.trial_log, text)

    def close(self) -> None:
        """Let the handler write what it has buffered."""
        with self._storing:
            self._kept.handler.close()

    def pid(self) -> int:
        """Its process."""
        return os.getpid()

    def _learn(self, images: Sequence[EncodedImage]) -> None:
        self._files.update({image.digest: image.file for image in images if image.file is not None})

    def _whole(self, image: EncodedImage) -> EncodedImage | None:
        """An image with its bytes; None where they are neither with it nor here."""
        if image.data:
            return image
        file = self._files.get(image.digest)
        try:
            if file is not None:
                return EncodedImage(file.read_bytes(), image.digest, file)
            return None
        except OSError:  # the cache has made room
            return None

    def _with_images(self, item: ItemResult) -> ItemResult:
        """A result whose images can be read.

        Raises:
            KeyError: One is not known here.
        """
        generated = item.generated
        if generated is not None:
            generated = self._readable(generated)
        return replace(item, generated=generated, samples=tuple(map(self._with_images, item.samples)))

    def _readable(self, made: GeneratedImage) -> GeneratedImage:
        image, *others = (self._on_disk(one) for one in (made.image, *made.others))
        return replace(made, image=image, others=tuple(others))

    def _on_disk(self, image: EncodedImage) -> EncodedImage:
        if image.data:
            return image
        return _ImageOnDisk(image.digest, self._files[image.digest])
