"""A search whose images are all in the cache: images/s through the whole search, and what a large one
takes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import Constant, Noise, ask
from PIL import Image
from ray import tune
from sleepers import WORKFLOW, sleepers

from pixaris.cache.base import CachedImage
from pixaris.cache.local import LocalCache
from pixaris.components import files_and_events
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.images import EncodedImage
from pixaris.search import Search, SearchResult


class Filling(LocalCache):
    """Has every image that is asked for, at once, and keeps it: fills a cache without a server."""

    def get(self, key: str) -> CachedImage | None:
        pixels = np.random.default_rng(int(key[:8], 16)).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((256, 256), Image.Resampling.BICUBIC)
        self.put(key, CachedImage(EncodedImage.of(image), "http://nobody", 1.0))
        return super().get(key)


def searched(cache: LocalCache, url: str, trials: int, items: int, folder: Path) -> SearchResult:
    metric = Constant()
    return Search(
        data_loader=Noise(items, 256),
        image_generator=ComfyGenerator(WORKFLOW),
        space={"cfg": ("KSampler", "cfg", tune.uniform(1.0, 12.0))},
        metrics=[metric],
        objective=metric.name,
        experiment_handler=lambda own: files_and_events(folder, own),
        endpoints=[url],
        results_dir=folder,
        algorithm="random",
        num_samples=trials - 1,
        max_concurrent=2,
        seed=1,
        cache=cache,
    ).run()


def replay(trials: int, items: int) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with tempfile.TemporaryDirectory() as root, sleepers(1, 0.1) as [url]:
        searched(Filling(f"{root}/images"), url, trials, items, Path(root) / "first")
        started = time.monotonic()
        result = searched(LocalCache(f"{root}/images"), url, trials, items, Path(root) / "second")
        seconds = time.monotonic() - started
        assert result.cached == result.images == trials * items, (result.cached, result.images)
        assert ask([url])[0]["prompts"] == 0
    rate = result.images / seconds
    print(
        f"{trials} trials × {items} cached images: {seconds:.1f} s with Ray's start, {rate:.0f} images/s",
        flush=True,
    )
    if trials >= 1000:
        print(
            f"  ≤ 120 s: {'yes' if seconds <= 120 else 'NO'} · ≥ 100 images/s:"
            f" {'yes' if rate >= 100 else 'NO'}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--items", type=int, default=8)
    options = parser.parse_args()
    replay(options.trials, options.items)
