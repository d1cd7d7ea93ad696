"""A search that votes steer, as people use it: the command, the review page, an interruption, a kill."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from page_kit import command, visitor
from PIL import Image, ImageFilter
from steered_kit import SearchProcess
from voting_kit import originals_of, vote

from pixaris.results.paths import SearchPaths
from pixaris.search import SearchResult

ROOT = Path(__file__).parents[2]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number in range(4):
        noise = np.random.default_rng(number).integers(0, 255, (48, 48, 3), np.uint8)
        sharp = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(1))
        for name, image in (("Original", sharp), ("Input", sharp.filter(ImageFilter.GaussianBlur(1.2)))):
            (folder / name).mkdir(parents=True, exist_ok=True)
            image.save(folder / name / f"{number}.png")
    return folder


def steered(photos: Path, results: Path, *more: str) -> SearchProcess:
    """``pixaris search search_spaces/preferred.yaml`` with less of everything."""
    changes = [f"dataset={{path: {photos}, references: [Original]}}", f"results={results}"]
    changes += ["endpoints.embedded=1", "search.num_samples=4"]
    changes += ["metrics.0.votes=16", "metrics.0.sets_per_round=2"]
    words = [word for change in changes for word in ("--set", change)]
    return SearchProcess(ROOT / "search_spaces" / "preferred.yaml", *words, *more)


def children(pid: int) -> list[str]:
    """Commands of the processes that a process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(") ")
        except OSError:
            continue  # it has ended meanwhile
        if int(rest.split()[1]) == pid and rest[0] != "Z":
            found.append(name)
    return found


def test_a_search_on_endpoints_waits_for_votes_of_the_page_and_survives_being_killed(
    tmp_path: Path, photos: Path
) -> None:
    results = tmp_path / "results"
    originals = originals_of(photos / "Original")
    with steered(photos, results) as first, command(results) as page:
        where = r"on 'restored' \(project 'demo'\) at (http://\S+)"
        address = first.says(f"waiting for about 8 votes {where}")[1]
        assert re.search(rf"\(\S*pixaris ui --results {results} serves it\)", first.said)
        ends = time.monotonic() + 15.0  # Ray's last processes take their time to go
        while (left_over := children(first.process.pid)) and time.monotonic() < ends:
            time.sleep(0.2)
        assert left_over == [], "while it waits no trial, server or Ray is up"
        path = urlsplit(address).path.removesuffix("/blind")
        person = visitor(page)
        assert person.get(f"{path}/blind").status_code == 200
        vote(person, path, originals, 3)
        first.process.kill()
        first.ends()
        left = SearchResult.load(results / "demo" / "preferred")
        assert (left.status, len(left.trials)) == ("interrupted", 3)
        with steered(photos, results, "--resume") as goes_on:
            goes_on.says(r"waiting for about 5 votes")
            vote(person, path, originals, 5)
            goes_on.says(r"waiting for about 8 votes")
            vote(person, path, originals, 2)
            goes_on.process.send_signal(signal.SIGINT)
            assert goes_on.ends() == 130
            assert "while it waited for votes; what was done is kept" in goes_on.said
        with steered(photos, results, "--resume") as last:
            last.says(r"waiting for about 6 votes")
            vote(person, path, originals, 6)
            assert last.ends() == 0, last.said
    result = SearchResult.load(results / "demo" / "preferred")
    assert (result.status, len(result.trials), result.images) == ("finished", 5, 20)
    assert result.verdict().sentence in last.said
    assert re.search(r"preference \S+ in \d+ of 16 votes", last.said)
    report = SearchPaths(result.folder).report.read_text(encoding="utf-8")
    assert "preference" in report
    assert result.verdict().sentence[:30] in report
