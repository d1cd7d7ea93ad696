"""What a search's report takes of its time: CPU seconds of writing it while it goes on, and at its end.

    python benchmarks/report_share.py [sets] [side] [images a second]

A search of 16 items grows by so many images a second (by default as four endpoints of half a second make);
its time is reckoned, so that a busy machine changes nothing, and the report is written as often as the search
would write it. Images are photographs of SIDE² pixels as PNG, all different.
"""

from __future__ import annotations

import io
import math
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "tests")]

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from search_kit import Made, Picture, made_search  # noqa: E402
from sleepers import photographs  # noqa: E402

from pixaris.report.listener import pause_after, seconds_for_pictures, write_report  # noqa: E402
from pixaris.report.thumbnails import Thumbnails  # noqa: E402
from pixaris.results.paths import SearchPaths  # noqa: E402
from pixaris.results.records import SearchResult  # noqa: E402

ITEMS = 16


def pictures(side: int) -> Picture:
    """Photographs, each with a pixel of its own."""
    photos = [np.asarray(Image.open(io.BytesIO(data))) for data in photographs(side, 4)]

    def picture(number: int, index: int) -> bytes:
        pixels = photos[index % len(photos)].copy()
        pixels[0, 0] = number % 256, number // 256, index
        data = io.BytesIO()
        Image.fromarray(pixels).save(data, "PNG", compress_level=1)
        return data.getvalue()

    return picture


def cost(result: SearchResult, thumbnails: Thumbnails, every: float, most: float) -> float:
    """CPU seconds of all threads that writing a report takes."""
    began = time.process_time()
    write_report(result, thumbnails, every, most)
    return time.process_time() - began


def main() -> None:
    """Print what was measured."""
    sets = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    side = int(sys.argv[2]) if len(sys.argv) > 2 else 256
    rate = float(sys.argv[3]) if len(sys.argv) > 3 else 8.0
    lasts = sets * ITEMS / rate
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "demo" / "search"
        whole = made_search(folder, Made(sets=sets, items=ITEMS, side=side, stopped=0), pictures(side))
        kept = SearchPaths(folder).thumbnails
        with Thumbnails(kept, clock=time.process_time) as thumbnails:
            spent, writes, now = 0.0, 0, pause_after(0.0)
            while now < lasts:
                done = int(now * rate / ITEMS)
                most = seconds_for_pictures(now, spent)
                seconds = cost(whole.with_trials(whole.trials[:done]), thumbnails, 10.0, most)
                spent, writes = spent + seconds, writes + 1
                now += seconds + pause_after(seconds)
            final = cost(whole, thumbnails, 0.0, math.inf)
    print(f"{sets} sets × {ITEMS} images of {side}×{side}, {rate:g} images/s: {lasts:.0f} s")
    print(f"while it goes on: {writes} reports, {spent:.1f} s of CPU, {spent / lasts:.1%} of the time")
    print(f"at its end: {final:.1f} s of CPU, {final / lasts:.1%} of the time, on all cores")


if __name__ == "__main__":
    main()
