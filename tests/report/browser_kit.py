"""A real Chromium: Debian's, driven by Playwright; and what must be true of every page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

WIDTHS = (1280, 400, 320)


def chromium() -> str:
    """Path of the browser.

    A machine that tests for everybody (``CI``) must have it; elsewhere one line says what is missing.
    """
    found = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if found is None and os.environ.get("CI"):
        pytest.fail("there is no Chromium: apt-get install chromium")
    if found is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    return found


@contextmanager
def running() -> Iterator[Browser]:
    """The browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Tab:
    """A page, with all that it asked the network for and complained of.

    Attributes:
        page: Playwright's.
        requests: Addresses that it asked for, but for the file itself and what it holds.
        complaints: Console errors and warnings, and errors of scripts.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Fail if it asked the network for anything, or complained."""
        assert self.requests == []
        assert self.complaints == []

    def serious(self) -> list[str]:
        """What axe finds, of weight serious or critical: the rule and where."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{rule['id']}: {node['target']} {node.get('failureSummary', '')}"
            for rule in found
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]

    def elements(self) -> int:
        """How many elements the page has now."""
        count: int = self.page.evaluate("document.querySelectorAll('*').length")
        return count

    def __getattr__(self, name: str) -> object:
        return getattr(self.page, name)


@contextmanager
def tab(
    browser: Browser, file: Path | str, *, width: int = 1280, scripts: bool = True, dark: bool = False
) -> Iterator[Tab]:
    """Open a file, or an address."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        java_script_enabled=scripts,
        color_scheme="dark" if dark else "light",
    )
    page = context.new_page()
    opened = Tab(page)
    address = file.resolve().as_uri() if isinstance(file, Path) else file

    def asked(url: str) -> None:
        if not url.startswith(("data:", "blob:")) and url.split("#")[0] != address:
            opened.requests.append(url)

    page.on("request", lambda request: asked(request.url))
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    page.on(
        "console",
        lambda said: opened.complaints.append(said.text) if said.type in ("error", "warning") else None,
    )
    page.goto(address)
    try:
        yield opened
    finally:
        context.close()
