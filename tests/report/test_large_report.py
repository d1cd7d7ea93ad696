"""A search of a thousand sets and sixteen items: what one file must still do."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser_kit import tab
from playwright.sync_api import Browser, expect
from search_kit import Made, made_search

from pixaris.report import write

expect.set_options(timeout=30_000)  # a busy machine draws late

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "demo" / "large"
    return write(made_search(folder, Made(sets=1_000, items=16, side=16)))


def test_it_opens_with_few_elements_and_fills_rows_as_they_come_near(browser: Browser, large: Path) -> None:
    assert large.stat().st_size <= 30_000_000
    with tab(browser, large) as opened:
        page = opened.page
        assert opened.elements() <= 2_000
        expect(page.locator("#sets > li")).to_have_count(1_000)
        first, middle = page.locator("#sets > li").first, page.locator("#sets > li").nth(500)
        first.scroll_into_view_if_needed()
        expect(first.locator(".thumbs img")).to_have_count(16)
        expect(middle.locator(".thumbs")).to_have_count(0)
        middle.scroll_into_view_if_needed()
        expect(middle.locator(".thumbs img").first).to_be_visible()
        expect(first.locator(".thumbs")).to_have_count(0)
        expect(middle).to_be_in_viewport()  # the rows above it, which fill too, have not pushed it away
        assert first.inner_text().startswith("1. trial_")
        opened.check()


def test_filter_and_sort_reach_every_set(browser: Browser, large: Path) -> None:
    with tab(browser, large) as opened:
        page = opened.page
        page.get_by_role("searchbox", name="Filter").fill("trial_0777")
        expect(page.locator("#sets > li:not([hidden])")).to_have_count(1)
        page.get_by_role("searchbox", name="Filter").fill("")
        page.get_by_role("combobox", name="Sort by").select_option("parameter:radius")
        page.locator("#sets > li").nth(990).scroll_into_view_if_needed()
        expect(page.locator("#sets > li").nth(990).locator(".values")).to_contain_text("radius 7")
        opened.check()


def test_marks_of_all_sets_are_a_few_elements(browser: Browser, large: Path) -> None:
    with tab(browser, large) as opened:
        page = opened.page
        for name in ("0-slice-0", "0-parallel", "0-race"):
            assert page.locator(f"[data-chart='{name}'] *").count() < 80
        chart = page.locator("[data-chart='0-slice-0']")
        chart.scroll_into_view_if_needed()
        chart.focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator("#tip")).to_contain_text("trial_")
