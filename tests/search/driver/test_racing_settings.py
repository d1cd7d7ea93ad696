"""What a race goes by, and which algorithm is taken where nobody says it."""

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
from pixaris.metrics.base import BaseMetric
from pixaris.results.budget import Budget
from pixaris.search.algorithms import guided, racing
from pixaris.search.driver.plan import SearchPlan
from pixaris.search.settings import Choice, ObjectiveSettings, SearchSettings
from pixaris.search.space.domain import Domain
from pixaris.search.space.space import Parameter, Space, Target
from pixaris.types import EvalItem


class Likeness(BaseMetric):
    direction = "max"

    def score(self, image: Image.Image, item: EvalItem) -> float:
        return 1.0


class Whole(BaseMetric):
    direction = "min"
    per_item = False

    def calculate(self, images: Any) -> dict[str, float]:
        return {"whole": 1.0}


SPACE = Space((Parameter("value", (Target("Threshold", "value"),), Domain("uniform", low=0.0, high=1.0)),))


def plan_of(folder: Path, *, objective: str = "likeness", **settings: Any) -> SearchPlan:
    return plan_kit.plan_of(
        folder,
        generator=ComfyGenerator(WORKFLOW),
        space=SPACE,
        sources=[StaticSource("http://m")],
        items=12,
        metrics=(Likeness(), Whole()),
        objective=objective,
        **{"algorithm": "auto", "scheduler": "race", "num_samples": None, **settings},
    )


def settings_of(folder: Path, **settings: Any) -> SearchSettings:
    return plan_of(folder, **settings).settings


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"p": 0.7}, "must be above 0 and below 0.5 (got 0.7)"),
        ({"guarantee": 2.0}, "must be above 0 and below 1 (got 2)"),
        ({"min_effect": -1.0}, "must be at least 0 (got -1)"),
        ({"guarantee": 0.05}, "so their number must be known; give num_samples"),
        ({"guard": [{"metric": "likenes", "worse_by": 1.0}]}, "'likenes' is no score with a direction"),
        ({"guard": [{"metric": "whole", "worse_by": 1.0}]}, "'whole' has no value per item"),
    ],
)
def test_what_is_wrong_with_a_race_is_told(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    plan = changed(plan_of(tmp_path), scheduler=Choice("race", options))
    assert any(words in str(problem) for problem in racing.race_problems(plan.settings))


def test_a_race_without_faults_has_no_problems(tmp_path: Path) -> None:
    options = {"p": 0.02, "guarantee": 0.05, "guard": [{"metric": "likeness", "worse_by": 0.1}]}
    plan = changed(plan_of(tmp_path, num_samples=20), scheduler=Choice("race", options))
    assert racing.race_problems(plan.settings) == []
    rules = racing.rules_of(plan.settings, 12, 21)
    assert (rules.p, rules.guarantee, rules.sets, rules.guards[0].row) == (0.02, 0.05, 21, 1)


def test_a_score_for_a_whole_run_is_not_raced_and_that_is_said(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, objective="whole")
    assert not racing.races(settings)
    assert "whole has no value per item" in racing.described(settings, 12)
    assert plan_of(tmp_path, objective="whole").pace.step == 12


def test_known_sets_race_all_at_once_and_others_in_waves(tmp_path: Path) -> None:
    assert racing.side_by_side(settings_of(tmp_path, algorithm="random", num_samples=99), 12) == 256
    assert racing.side_by_side(settings_of(tmp_path, algorithm="tpe"), 12) == 8
    poor = settings_of(tmp_path, algorithm="random", budget=Budget(images=100))
    assert racing.side_by_side(poor, 16) == 18, "as many as 100 images let come to an end"


def test_auto_takes_the_process_for_a_small_budget_of_images(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, budget=Budget(images=150))
    assert guided.algorithm_of(settings) == "gp"
    assert "150 images" in guided.reason(settings)
    assert guided.guided_problems(settings) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "there is no budget of images"),
        ({"budget": Budget(images=900)}, "more than 300 images"),
        ({"budget": Budget(images=90, seconds=5)}, "limits more than images"),
        ({"budget": Budget(images=90), "scheduler": "fifo"}, "its sets do not race"),
        ({"budget": Budget(images=90), "objective": "whole"}, "its sets do not race"),
    ],
)
def test_auto_says_why_it_takes_tpe(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, **changes)
    assert guided.algorithm_of(settings) == "tpe"
    assert words in guided.reason(settings)


def test_gp_by_name_is_refused_where_it_cannot_be(tmp_path: Path) -> None:
    (problem,) = guided.guided_problems(settings_of(tmp_path, algorithm="gp"))
    assert "there is no budget of images; use tpe" in str(problem)
    several = settings_of(tmp_path, algorithm="gp", budget=Budget(images=900))
    assert guided.guided_problems(several) == []
    both = replace(several, objective=ObjectiveSettings(("likeness", "other"), {"other": "max"}))
    assert "several objectives" in str(guided.guided_problems(both))


def test_how_many_sets_are_tried_where_nobody_says_it(tmp_path: Path) -> None:
    strategy = settings_of(tmp_path).strategy
    assert guided.with_samples(strategy, Budget()).num_samples == 20
    assert guided.with_samples(strategy, Budget(images=100)).num_samples is None


def test_items_of_both_sizes_are_mixed(tmp_path: Path) -> None:
    assert sorted(plan_of(tmp_path).order) == list(range(12))
    assert plan_of(tmp_path, seed=3).order == plan_of(tmp_path, seed=3).order
    assert plan_of(tmp_path, seed=3).order != plan_of(tmp_path, seed=4).order
