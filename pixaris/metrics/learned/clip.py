"""CLIP: how well an image fits a text, and how near two images are, by open_clip's models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixaris.exceptions import ConfigurationError, PixarisError, Problem
from pixaris.images import EncodedImage
from pixaris.metrics.base import Execution, Need, Prompt
from pixaris.metrics.item_images import ItemImages
from pixaris.metrics.learned.model import LearnedMetric, ModelService, Placement, Remembered
from pixaris.metrics.pixels import flat
from pixaris.types import Direction

Embedding: TypeAlias = NDArray[np.float32]

MODEL, PRETRAINED = "ViT-B-32", "laion2b_s34b_b79k"
_LOCAL = "local-dir:"


@dataclass(frozen=True)
class ClipService(ModelService[EncodedImage | str, Embedding]):
    """Embeds images and texts: vectors of length 1. One model serves every metric that names it."""

    def load(
        self,
        device: Any,  # noqa: ANN401  (torch's)
    ) -> Callable[[Sequence[EncodedImage | str]], Sequence[Embedding | PixarisError]]:
        import open_clip
        import torch

        own = self.model.startswith((_LOCAL, "hf-hub:"))  # such a model brings its weights
        model, _, prepare = open_clip.create_model_and_transforms(
            self.model, pretrained=None if own else self.weights, device=device
        )
        model.eval()
        tokenize = open_clip.get_tokenizer(self.model)

        def embed(requests: Sequence[EncodedImage | str]) -> list[Embedding]:
            found: dict[int, Any] = {}
            texts = [place for place, request in enumerate(requests) if isinstance(request, str)]
            images = [place for place, request in enumerate(requests) if isinstance(request, EncodedImage)]
            if images:
                pixels = torch.stack([prepare(flat(requests[place].image)) for place in images]).to(device)  # type: ignore[union-attr]
                found.update(zip(images, model.encode_image(pixels, normalize=True), strict=True))
            if texts:
                tokens = tokenize([requests[place] for place in texts]).to(device)
                found.update(zip(texts, model.encode_text(tokens, normalize=True), strict=True))
            return [found[place].float().cpu().numpy() for place in range(len(requests))]

        return Remembered(
            embed, lambda request: request if isinstance(request, str) else request.digest.encode()
        )


class _ClipMetric(LearnedMetric):
    modules = ("torch", "open_clip")

    def _serve(self, model: str, pretrained: str, placement: Placement) -> None:
        self._service = ClipService(model, "" if model.startswith(_LOCAL) else pretrained, placement)

    def _embedded(self, *requests: EncodedImage | str) -> list[Embedding]:
        futures = [self.host.submit(self._service, request) for request in requests]
        return [future.result() for future in futures]


class CLIPScoreMetric(_ClipMetric):
    """How well an image fits its prompt: ``100 · max(cos(E_image, E_text), 0)``, E the embeddings of a CLIP
    model.

    What scores well depends on the model, so compare only scores of one model. A prompt's tokens beyond the
    model's limit (77) do not count.

    Source: J. Hessel et al., "CLIPScore: A reference-free evaluation metric for image captioning", EMNLP
    2021, scaled as torchmetrics does.

    Args:
        prompt: The prompt: text, or ``{node_name, input}``, its place in the workflow.
        model: A model of open_clip, or ``local-dir:`` and a folder with ``open_clip_config.json`` and
            weights.
        pretrained: Name of its weights, or a file.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``.
        batch: Most images at once.
        num_gpus: Share of a GPU that Ray reserves, where there is one.

    Raises:
        ConfigurationError: Something is wrong with these, or the extra is not installed.
    """

    name = "clip_score"
    direction: Direction | None = "max"
    range = (0.0, 100.0)
    needs: tuple[Need, ...] = ("prompt",)

    def __init__(
        self,
        prompt: str | Mapping[str, str] | Prompt,
        *,
        model: str = MODEL,
        pretrained: str = PRETRAINED,
        device: str = "auto",
        batch: int = 8,
        num_gpus: float = 0.0,
    ) -> None:
        self._prompt = Prompt.of(prompt)
        self._serve(model, pretrained, self.placed(device, batch, num_gpus, weights_of(model, pretrained)))

    def prompts(self) -> tuple[Prompt, ...]:
        return (self._prompt,)

    def score_execution(self, execution: Execution) -> float:
        image, text = self._embedded(execution.image, self._prompt.read(execution))
        return 100 * min(1.0, max(0.0, float(image @ text)))


class CLIPSimilarityMetric(_ClipMetric):
    """How near an image is to its reference in meaning: the cosine of their embeddings by a CLIP model; 1.0
    for equal images.

    Args:
        references: The references, one per eval item in its order …
        reference: … or the eval set's folder that holds them.
        model: As for `CLIPScoreMetric`.
        pretrained: As for `CLIPScoreMetric`.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``.
        batch: Most images at once.
        num_gpus: Share of a GPU that Ray reserves, where there is one.

    Raises:
        ConfigurationError: Something is wrong with these, or the extra is not installed.
    """

    name = "clip_similarity"
    direction: Direction | None = "max"
    range = (-1.0, 1.0)
    needs: tuple[Need, ...] = ("reference",)

    def __init__(
        self,
        references: Sequence[Image.Image] | None = None,
        *,
        reference: str | None = None,
        model: str = MODEL,
        pretrained: str = PRETRAINED,
        device: str = "auto",
        batch: int = 8,
        num_gpus: float = 0.0,
    ) -> None:
        self._references = ItemImages.of(type(self).__name__, self.name, "reference", references, reference)
        self._serve(model, pretrained, self.placed(device, batch, num_gpus, weights_of(model, pretrained)))

    def item_images(self) -> tuple[ItemImages, ...]:
        return (self._references,)

    def score_execution(self, execution: Execution) -> float:
        image, other = self._embedded(execution.image, self._references.encoded_for(execution.item))
        return cosine(image, other)


def cosine(a: Embedding, b: Embedding) -> float:
    """Of two vectors of length 1, kept within the limits that rounding oversteps."""
    return min(1.0, max(-1.0, float(a @ b)))


def weights_of(model: object, pretrained: object) -> str:
    """The path that must exist for a model, if it is on the disk.

    Raises:
        ConfigurationError: One of the two is no text.
    """
    if not isinstance(model, str) or not isinstance(pretrained, str):
        given = {"model": model, "pretrained": pretrained}
        raise ConfigurationError(
            [
                Problem(name, f"must be text (got {value!r})")
                for name, value in given.items()
                if not isinstance(value, str)
            ]
        )
    if model.startswith(_LOCAL):
        return str(Path(model.removeprefix(_LOCAL)) / "open_clip_config.json")
    return pretrained
