"""One call sends an experiment run to a cluster: a real Ray with its job server, a real ComfyUI-compatible
server, and the real client of Google Cloud Storage on a stand-in.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_kit import TwoNodes, first_node
from gcs_stand_in import BucketServer, Fault
from kit import WORKFLOW, start_servers
from PIL import ImageChops, ImageOps

from pixaris.images import decode

pytest.importorskip("google.cloud.storage")
EXAMPLES = Path(__file__).parents[1] / "examples"
EXAMPLE = EXAMPLES / "GCPDatasetLoader_ComfyClusterGenerator_GCPBucketWriter.py"
INPUTS = "experiment_inputs/dummy_project/dummy_dataset"


SEARCH = """
name: cells
project: tests
dataset: ./cells
generator: {type: comfyui, workflow: workflow.json}
endpoints: [URL]
parameters: {grow: {node_name: Grow, input: expand, randint: [-8, 9]}}
metrics: [{type: iou, reference: Mask}]
objective: {metric: iou}
search: {algorithm: random, num_samples: 3, seed: 7, scheduler: fifo}
storage: gs://pixels/searches
"""


@pytest.fixture(scope="module")
def bucket() -> Iterator[BucketServer]:
    with BucketServer("pixels") as server:
        yield server


@pytest.fixture(scope="module")
def cluster(bucket: BucketServer) -> Iterator[TwoNodes]:
    """One node that takes jobs."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in bucket.environment.items():
            patch.setenv(name, value)
        with first_node(jobs=True) as cluster:
            yield cluster


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start_servers(tmp_path_factory.mktemp("servers"), 1) as servers:
        yield servers.processes[0].url


def example(cluster: TwoNodes, folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    own = {
        "PIXARIS_GCP_PROJECT_ID": "project",
        "PIXARIS_GCP_LOCATION": "europe-west4",
        "PIXARIS_GCP_PIXARIS_BUCKET_NAME": "pixels",
        "RAY_API_SERVER_ADDRESS": cluster.jobs_address,
    }
    words = [sys.executable, str(EXAMPLE), url]
    environment = {**cluster.environment, **own}
    return subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=150
    )


def upload(bucket: BucketServer, folder: Path) -> None:
    script = EXAMPLES / "helpful_scripts" / "setup_local_experiment_inputs_dummy.py"
    subprocess.run([sys.executable, str(script)], cwd=folder, check=True, capture_output=True)
    made = folder / "local_experiment_inputs" / "dummy_project" / "dummy_dataset"
    for file in made.rglob("*.png"):
        bucket.put(f"{INPUTS}/{file.relative_to(made)}", file.read_bytes())


def test_the_original_s_example_generates_on_the_cluster_and_brings_the_results_home(
    bucket: BucketServer, cluster: TwoNodes, url: str, tmp_path: Path
) -> None:
    upload(bucket, tmp_path)
    done = example(cluster, tmp_path, url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "example-cluster: 3 of 3 items" in done.stdout
    here = tmp_path / "local_results" / "dummy_project" / "dummy_dataset"
    there = "results/dummy_project/dummy_dataset/example-cluster"
    assert (
        done.stdout.splitlines()[-1]
        == f"example-cluster: gs://pixels/{there}, and here in {here / 'example-cluster'}"
    )
    for name in ("beach", "forest", "town"):
        file = f"generated_images/{name}.png"
        data = (here / "example-cluster" / file).read_bytes()
        assert bucket.buckets["pixels"][f"{there}/{file}"].data == data
        before = decode(bucket.buckets["pixels"][f"{INPUTS}/Input/{name}.png"].data)
        rounding = ImageChops.difference(decode(data), ImageOps.invert(before)).getextrema()
        assert max(most for _, most in rounding) <= 1
    assert list((here / "tensorboard" / "example-cluster").iterdir())
    again = example(cluster, tmp_path, url)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.splitlines()[-1].startswith("example-cluster-2: gs://pixels/")


def test_results_that_do_not_reach_the_bucket_are_no_success(
    bucket: BucketServer, cluster: TwoNodes, url: str, tmp_path: Path
) -> None:
    upload(bucket, tmp_path)
    bucket.faults.append(Fault("POST /upload", times=10_000, status=403))
    try:
        done = example(cluster, tmp_path, url)
    finally:
        bucket.faults.clear()
    assert done.returncode != 0
    assert "this account may not write it" in done.stdout
    assert "the run example-cluster" in done.stderr
    assert "failed on the cluster" in done.stderr
    assert not (tmp_path / "local_results").exists()


def test_a_submitted_search_is_read_from_here_although_its_job_s_folder_goes(
    bucket: BucketServer, cluster: TwoNodes, url: str, cells: Path, tmp_path: Path
) -> None:
    shutil.copytree(cells, tmp_path / "cells")
    (tmp_path / "workflow.json").write_bytes(WORKFLOW.read_bytes())
    (tmp_path / "search.yaml").write_text(SEARCH.replace("URL", url))

    def pixaris(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pixaris", *words],
            cwd=tmp_path,
            env={**cluster.environment, **bucket.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    done = pixaris("submit", "search.yaml", "--address", cluster.jobs_address, "--follow")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kept in gs://pixels/searches/tests/cells; from anywhere: pixaris show gs://pixels" in done.stdout
    assert not (tmp_path / "local_results").exists()
    shown = pixaris("show", "gs://pixels/searches/tests/cells", "--json")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert (found["status"], len(found["trials"])) == ("finished", 4)
    written = pixaris("export", "gs://pixels/searches/tests/cells", "-o", "winner.json")
    assert written.returncode == 0, written.stderr
    assert (tmp_path / "winner.json").is_file()
