"""Pictures of the review page for the documentation, taken in Chromium.

    python docs/images/review_screenshots.py http://127.0.0.1:8080 "first look" docs/images

Writes ``review-feedback.jpg`` and ``review-blind.jpg`` of a feedback iteration.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

WIDTH, HEIGHT = 1280, 800


def screenshots(address: str, iteration: str, folder: Path) -> None:
    """Take them.

    Args:
        address: Of a review page that runs.
        iteration: The iteration's name.
        folder: Where they go.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(f"{address}/login?following=/feedback")
        page.get_by_label("Your name").fill("ann")
        page.get_by_role("button", name="Come in").click()
        page.get_by_role("link", name=iteration).click()
        expect(page.locator("#count")).not_to_be_empty()
        page.keyboard.press("l")
        page.keyboard.press("d")
        _taken(page, folder / "review-feedback.jpg")
        page.get_by_role("link", name="Blind comparison").click()
        page.locator("#right img").wait_for()
        _taken(page, folder / "review-blind.jpg")
        browser.close()


def _taken(page: Page, file: Path) -> None:
    page.wait_for_timeout(500)  # images are decoded beside the page
    page.screenshot(path=file, type="jpeg", quality=80)


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("iteration")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    screenshots(options.address, options.iteration, options.folder)


if __name__ == "__main__":
    main()
