"""The benchmarks' simulated searches in short: race and guide on tables whose every score is known."""

from __future__ import annotations

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.mark.parametrize(("sets", "items", "most"), [(32, 8, 0.57), (32, 12, 0.44), (32, 32, 0.27)])
def test_a_race_needs_a_part_of_the_images_for_a_winner_as_good(sets: int, items: int, most: float) -> None:
    """In 24 searches; of 320 it is 46, 36 and 22 %."""
    import racing

    found = racing.summary(racing.race(), racing.tables(sets, items, 6), in_flight=1)
    assert found.part <= most
    assert found.regret <= 0.08, "24 searches; of many it is 0.02"


def test_images_in_flight_cost_little() -> None:
    import racing

    tables = racing.tables(32, 12, 4)
    alone = racing.summary(racing.race(), tables, in_flight=1)
    many = racing.summary(racing.race(), tables, in_flight=8)
    assert alone.part < many.part < alone.part + 0.06
    assert many.regret == pytest.approx(alone.regret), "decisions do not depend on what is in flight"


def test_a_guarantee_names_the_grids_winner() -> None:
    import racing

    found = racing.summary(racing.race(0.05), racing.tables(32, 12, 4), in_flight=1)
    assert found.same == 1.0
    assert found.part < 0.85


@pytest.mark.slow
def test_a_guide_finds_the_best_cutout_in_150_images() -> None:
    import few_images
    from landscapes import cutout

    found = [few_images.search(cutout(), 150, in_flight=4, seed=seed) for seed in range(3)]
    assert sum(one.close for one in found) >= 2
    assert max(one.regret for one in found) < 0.02
