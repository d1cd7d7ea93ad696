"""LPIPS: how different two images look, by torchmetrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from pixaris.exceptions import ConfigurationError, MetricError, PixarisError, Problem, nearest
from pixaris.images import EncodedImage
from pixaris.metrics.base import Execution, Need
from pixaris.metrics.item_images import ItemImages
from pixaris.metrics.learned.model import LearnedMetric, ModelService, grouped
from pixaris.metrics.pixels import fitted, flat
from pixaris.types import Direction

Pair: TypeAlias = tuple[EncodedImage, EncodedImage]

NETS = ("alex", "vgg", "squeeze")
SMALLEST = 64
"""Pixels that the shorter side must have: the networks halve the image several times."""


@dataclass(frozen=True)
class LpipsService(ModelService[Pair, float]):
    """Compares pairs of images of one size."""

    def load(self, device: Any) -> Callable[[Sequence[Pair]], Sequence[float | PixarisError]]:  # noqa: ANN401
        import torch
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        metric = LearnedPerceptualImagePatchSimilarity(
            net_type=self.model, reduction="none", normalize=True
        ).to(device)

        def tensor(images: Sequence[EncodedImage]) -> Any:  # noqa: ANN401  (N×3×H×W from 0 to 1)
            pixels = np.stack([np.asarray(flat(image.image), dtype=np.float32) / 255 for image in images])
            return torch.from_numpy(pixels).permute(0, 3, 1, 2).to(device)

        def compare(pairs: Sequence[Pair]) -> list[float]:
            values = [0.0] * len(pairs)
            for places in grouped(pairs, lambda pair: pair[0].size):
                firsts, seconds = zip(*(pairs[place] for place in places), strict=True)
                differences = metric(tensor(firsts), tensor(seconds)).reshape(-1).tolist()
                metric.reset()  # it would keep every value it ever gave
                for place, difference in zip(places, differences, strict=True):
                    values[place] = max(0.0, difference)
            return values

        return compare


class LPIPSMetric(LearnedMetric):
    """Learned perceptual image patch similarity: the weighted distance of two images' features.

    0.0 for equal images, lower is better. Both are compared as RGB; transparency is composited over black. A
    generated image of another size is resized to its reference's with the Lanczos filter, if the aspect ratio
    is the same within one pixel; otherwise the item has no score.

    Source: R. Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", CVPR
    2018; computed by torchmetrics, whose package brings the weights of the comparison; those of the network
    are torchvision's.

    Args:
        references: The references, one per eval item in its order …
        reference: … or the eval set's folder that holds them.
        net: The network: ``alex``, ``vgg`` or ``squeeze``.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``.
        batch: Most pairs at once.
        num_gpus: Share of a GPU that Ray reserves, where there is one.

    Raises:
        ConfigurationError: Something is wrong with these, or the extra is not installed.
    """

    name = "lpips"
    direction: Direction | None = "min"
    range = (0.0, float("inf"))
    needs: tuple[Need, ...] = ("reference",)
    modules = ("torch", "torchvision", "torchmetrics")

    def __init__(
        self,
        references: Sequence[Image.Image] | None = None,
        *,
        reference: str | None = None,
        net: str = "alex",
        device: str = "auto",
        batch: int = 8,
        num_gpus: float = 0.0,
    ) -> None:
        self._references = ItemImages.of(type(self).__name__, self.name, "reference", references, reference)
        if net not in NETS:
            raise ConfigurationError(
                Problem("net", f"must be one of {', '.join(NETS)} (got {net!r}){nearest(str(net), NETS)}")
            )
        self._service = LpipsService(net, "", self.placed(device, batch, num_gpus))

    def item_images(self) -> tuple[ItemImages, ...]:
        return (self._references,)

    def score_execution(self, execution: Execution) -> float:
        image, reference = execution.image, self._references.encoded_for(execution.item)
        if min(reference.size) < SMALLEST:
            width, height = reference.size
            raise MetricError(
                f"LPIPS needs images of at least {SMALLEST}×{SMALLEST} pixels (the reference is"
                f" {width}×{height}); scale them up"
            )
        if image.size != reference.size:
            image = EncodedImage.of(fitted(image.image, reference.size, Image.Resampling.LANCZOS))
        return self.host.submit(self._service, (image, reference)).result()
