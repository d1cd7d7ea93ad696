"""Every store keeps the contract, and the contract notices those that do not."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from gcs_stand_in import BucketServer

from pixaris.cache.base import CachedImage, CacheStore
from pixaris.cache.bucket import BucketCache
from pixaris.cache.local import LocalCache
from pixaris.gcp.storage import BucketPath
from pixaris.testing.contracts import ContractError, check_cache_store

PLACE = BucketPath.of("gs://pixels/images")


def test_the_folder_keeps_the_contract(tmp_path: Path) -> None:
    check_cache_store(lambda: LocalCache(tmp_path))


def test_a_store_that_throws_images_out_keeps_it_as_long_as_there_is_room(tmp_path: Path) -> None:
    check_cache_store(lambda: LocalCache(tmp_path, limit=100_000))


class Shared(CacheStore):
    """A store in this process."""

    images: dict[str, CachedImage] = {}  # noqa: RUF012  (shared by all of them, as a folder is)

    def get(self, key: str) -> CachedImage | None:
        return self.images.get(key)

    def put(self, key: str, made: CachedImage) -> None:
        self.images[key] = made


class Forgetful(Shared):
    images: dict[str, CachedImage] = {}  # noqa: RUF012

    def put(self, key: str, made: CachedImage) -> None:
        pass


class Careless(Shared):
    images: dict[str, CachedImage] = {}  # noqa: RUF012

    def put(self, key: str, made: CachedImage) -> None:
        self.images[key] = replace(made, others=())


class Confused(Shared):
    images: dict[str, CachedImage] = {}  # noqa: RUF012

    def get(self, key: str) -> CachedImage | None:
        return next(iter(self.images.values()), None)


class Rooted(Shared):
    images: dict[str, CachedImage] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.lock = lambda: None


def test_a_store_of_ones_own_keeps_it() -> None:
    check_cache_store(Shared)


@pytest.mark.parametrize(
    ("store", "rule"),
    [
        (Forgetful, "it is missing"),
        (Careless, "further images of an execution come back too"),
        (Confused, "a key that nothing was put under has nothing|comes back as it was"),
        (Rooted, "must pickle"),
    ],
)
def test_what_breaks_the_contract_is_told(store: type[CacheStore], rule: str) -> None:
    with pytest.raises(ContractError, match=rule):
        check_cache_store(store)


def test_the_bucket_keeps_the_contract_and_its_machines_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("google.cloud.storage")
    with BucketServer("pixels") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        machines = itertools.count()

        def on_another_machine() -> BucketCache:
            return BucketCache(PLACE, LocalCache(tmp_path / str(next(machines))))

        check_cache_store(on_another_machine)
