"""From `pixaris submit` to the first image, by parts, on a cluster of one node on this machine.

    python benchmarks/submit.py [--runs 2]

The cluster is up before; the first run sends the working folder, the second one finds it there, as a user's
second search does. An image takes 0.1 s on an endpoint that only waits.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from measure import ask, say
from sleepers import sleepers
from start import prepare

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from cluster_kit import TwoNodes, one_node

SECONDS = 0.1
LIMIT = 6.0
"""Seconds from the command to the first image, on a cluster that has had a search before."""

HERE = {"sending ": "checked here", "submitted ": "sent, and accepted"}
THERE = {
    "checking ": "the job is up, Pixaris imported",
    "starting Ray": "checked there",
    "starting the endpoints' workers": "the cluster joined",
    "searching by": "endpoint workers, ledger and searcher up",
}
"""What a line of the command, and of the job's log, begins with, to what is done when it comes."""


class Lines:
    """The lines of a text that grows, each with when it was seen first.

    Args:
        began: When the command was.
    """

    def __init__(self, began: float) -> None:
        self._began = began
        self.parts: dict[str, float] = {}

    def look(self, text: str, words: Mapping[str, str]) -> None:
        """Take in the text as it is now."""
        now = time.monotonic() - self._began
        for line in text.splitlines():
            for begin, part in words.items():
                if line.startswith(begin):
                    self.parts.setdefault(part, now)


def submitted(cluster: TwoNodes, folder: Path, name: str, url: str) -> dict[str, float]:
    """Submit a search and wait for its first image; seconds since the command, by part."""
    command = [sys.executable, "-m", "pixaris", "submit", "search.yaml", "--address", cluster.jobs_address]
    command += [f"--set=name={name}", f"--set=results={folder.parent / 'results'}", "--endpoint", url]
    printed = folder.parent / f"{name}.txt"
    environment = {**cluster.environment, "PYTHONUNBUFFERED": "1"}
    began = time.monotonic()
    lines = Lines(began)
    with printed.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--no-cache"], cwd=folder, env=environment, stdout=output, stderr=output
        )
    while not ask([url])[0]["fetched"]:
        lines.look(printed.read_text(errors="replace"), HERE)
        for log in cluster.folder.glob(f"ray/session_2*/logs/job-driver-pixaris-{name}-*.log"):
            lines.look(log.read_text(errors="replace"), THERE)
        if process.poll():
            sys.exit(printed.read_text())
        time.sleep(0.02)
    stats = ask([url])[0]
    lines.parts["the first prompt arrives"] = stats["first"] - began
    lines.parts["the first image is fetched"] = stats["fetched"] - began
    subprocess.run([*command, "--stop"], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    process.wait()
    return lines.parts


def tell(name: str, parts: Mapping[str, float]) -> None:
    """Print when each part was done, and how long it took."""
    before = 0.0
    for part, moment in sorted(parts.items(), key=lambda item: item[1]):
        print(f"  {moment:6.2f} s  +{moment - before:5.2f}  {part}")
        before = moment
    say(f"{name}: command to the first image", parts["the first image is fetched"], LIMIT, 1.0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=2, help="how many; all but the first are warm")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name, one_node(jobs=True, cpus=2) as cluster:
        folder = Path(name) / "work"
        prepare(folder, ["http://127.0.0.1:8188"])
        for number in range(runs):
            with sleepers(1, SECONDS) as urls:
                tell("warm" if number else "cold", submitted(cluster, folder, f"run{number}", urls[0]))
