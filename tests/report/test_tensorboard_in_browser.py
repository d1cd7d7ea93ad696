"""TensorBoard of a search's trials, in a real Chromium: what a reader finds in its tabs."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from pixaris.components import files_and_events
from pixaris.files import write_json
from pixaris.images import EncodedImage
from pixaris.results.manifest import write_manifest
from pixaris.results.paths import SearchPaths
from pixaris.types import (
    EvalItem,
    EvalSet,
    GeneratedImage,
    GenerationParam,
    ItemResult,
    MetricSummary,
    RunRecord,
)

SPACE = {
    "amount": {"node_name": "Sharpen", "input": "alpha", "uniform": [0.0, 1.0]},
    "mode": {"node_name": "Blend", "input": "blend_mode", "choice": ["normal", "soft_light"]},
}


def plain(level: int) -> EncodedImage:
    return EncodedImage.of(Image.new("RGB", (32, 32), (level, 90, 200)))


def trial(number: int, items: EvalSet) -> RunRecord:
    """A trial that has gone through its items."""
    values = {"amount": number / 4, "mode": ("normal", "soft_light")[number % 2]}
    results = []
    for item in items.items:
        image = GeneratedImage("r", item.name, plain(40 * number + item.index), "http://127.0.0.1:1", 1.0)
        scores = {"psnr": 20.0 + number, "ssim": 0.5 + 0.1 * number}
        results.append(ItemResult(item.index, item.name, image, None, scores))
    return RunRecord(
        id=f"s-{number}",
        name=f"trial_{number:04d}",
        project="demo",
        eval_set=items,
        status="finished",
        params=(GenerationParam("Sharpen", "alpha", values["amount"]),),
        values=values,
        items=tuple(results),
        metrics={
            "psnr": MetricSummary(20.0 + number, 0.0, 3),
            "ssim": MetricSummary(0.5 + 0.1 * number, 0.0, 3),
        },
        directions={"psnr": "max", "ssim": "max"},
        search="restore",
        workflow={"1": {"class_type": "ImageSharpen", "inputs": {"alpha": values["amount"]}}},
        started=1_700_000_000.0,
        seconds=3.0,
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the TensorBoard that ``pixaris tensorboard`` serves, of a search with four trials."""
    results = tmp_path_factory.mktemp("results")
    folder = results / "demo" / "restore"
    folder.mkdir(parents=True)
    write_json(SearchPaths(folder).head, {"status": "finished"})
    objectives = [{"metric": "ssim", "direction": "max"}]
    write_manifest(SearchPaths(folder), {"space": SPACE, "objectives": objectives})
    pictures = [
        EvalItem(at, f"photo {at}", {"Input": plain(200)}, {"Original": plain(250)}) for at in range(3)
    ]
    handler = files_and_events(results, folder)
    for number in range(4):
        handler.store_results(trial(number, EvalSet("photos", tuple(pictures))))
    handler.close()
    command = [sys.executable, "-m", "pixaris", "tensorboard", "restore", "--results", str(results)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", said)
        assert found is not None, said + (process.stderr.read() if process.stderr else "")
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    yield page
    page.close()


def test_scalars_have_a_curve_for_each_trial(address: str, page: Page) -> None:
    page.goto(f"{address}#timeseries")
    for name in ("psnr", "ssim"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible(timeout=20_000)
    for number in range(4):
        expect(page.get_by_text(f"trial_{number:04d}").first).to_be_visible()


def test_images_have_one_tag_for_each_item_with_input_output_and_reference(address: str, page: Page) -> None:
    page.goto(f"{address}#images")
    expect(page.get_by_text("images/photo 0").first).to_be_visible(timeout=20_000)
    page.wait_for_load_state("networkidle")
    shown = page.locator("tf-image-loader img")
    expect(shown.first).to_be_visible(timeout=20_000)
    assert shown.count() >= 4


def test_hparams_have_a_row_for_each_trial_the_objective_before_other_scores_and_filters(
    address: str, page: Page
) -> None:
    page.goto(f"{address}#hparams")
    heads = page.locator("vaadin-grid-cell-content, th")
    expect(page.get_by_text("trial_0003").first).to_be_visible(timeout=20_000)
    words = [text.strip() for text in heads.all_inner_texts()]
    assert words.index("ssim") < words.index("psnr")
    expect(page.get_by_text("soft_light").first).to_be_visible()
    page.locator("paper-checkbox, input[type=checkbox]").filter(has_text="soft_light").first.click()
    expect(page.get_by_text("trial_0001")).to_have_count(0)
    expect(page.get_by_text("trial_0002").first).to_be_visible()


def test_text_holds_parameters_and_workflow(address: str, page: Page) -> None:
    page.goto(f"{address}#text")
    expect(page.get_by_text("ImageSharpen").first).to_be_visible(timeout=20_000)
    expect(page.get_by_text("soft_light").first).to_be_visible()
