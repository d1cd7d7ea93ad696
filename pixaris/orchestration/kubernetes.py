"""An experiment run on a cluster, from anywhere: one call uploads its inputs, submits it as a job, and brings
its results home.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixaris.data_loaders.base import DatasetLoader
from pixaris.data_loaders.gcp import INPUTS, BucketDatasetLoader
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.exceptions import ClusterError, ConfigurationError, Problem
from pixaris.experiment_handlers.gcp_tensorboard import GCPTensorboardHandler
from pixaris.files import safe_name
from pixaris.gcp.storage import Bucket, BucketPath
from pixaris.generation.base import ItemArgs
from pixaris.generation.comfyui_cluster import ComfyClusterGenerator
from pixaris.metrics.base import BaseMetric
from pixaris.orchestration.base import run_name
from pixaris.results.bucket.copies import RESULTS, pull
from pixaris.results.paths import SearchPaths, numbered
from pixaris.terminal import say

if TYPE_CHECKING:
    from pixaris.search.driver.jobs.client import Jobs  # needs Ray

CALL = "run.pickle"
"""The file of the job's folder that holds what the run is made with."""

_JOB = "pixaris.orchestration.job"


@dataclass(frozen=True)
class ClusterRun:
    """A run that was sent to a cluster.

    Attributes:
        job: What the cluster calls it: ``pixaris submit JOB --follow`` and ``--stop`` take that.
        name: The run's name, which no other run of its eval set has in the bucket.
        place: Where its results go in the bucket.
        folder: Where they are on this machine, once the run is over; None where nobody waited for it.
    """

    job: str
    name: str
    place: BucketPath
    folder: Path | None = None


def generate_images_on_cluster(
    data_loader: DatasetLoader,
    image_generator: ComfyClusterGenerator,
    experiment_handler: GCPTensorboardHandler,
    metrics: Sequence[BaseMetric],
    args: Mapping[str, Any],
    *,
    address: str | None = None,
    working_dir: str | os.PathLike[str] | None = None,
    follow: bool = True,
) -> ClusterRun:
    """Run an eval set once on a cluster, as `pixaris.orchestration.base.generate_images_based_on_dataset`
    does on this machine.

    The eval set is uploaded to the handler's bucket, unless it is there; the workflow, the metrics and the
    arguments travel with the job; results go to ``gs://BUCKET/results/PROJECT/DATASET/RUN``, and from there
    into the handler's folder on this machine. The nodes need credentials of their own for the bucket; none
    travel. A search is sent with ``pixaris submit``.

    Args:
        data_loader: Loads the eval set: from a folder here (`LocalDatasetLoader`), or from a bucket.
        image_generator: Knows the cluster's servers.
        experiment_handler: Has a bucket.
        metrics: Score the images, on the cluster; classes of the user's own travel, see `working_dir`.
        args: As for `generate_images_based_on_dataset`.
        address: The cluster's dashboard, ``http://host:8265``; by default RAY_API_SERVER_ADDRESS, else this
            machine's port 8265.
        working_dir: A folder that travels, with the user's own modules in it; by default none does.
        follow: Wait for the run's end, show how it goes, and fetch its results.

    Raises:
        ConfigurationError: All that is wrong with the arguments; nothing was sent.
        ClusterError: The cluster does not take the job, or the run failed there; its log says why.
        BucketError: The bucket cannot be read or written.
    """
    from pixaris.search.driver.jobs.client import DEFAULT_ADDRESS, Jobs  # needs Ray

    bucket = _checked(data_loader, image_generator, experiment_handler, args)
    jobs = Jobs(address or os.environ.get("RAY_API_SERVER_ADDRESS") or DEFAULT_ADDRESS)
    project = str(args.get("project", "default"))
    eval_set = _in_bucket(data_loader, bucket, project)
    home = bucket / RESULTS / safe_name(project) / safe_name(eval_set.path.name)
    name = _free_name(home, run_name(args), eval_set.bucket.project)
    parts = {
        "data_loader": eval_set,
        "image_generator": image_generator,
        "experiment_handler": experiment_handler,
        "metrics": tuple(metrics),
        "args": {**args, "experiment_run_name": name},
    }
    job = f"pixaris-{safe_name(name, 40)}-{secrets.token_hex(4)}".replace(" ", "_")
    _submit(jobs, job, f"{project}/{name}", parts, working_dir)
    say(f"submitted   {job}")
    sent = ClusterRun(job, name, home / safe_name(name))
    if not follow:
        return sent
    _wait_for(jobs, sent)
    folder_here = experiment_handler.results_dir / safe_name(project) / safe_name(eval_set.path.name)
    return _fetched(sent, folder_here, eval_set.bucket.project)


def _fetched(sent: ClusterRun, folder: Path, gcp_project: str) -> ClusterRun:
    """Bring a run and its TensorBoard events into the folder of its eval set's runs.

    Raises:
        BucketError: The bucket cannot be read.
    """
    own = safe_name(sent.name)
    for inside in (f"{own}/", f"{SearchPaths(Path()).tensorboard}/{own}/"):
        pull(sent.place.parent, folder, gcp_project, inside=inside)
    return replace(sent, folder=folder / own)


def _wait_for(jobs: Jobs, sent: ClusterRun) -> None:
    """Show how a run goes until it is over.

    Raises:
        ClusterError: It failed.
    """
    ended = jobs.follow(sent.job, _pass_on)
    if ended.code:
        ended_so = f"{ended.status.lower()} on the cluster at {jobs.address} (exit code {ended.code})"
        log = f"its log says why: pixaris submit {sent.job} --follow"
        raise ClusterError(f"the run {sent.name} {ended_so}; {log}")


def _submit(
    jobs: Jobs,
    job: str,
    search: str,
    parts: Mapping[str, object],
    working_dir: str | os.PathLike[str] | None,
) -> None:
    """Send what a run is made of, and the user's own modules beside it."""
    from pixaris.search.driver.jobs.calls import SUBMITTED_WITH, own_versions, write_call
    from pixaris.search.driver.jobs.package import package_of

    with tempfile.TemporaryDirectory(prefix="pixaris-run-") as folder:
        call = Path(folder) / CALL
        write_call(call, parts)
        beside = Path(folder if working_dir is None else working_dir)
        with package_of(beside, []).staged() as staged:
            call.replace(staged / CALL)
            words = ["python", "-m", _JOB, CALL]
            variables = {SUBMITTED_WITH: own_versions()}
            jobs.submit(job, words, str(staged), search=search, variables=variables)


def _pass_on(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _checked(
    data_loader: object, image_generator: object, experiment_handler: object, args: Mapping[str, Any]
) -> BucketPath:
    """The bucket, where everything can travel.

    Raises:
        ConfigurationError: All that cannot.
    """
    problems = []
    if not isinstance(image_generator, ComfyClusterGenerator):
        kind = type(image_generator).__name__
        problems.append(Problem("image_generator", f"must be a ComfyClusterGenerator (got {kind})"))
    if not isinstance(data_loader, LocalDatasetLoader | BucketDatasetLoader):
        kind = type(data_loader).__name__
        rule = f"must be a GCPDatasetLoader or a LocalDatasetLoader (got {kind}): its files go to the bucket"
        problems.append(Problem("data_loader", rule))
    if isinstance(experiment_handler, GCPTensorboardHandler):
        bucket = experiment_handler.bucket_name
    else:
        bucket = None
    if not bucket:
        rule = "must be a GCPTensorboardHandler with a bucket_name: what a job keeps elsewhere goes with it"
        problems.append(Problem("experiment_handler", rule))
    if args.get("hyperparameters"):
        rule = "belong to a search; send a search file with: pixaris submit FILE"
        problems.append(Problem("args.hyperparameters", rule))
    try:
        ItemArgs.of(args)
    except ConfigurationError as error:
        problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return BucketPath.of(f"gs://{bucket}")


def _in_bucket(data_loader: DatasetLoader, bucket: BucketPath, project: str) -> BucketDatasetLoader:
    """The eval set as one that lies in a bucket, and does."""
    if isinstance(data_loader, BucketDatasetLoader):
        return data_loader
    assert isinstance(data_loader, LocalDatasetLoader)
    place = bucket / INPUTS / project / data_loader.path.name
    uploaded = BucketDatasetLoader(str(place), data_loader.path, references=data_loader.references)
    done = uploaded.create_dataset(data_loader.path)
    say(f"eval set    {place}: {len(done.moved)} files sent, {done.kept} were there")
    return uploaded


def _free_name(home: BucketPath, name: str, gcp_project: str) -> str:
    """The name, or ``name-2``, … where the bucket has such a run already."""
    taken = set(Bucket(home.bucket, gcp_project).folders(f"{home.prefix}/"))
    number = 1
    while safe_name(numbered(name, number)) in taken:
        number += 1
    return numbered(name, number)
