"""``pixaris recheck``, and a search file that asks for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pixaris.results.records import SearchResult

MODULE = '''
import numpy as np
from PIL import Image
from pixaris.generation.base import ImageGenerator
from pixaris.metrics.base import BaseMetric

class Painter(ImageGenerator):
    """Gray images, a little different for every seed."""

    def own_value(self, node_name, input):
        return 0.0

    def generate_single_image(self, args):
        x = next(float(param.value) for param in args.params)
        noise = np.random.default_rng(args.seed + round(1000 * x)).normal(0.0, 4.0)
        return Image.new("RGB", (8, 8), (int(100 + 60 * x + noise),) * 3), args.item

class Lightness(BaseMetric):
    direction = "max"

    def score(self, image, item):
        return float(image.getpixel((0, 0))[0])
'''


def pixaris(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pixaris", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, cwd=folder)


@pytest.mark.slow
def test_the_command_that_a_search_ends_with_checks_its_best_sets_again(cells: Path, tmp_path: Path) -> None:
    (tmp_path / "painting.py").write_text(MODULE)
    content = {
        "name": "gray",
        "project": "tests",
        "dataset": str(cells),
        "generator": {"type": "painting:Painter"},
        "parameters": {"x": {"node_name": "Any", "input": "x", "grid_search": [0.0, 0.25]}},
        "metrics": ["painting:Lightness"],
        "objective": {"metric": "lightness"},
        "search": {"algorithm": "grid"},
        "results": "./results",
        "cache": False,
    }
    file = tmp_path / "gray.yaml"
    file.write_text(yaml.safe_dump(content))
    changes = ("--set", "parameters.x.grid_search=[0.0, 0.5, 1.0]")  # the re-check must have them, too
    ended = pixaris(tmp_path, "search", "gray.yaml", *changes)
    assert ended.returncode == 0, ended.stderr
    (line,) = (line for line in ended.stdout.splitlines() if " recheck " in line)
    words = line.split()
    again = pixaris(tmp_path, *words[words.index("recheck") :], "--top", "1", "--seeds", "2")
    assert again.returncode == 0, again.stderr
    assert "re-check    24 images" in again.stdout
    assert "on these 6 items with new seeds; the search measured +" in again.stdout
    result = SearchResult.load(tmp_path / "results" / "tests" / "gray")
    assert result.recheck is not None
    assert result.recheck.images == 24
    shown = pixaris(tmp_path, "show", "results/tests/gray")
    assert result.verdict().sentence in shown.stdout
    refused = pixaris(tmp_path, "recheck", "results/tests/gray-recheck")
    assert (refused.returncode, "is a re-check itself, of gray" in refused.stderr) == (2, True)
    file.write_text(yaml.safe_dump({**content, "metrics": ["contrast"], "objective": {"metric": "contrast"}}))
    refused = pixaris(tmp_path, "recheck", "results/tests/gray")
    assert (refused.returncode, "holds another search" in refused.stderr) == (2, True)
