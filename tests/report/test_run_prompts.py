"""A whole search over prompts: its winner, its report, its resume."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser_kit import running, tab
from playwright.sync_api import expect
from prompts_kit import write_search

from pixaris.cli import main
from pixaris.search import SearchResult

pytestmark = pytest.mark.usefixtures("ray_session")


def test_a_search_over_prompts_ends_with_a_winner_and_a_report_that_shows_them(
    tmp_path: Path, endpoints: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_search(tmp_path, *endpoints)
    assert main(["search", str(file)]) == 0
    folder = tmp_path / "results" / "prompts" / "canvas"
    result = SearchResult.load(folder)
    assert result.best is not None
    assert result.best.values == {"soot": 0.0}
    assert (folder / "comparison.png").is_file()
    with running() as browser, tab(browser, folder / "report.html") as page:
        page.page.locator("#items > *").first.scroll_into_view_if_needed()
        expect(page.page.locator("#items .head b").first).to_have_text("a red canvas")

    capsys.readouterr()
    table = tmp_path / "prompts.csv"
    table.write_text(table.read_text().replace("a red canvas", "a crimson canvas"))
    assert main(["search", str(file), "--resume"]) == 2
    told = capsys.readouterr().err
    assert "dataset: 'prompt' of item 'red' was \"a red canvas\" and is \"a crimson canvas\"" in told
