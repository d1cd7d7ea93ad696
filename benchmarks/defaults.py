"""What `pixaris search FILE` costs as it is used: results, TensorBoard and cache on, 1024² photographs, until
the command has ended.

CPU is that of the whole process tree, from which a tiny search of the same kind is taken away, by image.
Bytes are those on the disk (a file with several names once), against those of the images themselves.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from sleepers import WORKFLOW, photographs, sleepers

FREE = """
from pixaris.metrics.base import BaseMetric


class Free(BaseMetric):
    direction = "max"

    def score(self, image, item):
        return float(item.index)
"""
"""A metric that costs nothing."""

EMPTY = """
import os
from ray import tune


def trial(config):
    tune.report({"score": config["x"]})


config = tune.RunConfig(storage_path=os.getcwd())
space = {"x": tune.grid_search([1, 2, 3])}
tune.Tuner(trial, param_space=space, run_config=config).fit()
"""
"""A search of three trials by Ray Tune alone, which makes nothing."""

TICKS = os.sysconf("SC_CLK_TCK")
ITEMS = 12


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Attributes:
        wall: Seconds.
        cpu: Seconds of the whole process tree, by kind of process.
        stored: Bytes on the disk for each byte of the images it made.
    """

    wall: float
    cpu: Counter[str]
    stored: float


def processes() -> dict[int, tuple[int, float, str]]:
    """Every process: its parent, its CPU seconds and its command."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found[int(folder.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS, command
    return found


def kind(command: str) -> str:
    """What a process of a search is."""
    for sign, name in (
        ("ray::ResourceTrainable", "trials"),
        ("ray::ExperimentTrial", "trials"),
        ("ray::WorkerActor", "workers"),
        ("ray::PoolActor", "pool"),
        ("ray::", "other actors"),
        ("gcs_server", "Ray"),
        ("raylet", "Ray"),
        ("/ray/", "Ray"),
        ("-m pixaris", "driver"),
    ):
        if sign in command:
            return name
    return "others"


def measure(command: Sequence[str], folder: Path) -> tuple[float, Counter[str]]:
    """Run a command; its seconds, and those of CPU by kind of process."""
    started = time.monotonic()
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    cpu: dict[int, float] = {}
    kinds: dict[int, str] = {}
    ours = {child.pid}
    while child.poll() is None:
        table = processes()
        for _ in range(4):
            ours |= {pid for pid, (parent, _, _) in table.items() if parent in ours}
        for pid in ours & table.keys():
            cpu[pid] = table[pid][1]
            if kinds.get(pid, "others") in ("others", "other actors", "Ray"):
                kinds[pid] = kind(table[pid][2])
        time.sleep(0.2)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    total: Counter[str] = Counter()
    for pid, seconds in cpu.items():
        total[kinds[pid]] += seconds
    return time.monotonic() - started, total


def search_file(folder: Path, urls: Sequence[str], sets: int, items: int, side: int, *, ssim: bool) -> Path:
    """A search over photographs on sleeping endpoints."""
    pictures = photographs(side, items)
    for name in ("Input", "Original") if ssim else ("Input",):
        (folder / "photos" / name).mkdir(parents=True)
        for number, data in enumerate(pictures):
            (folder / "photos" / name / f"photo_{number:02}.png").write_bytes(data)
    (folder / "free.py").write_text(FREE)
    (folder / "workflow.json").write_text(json.dumps(WORKFLOW))
    metric = {"type": "ssim", "reference": "Original"} if ssim else {"type": "free:Free"}
    content = {
        "name": "photos",
        "project": "benchmark",
        "dataset": "./photos",
        "generator": {"type": "comfyui", "workflow": "workflow.json"},
        "endpoints": list(urls),
        "parameters": {"cfg": {"node_name": "KSampler", "input": "cfg", "uniform": [1, 12]}},
        "metrics": [metric],
        "objective": {"metric": "ssim" if ssim else "free"},
        "search": {"algorithm": "random", "scheduler": "fifo", "num_samples": sets, "seed": 1},
        "results": "results",
    }
    file = folder / "search.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def disk(*folders: Path) -> int:
    """Bytes of the files below folders, each file once, whatever its names."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    stats = [path.stat() for path in files]
    return sum({stat.st_ino: stat.st_size for stat in stats}.values())


def search(sets: int, items: int, side: int, seconds: float, endpoints: int, *, ssim: bool) -> Cost:
    """Run `pixaris search` on sleeping endpoints."""
    with tempfile.TemporaryDirectory() as name, sleepers(endpoints, seconds, side=side) as urls:
        folder = Path(name)
        file = search_file(folder, urls, sets, items, side, ssim=ssim)
        os.environ["PIXARIS_CACHE_DIR"] = str(folder / "cache")
        wall, cpu = measure([sys.executable, "-m", "pixaris", "search", str(file)], folder)
        images = sum(path.stat().st_size for path in folder.rglob("generated_images/*.png"))
        return Cost(wall, cpu, disk(folder / "results", folder / "cache") / images)


def per_image(large: Cost, small: Cost, images: int) -> str:
    """Milliseconds of CPU by image, in all and by kind of process."""
    spent = {name: 1000 * (large.cpu[name] - small.cpu[name]) / images for name in large.cpu}
    parts = ", ".join(f"{name} {value:.0f}" for name, value in sorted(spent.items(), key=lambda one: -one[1]))
    return f"{sum(spent.values()):.0f} ms ({parts})"


def main() -> None:
    sets = 20
    for ssim, limit in ((False, 60), (True, 110)):
        small = search(1, 2, 1024, 0.05, 4, ssim=ssim)
        large = search(sets, ITEMS, 1024, 0.3, 4, ssim=ssim)
        images = (sets + 1) * ITEMS - 4
        what = "with SSIM" if ssim else "as by default"
        print(f"1024², {what}: CPU by image {per_image(large, small, images)} (≤ {limit})", flush=True)
        print(f"  bytes on the disk: {large.stored:.2f} × those of the images (≤ 1.3)", flush=True)
        print(f"  {large.wall:.1f} s, of which the endpoints took {(images + 4) * 0.3 / 4:.1f} s", flush=True)
    tiny_search()


def empty() -> tuple[float, Counter[str]]:
    """Run a search of Ray Tune's that makes nothing."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "empty.py"
        file.write_text(EMPTY)
        return measure([sys.executable, str(file)], Path(name))


def tiny_search() -> None:
    """A search of six small images, and the empty one beside it."""
    wall, cpu = empty()
    tiny = search(2, 2, 128, 0.05, 1, ssim=False)
    ratio = sum(tiny.cpu.values()) / sum(cpu.values())
    print(f"empty search of Ray Tune, 3 trials: {sum(cpu.values()):.1f} s CPU, {wall:.1f} s", flush=True)
    print(
        f"tiny search, 3 sets × 2 images: {sum(tiny.cpu.values()):.1f} s CPU, {tiny.wall:.1f} s;"
        f" CPU {ratio:.2f} × the empty one's (≤ 1.5)"
    )
    print(f"  {dict(tiny.cpu)}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="only the tiny search")
    if parser.parse_args().tiny:
        tiny_search()
    else:
        main()
