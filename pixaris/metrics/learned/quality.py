"""Quality and beauty of an image by itself, by pyiqa's models."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pixaris.exceptions import ConfigurationError, PixarisError, Problem
from pixaris.images import EncodedImage
from pixaris.metrics.base import Execution, Scale
from pixaris.metrics.learned.model import LearnedMetric, ModelService, grouped
from pixaris.metrics.pixels import flat
from pixaris.types import Direction

_OPEN = (-math.inf, math.inf)

QUALITY: Mapping[str, Scale] = {
    "musiq": Scale("max", _OPEN),
    "clipiqa+": Scale("max", (0.0, 1.0)),
    "topiq_nr": Scale("max", _OPEN),
    "maniqa": Scale("max", _OPEN),
    "cnniqa": Scale("max", _OPEN),
    "niqe": Scale("min", _OPEN),
    "brisque": Scale("min", _OPEN),
}
"""Models for technical quality (sharpness, noise, artefacts). Most have no hard limits."""

AESTHETIC: Mapping[str, Scale] = {
    "laion_aes": Scale("max", _OPEN),
    "nima": Scale("max", (0.0, 10.0)),
    "musiq-ava": Scale("max", (1.0, 10.0)),
    "topiq_iaa": Scale("max", (1.0, 10.0)),
}
"""Models for beauty, which were trained on people's votes."""


@dataclass(frozen=True)
class QualityService(ModelService[EncodedImage, float]):
    """Rates images by themselves."""

    def load(self, device: Any) -> Callable[[Sequence[EncodedImage]], Sequence[float | PixarisError]]:  # noqa: ANN401
        import pyiqa
        import torch

        if self.weights:
            own = {"pretrained_model_path": self.weights}
        else:
            own = {}
        metric = pyiqa.create_metric(self.model, device=device, **own)

        def rate(images: Sequence[EncodedImage]) -> list[float]:
            values = [0.0] * len(images)
            # A batch is one array, so its images must be of one size; scaling them would change what is
            # rated.
            for places in grouped(images, lambda image: image.size):
                pixels = np.stack(
                    [np.asarray(flat(images[place].image), dtype=np.float32) / 255 for place in places]
                )
                ratings = metric(torch.from_numpy(pixels).permute(0, 3, 1, 2).to(device)).reshape(-1).tolist()
                for place, rating in zip(places, ratings, strict=True):
                    values[place] = float(rating)
            return values

        return rate


class _RatingMetric(LearnedMetric):
    modules = ("torch", "pyiqa")
    known: Mapping[str, Scale] = {}

    def __init__(
        self,
        model: str,
        *,
        weights: str = "",
        direction: Direction | None = None,
        device: str = "auto",
        batch: int = 8,
        num_gpus: float = 0.0,
    ) -> None:
        if direction not in ("max", "min", None):
            raise ConfigurationError(Problem("direction", f"must be max or min (got {direction!r})"))
        if model not in self.known and direction is None:
            message = (
                f"{model!r} is none of {', '.join(self.known)}; for another model of pyiqa say which way is"
                " better: direction"
            )
            raise ConfigurationError(Problem("model", message))
        # A model of the user's choice may have any range.
        scale = self.known.get(model, Scale())
        self.direction, self.range = direction or scale.direction, scale.range
        self._service = QualityService(model, weights, self.placed(device, batch, num_gpus, weights))

    def score_execution(self, execution: Execution) -> float:
        return self.host.submit(self._service, execution.image).result()


class QualityMetric(_RatingMetric):
    """Technical quality of an image by itself (sharpness, noise, artefacts), as a trained model rates it.

    Scale and direction are the model's: ``musiq`` about 0 to 100, higher is better; ``niqe`` and ``brisque``
    lower is better.

    Source: computed by pyiqa; ``musiq`` is J. Ke et al., "MUSIQ: Multi-scale image quality transformer", ICCV
    2021.

    Args:
        model: ``musiq``, ``clipiqa+``, ``topiq_nr``, ``maniqa``, ``cnniqa``, ``niqe``, ``brisque``, or
            another model of pyiqa that rates one image …
        weights: A file with its weights; "" for pyiqa's own.
        direction: … with which way is better.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``.
        batch: Most images at once.
        num_gpus: Share of a GPU that Ray reserves, where there is one.

    Raises:
        ConfigurationError: Something is wrong with these, or the extra is not installed.
    """

    name = "quality"
    direction: Direction | None = "max"
    known = QUALITY

    def __init__(
        self,
        model: str = "musiq",
        *,
        weights: str = "",
        direction: Direction | None = None,
        device: str = "auto",
        batch: int = 8,
        num_gpus: float = 0.0,
    ) -> None:
        super().__init__(
            model, weights=weights, direction=direction, device=device, batch=batch, num_gpus=num_gpus
        )


class AestheticMetric(_RatingMetric):
    """Beauty of an image by itself, as a model rates it that was trained on people's votes; about 1 to 10,
    higher is better.

    Source: computed by pyiqa; ``laion_aes`` is LAION's aesthetic predictor (a linear probe on CLIP ViT-L/14),
    2022.

    Args:
        model: ``laion_aes``, ``nima``, ``musiq-ava``, ``topiq_iaa``, or another model of pyiqa that rates one
            image …
        weights: A file with its weights; "" for pyiqa's own.
        direction: … with which way is better.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``.
        batch: Most images at once.
        num_gpus: Share of a GPU that Ray reserves, where there is one.

    Raises:
        ConfigurationError: Something is wrong with these, or the extra is not installed.
    """

    name = "aesthetic"
    direction: Direction | None = "max"
    known = AESTHETIC

    def __init__(
        self,
        model: str = "laion_aes",
        *,
        weights: str = "",
        direction: Direction | None = None,
        device: str = "auto",
        batch: int = 8,
        num_gpus: float = 0.0,
    ) -> None:
        super().__init__(
            model, weights=weights, direction=direction, device=device, batch=batch, num_gpus=num_gpus
        )
