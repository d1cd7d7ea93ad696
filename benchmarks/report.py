"""Size, time and memory of reports, and how fast they open.

    python benchmarks/report.py [--only 48x16]

Searches made by hand of crops of photographs: 48 sets × 16 items of 768 pixels, and 1 000 × 16 of 160. The
larger report is opened in Chromium beside a naive file of the same thumbnails, one `<img>` each, and each
load is the best of three.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from pixaris.data_loaders.demo import prepare

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "report")]

from search_kit import Made, Picture, made_search  # noqa: E402

SIZES = {"48x16": (48, 16, 768, 8_000_000), "1000x16": (1_000, 16, 160, 30_000_000)}


def photographs(folder: Path) -> list[Image.Image]:
    """The demo's photographs."""
    prepare(folder)
    return [Image.open(file).convert("RGB") for file in sorted(folder.glob("photos/Original/*"))]


def crops(photos: list[Image.Image], side: int) -> Picture:
    """Pictures of all sets and items: a crop of the item's photograph, another one for each set."""

    def picture(number: int, index: int) -> bytes:
        random = np.random.default_rng((number, index))
        photo = photos[index % len(photos)]
        part = int(min(photo.size) * random.uniform(0.6, 0.95))
        left, top = (int(random.integers(0, length - part)) for length in photo.size)
        crop = photo.crop((left, top, left + part, top + part)).resize((side, side))
        data = io.BytesIO()
        crop.save(data, "JPEG", quality=92)
        return data.getvalue()

    return picture


def written(folder: Path) -> tuple[Path, float, float, float]:
    """Write a report in a process of its own: its file, seconds, seconds the second time, peak memory."""
    code = (
        "import sys, time, resource, json\n"
        "from pixaris.report import write\n"
        "from pixaris.results.records import SearchResult\n"
        "times = []\n"
        "for _ in range(2):\n"
        "    began = time.perf_counter()\n"
        "    file = write(SearchResult.load(sys.argv[1]))\n"
        "    times.append(time.perf_counter() - began)\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "print(json.dumps([str(file), *times, peak]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    file, first, second, peak = json.loads(done.stdout)
    return Path(file), first, second, peak


def naive(report: Path) -> Path:
    """A file of the same thumbnails, one ``<img>`` each."""
    text = report.read_text(encoding="utf-8")
    chunks = re.findall(r'id="pictures-\d+">(\[.*?\])</script>', text)
    pictures = [picture for chunk in chunks for picture in json.loads(chunk)]
    images = "".join(
        f'<img src="data:image/webp;base64,{picture}" width="96" alt="">' for picture in pictures
    )
    file = report.with_name("naive.html")
    file.write_text(f"<!doctype html><title>naive</title>{images}", encoding="utf-8")
    return file


def opened(file: Path) -> tuple[float, int]:
    """Seconds until a file has loaded in Chromium, the best of three, and its elements then."""
    from browser_kit import running

    with running() as browser:
        best, elements = float("inf"), 0
        for _ in range(3):
            page = browser.new_page()
            began = time.perf_counter()
            page.goto(file.resolve().as_uri(), wait_until="load", timeout=120_000)
            best = min(best, time.perf_counter() - began)
            elements = page.evaluate("document.querySelectorAll('*').length")
            page.close()
    return best, elements


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=SIZES, default=None)
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory() as home:
        photos = photographs(Path(home) / "photos")
        for name, (sets, items, side, limit) in SIZES.items():
            if only not in (None, name):
                continue
            folder = Path(home) / "results" / name
            made_search(folder, Made(sets=sets, items=items, side=side, stopped=0), crops(photos, side))
            file, first, second, peak = written(folder)
            size = file.stat().st_size
            print(f"{name}: {size / 1e6:.1f} MB (limit {limit / 1e6:.0f})")
            print(f"{name}: written in {first:.1f} s, again in {second:.1f} s, peak {peak:.0f} MB")
            seconds, elements = opened(file)
            plain, plain_elements = opened(naive(file))
            print(f"{name}: opens in {seconds:.2f} s with {elements} elements")
            print(f"{name}: naive file {plain:.2f} s with {plain_elements}: {seconds / plain:.0%}")
    print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
