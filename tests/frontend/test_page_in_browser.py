"""The review page as people meet it: in a real Chromium, by keyboard, on a phone, two at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser_kit import Tab, running, tab
from page_kit import Visitor, new_iteration, page, results_of, search_id, visitor
from playwright.sync_api import Browser, Page, expect
from search_kit import Made

from pixaris.feedback_handlers.base import IterationKey, votes_of
from pixaris.feedback_handlers.local import LocalFeedbackHandler

PHONE = 390


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running() as found:
        yield found


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("review") / "results"
    return results_of(folder, Made(sets=5, items=8, stopped=0))


@contextmanager
def opened(browser: Browser, root: str, path: str, name: str = "ann", width: int = 1280) -> Iterator[Tab]:
    """A page as somebody sees it who has come in."""
    with tab(browser, f"{root}/login", width=width) as found:
        found.page.get_by_label("Your name").fill(name)
        found.page.get_by_role("button", name="Come in").click()
        found.page.goto(root + path)
        yield found
        assert found.complaints == []


def fits(found: Tab, width: int) -> None:
    """No sideways scrolling, and nothing serious that axe finds."""
    assert found.page.evaluate("document.documentElement.scrollWidth") <= width
    # axe is put into the page by the test; the page's own policy allows no script of others
    assert found.serious() == []


@pytest.mark.parametrize("width", [1280, PHONE])
def test_every_page_fits_and_is_accessible(browser: Browser, ann: Visitor, width: int) -> None:
    url = new_iteration(ann, [0, 1, 2], f"fits {width}")
    identity = search_id(ann)
    compared = f"/compare?run={identity}-0&run={identity}-1"
    with opened(browser, ann.root, "/", width=width) as found:
        for path in (
            "/",
            f"/search/{identity}",
            f"/run/{identity}-1",
            compared,
            "/feedback",
            url,
            f"{url}/blind",
            f"{url}/standing",
        ):
            found.page.goto(ann.root + path)
            found.page.wait_for_timeout(300)
            fits(found, width)


def test_sets_are_sorted_filtered_marked_and_compared(browser: Browser, ann: Visitor) -> None:
    with opened(browser, ann.root, f"/search/{search_id(ann)}") as found:
        shown = found.page
        shown.locator("th button", has_text="ssim").click()
        first = shown.locator("#sets tr").first
        best = first.locator("th").inner_text()
        shown.locator("th button", has_text="ssim").click()
        assert shown.locator("#sets tr").last.locator("th").inner_text() == best
        shown.keyboard.press("/")
        shown.keyboard.type("trial_0001")
        expect(shown.locator("#sets tr:not([hidden])")).to_have_count(1)
        shown.locator("#filter").fill("")
        for number in (1, 2):
            shown.get_by_label(f"mark trial_{number:04d}").check()
        expect(shown.locator("#sets .strip img").first).to_be_visible()
        shown.get_by_role("button", name="Compare 2").click()
        expect(shown.locator("#items > li").first.locator(".stage")).to_have_count(4)
        shown.keyboard.press("s")
        pair = shown.locator(".pair").first
        expect(pair).to_have_attribute("data-mode", "slider")
        shown.locator("#items > li").first.get_by_role("button", name="Zoom in").click()
        turned = shown.evaluate(
            "[...document.querySelectorAll('#items > li:first-child .picture')].map(p => p.style.transform)"
        )
        assert len(set(turned)) == 1
        assert "scale(1.5)" in turned[0]


def test_an_iteration_is_made_from_marked_sets(browser: Browser, ann: Visitor) -> None:
    with opened(browser, ann.root, f"/search/{search_id(ann)}") as found:
        shown = found.page
        shown.get_by_label("mark trial_0003").check()
        shown.get_by_role("button", name="Ask for feedback").click()
        shown.get_by_label("Name").fill("from the page")
        shown.get_by_role("button", name="Make it").click()
        expect(shown.get_by_role("heading", name="from the page")).to_be_visible()
        expect(shown.locator("#images figure")).to_have_count(8)


def test_feedback_is_given_by_keyboard_and_seen_by_another_at_once(browser: Browser, ann: Visitor) -> None:
    url = new_iteration(ann, [0, 1], "two at once")
    with opened(browser, ann.root, url, "ann") as one, opened(browser, ann.root, url, "bob") as other:
        one.page.keyboard.press("l")
        one.page.keyboard.press("d")
        expect(other.page.locator("[data-place='0'] .likes")).to_have_text("1")
        expect(other.page.locator("[data-place='1'] .dislikes")).to_have_text("1")
        other.page.keyboard.press("l")
        expect(one.page.locator("[data-place='0'] .likes")).to_have_text("2")
        one.page.keyboard.press("c")
        one.page.keyboard.type("<b>l d 1</b>")
        one.page.keyboard.press("Enter")
        expect(other.page.locator(".comments li").first).to_have_text("ann: <b>l d 1</b>")
        other.page.get_by_label("Sort by").select_option("dislikes")
        expect(other.page.locator("#images figure").first).to_have_attribute("data-place", "1")


def votes_on(results: Path, name: str) -> list[str]:
    log = LocalFeedbackHandler(results).read(IterationKey("demo", name))
    return [vote.outcome for vote in votes_of(log.entries)]


def ready(shown: Page) -> None:
    """Both images of a pair are there."""
    expect(shown.locator("#left img")).to_be_visible()
    expect(shown.locator("#right img")).to_be_visible()


def test_twenty_votes_by_keyboard_only(browser: Browser, ann: Visitor, results: Path) -> None:
    url = new_iteration(ann, [0, 1, 2, 3], "twenty")
    keys = ["ArrowLeft", "ArrowRight", "ArrowDown", "1", "2"] * 4
    outcomes = ["left", "right", "tie", "left", "right"] * 4
    with opened(browser, ann.root, f"{url}/blind") as found:
        shown = found.page
        for number, key in enumerate(keys, 1):
            ready(shown)
            shown.keyboard.press(key)
            expect(shown.locator("#progress")).to_contain_text(f"{number} votes of yours")
        ready(shown)
        shown.wait_for_function("document.querySelector('#message').textContent === ''")
    assert votes_on(results, "twenty") == outcomes


def test_a_vote_is_taken_back_and_given_again(browser: Browser, ann: Visitor, results: Path) -> None:
    url = new_iteration(ann, [0, 1, 2], "undone")
    with opened(browser, ann.root, f"{url}/blind") as found:
        shown = found.page
        ready(shown)
        shown.keyboard.press("c")
        shown.keyboard.type("1 is 2 dark")
        shown.keyboard.press("Enter")
        shown.keyboard.press("ArrowLeft")
        expect(shown.locator("#progress")).to_contain_text("1 votes of yours")
        shown.keyboard.press("u")
        expect(shown.locator("#progress")).to_contain_text("0 votes of yours")
        ready(shown)
        shown.keyboard.press("ArrowRight")
        expect(shown.locator("#progress")).to_contain_text("1 votes of yours")
        shown.wait_for_timeout(500)
    assert votes_on(results, "undone") == ["right"]


def test_names_are_hidden_while_people_vote(browser: Browser, ann: Visitor) -> None:
    url = new_iteration(ann, [0, 1], "hidden")
    with opened(browser, ann.root, f"{url}/blind") as found:
        ready(found.page)
        html = found.page.content() + " ".join(found.requests)
        assert "trial" not in html
        assert "restore" not in html
        assert "photo 0" not in html


def test_on_a_phone_votes_are_taps(browser: Browser, ann: Visitor, results: Path) -> None:
    url = new_iteration(ann, [0, 1, 2], "phone")
    with opened(browser, ann.root, f"{url}/blind", width=PHONE) as found:
        ready(found.page)
        found.page.locator("#right").click()
        expect(found.page.locator("#progress")).to_contain_text("1 votes of yours")
        found.page.get_by_role("button", name="Tie").click()
        expect(found.page.locator("#progress")).to_contain_text("2 votes of yours")
        found.page.wait_for_timeout(500)
    assert votes_on(results, "phone") == ["right", "tie"]


def test_a_damaged_image_says_so_in_its_place(browser: Browser, tmp_path: Path) -> None:
    results = results_of(tmp_path / "results")
    image = sorted((results / "demo" / "restore" / "trial_0001" / "generated_images").glob("*.png"))[0]
    image.write_bytes(b"none")
    with page(results) as root:
        bob = visitor(root, "bob")
        path = f"/run/{search_id(bob)}-1"
        with tab(browser, f"{root}/login") as found:
            found.page.get_by_label("Your name").fill("bob")
            found.page.get_by_role("button", name="Come in").click()
            found.page.goto(root + path)
            expect(found.page.locator(".gallery .problem")).to_have_text(
                "photo 00, restore/trial_0001: damaged or gone"
            )
            expect(found.page.locator(".gallery img")).to_have_count(3)
