"""Google Cloud Storage: objects listed, read and written with the SDK ``google-cloud-storage``, its errors as
ours. The only module that knows the SDK.

Credentials are Google's Application Default Credentials, impersonation included (``gcloud auth
application-default login --impersonate-service-account=…``). ``STORAGE_EMULATOR_HOST`` names another server.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import re
import secrets
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import google_crc32c

from pixaris.exceptions import BucketChangedError, BucketError, ConfigurationError
from pixaris.gcp.errors import credential_errors, of_credentials, passing_errors, words_of
from pixaris.words import pip

SECONDS = 60.0
"""How long one operation is tried again and again."""

Progress = Callable[[int, int], object]
"""Called with how many files are there, and how many there are."""

_THREADS = 10  # the SDK keeps as many connections open
_CONNECT, _READ = 5.0, 60.0
_PIECE = 1024 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


@dataclass(frozen=True)
class BucketPath:
    """``gs://bucket/prefix``.

    Attributes:
        bucket: The bucket's name.
        prefix: What follows, without slashes at either end; may be empty.
    """

    bucket: str
    prefix: str

    @classmethod
    def of(cls, url: str) -> BucketPath:
        """Read one.

        Raises:
            ConfigurationError: It is none.
        """
        bucket, _, prefix = url.removeprefix("gs://").partition("/")
        if not url.startswith("gs://") or not _NAME.fullmatch(bucket):
            raise ConfigurationError(f"must be gs://BUCKET/FOLDER (got {url!r})")
        return cls(bucket, prefix.strip("/"))

    def __str__(self) -> str:
        return f"gs://{self.bucket}/{self.prefix}".rstrip("/")

    def __truediv__(self, name: str) -> BucketPath:
        return BucketPath(self.bucket, f"{self.prefix}/{name}".strip("/"))

    @property
    def parent(self) -> BucketPath:
        """The folder that it is in."""
        return BucketPath(self.bucket, self.prefix.rpartition("/")[0])


@dataclass(frozen=True)
class BucketObject:
    """An object as it stood when it was listed.

    Attributes:
        name: Its whole name in the bucket.
        generation: Which content it has: another one after every change.
        size: Bytes.
        crc32c: Checksum of its content, as Google writes it (base64).
        stored: When this content was stored, in Unix time.
    """

    name: str
    generation: int
    size: int
    crc32c: str
    stored: float = field(default=0.0, compare=False)


def checksum(path: Path) -> str:
    """A file's CRC32C as Google writes it (base64).

    Raises:
        OSError: It cannot be read.
    """
    total = google_crc32c.Checksum()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            total.update(piece)
    return base64.b64encode(total.digest()).decode()


def checksum_of(data: bytes) -> str:
    """The CRC32C of bytes as Google writes it (base64)."""
    return base64.b64encode(google_crc32c.Checksum(data).digest()).decode()


class Bucket:
    """A bucket. Safe to use from several threads; opened when it is first used, so that it pickles.

    Args:
        name: Its name.
        project: The Google Cloud project that is charged; by default the credentials' own.
        seconds: How long one operation is tried again and again; by default `SECONDS`.
    """

    def __init__(self, name: str, project: str = "", seconds: float | None = None) -> None:
        self.name = name
        self.project = project
        if seconds is None:
            self.seconds = SECONDS
        else:
            self.seconds = seconds

    def __getstate__(self) -> dict[str, object]:
        return {"name": self.name, "project": self.project, "seconds": self.seconds}

    @property
    def _timeout(self) -> tuple[float, float]:
        return min(_CONNECT, self.seconds), min(_READ, self.seconds)

    @cached_property
    def _handle(self) -> Any:  # noqa: ANN401  (the SDK carries no types)
        try:
            from google.cloud import storage
        except ImportError:
            raise ConfigurationError(
                f"gs://{self.name} needs the package google-cloud-storage: {pip()} install 'pixaris[gcp]'"
            ) from None
        with self._told("", "open"):
            return storage.Client(project=self.project or None).bucket(self.name)

    def objects(self, prefix: str) -> Iterator[BucketObject]:
        """The objects whose names begin so, in order of their names; one request for 1000.

        Raises:
            BucketError: They cannot be listed.
        """
        with self._told(prefix, "list"):
            for blob in self._handle.client.list_blobs(
                self._handle, prefix=prefix, timeout=self._timeout, retry=self._retry
            ):
                yield _object(blob)

    def folders(self, prefix: str) -> list[str]:
        """The first parts of names after a prefix that ends with a slash, without what follows them.

        Raises:
            BucketError: They cannot be listed.
        """
        with self._told(prefix, "list"):
            pages = self._handle.client.list_blobs(
                self._handle, prefix=prefix, delimiter="/", timeout=self._timeout, retry=self._retry
            )
            for _ in pages:  # prefixes are known once the pages are read
                pass
            return sorted(name.removeprefix(prefix).rstrip("/") for name in pages.prefixes)

    def download(self, found: BucketObject, path: Path) -> None:
        """Put an object's content in a file, which is there whole or not at all.

        Args:
            found: Its generation is the one that is read.
            path: The file; its folder exists.

        Raises:
            BucketChangedError: It was replaced or deleted since it was listed.
            BucketError: It cannot be read, or keeps arriving damaged.
            OSError: The file cannot be written.
        """
        beside = path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}.part")
        try:
            with self._told(found.name, "read"):
                blob = self._handle.blob(found.name, generation=found.generation)
                blob.download_to_filename(
                    str(beside), checksum="crc32c", timeout=self._timeout, retry=self._retry
                )
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)

    def upload(self, path: Path, name: str, replacing: int | None = None) -> BucketObject:
        """Store a file as an object. Sending it again after a lost answer is no change.

        Args:
            path: The file.
            name: The object's.
            replacing: The generation that it replaces, 0 for none; None: whatever is there.

        Raises:
            BucketChangedError: Somebody else has stored another content there meanwhile.
            BucketError: It cannot be written.
            OSError: The file cannot be read.
        """
        blob = self._handle.blob(name)
        return self._stored(blob, partial(blob.upload_from_filename, str(path)), checksum(path), replacing)

    def write(self, data: bytes, name: str, replacing: int | None = None) -> BucketObject:
        """Store bytes as an object, as `upload` does a file.

        Args:
            data: Its content.
            name: Its name.
            replacing: As for `upload`.

        Raises:
            BucketChangedError: Somebody else has stored another content there meanwhile.
            BucketError: It cannot be written.
        """
        blob = self._handle.blob(name)
        return self._stored(blob, partial(blob.upload_from_string, data), checksum_of(data), replacing)

    def _stored(
        self,
        blob: Any,  # noqa: ANN401  (the SDK carries no types)
        send: Callable[..., object],
        crc32c: str,
        replacing: int | None,
    ) -> BucketObject:
        try:
            with self._told(blob.name, "write"):
                send(
                    if_generation_match=replacing,
                    checksum="crc32c",
                    timeout=self._timeout,
                    retry=self._retry,
                )
        except BucketChangedError:
            there = self.find(blob.name)  # ours, if only the answer was lost
            if there is None or there.crc32c != crc32c:
                raise
            return there
        return _object(blob)

    def read(self, found: BucketObject) -> bytes:
        """An object's content, at the generation that was listed.

        Raises:
            BucketChangedError: It was replaced or deleted since.
            BucketError: It cannot be read, or keeps arriving damaged.
        """
        with self._told(found.name, "read"):
            blob = self._handle.blob(found.name, generation=found.generation)
            data: bytes = blob.download_as_bytes(checksum="crc32c", timeout=self._timeout, retry=self._retry)
            return data

    def delete(self, found: BucketObject) -> None:
        """Remove an object, if it is as it was listed; one that is gone is no error.

        Raises:
            BucketError: It cannot be removed.
        """
        with contextlib.suppress(BucketChangedError), self._told(found.name, "delete"):
            self._handle.blob(found.name).delete(
                if_generation_match=found.generation, timeout=self._timeout, retry=self._retry
            )

    def find(self, name: str) -> BucketObject | None:
        """An object as it stands; None where there is none.

        Raises:
            BucketError: The bucket cannot be asked.
        """
        with self._told(name, "read"):
            blob = self._handle.get_blob(name, timeout=self._timeout, retry=self._retry)
            if blob is None:
                return None
            return _object(blob)

    @cached_property
    def _retry(self) -> object:
        from google.cloud.storage.retry import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(self.seconds)

    @contextlib.contextmanager
    def _told(self, name: str, act: str) -> Iterator[None]:
        """Turn the SDK's errors into ours."""
        from google.api_core import exceptions as api
        from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

        where = f"gs://{self.name}/{name}".rstrip("/")
        try:
            yield
        except api.Forbidden as error:
            if act in ("write", "delete"):
                role = "roles/storage.objectUser"
            else:
                role = "roles/storage.objectViewer"
            raise BucketError(
                f"{where}: this account may not {act} it: {words_of(error)}; an owner of the bucket runs:"
                f" gcloud storage buckets add-iam-policy-binding gs://{self.name} --member=user:ACCOUNT"
                f" --role={role}"
            ) from None
        except api.PreconditionFailed:
            raise BucketChangedError(f"{where}: somebody else has changed it meanwhile") from None
        except api.NotFound as error:
            if "bucket does not exist" in words_of(error):
                raise BucketError(
                    f"there is no bucket gs://{self.name}; name another, or make it: gcloud storage buckets"
                    f" create gs://{self.name}"
                ) from None
            raise BucketChangedError(f"{where}: it was deleted or replaced meanwhile") from None
        except DataCorruption:
            raise BucketError(f"{where}: it arrives damaged; try again") from None
        except credential_errors() as error:
            raise BucketError(f"{where}: {of_credentials(error)}") from None
        except (*passing_errors(), InvalidResponse) as error:
            raise BucketError(
                f"{where}: Google Cloud Storage could not {act} it within {self.seconds:.0f} s:"
                f" {words_of(error)}; try again: what was transferred is kept"
            ) from None


def _object(blob: Any) -> BucketObject:  # noqa: ANN401  (the SDK carries no types)
    stored = blob.updated.timestamp() if blob.updated is not None else 0.0
    return BucketObject(blob.name, int(blob.generation), int(blob.size), blob.crc32c, stored)


def unsafe(names: Sequence[str], *, folds_case: bool) -> dict[str, str]:
    """Object names that cannot be files below a folder, each with the rule it breaks.

    Args:
        names: With ``/`` between their parts.
        folds_case: Whether the folder's file system takes ``A.png`` and ``a.png`` for the same.
    """
    wrong: dict[str, str] = {}
    taken: dict[str, str] = {}
    for name in names:
        parts = name.split("/")
        if name.startswith("/") or "" in parts:
            wrong[name] = "has an empty part, or is an absolute path"
        elif "." in parts or ".." in parts:
            wrong[name] = "leads out of its folder"
        elif any(mark in "\\:" or ord(mark) < 32 for mark in name):
            wrong[name] = "holds a backslash, a colon or a control character"
        elif any(len(part.encode()) > 240 for part in parts):
            wrong[name] = "is too long for a file"
        else:
            key = unicodedata.normalize("NFC", name)
            if folds_case:
                key = key.casefold()
            if taken.setdefault(key, name) != name:
                wrong[name] = f"is the same file here as {taken[key]!r}"
    return wrong


def side_by_side(
    work: Callable[[str], None], names: Sequence[str], progress: Progress | None = None, kept: int = 0
) -> None:
    """Do something for many names in threads; the first error ends it.

    Args:
        work: What is to be done.
        names: For what.
        progress: Told after each.
        kept: How many more there are that need nothing.
    """
    done = itertools.count(kept + 1)
    lock = threading.Lock()

    def one(name: str) -> None:
        work(name)
        with lock:
            if progress is not None:
                progress(next(done), kept + len(names))

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="pixaris-bucket") as pool:
        tasks: list[Future[None]] = [pool.submit(one, name) for name in names]
        ended, waiting = wait(tasks, return_when=FIRST_EXCEPTION)
        for task in waiting:
            task.cancel()
        for task in ended:
            task.result()
