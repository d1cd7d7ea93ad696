"""Searches whose sets race, on Ray."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import resume_kit
from PIL import Image
from resume_kit import GRID, facts, killed, made

from pixaris.files import read_json, write_json
from pixaris.metrics.base import BaseMetric
from pixaris.results.paths import SearchPaths
from pixaris.search import SearchResult

pytestmark = pytest.mark.usefixtures("ray_session")

KNOWN: dict[str, Any] = {
    "space": GRID,
    "algorithm": "grid",
    "algorithm_options": {},
    "num_samples": None,
    "scheduler": "race",
}
LEARNING: dict[str, Any] = {"scheduler": "race", "num_samples": 15}
GUIDED: dict[str, Any] = {
    "scheduler": "race",
    "algorithm": "auto",
    "algorithm_options": {},
    "num_samples": None,
    "budget": {"images": 60},
}
RACE: dict[str, Any] = {"step": None, "max_concurrent": 2}


class Whole(BaseMetric):
    """One value for all images of a run."""

    direction = "max"
    per_item = False

    def calculate(self, images: Sequence[Image.Image]) -> dict[str, float]:
        levels = [image.getpixel((0, 0))[0] for image in images]  # type: ignore[index]
        return {"whole": float(sum(levels))}


def stops(result: SearchResult) -> list[object]:
    return [trial.stop for trial in result.trials]


def test_sets_race_side_by_side_and_say_why_they_fell(tmp_path: Path) -> None:
    result = resume_kit.search(tmp_path, 0.0, **{**KNOWN, **RACE}).run()
    fifo = resume_kit.search(tmp_path, 0.0, **{**KNOWN, **RACE, "scheduler": "fifo", "name": "all"}).run()
    assert result.best is not None
    assert fifo.best is not None
    assert result.best.values == fifo.best.values
    assert result.images < 0.75 * fifo.images
    fallen = [trial for trial in result.trials if trial.status == "stopped"]
    assert fallen
    for trial in fallen:
        assert trial.stop is not None
        assert (trial.stop.by, trial.stop.items) == ("race", trial.items)
        assert trial.stop.against is not None
        other = result.trials[trial.stop.against]
        pairs = zip(trial.item_scores, other.item_scores, strict=True)
        shared = [mine - theirs for mine, theirs in pairs if mine is not None and theirs is not None]
        assert trial.stop.difference == pytest.approx(sum(shared[: trial.items]) / len(shared))
        record = read_json(Path(trial.folder) / "run.json")
        assert record is not None
        assert (record["status"], record["items"]["done"]) == ("stopped", trial.items)
        assert len(list((Path(trial.folder) / "generated_images").iterdir())) == trial.items
    assert all(count == 1 for count in made(tmp_path).values()), "a change of process loses nothing"
    assert result.trials[0].status == "finished", "the baseline goes to the end"
    assert facts(SearchResult.load(result.folder)) == facts(result)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [KNOWN, LEARNING, GUIDED], ids=["grid", "tpe", "gp"])
def test_a_race_with_a_seed_decides_alike_however_many_processes_it_has(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    one = resume_kit.search(tmp_path / "1", 0.0, **{**changes, **RACE, "max_concurrent": 1}).run()
    three = resume_kit.search(tmp_path / "3", 0.0, **{**changes, **RACE, "max_concurrent": 3}).run()
    assert facts(one) == facts(three)
    assert stops(one) == stops(three)


@pytest.mark.slow
def test_a_race_goes_on_alike_wherever_its_journal_ends(tmp_path: Path) -> None:
    changes = {**LEARNING, **RACE}
    expected = resume_kit.search(tmp_path / "whole", 0.0, **changes).run()
    journal = SearchPaths(expected.folder).journal
    lines = journal.read_text().splitlines(keepends=True)
    baseline = next(place for place, line in enumerate(lines, 1) if line.startswith('{"ended": 0,'))
    proposed = [place for place, line in enumerate(lines, 1) if line.startswith('{"proposed":')]
    assert proposed[-1] > baseline + 1, "sets are proposed after the baseline has ended"
    for count in (baseline, proposed[-1] - 1, proposed[-1]):
        copy = tmp_path / f"after {count}"
        shutil.copytree(tmp_path / "whole", copy)
        paths = SearchPaths(copy / expected.folder.relative_to(tmp_path / "whole"))
        paths.journal.write_text("".join(lines[:count]))
        write_json(paths.head, {**(read_json(paths.head) or {}), "status": "running"})
        result = resume_kit.search(copy, 0.0, **changes).run(resume=True)
        assert facts(result) == facts(expected), count
        assert stops(result) == stops(expected), count


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (KNOWN, "{'space': GRID, 'algorithm': 'grid', 'algorithm_options': {}, 'num_samples': None,"),
        (LEARNING, "{'num_samples': 15,"),
        (
            GUIDED,
            "{'algorithm': 'auto', 'algorithm_options': {}, 'num_samples': None, 'budget': {'images': 60},",
        ),
    ],
    ids=["grid", "tpe", "gp"],
)
def test_a_race_that_is_killed_goes_on_as_if_nothing_had_happened(
    changes: dict[str, Any], text: str, tmp_path: Path
) -> None:
    whole, hurt = tmp_path / "whole", tmp_path / "hurt"
    hurt.mkdir()
    expected = resume_kit.search(whole, 0.0, **{**changes, **RACE}).run()
    in_text = f"{text} 'scheduler': 'race', 'step': None, 'max_concurrent': 2}}"
    for images in (9, 7, 8):
        killed(hurt, images=images, changes=in_text)
    result = resume_kit.search(hurt, 0.0, **{**changes, **RACE}).run(resume=True)
    assert result.status == "finished"
    assert facts(result) == facts(expected)
    assert stops(result) == stops(expected)
    again = sum(count - 1 for count in made(hurt).values())
    assert again <= 3 * 2, "only images that were being made are made again"


def test_a_guided_search_spends_its_images_on_the_best(tmp_path: Path) -> None:
    result = resume_kit.search(tmp_path, 0.0, **{**GUIDED, **RACE}).run()
    assert result.status == "finished"
    assert 50 <= result.images <= 60
    assert len(result.trials) > 15, "more sets than whole ones would be"
    assert result.best is not None
    assert result.best.items == resume_kit.ITEMS
    assert abs(float(result.best.values["x"]) - 0.3) < 0.1
    assert result.best.values["k"] == 5
    assert {trial.status for trial in result.trials} == {"finished", "stopped"}
    manifest = read_json(result.folder / "manifest.json")
    assert manifest is not None
    assert (manifest["algorithm"], manifest["proposed_by"]) == ("auto", "gp")


def test_what_cannot_be_raced_runs_to_its_end(tmp_path: Path) -> None:
    changes = {**KNOWN, **RACE, "metrics": [Whole()], "objective": "whole"}
    result = resume_kit.search(tmp_path, 0.0, **changes).run()
    assert {trial.status for trial in result.trials} == {"finished"}
