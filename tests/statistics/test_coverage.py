"""What the statistics promise, simulated in small; ``make simulate`` does it at length, with the same
code.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import stats

from pixaris.results.manifest import write_manifest
from pixaris.results.paths import SearchPaths
from pixaris.statistics.bootstrap import corrected_bootstrap
from pixaris.statistics.shrinkage import shrunk_gain
from pixaris.statistics.signflip import sign_flip_interval


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    """The benchmark."""
    file = Path(__file__).parents[2] / "benchmarks" / "coverage.py"
    spec = importlib.util.spec_from_file_location("pixaris_coverage", file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("shape", ["normal", "t3"])
@pytest.mark.parametrize("count", [8, 12, 16, 32, 64])
def test_a_95_percent_interval_covers_symmetric_differences_as_often_as_it_says(
    shape: str, count: int, coverage: ModuleType
) -> None:
    values = coverage.SHAPES[shape](np.random.default_rng(count), (2500, count))
    found = sign_flip_interval(values)
    assert found is not None
    assert 0.935 <= np.mean((found[0] <= 0.0) & (found[1] >= 0.0)) <= 0.965


def test_the_corrected_bootstrap_is_scipy_s_bca_moved_away_from_the_mean() -> None:
    rng = np.random.default_rng(1)
    for count in (8, 20):
        values = rng.exponential(size=count)
        bca = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=9999, rng=rng).confidence_interval
        found = corrected_bootstrap(values.tolist())
        assert found is not None
        stretch = np.sqrt(count / (count - 1)) * stats.t.ppf(0.975, count - 1) / stats.norm.ppf(0.975)
        wanted = values.mean() + stretch * (np.array(bca) - values.mean())
        assert found == pytest.approx(tuple(wanted), rel=0.04)
    assert corrected_bootstrap([1.0, 1.0, 1.0]) is None
    assert corrected_bootstrap([1.0, 2.0]) is None


@pytest.mark.parametrize("sd", [0.1, 0.3])
def test_the_shrunk_gain_is_unbiased_and_covers_on_raced_tables(sd: float, coverage: ModuleType) -> None:
    rng = np.random.default_rng(3)
    misses, covered = [], []
    for _ in range(150):
        one = coverage.drawn(rng, 32, 12, sd, race=True)
        assert np.isnan(one.scores).sum() > 50, "the race stopped sets"
        found = shrunk_gain(one.scores, one.winner, 0)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        gain = one.true[one.winner] - one.true[0]
        misses.append((found.mean - gain) / sd)
        covered.append(found.low <= gain <= found.high)
    error = float(np.std(misses)) / len(misses) ** 0.5
    assert abs(np.mean(misses)) <= 0.15 + 2 * error
    assert 0.90 <= np.mean(covered) <= 0.99


@pytest.mark.parametrize("race", [False, True])
def test_the_verdict_claims_nothing_where_nothing_differs_and_finds_what_does(
    race: bool, coverage: ModuleType, tmp_path: Path
) -> None:
    rng = np.random.default_rng(4)
    null = [coverage.verdict(coverage.drawn(rng, 25, 12, 0.0, race=race), tmp_path) for _ in range(150)]
    assert null.count("better") <= 0.05 * 150 + 3
    found = [coverage.verdict(coverage.drawn(rng, 25, 12, 0.3, race=race), tmp_path) for _ in range(40)]
    assert found.count("better") >= 30


@pytest.mark.slow
def test_of_sets_that_tpe_chose_nothing_is_claimed_where_nothing_differs(
    coverage: ModuleType, tmp_path: Path
) -> None:
    write_manifest(SearchPaths(tmp_path), {"algorithm": "tpe"})
    rng = np.random.default_rng(5)
    flat = [coverage.verdict(coverage.learned(rng, 25, 12, 0.3, flat=True), tmp_path) for _ in range(60)]
    assert flat.count("better") <= 0.05 * 60
    hills = [coverage.verdict(coverage.learned(rng, 25, 12, 0.05), tmp_path) for _ in range(20)]
    assert hills.count("better") >= 15
