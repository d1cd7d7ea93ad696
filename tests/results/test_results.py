"""What a search found, as values that other programs work with."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

from results_kit import search_of, trial_of

from pixaris.results.report import Stop


def test_the_table_has_one_row_for_each_trial_and_no_name_meets_another() -> None:
    trials = (
        trial_of(0, {"status": "off"}, (0.4, 0.6), ssim=0.5),
        trial_of(1, {"status": "on", "cfg": 7.5}, (0.25, None), status="stopped", ssim=0.25, mae=3.0),
        trial_of(2, {"status": "on", "cfg": 2.0}, status="running"),
    )
    stopped = replace(trials[1], stop=Stop("race", 1, against=0, difference=-0.25, half_width=0.1))
    table = search_of(trials[0], stopped, trials[2]).table()
    assert table.loc[1, "stopped"] == "stopped after 1 of 0 items: -0.25 ± 0.1 against trial_0000"
    assert table["stopped"].isna().tolist() == [True, False, True]
    assert list(table.index) == [0, 1, 2]
    assert list(table["status"]) == ["finished", "stopped", "running"]
    assert list(table["parameters.status"]) == ["off", "on", "on"]
    assert list(table["scored"]) == [2, 1, 0]
    assert table["objective"].isna().tolist() == [False, False, True]
    assert table["parameters.cfg"].tolist()[1:] == [7.5, 2.0]
    assert table["parameters.cfg"].isna().tolist() == [True, False, False]
    assert table.loc[1, "scores.mae"] == 3.0


def test_a_search_without_trials_has_an_empty_table() -> None:
    assert len(search_of().table()) == 0


def test_reading_results_does_not_import_pandas() -> None:
    code = "import sys, pixaris.results.records; sys.exit('pandas' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_stop_says_in_words_why() -> None:
    raced = Stop("race", 12, against=7, difference=-0.041, half_width=0.02)
    assert raced.describe(64) == "stopped after 12 of 64 items: -0.041 ± 0.02 against trial_0007"
    assert Stop("asha", 4).describe(12) == "stopped after 4 of 12 items"
    assert Stop("race", 4, note="no budget").describe(12) == "stopped after 4 of 12 items (no budget)"
