"""A disk that is full, a folder that is moved away: one line, and the search can be gone on with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import resume_kit
from resume_kit import facts, made

from pixaris.exceptions import SearchFailedError, StorageError
from pixaris.results.paths import SearchPaths
from pixaris.results.progress import Silent
from pixaris.results.trial import TrialResult
from pixaris.search import SearchResult

pytestmark = pytest.mark.usefixtures("ray_session")

SETTINGS = {"algorithm": "random", "algorithm_options": {}, "scheduler": "fifo", "step": None}


class AfterTrials(Silent):
    """Does something once some trials have ended."""

    def __init__(self, count: int, act: Callable[[], object]) -> None:
        self._left = count
        self._act = act

    def trial_ended(self, trial: TrialResult, progress: object) -> None:
        self._left -= 1
        if self._left == 0:
            self._act()


def full(file: Path) -> None:
    """Make every write to a file fail as on a full disk."""
    kept = file.rename(file.with_suffix(".kept"))
    file.symlink_to("/dev/full")
    assert kept.is_file()


def freed(file: Path) -> None:
    file.unlink()
    file.with_suffix(".kept").rename(file)


@pytest.mark.parametrize("name", ["journal", "trials"])
def test_a_full_disk_ends_a_search_with_one_line_and_it_can_be_resumed(name: str, tmp_path: Path) -> None:
    search = resume_kit.search(tmp_path, 0.01, **SETTINGS)
    paths = SearchPaths(tmp_path / "tests" / "gray")
    file: Path = getattr(paths, name)
    with pytest.raises(StorageError) as caught:
        search.run(AfterTrials(3, lambda: full(file)))
    message = str(caught.value)
    assert message.startswith(f"results cannot be kept in {paths.folder}: No space left on device")
    assert "free some space there, then resume" in message
    assert "\n" not in message
    freed(file)
    assert SearchResult.load(paths.folder).status == "interrupted"
    result = search.run(resume=True)
    assert result.status == "finished"
    assert [trial.number for trial in result.trials] == list(range(12))
    assert max(made(tmp_path).values()) == 1
    assert facts(SearchResult.load(paths.folder)) == facts(result)


def test_a_results_folder_that_is_moved_away_is_not_made_anew(tmp_path: Path) -> None:
    search = resume_kit.search(tmp_path, 0.01, **SETTINGS)
    folder, elsewhere = tmp_path / "tests", tmp_path / "elsewhere"
    with pytest.raises((StorageError, SearchFailedError), match="it was moved or deleted; put it back"):
        search.run(AfterTrials(2, lambda: folder.rename(elsewhere)))
    assert not (folder / "gray" / "trials.jsonl").exists()
    leftovers = sorted(path for path in folder.rglob("*.png"))
    assert leftovers == [], "half a run in a new folder would look like a whole one"
