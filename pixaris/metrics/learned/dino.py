"""DINO: how near two images are in structure and content, by timm's models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from pixaris.exceptions import PixarisError
from pixaris.images import EncodedImage
from pixaris.metrics.base import Execution, Need
from pixaris.metrics.item_images import ItemImages
from pixaris.metrics.learned.clip import Embedding, cosine
from pixaris.metrics.learned.model import LearnedMetric, ModelService, Remembered
from pixaris.metrics.pixels import flat
from pixaris.types import Direction

MODEL = "vit_small_patch14_dinov2.lvd142m"


@dataclass(frozen=True)
class DinoService(ModelService[EncodedImage, Embedding]):
    """Embeds images: vectors of length 1."""

    def load(self, device: Any) -> Callable[[Sequence[EncodedImage]], Sequence[Embedding | PixarisError]]:  # noqa: ANN401
        import timm
        import torch

        file = {"file": self.weights} if self.weights else None  # read as timm's own: without the classifier
        model = timm.create_model(self.model, pretrained=True, pretrained_cfg_overlay=file, num_classes=0)
        model = model.eval().to(device)
        prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)

        def embed(images: Sequence[EncodedImage]) -> list[Embedding]:
            pixels = torch.stack([prepare(flat(image.image)) for image in images]).to(device)
            vectors = torch.nn.functional.normalize(model(pixels), dim=-1)
            return [vector.float().cpu().numpy() for vector in vectors]

        return Remembered(embed, lambda image: image.digest)


class DINOSimilarityMetric(LearnedMetric):
    """How near an image is to its reference: the cosine of their embeddings by a DINO model; 1.0 for equal
    images.

    DINO is trained on images alone: it sees the particular object, where CLIP sees what kind of thing it is.

    Source: M. Oquab et al., "DINOv2: Learning robust visual features without supervision", TMLR 2024; used as
    in N. Ruiz et al., "DreamBooth", CVPR 2023 (DINO score).

    Args:
        references: The references, one per eval item in its order …
        reference: … or the eval set's folder that holds them.
        model: A model of timm.
        weights: A file with its weights, as timm saves them; "" for timm's own.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``.
        batch: Most images at once.
        num_gpus: Share of a GPU that Ray reserves, where there is one.

    Raises:
        ConfigurationError: Something is wrong with these, or the extra is not installed.
    """

    name = "dino_similarity"
    direction: Direction | None = "max"
    range = (-1.0, 1.0)
    needs: tuple[Need, ...] = ("reference",)
    modules = ("torch", "timm")

    def __init__(
        self,
        references: Sequence[Image.Image] | None = None,
        *,
        reference: str | None = None,
        model: str = MODEL,
        weights: str = "",
        device: str = "auto",
        batch: int = 8,
        num_gpus: float = 0.0,
    ) -> None:
        self._references = ItemImages.of(type(self).__name__, self.name, "reference", references, reference)
        self._service = DinoService(model, weights, self.placed(device, batch, num_gpus, weights))

    def item_images(self) -> tuple[ItemImages, ...]:
        return (self._references,)

    def score_execution(self, execution: Execution) -> float:
        both = (execution.image, self._references.encoded_for(execution.item))
        image, reference = [self.host.submit(self._service, one) for one in both]
        return cosine(image.result(), reference.result())
