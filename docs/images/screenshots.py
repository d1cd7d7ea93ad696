"""Pictures of a report for the README, taken in Chromium.

    python docs/images/screenshots.py local_results/demo/restore/report.html docs/images

Writes ``report.jpg`` (the verdict) and ``report-comparison.jpg`` (items side by side).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

WIDTH, HEIGHT = 1280, 860


def screenshots(report: Path, folder: Path) -> list[Path]:
    """Take them.

    Args:
        report: A report.
        folder: Where they go.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(report.resolve().as_uri())
        taken = [_taken(page, folder / "report.jpg")]
        page.get_by_role("radio", name="Slider").check()
        page.evaluate("document.getElementById('compare').scrollIntoView()")
        page.locator("#items > li.filled").first.wait_for()
        page.wait_for_timeout(300)  # images are decoded beside the page
        page.evaluate("document.getElementById('compare').scrollIntoView()")
        taken.append(_taken(page, folder / "report-comparison.jpg"))
        browser.close()
    return taken


def _taken(page: Page, file: Path) -> Path:
    page.screenshot(path=file, type="jpeg", quality=82)
    return file


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    screenshots(options.report, options.folder)


if __name__ == "__main__":
    main()
