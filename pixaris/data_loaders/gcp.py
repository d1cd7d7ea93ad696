"""Eval sets in a bucket of Google Cloud Storage, downloaded once into a folder of this machine."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixaris.data_loaders.base import DatasetLoader
from pixaris.data_loaders.leftovers import is_system
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.exceptions import BucketChangedError, BucketError, DatasetError, PixarisError, Problem, nearest
from pixaris.files import append_json_line, files_below, read_json_lines, state_of, storing, write_json_lines
from pixaris.gcp.storage import Bucket, BucketObject, BucketPath, Progress, checksum, side_by_side, unsafe
from pixaris.types import EvalSet

INPUTS = "experiment_inputs"
"""The folder of a bucket that holds the eval sets: ``experiment_inputs/<project>/<dataset>/<Folder>/…``."""

_BOOKS = ".downloads"
"""The folder, beside the projects', that remembers what was downloaded."""


@dataclass(frozen=True)
class Transfer:
    """What an upload or a download did.

    Attributes:
        moved: Names of the files that were transferred, from the eval set's folder.
        kept: How many were there already.
        beside: Names that are only at the place that was written to; they are left alone.
    """

    moved: tuple[str, ...]
    kept: int
    beside: tuple[str, ...] = ()


class BucketDatasetLoader(DatasetLoader):
    """Loads an eval set that lies in a bucket, as `LocalDatasetLoader` loads one from a folder.

    Files are downloaded side by side, each at the generation that was listed and with its checksum verified.
    What is there already at this generation is not downloaded again, so a download that was broken off goes
    on where it was. A file that was downloaded and is not in the bucket any more is removed; files that
    somebody else has put there are an error.

    Args:
        url: ``gs://bucket/any/folder/project/dataset``.
        path: Where its files go.
        gcp_project_id: The Google Cloud project; "": the credentials' own.
        references: Folders that only metrics see.
        force_download: Download all files anew, whatever is there.
        progress: Called while files are transferred.

    Raises:
        DatasetError: The address names no folder of a bucket.
    """

    def __init__(
        self,
        url: str,
        path: str | os.PathLike[str],
        *,
        gcp_project_id: str = "",
        references: Sequence[str] = (),
        force_download: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.place = _place(url)
        self.bucket = Bucket(self.place.bucket, gcp_project_id)
        self.path = Path(os.path.abspath(path))
        self.references = (references,) if isinstance(references, str) else tuple(references)
        self.force_download = force_download
        self.progress = progress
        self._listed: dict[str, BucketObject] = {}

    def load_dataset(self) -> EvalSet:
        """Download what is not there yet, and return the eval set.

        Raises:
            DatasetError: It is not in the bucket, its names cannot be files here, or as `aligned`.
            BucketError: The bucket cannot be read.
            StorageError: The files cannot be written here.
        """
        self.download()
        return LocalDatasetLoader.at(self.path, self.references).load_dataset()

    def download(self) -> Transfer:
        """Bring the folder to what the bucket has.

        Raises:
            DatasetError: As of `load_dataset`.
            BucketError: Likewise.
            StorageError: Likewise.
        """
        listed = self.listed()
        if not listed:
            raise DatasetError(self._missing(), str(self.place))
        with storing(self.path.parent):
            self.path.mkdir(parents=True, exist_ok=True)
            self._refuse_unsafe(listed)
            book = _Book(self.path)
            here = {} if self.force_download else book.current()
            self._refuse_foreign(listed, book)
            wanted = [name for name, found in listed.items() if here.get(name) != found.generation]
            try:
                self._fetch(listed, wanted, book)
            except BucketChangedError as error:
                raise DatasetError(f"it was changed while it was downloaded ({error}); start again") from None
            book.settle(listed)
        self._listed = listed
        return Transfer(tuple(wanted), len(listed) - len(wanted))

    def changed(self) -> str:
        """What became of the eval set in the bucket since it was loaded, in a sentence; "" where it is the
        same.
        """
        try:
            now = self.listed()
        except BucketError as error:
            return f"whether the eval set has changed meanwhile cannot be told: {error}"
        gone = [name for name in self._listed if name not in now]
        fresh = [name for name in now if name not in self._listed]
        other = [name for name in now if name in self._listed and now[name] != self._listed[name]]
        told = [
            f"{len(names)} {word} ({names[0]})"
            for names, word in ((other, "replaced"), (fresh, "added"), (gone, "removed"))
            if names
        ]
        if not told:
            return ""
        return (
            f"{self.place} has changed since it was loaded: {', '.join(told)}; these images are not in here"
        )

    def listed(self) -> dict[str, BucketObject]:
        """The eval set's files in the bucket by their names from its folder; hidden ones are left out.

        Raises:
            BucketError: The bucket cannot be read.
        """
        prefix = f"{self.place.prefix}/"
        found = {one.name.removeprefix(prefix): one for one in self.bucket.objects(prefix)}
        folders = {name for name in found if not name or name.endswith("/")}
        hidden = {name for name in found if any(map(is_system, name.split("/"))) and not _leads_out(name)}
        return {name: one for name, one in found.items() if name not in folders | hidden}

    def _missing(self) -> str:
        above = BucketPath(self.place.bucket, self.place.prefix.rpartition("/")[0])
        known = self.bucket.folders(f"{above.prefix}/" if above.prefix else "")
        name = self.place.prefix.rpartition("/")[2]
        there = ", ".join(known[:12]) or "nothing"
        return f"there is no eval set{nearest(name, known)}; in {above} there is: {there}"

    def _refuse_unsafe(self, listed: Mapping[str, BucketObject]) -> None:
        wrong = unsafe(list(listed), folds_case=_folds_case(self.path))
        if wrong:
            problems = [Problem(repr(name), rule) for name, rule in wrong.items()]
            raise DatasetError(problems, str(self.place))

    def _refuse_foreign(self, listed: Mapping[str, BucketObject], book: _Book) -> None:
        ours = listed.keys() | book.known.keys()
        foreign = [name for name in files_below(self.path, is_system) if name not in ours]
        if foreign:
            raise DatasetError(
                f"holds {len(foreign)} files that are not in {self.place}: {', '.join(foreign[:5])}; upload"
                " them (pixaris dataset upload), or move them away",
                str(self.path),
            )

    def _fetch(self, listed: Mapping[str, BucketObject], wanted: Sequence[str], book: _Book) -> None:
        lock = threading.Lock()

        def fetch(name: str) -> None:
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self.bucket.download(listed[name], path)
            with lock:
                book.add(name, listed[name])

        side_by_side(fetch, wanted, self.progress, kept=len(listed) - len(wanted))

    # Uploading

    def create_dataset(self, folder: str | os.PathLike[str], *, new: bool = True) -> Transfer:
        """Store a folder's eval set in the bucket, after looking whether it is one. What is there already
        with the same content is not sent again.

        Args:
            folder: It holds the folders of images.
            new: Refuse where the bucket has other content under a name; else that is replaced.

        Raises:
            DatasetError: The folder holds no eval set, or the bucket another one (`new`).
            BucketError: The bucket cannot be written.
        """
        source = Path(folder)
        LocalDatasetLoader.at(source, self.references).load_dataset()
        there = self.listed()
        files = {name: source / name for name in files_below(source, is_system)}
        sums = {name: checksum(path) for name, path in files.items()}
        other = [name for name in files if name in there and there[name].crc32c != sums[name]]
        if new and other:
            raise DatasetError(
                f"has other content already for {len(other)} names: {', '.join(other[:5])}; choose another"
                " name, or replace it (pixaris dataset upload)",
                str(self.place),
            )
        wanted = [name for name in files if name not in there or name in other]

        def send(name: str) -> None:
            replacing = there[name].generation if name in there else 0
            self.bucket.upload(files[name], f"{self.place.prefix}/{name}", replacing)

        side_by_side(send, wanted, self.progress, kept=len(files) - len(wanted))
        beside = tuple(name for name in there if name not in files)
        return Transfer(tuple(wanted), len(files) - len(wanted), beside)


class GCPDatasetLoader(BucketDatasetLoader):
    """Loads an eval set by project and name::

        gs://<bucket>/experiment_inputs/<project>/<dataset>/<Folder>/<name>.png

    into ``<eval_dir_local>/<project>/<dataset>``.

    Args:
        gcp_project_id: The Google Cloud project; "": the credentials' own.
        gcp_pixaris_bucket_name: The bucket.
        project: The project's name.
        dataset: The eval set's name.
        eval_dir_local: Folder of all eval sets on this machine.
        force_download: Download all files anew, whatever is there.
        references: Folders that only metrics see.
    """

    def __init__(
        self,
        gcp_project_id: str,
        gcp_pixaris_bucket_name: str,
        project: str,
        dataset: str,
        eval_dir_local: str | os.PathLike[str] = "local_experiment_inputs",
        force_download: bool = False,
        references: Sequence[str] = (),
    ) -> None:
        super().__init__(
            f"gs://{gcp_pixaris_bucket_name}/{INPUTS}/{project}/{dataset}",
            Path(eval_dir_local) / project / dataset,
            gcp_project_id=gcp_project_id,
            references=references,
            force_download=force_download,
        )


def folder_of(url: str, eval_dir_local: str | os.PathLike[str]) -> Path:
    """Where the files of an eval set in a bucket go: ``<eval_dir_local>/<project>/<dataset>``, by the last
    two parts of its address.

    Raises:
        DatasetError: The address names no folder of a bucket.
    """
    place = _place(url)
    parts = [place.bucket, *place.prefix.split("/")]
    return Path(eval_dir_local, *parts[-2:])


def datasets(url: str, gcp_project_id: str = "") -> list[str]:
    """Addresses of the eval sets below ``gs://bucket`` (all projects) or ``gs://bucket/…/project``.

    Raises:
        DatasetError: The address names no bucket.
        BucketError: The bucket cannot be listed.
    """
    place = _place(url)
    bucket = Bucket(place.bucket, gcp_project_id)
    inputs = place if place.prefix else place / INPUTS
    projects = [inputs]
    if inputs.prefix.rpartition("/")[2] == INPUTS:
        projects = [inputs / name for name in bucket.folders(f"{inputs.prefix}/")]
    found = [project / name for project in projects for name in bucket.folders(f"{project.prefix}/")]
    return [str(one) for one in found]


class _Book:
    """Remembers which generation of which object a folder's files are.

    Args:
        path: The eval set's folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.parent.parent / _BOOKS / path.parent.name / f"{path.name}.jsonl"
        self.known = {str(row.get("name")): row for row in read_json_lines(self._file)}

    def current(self) -> dict[str, int]:
        """Name to generation, of the files that are as they were downloaded."""
        return {
            name: int(row["generation"])
            for name, row in self.known.items()
            if row.get("state") == _state(self._path / name)
        }

    def add(self, name: str, found: BucketObject) -> None:
        """A file is there."""
        row = {"name": name, "generation": found.generation, "state": _state(self._path / name)}
        self.known[name] = row
        append_json_line(self._file, row)

    def settle(self, listed: Mapping[str, BucketObject]) -> None:
        """Remove what is in the bucket no more, and write the book anew."""
        for name in self.known.keys() - listed.keys():
            (self._path / name).unlink(missing_ok=True)
            del self.known[name]
        write_json_lines(self._file, self.known.values())


def _state(path: Path) -> list[int] | None:
    """As a line of JSON has it."""
    found = state_of(path)
    if found is None:
        return None
    return list(found)


def _place(url: str) -> BucketPath:
    try:
        return BucketPath.of(url)
    except PixarisError as error:
        raise DatasetError(str(error)) from None


def _leads_out(name: str) -> bool:
    """Whether a name leads out of its folder: such a one is told, not passed over as hidden."""
    return any(part in (".", "..") for part in name.split("/"))


def _folds_case(folder: Path) -> bool:
    """Whether a folder's file system takes ``A`` and ``a`` for the same name."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".case-a-") as file:
        return Path(file.name.replace(".case-a-", ".CASE-A-")).exists()
