"""The images that a search has made, kept in its own folder while it runs."""

from __future__ import annotations

import hashlib

from pixaris.cache.base import CacheStore
from pixaris.cache.local import NO_LIMIT, LocalCache
from pixaris.results.paths import SearchPaths


def own_key(run_id: str, item: str, repeat: int) -> str:
    """The key in `own_images` of the image of a run, an item and its seed's number."""
    return hashlib.sha256("\0".join((run_id, item, str(repeat))).encode()).hexdigest()


def own_images(paths: SearchPaths) -> LocalCache:
    """The search's images, each once, for the process that goes on with it."""
    paths.store.mkdir(exist_ok=True)
    return LocalCache(paths.store, NO_LIMIT, make_folder=False)


def known_images(paths: SearchPaths, cache: CacheStore | None) -> CacheStore:
    """What need not be generated again: without a cache, what this very search has made.

    Args:
        paths: The search's.
        cache: The user's, or None.
    """
    if cache is not None:
        return cache
    paths.answers.mkdir(parents=True, exist_ok=True)
    return LocalCache(paths.answers, NO_LIMIT, make_folder=False)
