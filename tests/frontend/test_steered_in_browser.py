"""A search that votes steer while it runs on Ray, with votes by keyboard in a real Chromium: two people who
like opposite things lead the same search to opposite places.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from browser_kit import running, tab
from page_kit import command
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from steered_kit import SearchProcess

from pixaris.search import SearchResult

FILE = """
name: lit
project: demo
dataset: ./photos
generator: {type: comfyui, workflow: lit.json}
endpoints: {embedded: 1}
parameters: {light: {node_name: Light, input: blend_factor, uniform: [0.0, 1.0]}}
metrics: [{type: votes, iteration: lit, votes: 16, sets_per_round: 4}]
objective: {metric: preference}
search: {num_samples: 8, seed: 3}
"""

WORKFLOW = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}, "_meta": {"title": "Load Input Image"}},
    "2": {
        "class_type": "EmptyImage",
        "inputs": {"width": 32, "height": 32, "batch_size": 1, "color": 0xFFFFFF},
        "_meta": {"title": "White"},
    },
    "3": {
        "class_type": "ImageBlend",
        "inputs": {"image1": ["1", 0], "image2": ["2", 0], "blend_factor": 0.5, "blend_mode": "normal"},
        "_meta": {"title": "Light"},
    },
    "4": {
        "class_type": "SaveImage",
        "inputs": {"images": ["3", 0], "filename_prefix": "lit"},
        "_meta": {"title": "Save Image"},
    },
}

MEAN = """image => {
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((sum, value) => sum + value, 0) / data.length;
}"""
"""How light an image is that the page shows."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running() as found:
        yield found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The search file, beside its workflow and its eval set."""
    (tmp_path / "photos" / "Input").mkdir(parents=True)
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 120, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / "Input" / f"{number}.png")
    (tmp_path / "lit.json").write_text(json.dumps(WORKFLOW))
    (tmp_path / "lit.yaml").write_text(FILE)
    return tmp_path / "lit.yaml"


def voted(shown: Page, count: int, lighter: bool, before: int = 0) -> None:
    """Vote by keyboard, for the lighter or the darker image of each pair."""
    for number in range(before + 1, before + count + 1):
        for side in ("#left img", "#right img"):
            expect(shown.locator(side)).to_be_visible(timeout=60_000)
        left, right = (shown.locator(side).evaluate(MEAN) for side in ("#left img", "#right img"))
        assert left != right
        shown.keyboard.press("ArrowLeft" if (left > right) is lighter else "ArrowRight")
        expect(shown.locator("#progress")).to_contain_text(f"{number} votes of yours")


def levels(results: Path) -> list[float]:
    """The parameter of each set, the baseline first."""
    return [float(trial.values["light"]) for trial in SearchResult.load(results / "demo" / "lit").trials]


@pytest.mark.timeout(600)  # three searches, each with a Ray of its own
def test_the_sets_that_follow_rest_on_the_votes(browser: Browser, file: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    with SearchProcess(file, "--set", f"results={first}") as search:
        search.says("waiting for about 8 votes")
        search.process.send_signal(signal.SIGINT)
        assert search.ends() == 130, search.said
    begun = levels(first)
    assert len(begun) == 5
    proposed = {}
    for taste in ("lighter", "darker"):
        results = tmp_path / taste
        shutil.copytree(first, results)
        with (
            SearchProcess(file, "--set", f"results={results}", "--resume") as search,
            command(results) as root,
            tab(browser, f"{root}/login") as found,
        ):
            address = search.says(r"waiting for about 8 votes .* at (http://\S+)")[1]
            found.page.get_by_label("Your name").fill("ann")
            found.page.get_by_role("button", name="Come in").click()
            found.page.goto(root + urlsplit(address).path)
            voted(found.page, 8, taste == "lighter")
            search.says("waiting for about 8 votes", times=2)
            voted(found.page, 8, taste == "lighter", before=8)
            assert search.ends() == 0, search.said
        found_levels = levels(results)
        assert found_levels[:5] == begun
        proposed[taste] = found_levels[5:]
        result = SearchResult.load(results / "demo" / "lit")
        assert (result.status, len(result.trials)) == ("finished", 9)
        assert result.best is not None
        assert result.best.name in search.said
    assert min(map(len, proposed.values())) == 4
    assert np.mean(proposed["lighter"]) > np.mean(proposed["darker"]) + 0.2, proposed
