"""What a dead endpoint costs a search: a 3×3 grid × 8 images on four endpoints, of which one is dead, or dies
midway.

The ideal is four living endpoints; at most 4/3 of it and 5 s are allowed.
"""

from __future__ import annotations

import contextlib
import threading
import time
from urllib.request import urlopen

from measure import ask, run, span
from sleepers import sleepers

SECONDS, IMAGES = 0.5, 72
SPACE = {"cfg": ("KSampler", "cfg", [4.0, 8.0, 12.0]), "steps": ("KSampler", "steps", [10, 20, 30])}


def dead(after: float | None) -> None:
    """One that is dead from the start (None), or dies so many seconds after the first request."""
    ideal = IMAGES * SECONDS / 4
    limit = ideal * 4 / 3 + 5
    with sleepers(3, SECONDS, kilobytes=400) as living, sleepers(1, SECONDS, kilobytes=400) as (mortal,):
        if after is None:
            kill(mortal)
        else:
            threading.Thread(target=kill_later, args=(mortal, after), daemon=True).start()
        run([*living, mortal], SPACE, items=8, algorithm="grid")
        took = span(ask(living))
    when = "from the start" if after is None else f"after {after:g} s"
    good = "yes" if took <= limit else "NO"
    print(
        f"one of four dead {when}: {took:.1f} s against {ideal:.1f} s ideal with four (≤ {limit:.1f}:"
        f" {good})",
        flush=True,
    )


def kill(url: str) -> None:
    """End an endpoint's process, as if it had been killed."""
    with contextlib.suppress(OSError):
        urlopen(f"{url}/die", timeout=5)


def kill_later(url: str, seconds: float) -> None:
    """Kill an endpoint so many seconds after its first request."""
    while not ask([url])[0]["first"]:
        time.sleep(0.1)
    time.sleep(seconds)
    kill(url)


if __name__ == "__main__":
    dead(None)
    dead(3.0)
