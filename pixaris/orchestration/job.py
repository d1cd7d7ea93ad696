"""``python -m pixaris.orchestration.job run.pickle``: on a node, the run that was sent to its cluster."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from pixaris.data_loaders.gcp import BucketDatasetLoader, folder_of
from pixaris.exceptions import PixarisError
from pixaris.experiment_handlers.gcp_tensorboard import GCPTensorboardHandler
from pixaris.gcp.storage import BucketPath
from pixaris.orchestration.base import generate_images_based_on_dataset
from pixaris.results.bucket.copies import RESULTS, push
from pixaris.terminal import say
from pixaris.types import RunRecord


def main(path: Path) -> int:
    """Run it, and see to it that its results are in the bucket; the exit code."""
    from pixaris.search.driver.jobs.calls import read_call  # needs Ray

    with tempfile.TemporaryDirectory(prefix="pixaris-job-") as name:
        try:
            run = _run(read_call(path), Path(name))
        except PixarisError as error:
            sys.stderr.write(f"error: {error}\n")
            return error.exit_code
    if run.status == "finished":
        return 0
    return 1


def _run(parts: dict[str, object], folder: Path) -> RunRecord:
    """Run it with folders of this node, and copy what it left even where it failed.

    Raises:
        PixarisError: It failed, or its results cannot be copied.
    """
    given, handler = parts.pop("data_loader"), parts.pop("experiment_handler")
    assert isinstance(given, BucketDatasetLoader)
    assert isinstance(handler, GCPTensorboardHandler)
    assert handler.bucket_name is not None
    loader = BucketDatasetLoader(
        str(given.place),
        folder_of(str(given.place), folder / "inputs"),
        gcp_project_id=given.bucket.project,
        references=given.references,
    )
    results = folder / "results"
    here = GCPTensorboardHandler(handler.gcp_project_id, handler.location, handler.bucket_name, results)
    try:
        run = generate_images_based_on_dataset(loader, experiment_handler=here, progress=_tell, **parts)  # type: ignore[arg-type]  # as they were given
    finally:
        here.close()
        for group in results.glob("*/*/"):  # a copy beside a run may fail; this one is what counts
            place = BucketPath(handler.bucket_name, RESULTS) / group.parent.name / group.name
            done = push(group, place, handler.gcp_project_id)
            say(f"copied      {place}: {done.files + done.kept} files")
    scores = ", ".join(f"{name} {found.mean:.4f}" for name, found in run.metrics.items())
    if run.failures:
        failed = f", {len(run.failures)} failed"
    else:
        failed = ""
    say(f"{run.status:<11} {run.name}: {len(run.items)} items{failed} {scores}".rstrip())
    return run


def _tell(run: RunRecord) -> None:
    if run.status == "running":
        say(f"{run.name}: {len(run.items)} of {len(run.eval_set)} items")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
