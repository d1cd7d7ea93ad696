"""Results as files in a folder."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from pixaris import __version__
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.experiment_handlers.folders import run_folder
from pixaris.files import (
    append_json_line,
    append_json_lines,
    link_or_write,
    plain,
    read_json_lines,
    safe_name,
    storing,
    write_bytes,
    write_json,
    write_json_lines,
)
from pixaris.results.manifest import items
from pixaris.results.paths import TRACKING, RunPaths
from pixaris.types import ItemResult, RunRecord


@dataclass
class _Stored:
    """What a run's folder has already.

    Attributes:
        folder: The run's own folder.
        images: Image file to its digest.
        rows: Item index to the result that its line was made of.
        workflow: Whether the workflow is there.
    """

    folder: Path
    images: dict[str, str]
    rows: dict[int, ItemResult] = field(default_factory=dict)
    workflow: bool = False

    @classmethod
    def read(cls, folder: Path) -> _Stored:
        """Learn which images an earlier process has stored."""
        images = {}
        for row in read_json_lines(RunPaths(folder).items):
            for image in row.get("samples") or [row]:
                file = str(image.get("image"))
                if (folder / file).is_file():
                    images[file] = str(image.get("digest"))
        return cls(folder, images)


class LocalExperimentHandler(ExperimentHandler):
    """Keeps every run in a folder of its own, readable while it grows and after a kill::

        <local_results_folder>/
          experiment_tracking.jsonl            one line per run that has ended
          <project>/<search, or dataset>/<run name>/
            run.json                           the run: parameters, scores, counts, failures
            items.jsonl                        one line per item: scores or error, endpoint, image file
            generated_images/<item name>.png   the images; with several seeds the first one's, and the
                                               others' in seed_2/, …
            workflow_apiformat.json            the workflow with its parameters bound, where there is one
            workflow.png                       the workflow's picture, where there is one

    Names are made safe for file systems. A second run of the same name (another id) gets ``<run name>-2``. A
    run that ends again in another way (it was interrupted and then resumed) gets a second line in
    ``experiment_tracking.jsonl``: the last one counts.

    Args:
        local_results_folder: The root; relative to the working folder of the process that makes the handler.
    """

    def __init__(self, local_results_folder: str | os.PathLike[str] = "local_results") -> None:
        self.root = Path(os.path.abspath(local_results_folder))  # trial processes have other working folders
        self._stored: dict[str, _Stored] = {}
        self._parents: set[Path] = set()  # folders that were there: one that is gone is not made anew

    def store_results(self, run: RunRecord) -> None:
        """Store a run as it stands: new images and lines once, the small files anew.

        Raises:
            StorageError: The folder cannot be written, or is not there any more.
        """
        with storing(self.root):
            self._store(run)

    def folder_of(self, run: RunRecord) -> Path:
        """Return the run's folder, which is made for it if it has none yet (its name depends on who came
        first).
        """
        return self._claim(run).folder

    @property
    def results_dir(self) -> Path:
        """The root."""
        return self.root

    def search_folder(self, run: RunRecord) -> Path:
        """Return the folder that the run shares with the others of its search (or, outside a search, of its
        eval set).
        """
        return self.root / safe_name(run.project) / safe_name(run.group)

    def _claim(self, run: RunRecord) -> _Stored:
        stored = self._stored.get(run.id)
        if stored is None:
            parent = self.search_folder(run)
            if parent in self._parents and not parent.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(parent))
            self._parents.add(parent)
            record = {**_summary(run), "status": "running"}
            folder = run_folder(parent, run.name, RunPaths.RECORD, record)
            stored = self._stored[run.id] = _Stored.read(folder)
        return stored

    def _store(self, run: RunRecord) -> None:
        stored = self._claim(run)
        paths = RunPaths(stored.folder)
        if not paths.record.is_file():  # else a folder that was moved away would be made anew, half empty
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(paths.folder))
        for item in run.items:
            for number, sample in enumerate(item.each):
                file = _image_file(item, number)
                if sample.generated and stored.images.get(file) != sample.generated.image.digest:
                    image = sample.generated.image
                    link_or_write(paths.folder / file, image.data, image.file)
                    stored.images[file] = sample.generated.image.digest
        if not stored.workflow:
            if run.workflow is not None:
                write_json(paths.workflow, run.workflow)
            if run.workflow_image is not None:
                write_bytes(paths.picture, run.workflow_image.data)
            stored.workflow = True
        self._write_items(run, stored, paths)
        more = {"eval_set": {} if run.search else items(run.eval_set), "failures": _failures(run)}
        write_json(paths.record, {**_summary(run), **more, "notes": run.notes})
        if run.status != "running":
            self._track(run, paths.folder)
            del self._stored[run.id]

    def _write_items(self, run: RunRecord, stored: _Stored, paths: RunPaths) -> None:
        """Append what is new; write the file anew, in the items' order, where the run ends or a line has
        changed.
        """
        fresh = [item for item in run.items if stored.rows.get(item.index) is not item]
        if run.status != "running" or any(item.index in stored.rows for item in fresh) or not stored.rows:
            write_json_lines(paths.items, map(_item_row, run.items))
        elif fresh:
            append_json_lines(paths.items, map(_item_row, fresh))
        stored.rows.update({item.index: item for item in fresh})

    def _track(self, run: RunRecord, folder: Path) -> None:
        row: dict[str, object] = plain({**_summary(run), "folder": folder.relative_to(self.root).as_posix()})
        path = self.root / TRACKING
        if _untimed(row) != _untimed(_last_line_of(run.id, path)):
            append_json_line(path, row)


def _summary(run: RunRecord) -> dict[str, object]:
    return {
        "id": run.id,
        "name": run.name,
        "project": run.project,
        "dataset": run.eval_set.name,
        "search": run.search,
        "status": run.status,
        "params": [param.as_dict() for param in run.params],
        "values": dict(run.values),
        "metrics": {
            name: {"mean": m.mean, "std": m.std, "count": m.count, "direction": run.directions.get(name)}
            for name, m in run.metrics.items()
        },
        "items": {
            "total": len(run.eval_set),
            "done": len(run.items),
            "generated": sum(item.generated is not None for item in run.items),
            "failed": len(run.failures),
        },
        "cost": run.cost,
        "cached": run.cached,
        "unaccounted": run.unaccounted,
        "started": run.started,
        "seconds": run.seconds,
        "pixaris": __version__,
    }


def _failures(run: RunRecord) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for item in run.failures:
        kind = type(item.error).__name__
        rows.append({"index": item.index, "name": item.name, "type": kind, "error": str(item.error)})
    return rows


def _item_row(item: ItemResult) -> dict[str, object]:
    row = {"index": item.index, "name": item.name, **_image_row(item, 0)}
    if not item.samples:
        return row
    first = next((number for number, sample in enumerate(item.samples) if sample.generated), 0)
    samples = [
        {"seed": number + 1, **_image_row(sample, number)} for number, sample in enumerate(item.samples)
    ]
    return {**row, "image": samples[first]["image"], "samples": samples}


def _image_row(result: ItemResult, number: int) -> dict[str, object]:
    made = result.generated
    if made is not None:
        cost = made.cost
    else:
        cost = None if result.error is None else result.error.cost
    return {
        "scores": dict(result.scores),
        "error": None if result.error is None else str(result.error),
        "image": _image_file(result, number) if made else None,
        "digest": made.image.digest if made else None,
        "endpoint": made.endpoint if made else None,
        "seconds": made.seconds if made else None,
        "attempts": made.attempts if made else None,
        "cached": made.cached if made else None,
        "cost": cost,
    }


def _image_file(item: ItemResult, number: int = 0) -> str:
    """The image of an item's first seed, or of a later one (`number` counts from 0)."""
    return RunPaths.image_name(item.name, number)


def _last_line_of(run_id: str, path: Path) -> dict[str, object]:
    needle = json.dumps(run_id, ensure_ascii=False).encode("utf-8", "backslashreplace")
    # Most runs end once: their id is not in the file, which then need not be parsed.
    if not path.is_file() or needle not in path.read_bytes():
        return {}
    return next((row for row in reversed(read_json_lines(path)) if row.get("id") == run_id), {})


def _untimed(row: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in row.items() if key != "seconds"}
