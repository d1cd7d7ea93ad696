"""What Google Cloud Storage is asked for, on a stand-in of it on this machine: an eval set of 2 000
files, and a search that is kept in a bucket.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from measure import Constant, Noise
from PIL import Image
from ray import tune
from sleepers import WORKFLOW, sleepers

from pixaris.components import files_and_events
from pixaris.data_loaders.gcp import GCPDatasetLoader
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.search import Search

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from gcs_stand_in import BucketServer

_SIDE = 64


@contextmanager
def stand_in() -> Iterator[BucketServer]:
    with BucketServer("pixels") as server:
        os.environ.update(server.environment)
        yield server


def operations(server: BucketServer) -> tuple[int, int]:
    """Requests of class A (writes, listings) and of class B (reads)."""
    writes = server.asked("POST /upload") + server.asked("prefix=")
    reads = sum(words.startswith("GET") and "prefix=" not in words for words in server.requests)
    return writes, reads


def eval_set(server: BucketServer, folder: Path, files: int) -> None:
    rng = np.random.default_rng(0)
    source = folder / "made"
    for name in ("Input", "Mask"):
        (source / name).mkdir(parents=True)
        for number in range(files // 2):
            pixels = rng.integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(source / name / f"{number:05d}.png")
    loader = GCPDatasetLoader("project", "pixels", "bench", "photos", folder, references=["Mask"])
    for words, act in (
        ("uploaded", lambda: loader.create_dataset(source)),
        ("uploaded again", lambda: loader.create_dataset(source)),
        ("downloaded", loader.download),
        ("downloaded again", loader.download),
    ):
        server.requests.clear()
        began = time.perf_counter()
        act()
        seconds = time.perf_counter() - began
        writes, reads = operations(server)
        print(f"  {files} files {words}: {seconds:.1f} s; class A {writes}, class B {reads}")


def search(server: BucketServer, folder: Path, trials: int, items: int, seconds: float) -> None:
    server.requests.clear()
    server.received = 0
    metric = Constant()
    with sleepers(2, seconds) as urls:
        result = Search(
            data_loader=Noise(items, 256),
            image_generator=ComfyGenerator(WORKFLOW),
            space={"cfg": ("KSampler", "cfg", tune.uniform(1.0, 12.0))},
            metrics=[metric],
            objective=metric.name,
            experiment_handler=lambda own: files_and_events(folder, own),
            endpoints=urls,
            results_dir=folder,
            storage="gs://pixels/searches",
            algorithm="random",
            scheduler="fifo",
            num_samples=trials - 1,
        ).run(progress=False)
    writes, reads = operations(server)
    stored = sum(len(blob.data) for blob in server.buckets["pixels"].values())
    print(
        f"  {trials} trials × {items} items in {result.seconds:.0f} s ({result.images} images):"
        f" class A {writes}, class B {reads};"
        f" {server.received / 1e6:.1f} MB sent, {stored / 1e6:.1f} MB there"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--items", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=0.5, help="what an image takes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        with stand_in() as server:
            eval_set(server, Path(name), options.files)
        with stand_in() as server:
            search(server, Path(name) / "results", options.trials, options.items, options.seconds)


if __name__ == "__main__":
    main()
