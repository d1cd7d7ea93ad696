"""The best sets once more after a search: with new seeds, on items that were held out, within the budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gray_kit import Blank, Lightness
from PIL import Image

from pixaris.exceptions import ConfigurationError
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.files import append_json_line, read_json_lines, write_json
from pixaris.generation.base import ImageGenerator, ItemArgs
from pixaris.results.paths import SearchPaths
from pixaris.search import Recheck, Search, SearchResult
from pixaris.search.driver.start import rechecked
from pixaris.types import ParamValue

pytestmark = pytest.mark.usefixtures("ray_session")

ITEMS = 20


class Painter(ImageGenerator):
    """Makes gray images by itself, a little different for every seed, and writes down each."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def own_value(self, node_name: str, input: str) -> ParamValue:
        return 0.0

    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        assert isinstance(args, ItemArgs)
        x = next(float(param.value) for param in args.params)
        append_json_line(self._log, {"x": x, "item": args.item, "seed": args.seed, "repeat": args.repeat})
        noise = np.random.default_rng((args.seed or 0) + round(1000 * x)).normal(0.0, 4.0)
        level = 100 + 60 * x + noise
        return Image.new("RGB", (8, 8), (int(max(0, min(255, level))),) * 3), args.item


def search(results: Path, **changes: Any) -> Search:
    settings: dict[str, Any] = {
        "data_loader": Blank(ITEMS),
        "image_generator": Painter(results / "made.jsonl"),
        "space": {"x": ("Any", "x", [0.0, 0.2, 0.4, 0.9, 1.0])},
        "metrics": [Lightness()],
        "objective": "lightness",
        "experiment_handler": LocalExperimentHandler(results),
        "project": "tests",
        "name": "gray",
        "algorithm": "grid",
        "scheduler": "fifo",
        "seed": 5,
        "results_dir": results,
        "recheck": {"top": 2, "seeds": 2},
    }
    return Search(**{**settings, **changes})


def made(results: Path) -> list[dict[str, Any]]:
    return read_json_lines(results / "made.jsonl")


def test_the_best_sets_and_the_baseline_are_run_with_seeds_that_the_search_has_not_used(
    tmp_path: Path,
) -> None:
    result = search(tmp_path, holdout=8).run()
    rows = made(tmp_path)
    in_search = [row for row in rows if row["repeat"] == 0]
    after = [row for row in rows if row["repeat"] > 0]
    assert len({row["item"] for row in in_search}) == len(result.items) == 12
    assert len(in_search) == result.images == 5 * 12
    assert Counter(row["repeat"] for row in after) == {1: 3 * 20, 2: 3 * 20}
    assert {row["x"] for row in after} == {0.0, 0.9, 1.0}
    again = result.recheck
    assert again is not None
    assert again.folder == result.folder.with_name("gray-recheck")
    assert (again.status, len(again.trials), len(again.items)) == ("finished", 3, 20)
    verdict = result.verdict()
    assert verdict.kind == "better"
    assert verdict.rechecked is not None
    assert verdict.expected is not None
    assert (verdict.rechecked.count, verdict.expected.count) == (12, 8)
    assert "on these 12 items with new seeds, +" in verdict.sentence
    assert "on 8 items that the search has not seen; the search measured +" in verdict.sentence
    assert verdict.sentence.endswith("picked from 4 sets.")
    assert not any(step.command[:1] == ("recheck",) for step in verdict.next_steps)
    assert SearchResult.load(result.folder).verdict() == verdict


@pytest.mark.slow
def test_without_new_seeds_the_winner_and_the_baseline_are_run_on_the_held_out_items_alone(
    tmp_path: Path,
) -> None:
    result = search(tmp_path, holdout=8, recheck=None).run()
    seen = set(result.items)
    after = [row for row in made(tmp_path) if row["item"] not in seen]
    assert len(after) == 2 * 8
    assert {row["repeat"] for row in after} == {0}
    verdict = result.verdict()
    assert verdict.rechecked is None
    assert verdict.expected is not None
    assert verdict.expected.count == 8


@pytest.mark.slow
def test_a_recheck_is_in_the_budget_and_in_the_estimate(tmp_path: Path) -> None:
    from pixaris.search.estimate import estimate

    wanted = search(tmp_path, budget={"images": 160})
    assert ("re-check", "120 images after the search") in estimate(wanted.check())
    result = wanted.run()
    assert result.status == "stopped", "40 images pay for two trials of 20"
    assert len(result.trials) == 2
    assert result.recheck is not None
    assert result.recheck.status == "finished"
    assert len(made(tmp_path)) == 40 + 2 * 2 * 20 <= 160
    with pytest.raises(ConfigurationError, match="pays for no trial beside the re-check, which takes 120"):
        search(tmp_path, budget={"images": 130}).run()


@pytest.mark.slow
def test_a_recheck_that_was_stopped_goes_on_and_one_that_is_done_stands(tmp_path: Path) -> None:
    wanted = search(tmp_path)
    result = wanted.run()
    images = len(made(tmp_path))
    assert rechecked(wanted.check(), result).recheck == result.recheck
    assert len(made(tmp_path)) == images
    again = SearchPaths(result.folder.with_name("gray-recheck"))
    journal = again.journal.read_text().splitlines(keepends=True)
    last = max(index for index, line in enumerate(journal) if '"proposed"' in line)
    again.journal.write_text("".join(journal[:last]))
    again.trials.write_text("".join(again.trials.read_text().splitlines(keepends=True)[:2]))
    write_json(again.head, {**result.head(), "status": "interrupted", "reason": "it was killed"})
    steps = SearchResult.load(result.folder).verdict().next_steps
    assert steps[0].words == "The re-check has not come to its end; go on with it."
    wanted.run(resume=True)
    assert result.recheck is not None
    assert (result.recheck.status, len(result.recheck.trials)) == ("finished", 3)
    assert len(made(tmp_path)) <= images + 40, "one trial is run again"
    before = len(made(tmp_path))
    rechecked(search(tmp_path, recheck=Recheck(1, 3)).check(), result)
    assert result.recheck.folder.name == "gray-recheck-2"
    assert {row["repeat"] for row in made(tmp_path)[before:]} == {3, 4, 5}, "after those of the first one"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"holdout": 7}, "holdout: must be at least 8 items (got 7): over fewer, the interval is so wide"),
        ({"holdout": 15}, "holdout: leaves the search 5 items, and it takes 6"),
        ({"recheck": {"top": 0}}, "recheck.top: must be at least 1 (got 0)"),
        ({"recheck": {"sedes": 2}}, "did you mean 'seeds'"),
        ({"args": {"seed": 3}}, "recheck: every seed would give the same image"),
    ],
)
def test_what_cannot_be_checked_again_is_told_before_anything_is_made(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as error:
        search(tmp_path, **changes).run()
    assert words in str(error.value)
    assert not made(tmp_path)
