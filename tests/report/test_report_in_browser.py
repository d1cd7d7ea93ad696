"""``report.html`` as a reader meets it: in a real Chromium, from disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser_kit import WIDTHS, Tab, tab
from playwright.sync_api import Browser, Page, expect


def sets_shown(page: Page) -> list[int]:
    rows = page.locator("#sets > li:not([hidden])")
    return [int(row.get_attribute("data-set") or -1) for row in rows.all()]


def transforms(page: Page, item: int) -> list[str]:
    found: list[str] = page.evaluate(
        """item => [...document.querySelectorAll(`#items > [data-item='${item}'] .picture`)]
          .map(picture => picture.style.transform)""",
        item,
    )
    return found


def data(page: Page, path: str) -> Any:
    """A part of what the report's scripts read: ``sets[3].name``."""
    return page.evaluate(f"JSON.parse(document.getElementById('data').textContent).{path}")


def settled(opened: Tab) -> Page:
    """The page, with its first rows filled."""
    page = opened.page
    page.locator("#overview").scroll_into_view_if_needed()
    expect(page.locator("#sets > li.filled").first).to_be_visible()
    return page


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_without_a_request_or_a_complaint_and_fits(
    browser: Browser, report: Path, width: int, dark: bool
) -> None:
    with tab(browser, report, width=width, dark=dark) as opened:
        page = settled(opened)
        for name in ("overview", "compare", "parameters", "race", "endpoints", "reproduce"):
            page.locator(f"#{name}").scroll_into_view_if_needed()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.serious() == []
        opened.check()


def test_the_verdict_is_on_the_first_screen_with_its_slider(browser: Browser, report: Path) -> None:
    with tab(browser, report) as opened:
        page = opened.page
        expect(page.locator("#verdict .sentence")).to_be_in_viewport()
        slider = page.locator("#verdict .pair input[type=range]")
        slider.focus()
        for _ in range(10):
            page.keyboard.press("ArrowRight")
        assert page.locator("#verdict .pair").evaluate("e => e.style.getPropertyValue('--cut')") == "60%"
        opened.check()


def test_the_answer_can_be_read_without_scripts(browser: Browser, report: Path) -> None:
    with tab(browser, report, scripts=False) as opened:
        page = opened.page
        expect(page.locator("#verdict .sentence")).to_be_visible()
        assert page.locator("noscript table tbody tr").count() == 12
        assert page.locator("#verdict .pair img").count() == 2
        expect(page.locator("#set-tools")).to_be_hidden()


def test_sets_are_sorted_and_filtered(browser: Browser, report: Path) -> None:
    with tab(browser, report) as opened:
        page = settled(opened)
        assert sets_shown(page) == list(range(12))
        page.get_by_role("combobox", name="Sort by").select_option("parameter:amount")
        amounts = page.evaluate(
            "() => JSON.parse(document.getElementById('data').textContent).sets.map(s => s.values.amount)"
        )
        assert sets_shown(page) == sorted(range(12), key=lambda place: amounts[place])
        page.get_by_role("button", name="Reverse").click()
        assert sets_shown(page) == sorted(range(12), key=lambda place: -amounts[place])
        page.get_by_role("searchbox", name="Filter").fill("amount>0.2")
        assert sorted(sets_shown(page)) == [place for place in range(12) if amounts[place] > 0.2]
        page.get_by_role("searchbox", name="Filter").fill("")
        page.get_by_role("combobox", name="Status").select_option("stopped")
        assert len(sets_shown(page)) == 3
        expect(page.locator("#set-count")).to_have_text("3 of 12 sets")
        opened.check()


def test_the_view_outlives_a_reload(browser: Browser, report: Path) -> None:
    with tab(browser, report) as opened:
        page = settled(opened)
        page.get_by_role("searchbox", name="Filter").fill("mode=normal")
        shown = sets_shown(page)
        page.reload()
        settled(opened)
        assert sets_shown(page) == shown
        assert page.get_by_role("searchbox", name="Filter").input_value() == "mode=normal"


def test_zoom_is_the_same_in_all_pictures_of_a_row_and_in_no_other(browser: Browser, report: Path) -> None:
    with tab(browser, report) as opened:
        page = settled(opened)
        page.locator("#items > li").first.scroll_into_view_if_needed()
        page.get_by_label("Zoom in, photo 00").click()
        page.locator("#items > [data-item='0'] .stage").nth(1).hover()
        page.keyboard.down("Control")
        page.mouse.wheel(0, -200)
        page.keyboard.up("Control")
        found = transforms(page, 0)
        assert len(found) == 5
        assert len(set(found)) == 1
        assert "scale(1)" not in found[0]
        assert all("scale(1)" in one for one in transforms(page, 1))
        box = page.locator("#items > [data-item='0'] .stage").nth(1).bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 50, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + 90, box["y"] + 80)
        page.mouse.up()
        moved = transforms(page, 0)
        assert len(set(moved)) == 1
        assert moved != found
        page.get_by_label("Whole image, photo 00").click()
        assert all("scale(1)" in one for one in transforms(page, 0))
        opened.check()


def test_everything_can_be_done_with_keys(browser: Browser, report: Path) -> None:
    with tab(browser, report) as opened:
        page = settled(opened)
        page.locator("#sets > li[tabindex='0']").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.dataset.set") == "2"
        page.keyboard.press("k")
        chosen = page.locator("#compare-tools .chip")
        before = chosen.count()
        page.keyboard.press("Enter")
        assert abs(chosen.count() - before) == 1
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.dataset.item") == "1"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.parentElement.id") == "items"
        page.keyboard.press("+")
        assert "scale(1.5)" in transforms(page, 1)[0]
        for key, mode in (("s", "slider"), ("d", "difference"), ("f", "flicker")):
            page.keyboard.press(key)
            expect(page.locator(f"#items .pair[data-mode={mode}]").first).to_be_attached()
        page.keyboard.press("Escape")
        assert page.locator("#items .pair").count() == 0
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "filter"
        page.keyboard.press("s")
        assert page.get_by_role("searchbox", name="Filter").input_value() == "s"
        opened.check()


def test_question_mark_shows_the_keys_and_letters_can_be_turned_off(browser: Browser, report: Path) -> None:
    with tab(browser, report) as opened:
        page = settled(opened)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_contain_text("slider, flicker, difference")
        assert opened.serious() == []
        page.get_by_label("Letters work as keys").uncheck()
        page.keyboard.press("Escape")
        page.keyboard.press("s")
        assert page.locator("#items .pair").count() == 0
        opened.check()


def test_pairs_show_two_images_in_one_place(browser: Browser, report: Path) -> None:
    with tab(browser, report) as opened:
        page = settled(opened)
        page.locator("#compare").scroll_into_view_if_needed()
        page.get_by_role("radio", name="Slider").check()
        pair = page.locator("#items .pair").first
        expect(pair.locator("img")).to_have_count(2)
        page.get_by_role("combobox", name="against").select_option("folder:Original")
        expect(page.locator("#items .pair .label.left").first).to_have_text("Original")
        page.get_by_role("radio", name="Flicker").check()
        expect(page.locator("#items .pair.swapped").first).to_be_attached()
        expect(page.locator("#items .pair.swapped")).to_have_count(0)
        page.emulate_media(reduced_motion="reduce")
        page.get_by_role("radio", name="Side by side").check()
        page.get_by_role("radio", name="Flicker").check()
        page.wait_for_timeout(1200)
        assert page.locator("#items .pair.swapped").count() == 0
        opened.check()


def test_only_regressions_leaves_items_where_a_chosen_set_is_worse(browser: Browser, report: Path) -> None:
    with tab(browser, report) as opened:
        page = settled(opened)
        page.get_by_label("only regressions").check()
        sets = data(page, "sets")
        base = next(one for one in sets if one["role"] == "baseline")
        words = page.evaluate("new URLSearchParams(location.hash.slice(1)).get('chosen')")
        chosen = [sets[int(place)] for place in words.split(",")]
        worse = [
            at
            for at, score in enumerate(base["scores"][0])
            if any(one["scores"][0][at] < score for one in chosen)
        ]
        rows = page.locator("#items > li:not([hidden])").all()
        assert [int(row.get_attribute("data-item") or -1) for row in rows] == worse


def test_a_chart_names_the_set_under_the_pointer_and_by_arrow_keys(browser: Browser, report: Path) -> None:
    with tab(browser, report) as opened:
        page = settled(opened)
        chart = page.locator("[data-chart='0-slice-0']")
        chart.scroll_into_view_if_needed()
        x, y, place = data(page, "charts['0-slice-0'][3]")
        box = chart.bounding_box()
        width, height = chart.evaluate("svg => [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height]")
        assert box is not None
        page.mouse.move(box["x"] + x / width * box["width"], box["y"] + y / height * box["height"])
        expect(page.locator("#tip")).to_contain_text(data(page, f"sets[{place}].name"))
        chart.focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator("#tip")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#tip")).to_be_hidden()
        opened.check()


def test_text_twice_as_large_still_fits(browser: Browser, report: Path) -> None:
    with tab(browser, report) as opened:
        page = settled(opened)
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        assert opened.serious() == []


def test_a_folder_s_images_are_laid_over_the_others_as_a_mask(browser: Browser, report: Path) -> None:
    with tab(browser, report) as opened:
        page = settled(opened)
        page.get_by_role("combobox", name="Mask").select_option("Original")
        page.locator("#items > li").first.scroll_into_view_if_needed()
        overlays = page.locator("#items > [data-item='0'] .overlay")
        expect(overlays).to_have_count(3)
        mask = overlays.first.evaluate("layer => getComputedStyle(layer).maskImage")
        assert mask.startswith('url("data:image/webp;base64,')
        page.locator("#items > li").first.focus()
        page.keyboard.press("m")
        expect(overlays).to_have_count(0)
        opened.check()


def test_a_printed_report_holds_every_set(browser: Browser, report: Path) -> None:
    with tab(browser, report) as opened:
        page = settled(opened)
        page.emulate_media(media="print")
        assert page.locator("#sets > li").count() == 12
        for row in page.locator("#sets > li").all():
            assert "trial_" in row.inner_text()
        expect(page.locator("nav")).to_be_hidden()
        assert len(page.pdf()) > 20_000
