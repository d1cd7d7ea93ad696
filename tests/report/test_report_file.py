"""What ``report.html`` holds, whatever lies in the search's folder."""

from __future__ import annotations

import hashlib
import html
import json
import re
import time
from base64 import b64decode, b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browser_kit import tab
from playwright.sync_api import Browser, expect
from search_kit import Made, made_search

from pixaris.exceptions import ConfigurationError
from pixaris.files import read_json, read_json_lines, write_json, write_json_lines
from pixaris.report import write
from pixaris.report.listener import ReportWriter
from pixaris.results.evidence.events import keep_event
from pixaris.results.paths import SearchPaths
from pixaris.results.progress import SearchProgress, Silent
from pixaris.results.records import SearchResult
from pixaris.types import EvalSet

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def data(file: Path) -> Any:
    """What the report's scripts read."""
    return json.loads(re.search(r'id="data">(.*?)</script>', file.read_text())[1])  # type: ignore[index]


def spoiled(result: SearchResult, number: int, **changes: object) -> None:
    """Change the first line of a trial's items."""
    file = SearchPaths(result.folder).trial(number).items
    first, *rest = read_json_lines(file)
    write_json_lines(file, [{**first, **changes}, *rest])


def test_only_its_own_scripts_and_styles_may_run_and_nothing_is_fetched(report: Path) -> None:
    text = report.read_text()
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    policy = html.unescape(found[1])  # type: ignore[index]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for name in ("script", "style"):
        for inner in re.findall(rf"<{name}>(.*?)</{name}>", text, re.DOTALL):
            digest = b64encode(hashlib.sha256(inner.encode()).digest()).decode()
            assert f"sha256-{digest}" in policy
    assert not re.search(
        r"\son\w+=|\sstyle=|javascript:|https?://(?!127\.0\.0\.1)", text.split("<script>")[0]
    )


def test_its_scripts_are_small_and_its_own(report: Path) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", report.read_text(), re.DOTALL)
    widgets = next(script for script in scripts if "P.Zoom = class" in script)
    assert len(scripts) == 2
    assert len(widgets) < 25_000
    assert sum(map(len, scripts)) < 40_000


def test_texts_of_servers_files_and_parameters_stay_texts(browser: Browser, tmp_path: Path) -> None:
    made = made_search(tmp_path / "s", Made(sets=5, items=3, prefix=f"x{HOSTILE}"[:40]))
    spoiled(made, 2, error=HOSTILE, image=None, digest=None)
    rows = read_json_lines(SearchPaths(made.folder).trials)
    for row in rows:
        row["values"] = {HOSTILE: HOSTILE, "amount": row["values"]["amount"]}
        row["error"] = HOSTILE
    write_json_lines(SearchPaths(made.folder).trials, rows)
    keep_event(SearchPaths(made.folder), 3.0, HOSTILE)
    file = write(SearchResult.load(made.folder))
    with tab(browser, file) as opened:
        opened.page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        for name in ("overview", "compare", "endpoints"):
            opened.page.locator(f"#{name}").scroll_into_view_if_needed()
            opened.page.wait_for_timeout(200)
        assert opened.page.locator("img[src=x]").count() == 0
        assert opened.page.locator("#sets").get_by_text("onerror=alert(2)").count() > 0
        opened.check()


def test_missing_and_damaged_images_and_failures_say_so_in_their_cells(
    browser: Browser, tmp_path: Path
) -> None:
    made = made_search(tmp_path / "s", Made(sets=4, items=4, stopped=0))
    run = SearchPaths(made.folder).trial(1)
    images = sorted(run.images.iterdir())
    images[0].unlink()
    images[1].write_bytes(images[1].read_bytes()[:60])
    spoiled(made, 2, error="KSampler: out of memory", image=None, digest=None)
    spoiled(made, 3, image="../../../secret.png")
    file = write(SearchResult.load(made.folder))
    sets = {one["name"]: one for one in data(file)["sets"]}
    assert (
        "the image is missing: trial_0001/generated_images/photo 00.png"
        in sets["trial_0001"]["problems"]["0"]
    )
    assert "photo 01.png is not a readable image" in sets["trial_0001"]["problems"]["1"]
    assert sets["trial_0002"]["problems"]["0"] == "KSampler: out of memory"
    assert sets["trial_0003"]["problems"]["0"] == "../../../secret.png is no file of this search"
    with tab(browser, file) as opened:
        page = opened.page
        page.evaluate("location.hash = 'sort=rank&chosen=0,1,2,3&mode=side'")
        page.reload()
        page.locator("#compare").scroll_into_view_if_needed()
        expect(page.locator("#items").get_by_text("KSampler: out of memory")).to_be_visible()
        opened.check()


def test_a_folder_of_an_older_version_opens_without_what_it_lacks(browser: Browser, tmp_path: Path) -> None:
    made = made_search(tmp_path / "s")
    paths = SearchPaths(made.folder)
    for picture in paths.eval_set.rglob("*.*"):
        picture.unlink()
    paths.manifest.unlink()
    paths.journal.unlink(missing_ok=True)
    file = write(SearchResult.load(made.folder))
    with tab(browser, file) as opened:
        expect(opened.page.locator("#verdict .sentence")).to_be_visible()
        opened.check()


def test_a_search_that_has_just_begun_has_a_report_that_says_so(browser: Browser, tmp_path: Path) -> None:
    made = made_search(tmp_path / "s", Made(sets=1, items=2, status="running"))
    with tab(browser, write(replace(made, trials=()))) as opened:
        expect(opened.page.locator("#verdict")).to_contain_text("No trial has a score")
        opened.check()


def test_the_baseline_that_won_is_shown_beside_the_best_of_the_others(tmp_path: Path) -> None:
    file = write(made_search(tmp_path / "s", Made(lift=-0.2)))
    text = file.read_text()
    assert "No set beats the baseline" in text
    assert "winner, the baseline trial_0000" in text
    assert "runner-up trial_" in text


def test_several_searches_are_compared_by_their_common_items_and_scores(
    browser: Browser, tmp_path: Path
) -> None:
    one = made_search(tmp_path / "one", Made(sets=4, items=6))
    two = made_search(tmp_path / "two", Made(sets=5, items=4, lift=0.3, seed=2))
    file = write([one, two])
    found = data(file)
    assert file == tmp_path / "report_one_two.html"
    assert [item["name"] for item in found["items"]] == [f"photo {at:02d}" for at in range(4)]
    assert len(found["sets"]) == 9
    assert found["sets"][0]["name"].startswith("two/")
    assert found["sets"][0]["folder"].startswith("two/trial_")
    best = one.best
    assert best is not None
    mine = next(row for row in found["sets"] if row["name"] == f"one/{best.name}")
    assert mine["means"][0] == pytest.approx(sum(best.item_scores[:4]) / 4, rel=1e-4)  # type: ignore[arg-type]
    with tab(browser, file) as opened:
        expect(opened.page.locator("#verdict table tbody tr")).to_have_count(2)
        assert opened.serious() == []
        opened.check()


def test_searches_without_a_common_item_say_so(tmp_path: Path) -> None:
    one = made_search(tmp_path / "one", Made(sets=3))
    two = made_search(tmp_path / "two", Made(sets=3, prefix="other"))
    assert "have no items in common" in write([one, two]).read_text()


def test_the_winners_workflow_can_be_downloaded(report: Path) -> None:
    found = re.search(
        r'href="data:application/json;base64,([^"]+)" download="restore_trial_', report.read_text()
    )
    assert json.loads(b64decode(found[1]))["2"]["class_type"] == "ImageSharpen"  # type: ignore[index]


def test_a_read_only_folder_names_the_way_out(tmp_path: Path) -> None:
    made = made_search(tmp_path / "s")
    (tmp_path / "a file").write_text("")
    with pytest.raises(ConfigurationError, match="name another file \\(-o FILE\\)"):
        write(made, tmp_path / "a file" / "report.html")


def test_a_running_search_s_file_refreshes_itself_and_a_finished_one_does_not(
    browser: Browser, tmp_path: Path
) -> None:
    made = made_search(tmp_path / "s")
    file = SearchPaths(made.folder).report
    with ReportWriter(Silent(), EvalSet("photos", ())) as writer:
        writer.update(SearchProgress("searching", replace(made, status="running")))
        deadline = time.monotonic() + 30
        while not file.is_file() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert 'data-every="10"' in file.read_text()
        with tab(browser, file) as opened:
            button = opened.page.get_by_role("button", name="Pause refreshing")
            button.click()
            expect(opened.page.get_by_role("button", name="Go on refreshing")).to_be_visible()
            opened.check()
        writer.finish(made)
    assert 'data-every="0"' in file.read_text()
    assert SearchPaths(made.folder).comparison.is_file()


def test_a_report_that_cannot_be_written_is_told_once_and_ends_nothing(tmp_path: Path) -> None:
    made = made_search(tmp_path / "s")
    SearchPaths(made.folder).report.mkdir()
    told: list[str] = []

    class Listener(Silent):
        def event(self, sentence: str) -> None:
            told.append(sentence)

    with ReportWriter(Listener(), EvalSet("photos", ())) as writer:
        writer.finish(made)
    assert len(told) == 1
    assert "the report cannot be written" in told[0]


def test_thumbnails_are_made_once(tmp_path: Path) -> None:
    made = made_search(tmp_path / "s", Made(sets=3, items=3))
    first = data(write(made))
    for number in range(3):
        for image in SearchPaths(made.folder).trial(number).images.iterdir():
            image.write_bytes(b"no image any more")
    assert data(write(made))["sets"] == first["sets"]


def test_damaged_books_are_no_traceback(tmp_path: Path) -> None:
    made = made_search(tmp_path / "s")
    paths = SearchPaths(made.folder)
    manifest = read_json(paths.manifest) or {}
    write_json(
        paths.manifest, {**manifest, "space": {"amount": {"loguniform": "all"}}, "workflow": {"1": {}}}
    )
    write_json(paths.trial(0).record, {"metrics": {"ssim": "good"}, "params": 7})
    write_json(paths.eval_set / "eval_set.json", {"items": "none"})
    paths.events.write_text('{"seconds": "x"}\n')
    paths.endpoints.write_text("[]")
    assert "<h1>s</h1>" in write(SearchResult.load(made.folder)).read_text()


def test_outages_of_endpoints_are_drawn(browser: Browser, tmp_path: Path) -> None:
    made = made_search(tmp_path / "s")
    paths = SearchPaths(made.folder)
    keep_event(paths, 30.0, "http://one:8188 is quarantined: refused")
    keep_event(paths, 60.0, "http://one:8188 is back")
    with tab(browser, write(SearchResult.load(made.folder))) as opened:
        drawn = opened.page.locator("#endpoints svg path.out")
        drawn.scroll_into_view_if_needed()
        box, whole = drawn.bounding_box(), opened.page.locator("#endpoints svg").bounding_box()
        assert box is not None
        assert whole is not None
        assert box["width"] == pytest.approx((760 - 190 - 12) * 30 / 120 * whole["width"] / 760, rel=0.05)


def test_without_input_images_the_prompt_stands_above_the_items(tmp_path: Path) -> None:
    made = made_search(tmp_path / "s")
    paths = SearchPaths(made.folder)
    write_json(paths.eval_set / "eval_set.json", {"folders": {"Original": "reference"}, "items": []})
    record = read_json(paths.trial(0).record) or {}
    params = [{"node_name": "", "input": "prompt", "value": "a red <b>fox</b>"}]
    write_json(paths.trial(0).record, {**record, "params": params})
    assert "Prompt: a red &lt;b&gt;fox&lt;/b&gt;" in write(SearchResult.load(made.folder)).read_text()
