"""Many endpoints: images × service time / (endpoints × span) from the first request to the last answer, and
the time to start.
"""

from __future__ import annotations

import argparse
import math
import threading
import time
from collections.abc import Sequence

from measure import ask, run, say, span
from ray import tune
from sleepers import sleepers


def throughput(
    endpoints: int, seconds: float, images: int, limit: float, *, items: int, kilobytes: int = 400
) -> None:
    trials = math.ceil(images / items)
    space = {"cfg": ("KSampler", "cfg", tune.uniform(1.0, 12.0))}
    with sleepers(endpoints, seconds, kilobytes=kilobytes) as urls:
        filled = Filled(urls)
        started = time.monotonic()
        run(
            urls,
            space,
            items=items,
            side=256,
            algorithm="random",
            num_samples=trials - 1,
            seed=1,
            step=min(items, 25),
        )
        filled.ended.set()
        filled.join()
        stats = ask(urls)
    made = sum(s["prompts"] for s in stats)
    say(
        f"{endpoints} endpoints × {seconds} s, {made} images: utilisation",
        made * seconds / endpoints / span(stats),
        1.0,
        limit,
        lower=False,
    )
    first = min(s["first"] for s in stats if s["first"]) - started
    print(
        f"  first request after {first:.1f} s (first image ≤ 7 s with {seconds} s for the image itself)",
        flush=True,
    )
    if filled.seconds is not None:
        print(f"  every endpoint busy after {filled.seconds - started:.1f} s", flush=True)


class Filled(threading.Thread):
    """Notes when every endpoint has had its first prompt."""

    def __init__(self, urls: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self.urls, self.seconds, self.ended = urls, None, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.ended.wait(1.0):
            first = [s["first"] for s in ask(self.urls)]
            if all(first):
                self.seconds = max(first)
                return


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=int, help="only the case with so many endpoints")
    only = parser.parse_args().only
    # As many images for every endpoint: where they do not share out evenly, no arrangement reaches the ideal.
    for endpoints, seconds, images, items, limit in (
        (16, 0.5, 1000, 50, 0.97),
        (64, 2.0, 1600, 50, 0.95),
        (256, 4.0, 7680, 40, 0.95),
    ):
        if only in (None, endpoints):
            throughput(endpoints, seconds, images, limit, items=items)
