"""The objective is one of the scores that the metrics declare, be there one or several, with a direction or
without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kit import WORKFLOW
from PIL import Image
from ray import tune

from pixaris.data_loaders.base import DatasetLoader
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.metrics.base import BaseMetric
from pixaris.metrics.luminescence import LuminescenceWithoutMaskMetric
from pixaris.metrics.overlap import PrecisionRecallMetric
from pixaris.search import Search
from pixaris.testing import samples
from pixaris.types import Direction, EvalItem, EvalSet


class Loader(DatasetLoader):
    def load_dataset(self) -> EvalSet:
        return samples.eval_set(2)


class Undeclared(BaseMetric):
    """Says which scores are better when they are higher, and nothing else."""

    def directions(self) -> dict[str, Direction]:
        return {"left": "max", "right": "min"}

    def score(self, image: Image.Image, item: EvalItem) -> dict[str, float]:
        return {"left": 1.0, "right": 2.0}


def told(metric: BaseMetric, objective: str, folder: Path, **settings: Any) -> list[str]:
    checked = Search(
        data_loader=Loader(),
        image_generator=ComfyGenerator(WORKFLOW),
        space={"value": ("Threshold", "value", tune.uniform(0.0, 1.0))},
        metrics=[metric],
        objective=objective,
        experiment_handler=LocalExperimentHandler(folder),
        endpoints=["http://127.0.0.1:9"],
        **settings,
    ).check()
    return [problem.message for problem in checked.problems if problem.path.startswith("objective")]


@pytest.mark.parametrize("objective", ["precision", "recall"])
def test_one_of_several_scores_may_be_the_objective(objective: str, tmp_path: Path) -> None:
    assert told(PrecisionRecallMetric(reference="Mask"), objective, tmp_path) == []


def test_a_score_without_a_direction_needs_one(tmp_path: Path) -> None:
    metric = LuminescenceWithoutMaskMetric()
    assert told(metric, "luminescence_var", tmp_path, direction="max") == []
    (message,) = told(metric, "luminescence_var", tmp_path)
    assert message == "'luminescence_var' does not say whether higher is better; add direction: max or min"


def test_a_metrics_own_name_is_no_score_where_it_gives_others(tmp_path: Path) -> None:
    (message,) = told(LuminescenceWithoutMaskMetric(), "luminescence", tmp_path, direction="max")
    assert "scores are: luminescence_mean, luminescence_var" in message
    (message,) = told(PrecisionRecallMetric(reference="Mask"), "recal", tmp_path)
    assert message.startswith("'recal' is no score of this search (did you mean 'recall'?)")


def test_a_metric_may_declare_no_more_than_directions(tmp_path: Path) -> None:
    assert told(Undeclared(), "right", tmp_path) == []
    assert "scores are: left, right" in told(Undeclared(), "undeclared", tmp_path)[0]
