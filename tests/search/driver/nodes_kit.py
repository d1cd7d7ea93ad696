"""A search whose images say which node of the cluster has made them, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import resume_kit
from cluster_kit import TwoNodes
from kit import WORKFLOW
from PIL import Image
from resume_kit import Painter

from pixaris.files import append_json_line, read_json, read_json_lines
from pixaris.results.paths import SearchPaths
from pixaris.results.progress import Silent
from pixaris.search import SearchResult


class NodePainter(Painter):
    """Writes down, in a folder that all nodes share, which node has made an image."""

    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        import ray

        append_json_line(self._log.parent / "nodes.jsonl", {"node": ray.get_runtime_context().get_node_id()})
        return super().generate_single_image(args)


class Telling(Silent):
    """Prints what happens."""

    def event(self, sentence: str) -> None:
        print("event:", sentence, flush=True)  # noqa: T201  (the test reads it)


def search(results: Path, shared: Path, seconds: float, **changes: Any) -> Any:
    """The search: its results lie where the second node does not see them, its log where both do."""
    settings = {"image_generator": NodePainter(shared / "made.jsonl", seconds), "max_concurrent": 2}
    settings.update({"scheduler": "fifo", "algorithm": "random", "algorithm_options": {}, "cache": None})
    return resume_kit.search(results, seconds, **{**settings, **changes})


def start(
    cluster: TwoNodes, results: Path, shared: Path, seconds: float = 0.05, changes: str = "{}"
) -> subprocess.Popen[str]:
    """Start it, or go on with it."""
    code = (
        f"from pathlib import Path; import nodes_kit;"
        f" result = nodes_kit.search(Path({str(results)!r}), Path({str(shared)!r}), {seconds}, **{changes})"
        ".run(nodes_kit.Telling(), resume=True); print(result.status, result.reason)"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**cluster.environment, "RAY_ADDRESS": cluster.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=results,
    )


def managed_search(
    cluster: TwoNodes, results: Path, dataset: Path, options: str, *, sets: int, cache: bool = True
) -> list[str]:
    """Write the file of a search whose two servers Ray starts, each where a GPU is; gives the command that
    runs it.

    Args:
        cluster: Where.
        results: The results folder, and the command's own.
        dataset: Of cells and their masks.
        options: What the servers are started with besides.
        sets: How many are tried, the baseline included; at most 29.
        cache: As in a search file.
    """
    server = f"{sys.executable} -m pixaris.comfyui.server --listen 0.0.0.0 --port {{port}} {options}"
    (results / "search.yaml").write_text(
        f"""
name: cells
project: tests
results: {results}
dataset: {dataset}
generator: {{type: comfyui, workflow: {WORKFLOW}}}
endpoints: {{managed: {{command: "{server}", replicas: 2, num_gpus: 1}}}}
parameters: {{grow: {{node_name: Grow, input: expand, randint: [-14, 15]}}}}
metrics: [{{type: iou, reference: Mask}}]
objective: {{metric: iou}}
search: {{algorithm: random, num_samples: {sets}, seed: 7, scheduler: fifo, max_concurrent: 2}}
cache: {"true" if cache else "false"}
"""
    )
    return [sys.executable, "-m", "pixaris", "search", "search.yaml", "--address", cluster.address]


def made(shared: Path) -> Counter[str]:
    """How often each image was made."""
    return Counter(f"{row['values']} {row['item']}" for row in read_json_lines(shared / "made.jsonl"))


def nodes(shared: Path) -> Counter[str]:
    """How many images each node has made."""
    return Counter(row["node"] for row in read_json_lines(shared / "nodes.jsonl"))


def all_there(folder: Path) -> list[str]:
    """Trials of which anything is missing in the search's folder."""
    paths, lost = SearchPaths(folder), []
    for trial in SearchResult.load(folder).trials:
        run = paths.trial(trial.number)
        record = read_json(run.record) or {}
        whole = record.get("status") == trial.status and len(read_json_lines(run.items)) == trial.items
        if not whole or len(list(run.images.glob("*.png"))) != trial.items:
            lost.append(trial.name)
    return lost
