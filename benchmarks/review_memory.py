"""The memory of the review page's process: all pages of a large search are walked through, then asked for
again and again.

    python benchmarks/review_memory.py [sets] [requests]
"""

from __future__ import annotations

import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).parents[1] / "tests"),
    str(Path(__file__).parents[1] / "tests" / "frontend"),
]

from page_kit import Visitor, address_of, new_iteration, results_of, search_id, visitor  # noqa: E402
from search_kit import Made  # noqa: E402

ITEMS = 16


def resident(process: subprocess.Popen[str]) -> float:
    """Megabytes of memory that a process has."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


class Walk:
    """Somebody who looks at everything there is, and votes.

    Args:
        person: Who.
        sets: Of the search.
    """

    def __init__(self, person: Visitor, sets: int) -> None:
        self.person = person
        self.sets = sets
        self.search = search_id(person)
        self.iteration = new_iteration(person, range(8), "bench")
        self._numbers = count()

    def get(self, path: str) -> None:
        """Ask for a page or an image."""
        answer = self.person.get(path)
        assert answer.status_code == 200, (path, answer.text)

    def vote(self) -> None:
        """Take a pair, look at it, vote; or say something of an image, where there are no more pairs."""
        pair = self.person.post(f"{self.iteration}/next").json()["pair"]
        if pair is None:
            body: dict[str, object] = {"image": next(self._numbers) % 8, "verdict": "like"}
            path = f"{self.iteration}/say"
        else:
            self.get(pair["left"])
            self.get(pair["right"])
            body = {"lease": pair["lease"], "outcome": "left"}
            path = f"{self.iteration}/vote"
        answer = self.person.post(path, {"id": secrets.token_hex(10), **body})
        assert answer.status_code == 200, answer.text

    def step(self) -> None:
        """The next of all that can be looked at, in turn: mostly images, as in a browser."""
        number = next(self._numbers)
        trial, item = number // 7 % self.sets, number // 3 % ITEMS
        kinds: list[Callable[[], None]] = [
            lambda: self.get(f"/image/{self.search}-{trial}/{item}/128"),
            lambda: self.get(f"/image/{self.search}-{trial}/{item}/256"),
            lambda: self.get(f"/image/{self.search}-{trial}/{item}/0"),
            lambda: self.get(f"/given/{self.search}/{item}/0/128"),
            lambda: self.get(f"/run/{self.search}-{trial}"),
            self.vote,
            lambda: self.get(
                f"/compare?run={self.search}-{trial}&run={self.search}-{(trial + 1) % self.sets}"
            ),
            lambda: self.get("/static/page.js"),
        ]
        kinds[number % len(kinds)]()

    def whole(self) -> None:
        """The pages that hold everything."""
        paths = [
            "/",
            f"/search/{self.search}",
            f"/search/{self.search}/verdict",
            f"/search/{self.search}/rows",
        ]
        paths += ["/feedback", self.iteration, f"{self.iteration}/blind", f"{self.iteration}/standing"]
        for path in paths:
            self.get(path)


def main() -> None:
    """Print what was measured."""
    sets = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    requests = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        results = results_of(Path(folder) / "results", Made(sets=sets, items=ITEMS, stopped=0))
        argv = [sys.executable, "-u", "-m", "pixaris", "ui", "--results", str(results), "--port", "0"]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            walk = Walk(visitor(address_of(process)), sets)
            print(f"started                  {resident(process):5.0f} MB")
            walk.whole()
            print(f"every page, once         {resident(process):5.0f} MB")
            began = time.perf_counter()
            for done in range(1, requests + 1):
                if done % 500:
                    walk.step()
                else:
                    walk.whole()
                if done % max(1, requests // 10) == 0:
                    seconds = time.perf_counter() - began
                    print(f"{done:6} requests, {seconds:4.0f} s  {resident(process):5.0f} MB", flush=True)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


if __name__ == "__main__":
    main()
