"""From the command's start to the first image, and until every endpoint is busy.

    python benchmarks/start.py [--only 64]

`pixaris search` on a folder of forty images, as a process of its own; Ray is not up yet. An image takes 0.5 s
on four endpoints and 2 s on sixty-four, and the first one's time counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import Noise, ask, say
from sleepers import WORKFLOW, sleepers


def prepare(folder: Path, urls: list[str]) -> None:
    """A search file, its workflow and its images."""
    images = folder / "local_experiment_inputs" / "bench" / "noise" / "Input"
    images.mkdir(parents=True)
    for item in Noise(40, 256).load_dataset().items:
        (images / f"{item.name}.png").write_bytes(item.inputs["Input"].data)
    (folder / "workflow.json").write_text(json.dumps(WORKFLOW))
    search = {
        "name": "start",
        "project": "bench",
        "dataset": "noise",
        "generator": {"type": "comfyui", "workflow": "workflow.json"},
        "endpoints": urls,
        "parameters": {"cfg": {"node_name": "KSampler", "input": "cfg", "uniform": [1.0, 12.0]}},
        "metrics": ["sharpness"],
        "objective": {"metric": "sharpness"},
        "search": {"algorithm": "random", "num_samples": 100, "seed": 1},
    }
    (folder / "search.yaml").write_text(json.dumps(search))


def start(endpoints: int, seconds: float) -> None:
    command = [sys.executable, "-m", "pixaris", "search", "search.yaml"]
    with tempfile.TemporaryDirectory() as folder, sleepers(endpoints, seconds) as urls:
        environment = {**os.environ, "PIXARIS_CACHE_DIR": f"{folder}/cache"}
        prepare(Path(folder), list(urls))
        started = time.monotonic()
        with (Path(folder) / "output.txt").open("wb") as output:
            process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, env=environment)
            try:
                while process.poll() is None:
                    stats = ask(urls)
                    if all(one["first"] for one in stats) and any(one["fetched"] for one in stats):
                        break
                    time.sleep(0.1)
                else:
                    sys.exit((Path(folder) / "output.txt").read_text())
            finally:
                process.terminate()
                process.wait(60)
        first = min(one["fetched"] for one in stats if one["fetched"]) - started
        busy = max(one["first"] for one in stats) - started
        say(f"{endpoints} endpoints × {seconds} s: command to the first image", first, 1.5 + seconds, 1.0)
        say(f"{endpoints} endpoints × {seconds} s: command to every endpoint busy", busy, 12.0, 1.0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=int, help="only the case with so many endpoints")
    only = parser.parse_args().only
    for endpoints, seconds in ((4, 0.5), (64, 2.0)):
        if only in (None, endpoints):
            start(endpoints, seconds)
