"""The contract of what keeps images by key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from pixaris.cache.base import CachedImage, CacheStore
from pixaris.images import EncodedImage
from pixaris.testing.rules import copied, require


def check_cache_store(make_store: Callable[[], CacheStore]) -> None:
    """Check a store against the contract of `CacheStore`.

    Args:
        make_store: Makes a store; called several times, as if by several processes that share one.

    Raises:
        ContractError: A rule is broken.
    """
    store = make_store()
    require(store.get(_key("nothing")) is None, "a key that nothing was put under has nothing")
    for number in range(3):
        store.put(_key(number), _made(number))
    for reader in (store, make_store(), copied(store)):
        for number in range(3):
            _require_same(reader.get(_key(number)), _made(number), "what was put comes back as it was")
    several = CachedImage(_image(4), "http://one", 0.5, None, (_image(5), _image(6)))
    store.put(_key("several"), several)
    _require_same(make_store().get(_key("several")), several, "further images of an execution come back too")
    kept = store.put(_key(0), _made(0))
    require(
        kept is None or (kept.image.file is None or kept.image.file.read_bytes() == kept.image.data),
        "the file that put() tells of has the image's bytes",
    )
    _check_side_by_side(make_store)


def _check_side_by_side(make_store: Callable[[], CacheStore]) -> None:
    """Several use it at the same time: nobody sees half an image, or another one."""

    def use(number: int) -> CachedImage | None:
        store, key = make_store(), _key(f"shared {number % 3}")
        store.put(key, _made(number % 3))
        return store.get(key)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(use, range(24)))
    for number, made in enumerate(found):
        if made is not None:  # it may have been thrown out for others
            _require_same(made, _made(number % 3), "who uses a store beside others sees whole images")


def _require_same(found: CachedImage | None, made: CachedImage, rule: str) -> None:
    require(found is not None, f"{rule} (it is missing)")
    assert found is not None, "required above"
    require(found == made, f"{rule} (got {found!r})")
    for one, other in zip((found.image, *found.others), (made.image, *made.others), strict=True):
        require(one.data == other.data, f"{rule}, byte for byte")


def _key(name: object) -> str:
    return hashlib.sha256(f"contract {name}".encode()).hexdigest()


def _image(number: int) -> EncodedImage:
    return EncodedImage.of(Image.new("RGB", (4 + number, 4), (number, 100, 200)))


def _made(number: int) -> CachedImage:
    return CachedImage(_image(number), f"http://server:{number}", number / 7, float(number) or None)
