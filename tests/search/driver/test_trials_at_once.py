"""How many trials run at once: enough that no endpoint waits for scores, and no more processes than that
takes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kit import WORKFLOW
from PIL import Image

from pixaris.endpoints.discovery import StaticSource
from pixaris.experiment.run import RunSetup
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.base import ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.generation.flux import FluxFillGenerator
from pixaris.metrics.appearance import ContrastMetric
from pixaris.metrics.base import BaseMetric
from pixaris.results.budget import Budget
from pixaris.search.driver.plan import Objective, SearchPlan
from pixaris.search.space.domain import Domain
from pixaris.search.space.space import Parameter, Space, Target
from pixaris.types import EvalItem, EvalSet


class Asking(BaseMetric):
    """Waits for somebody's answer."""

    direction = "max"

    def score(self, image: Image.Image, item: EvalItem) -> float:
        return 1.0


def plan_of(metric: BaseMetric, items: int, endpoints: int, folder: Path, **settings: Any) -> SearchPlan:
    eval_set = EvalSet("some", tuple(EvalItem(index, f"i{index}") for index in range(items)))
    setup = RunSetup("tests", eval_set, ComfyGenerator(WORKFLOW), (metric,), ItemArgs({}))
    plan = SearchPlan(
        setup=setup,
        handler=LocalExperimentHandler(folder),
        folder=folder,
        space=Space(
            (Parameter("value", (Target("Threshold", "value"),), Domain("uniform", low=0.0, high=1.0)),)
        ),
        baseline={"value": 0.5},
        objectives=(Objective(metric.name, "max"),),
        sources=tuple(StaticSource(f"http://m{index}") for index in range(endpoints)),
        admit=lambda _: setup,
        num_samples=50,
    )
    return replace(plan, **settings)


def at_once(metric: BaseMetric, items: int, endpoints: int, folder: Path, **settings: Any) -> int:
    return plan_of(metric, items, endpoints, folder, **settings).concurrent


@pytest.mark.parametrize(("items", "trials"), [(100, 2), (24, 2), (8, 3), (6, 4), (2, 4)])
def test_few_images_and_a_metric_that_waits_need_more_trials(items: int, trials: int, tmp_path: Path) -> None:
    assert at_once(Asking(), items, 4, tmp_path) == trials


@pytest.mark.parametrize(("items", "trials"), [(100, 2), (8, 2), (6, 2), (2, 3)])
def test_a_metric_that_computes_needs_none(items: int, trials: int, tmp_path: Path) -> None:
    assert at_once(ContrastMetric(), items, 4, tmp_path) == trials


def test_many_endpoints_do_not_make_more_processes_only_for_scores(tmp_path: Path) -> None:
    assert at_once(Asking(), 50, 256, tmp_path) == at_once(ContrastMetric(), 50, 256, tmp_path) == 8
    assert at_once(Asking(), 50, 64, tmp_path) == 4


def test_never_more_trials_than_there_are(tmp_path: Path) -> None:
    assert at_once(Asking(), 6, 4, tmp_path, num_samples=2) == 3


def test_where_all_sets_are_known_the_driver_keeps_the_places_busy_and_a_few_processes_suffice(
    tmp_path: Path,
) -> None:
    known = {"algorithm": "random", "processors": 2}
    plan = plan_of(ContrastMetric(), 8, 64, tmp_path, **known)
    assert plan.leads * 8 >= 1.5 * plan.places > (plan.leads - 1) * 8
    assert (plan.concurrent, plan_of(ContrastMetric(), 8, 64, tmp_path).concurrent) == (4, 12)
    assert [replace(plan, processors=cores).concurrent for cores in (8, 16)] == [8, 12]
    for changes in (
        {"algorithm": "tpe"},
        {"scheduler": "asha"},
        {"max_concurrent": 3},
        {"budget": Budget(images=9)},
    ):
        assert replace(plan, **changes).leads == 0
    assert replace(plan, max_concurrent=3).concurrent == 3


def test_nobody_pays_for_an_image_whose_trial_is_not_there_to_keep_it(tmp_path: Path) -> None:
    plan = plan_of(ContrastMetric(), 8, 4, tmp_path, algorithm="random")
    flux = replace(plan, setup=replace(plan.setup, generator=FluxFillGenerator()))
    assert (plan.head_start > 0, flux.head_start, flux.leads) == (True, 0, 0)
