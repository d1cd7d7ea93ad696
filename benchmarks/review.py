"""The review page under votes: 20 people with a vote every three seconds, then all as fast as they can; and a
search of many sets, whose page must stay usable.

    python benchmarks/review.py [seconds] [sets]
"""

from __future__ import annotations

import secrets
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).parents[1] / "tests"),
    str(Path(__file__).parents[1] / "tests" / "frontend"),
]

from page_kit import Visitor, command, new_iteration, results_of, search_id, visitor  # noqa: E402
from search_kit import Made  # noqa: E402

from pixaris.feedback_handlers.base import IterationKey  # noqa: E402
from pixaris.feedback_handlers.local import LocalFeedbackHandler  # noqa: E402

VOTERS = 20
EVERY = 3.0


def vote(one: Visitor, url: str, image: int) -> float:
    """Say something of an image; gives the seconds that took."""
    began = time.perf_counter()
    body = {"id": secrets.token_hex(10), "image": image, "verdict": "like"}
    assert one.post(f"{url}/say", body).status_code == 200
    return time.perf_counter() - began


def calm(one: Visitor, url: str, number: int, seconds: float) -> list[float]:
    """A vote every three seconds."""
    time.sleep(EVERY * number / VOTERS)
    found = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found.append(vote(one, url, len(found) % 8))
        time.sleep(max(0.0, EVERY - found[-1]))
    return found


def told(name: str, seconds: list[float]) -> None:
    """A line of the table."""
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    middle = statistics.median(ordered)
    print(f"{name:<28} {len(ordered):5} votes  median {middle * 1000:5.0f} ms  p99 {high * 1000:5.0f} ms")


def main() -> None:
    """Print what was measured."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    sets = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000
    with tempfile.TemporaryDirectory() as folder:
        results = results_of(Path(folder) / "small", Made(sets=4, items=4, stopped=0))
        with command(results) as root:
            people = [visitor(root, f"voter {number}") for number in range(VOTERS)]
            url = new_iteration(people[0], [0, 1], "bench")
            with ThreadPoolExecutor(VOTERS) as pool:
                runs = [pool.submit(calm, one, url, at, seconds) for at, one in enumerate(people)]
                told("a vote every 3 s each", [value for run in runs for value in run.result()])
                jobs = [pool.submit(vote, people[at % VOTERS], url, at % 8) for at in range(1_000)]
                told("flat out", [job.result() for job in jobs])
            written = len(LocalFeedbackHandler(results).read(IterationKey("demo", "bench")).entries)
            print(f"written: {written}")
        large = results_of(Path(folder) / "large", Made(sets=sets, items=16, stopped=0))
        with command(large) as root:
            one = visitor(root)
            identity = search_id(one)
            for name, path in (("first time", f"/search/{identity}"), ("again", f"/search/{identity}")):
                began = time.perf_counter()
                size = len(one.get(path).content)
                took_seconds = time.perf_counter() - began
                print(f"page of {sets} sets × 16, {name}: {took_seconds:.2f} s, {size / 1e6:.1f} MB")
            took = []
            for number in range(0, sets, max(1, sets // 200)):
                began = time.perf_counter()
                assert one.get(f"/image/{identity}-{number}/{number % 16}/128").status_code == 200
                took.append(time.perf_counter() - began)
            told("its images", took)


if __name__ == "__main__":
    main()
