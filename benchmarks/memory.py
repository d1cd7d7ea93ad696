"""Memory of the driver, the pool actor and the endpoint workers over many images, and how often an input
image is uploaded.

    python benchmarks/memory.py [--images 20000]

Sixteen endpoints that answer at once with an image of 20 kB; 200 requests in flight; 40 input images that
come again and again.
"""

from __future__ import annotations

import argparse
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import ray
from measure import Noise, ask
from sleepers import WORKFLOW, sleepers

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.ray import RayPool, start_pool
from pixaris.generation.base import ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.types import GeneratedImage, GenerationParam, GenerationRequest

ITEMS, ENDPOINTS, IN_FLIGHT = 40, 16, 200


def megabytes(pid: int) -> float:
    """Memory of a process that is its own (what it shares with others, such as the object store, is not)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return (
        sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))
        / 1024
    )


def requests(count: int) -> Iterator[GenerationRequest]:
    generator = ComfyGenerator(WORKFLOW)
    items = Noise(ITEMS, 64).load_dataset().items
    for number in range(count):
        item = items[number % ITEMS]
        params = [GenerationParam("KSampler", "cfg", 1 + number / count)]
        yield generator.request(
            ItemArgs({}, item=item.name, images={"Load Input Image": item.inputs["Input"]}, params=params)
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=20_000)
    count = parser.parse_args().images
    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    with sleepers(ENDPOINTS, 0.0, kilobytes=20) as urls:
        _, pool = start_pool([Endpoint(url) for url in urls])
        rows = list(follow(pool, count))
        uploads = sum(one["uploads"] for one in ask(urls))
        pool.shut_down()
    ray.shutdown()
    print(f"uploads {uploads} (≤ {ITEMS} items × {ENDPOINTS} endpoints = {ITEMS * ENDPOINTS})")
    early, late = rows[len(rows) // 4], rows[-1]
    for name, before, after in zip(("driver", "pool actor", "worker"), early[1:], late[1:], strict=False):
        grown = after - before
        verdict = "yes" if grown <= 0.05 * before + 5 else "NO"
        print(
            f"{name}: {before:.0f} MB after {early[0]} images, {after:.0f} MB after {late[0]} (flat:"
            f" {verdict})"
        )


def follow(pool: RayPool, count: int) -> Iterator[tuple[float, ...]]:
    """Images so far, and the processes' memory, now and then."""
    waiting: deque[Future[GeneratedImage]] = deque()
    every = max(1, count // 20)
    for number, request in enumerate(requests(count), 1):
        waiting.extend(pool.submit([request]))
        while len(waiting) > (IN_FLIGHT if number < count else 0):
            waiting.popleft().result()
        if number % every == 0:
            yield number, megabytes(os.getpid()), *map(megabytes, pool.pids())


if __name__ == "__main__":
    main()
