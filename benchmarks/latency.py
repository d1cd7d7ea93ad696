"""From submitting a trivial prompt to having its image in hand: by the client alone, and through the Ray
pool.

    python benchmarks/latency.py [--repeats 200]

The endpoint runs as a process of its own. Every prompt is a new one (its colour changes), so nothing comes
from a cache. A workflow that fails is timed too: what an error costs beside a success.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ray

from pixaris.comfyui.workflow import Workflow
from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.local import LocalPool
from pixaris.endpoints.ray import start_pool
from pixaris.endpoints.sources.managed import EmbeddedSource
from pixaris.endpoints.sources.process import ServerProcesses
from pixaris.exceptions import ExecutionError
from pixaris.generation.base import ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.types import GenerationParam, GenerationRequest

PROMPT = Workflow.load(
    {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0},
            "_meta": {"title": "Colour"},
        },
        "2": {
            "class_type": "SaveImage",
            "inputs": {"images": ["1", 0], "filename_prefix": "x"},
            "_meta": {"title": "Save Image"},
        },
    }
)
FAILING = Workflow.load(
    {
        **PROMPT.as_dict(),
        "2": {
            "class_type": "ImageToMask",
            "inputs": {"image": ["1", 0], "channel": "alpha"},
            "_meta": {"title": "No Alpha"},
        },
        "3": {"class_type": "MaskToImage", "inputs": {"mask": ["2", 0]}, "_meta": {"title": "Show"}},
        "4": {
            "class_type": "SaveImage",
            "inputs": {"images": ["3", 0], "filename_prefix": "x"},
            "_meta": {"title": "Save Image"},
        },
    }
)


def asked(number: int, workflow: Workflow = PROMPT) -> GenerationRequest:
    params = [GenerationParam("Colour", "color", number)]
    return ComfyGenerator(workflow).request(ItemArgs({}, item=f"item {number}", params=params))


def timed(run: Callable[[GenerationRequest], object], first: int, repeats: int) -> list[float]:
    """Milliseconds of each."""
    times = []
    for number in range(first, first + repeats):
        request = asked(number)
        started = time.perf_counter()
        run(request)
        times.append((time.perf_counter() - started) * 1e3)
    return times


def say(name: str, times: list[float], limit: float) -> float:
    p50, p99 = statistics.median(times), sorted(times)[int(len(times) * 0.99)]
    print(
        f"{name}: p50 {p50:.1f} ms (≤ {limit:g}: {'yes' if p50 <= limit else 'NO'}), p99 {p99:.1f} ms",
        flush=True,
    )
    return p50


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    with (
        tempfile.TemporaryDirectory() as folder,
        ServerProcesses(EmbeddedSource().servers(), Path(folder)) as servers,
    ):
        for process in servers.processes:
            process.wait()
        endpoint = Endpoint(servers.processes[0].url)
        client = endpoint.connect()
        timed(client.run, 0, 10)
        direct = say("client", timed(client.run, 1000, repeats), 10)
        client.close()

        pool = LocalPool([endpoint])
        pool.submit([asked(2000)])[0].result()
        good = timed(lambda request: pool.submit([request])[0].result(), 3000, repeats // 4)
        bad = []
        for number in range(repeats // 4):
            request = asked(number, FAILING)
            started = time.perf_counter()
            assert isinstance(pool.submit([request])[0].exception(), ExecutionError)
            bad.append((time.perf_counter() - started) * 1e3)
        pool.close()
        cost = statistics.median(bad) - statistics.median(good)
        print(
            f"a workflow error costs {cost:+.1f} ms beside a success (≤ 200:"
            f" {'yes' if cost <= 200 else 'NO'})",
            flush=True,
        )

        ray.init(address="local", include_dashboard=False, log_to_driver=False)
        _, ray_pool = start_pool([endpoint])
        run = lambda request: ray_pool.submit([request])[0].result()  # noqa: E731
        timed(run, 5000, 10)
        through = say("Ray pool", timed(run, 6000, repeats), 25)
        print(f"  {through / direct:.1f} × the client's")
        ray_pool.shut_down()
        ray.shutdown()


if __name__ == "__main__":
    main()
