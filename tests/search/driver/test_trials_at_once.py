"""How many trials run at once: enough that no endpoint waits for scores, and no more processes than that
takes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import plan_kit
import pytest
from kit import WORKFLOW
from PIL import Image
from plan_kit import changed

from pixaris.endpoints.sources.static import StaticSource
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.generation.flux import FluxFillGenerator
from pixaris.metrics.appearance import ContrastMetric
from pixaris.metrics.base import BaseMetric
from pixaris.results.budget import Budget
from pixaris.search.driver.plan import SearchPlan
from pixaris.search.settings import Choice
from pixaris.search.space.domain import Domain
from pixaris.search.space.space import Parameter, Space, Target
from pixaris.types import EvalItem


class Asking(BaseMetric):
    """Waits for somebody's answer."""

    direction = "max"

    def score(self, image: Image.Image, item: EvalItem) -> float:
        return 1.0


SPACE = Space((Parameter("value", (Target("Threshold", "value"),), Domain("uniform", low=0.0, high=1.0)),))


def plan_of(metric: BaseMetric, items: int, endpoints: int, folder: Path, **settings: Any) -> SearchPlan:
    return plan_kit.plan_of(
        folder,
        generator=ComfyGenerator(WORKFLOW),
        space=SPACE,
        sources=[StaticSource(f"http://m{index}") for index in range(endpoints)],
        items=items,
        metrics=(metric,),
        objective=metric.name,
        **{"num_samples": 50, **settings},
    )


def at_once(metric: BaseMetric, items: int, endpoints: int, folder: Path, **settings: Any) -> int:
    return plan_of(metric, items, endpoints, folder, **settings).pace.concurrent


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
    metric = ContrastMetric()
    plan = replace(plan_of(metric, 8, 64, tmp_path, algorithm="random"), processors=2)
    beyond = plan.pace.beyond
    assert beyond * 8 >= 1.5 * plan.pace.slots > (beyond - 1) * 8
    assert (plan.pace.concurrent, at_once(metric, 8, 64, tmp_path)) == (4, 12)
    assert [replace(plan, processors=cores).pace.concurrent for cores in (8, 16)] == [8, 12]
    assert changed(plan, algorithm=Choice("tpe")).pace.beyond == 0
    assert changed(plan, scheduler=Choice("asha")).pace.beyond == 0
    assert changed(plan, max_concurrent=3).pace.beyond == 0
    assert changed(plan, max_concurrent=3).pace.concurrent == 3
    limited = plan_of(metric, 8, 64, tmp_path, algorithm="random", budget=Budget(images=9))
    assert limited.pace.beyond == 0


def test_nobody_pays_for_an_image_whose_trial_is_not_there_to_keep_it(tmp_path: Path) -> None:
    plan = plan_of(ContrastMetric(), 8, 4, tmp_path, algorithm="random")
    flux = changed(plan, generator=FluxFillGenerator())
    assert (plan.pace.first > 0, flux.pace.first, flux.pace.beyond) == (True, 0, 0)
