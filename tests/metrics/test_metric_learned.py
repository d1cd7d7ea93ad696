"""The learned metrics, by the real loading code of their libraries on tiny networks with random weights.

Trained weights are hundreds of megabytes; what they say about pictures is their authors' affair. What is ours
is tested: which pixels go in, which numbers come out, batches, devices, files of weights, errors.
"""

# ruff: noqa: E402  (nothing of this can be imported without torch)
from __future__ import annotations

import json
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the extra 'learned'; make test-learned runs it")

import open_clip
import pyiqa
import timm
import torchvision
from pyiqa.archs.cnniqa_arch import CNNIQA
from pyiqa.default_model_configs import DEFAULT_CONFIGS

from pixaris.components import METRICS, make, resolve
from pixaris.exceptions import ConfigurationError, MetricError
from pixaris.images import EncodedImage
from pixaris.metrics.base import BaseMetric, Execution
from pixaris.metrics.hosts.local import LocalHost
from pixaris.metrics.learned.clip import CLIPScoreMetric, ClipService, CLIPSimilarityMetric
from pixaris.metrics.learned.dino import DINOSimilarityMetric
from pixaris.metrics.learned.lpips import LPIPSMetric
from pixaris.metrics.learned.model import Placement
from pixaris.metrics.learned.ms_ssim import SMALLEST, MSSSIMMetric
from pixaris.metrics.learned.quality import AESTHETIC, QUALITY, QualityMetric
from pixaris.testing import samples
from pixaris.testing.contracts import check_metric
from pixaris.types import EvalItem, GenerationParam

SIZE = (96, 80)
ITEMS = samples.eval_set(3, SIZE).items
IMAGES = [samples.picture(20 + n, SIZE) for n in range(3)]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CLIP model of some thousand weights, as open_clip keeps models in a folder."""
    folder = tmp_path_factory.mktemp("clip")
    vision = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
    config = {"model_cfg": {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}}
    mean = {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28]}
    (folder / "open_clip_config.json").write_text(json.dumps({**config, "preprocess_cfg": mean}))
    torch.manual_seed(0)
    model = open_clip.model.CLIP(**config["model_cfg"])
    torch.save(model.state_dict(), folder / "open_clip_pytorch_model.bin")
    return f"local-dir:{folder}"


@pytest.fixture(scope="module")
def dino_weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """timm's own test network with random weights."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("dino") / "tiny.pth"
    torch.save(timm.create_model("test_vit").state_dict(), path)
    return str(path)


@pytest.fixture(scope="module", autouse=True)
def torch_home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """torchvision's weights of SqueezeNet, random, where torch looks for them."""
    home = tmp_path_factory.mktemp("torch")
    (home / "hub" / "checkpoints").mkdir(parents=True)
    torch.manual_seed(2)
    name = Path(torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url).name
    torch.save(torchvision.models.squeezenet1_1().state_dict(), home / "hub" / "checkpoints" / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def cnn_weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Random weights of CNNIQA, as pyiqa keeps them."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("iqa") / "cnniqa.pth"
    network = CNNIQA(pretrained=None)
    torch.save({"params": network.state_dict()}, path)
    return str(path)


def score(metric: BaseMetric, image: Image.Image, item: EvalItem = ITEMS[0]) -> float:
    (value,) = metric.named(metric.score(image, item)).values()
    return value


def test_clip_score_is_a_hundred_times_the_cosine_of_image_and_text(clip_folder: str) -> None:
    model, _, prepare = open_clip.create_model_and_transforms(clip_folder)
    model.eval()
    tokens = open_clip.get_tokenizer(clip_folder)(["a red boat"])
    with torch.no_grad():
        image, text = model.encode_image(prepare(IMAGES[0])[None]), model.encode_text(tokens)
    cosine = float(torch.nn.functional.cosine_similarity(image, text))
    assert abs(cosine) > 1e-3
    metric = CLIPScoreMetric("a red boat", model=clip_folder)
    assert score(metric, IMAGES[0]) == pytest.approx(max(0.0, 100 * cosine), abs=1e-3)
    params = (GenerationParam("Positive", "text", "a red boat"),)
    by_node = CLIPScoreMetric({"node_name": "Positive", "input": "text"}, model=clip_folder)
    execution = Execution(EncodedImage.of(IMAGES[0]), ITEMS[0], params=params)
    assert by_node.score_execution(execution) == score(metric, IMAGES[0])


def test_both_similarities_are_cosines_and_1_for_equal_images(clip_folder: str, dino_weights: str) -> None:
    same = ITEMS[0].references["Original"].image
    for metric in (
        CLIPSimilarityMetric(reference="Original", model=clip_folder),
        DINOSimilarityMetric(reference="Original", model="test_vit", weights=dino_weights),
    ):
        assert score(metric, same) == pytest.approx(1.0, abs=1e-5)
        assert score(metric, IMAGES[0]) < 0.99999


def test_dino_embeddings_are_those_of_timm(dino_weights: str) -> None:
    model = timm.create_model("test_vit")
    model.load_state_dict(torch.load(dino_weights))
    model.reset_classifier(0)
    model.eval()
    prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    with torch.no_grad():
        a, b = (model(prepare(image)[None]) for image in (IMAGES[0], IMAGES[1]))
    metric = DINOSimilarityMetric([IMAGES[1]], model="test_vit", weights=dino_weights)
    assert score(metric, IMAGES[0]) == pytest.approx(
        float(torch.nn.functional.cosine_similarity(a, b)), abs=1e-5
    )


def test_lpips_is_torchmetrics_own_and_0_for_equal_images() -> None:
    from torchmetrics.functional.image.lpips import learned_perceptual_image_patch_similarity

    reference = ITEMS[0].references["Original"].image
    a, b = (
        torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).permute(2, 0, 1)[None]
        for image in (IMAGES[0], reference)
    )
    expected = float(learned_perceptual_image_patch_similarity(a, b, net_type="squeeze", normalize=True))
    metric = LPIPSMetric(reference="Original", net="squeeze")
    assert expected > 0.01
    assert score(metric, IMAGES[0]) == pytest.approx(expected, rel=1e-4)
    assert score(metric, reference) == pytest.approx(0.0, abs=1e-6)
    larger = IMAGES[0].resize((192, 160), Image.Resampling.LANCZOS)
    assert score(metric, larger) == pytest.approx(expected, rel=0.3)


def test_ms_ssim_is_torchmetrics_own_and_1_for_equal_images() -> None:
    from torchmetrics.image import MultiScaleStructuralSimilarityIndexMeasure

    reference, image = samples.picture(1, (200, 180)), samples.picture(2, (200, 180))
    a, b = (
        torch.from_numpy(np.asarray(one, dtype=np.float32) / 255).permute(2, 0, 1)[None]
        for one in (image, reference)
    )
    expected = float(MultiScaleStructuralSimilarityIndexMeasure(data_range=1.0, normalize="relu")(a, b))
    assert score(MSSSIMMetric([reference]), image) == pytest.approx(expected, abs=1e-5)
    assert score(MSSSIMMetric([reference]), reference) == pytest.approx(1.0, abs=1e-6)
    inverted = Image.fromarray(255 - np.asarray(reference))
    assert 0.0 <= score(MSSSIMMetric([reference]), inverted) < 0.2
    with pytest.raises(MetricError, match="at least 176×176 pixels"):
        score(MSSSIMMetric([samples.picture(1, (160, 300))]), image)


def test_lpips_refuses_what_is_too_small_and_what_has_another_shape() -> None:
    metric = LPIPSMetric([samples.picture(1, (60, 90))], net="squeeze")
    with pytest.raises(MetricError, match="at least 64×64 pixels"):
        score(metric, samples.picture(2, (60, 90)))
    with pytest.raises(MetricError, match="aspect ratios"):
        score(LPIPSMetric(reference="Original", net="squeeze"), samples.picture(2, (90, 90)))


def test_quality_is_pyiqa_s_rating(cnn_weights: str) -> None:
    rate = pyiqa.create_metric("cnniqa", pretrained_model_path=cnn_weights, device=torch.device("cpu"))
    pixels = torch.from_numpy(np.asarray(IMAGES[0], dtype=np.float32) / 255).permute(2, 0, 1)[None]
    metric = QualityMetric("cnniqa", weights=cnn_weights)
    assert score(metric, IMAGES[0]) == pytest.approx(float(rate(pixels)), rel=1e-5)


def test_directions_are_those_that_pyiqa_declares() -> None:
    for name, scale in {**QUALITY, **AESTHETIC}.items():
        assert scale.direction == ("min" if DEFAULT_CONFIGS[name].get("lower_better") else "max"), name
        assert DEFAULT_CONFIGS[name]["metric_mode"] == "NR", name


def options(clip_folder: str, dino_weights: str, cnn_weights: str) -> dict[str, dict[str, Any]]:
    return {
        "clip_score": {"prompt": "a boat", "model": clip_folder},
        "clip_similarity": {"reference": "Original", "model": clip_folder},
        "dino_similarity": {"reference": "Original", "model": "test_vit", "weights": dino_weights},
        "lpips": {"reference": "Original", "net": "squeeze"},
        "ms_ssim": {"reference": "Original"},
        "quality": {"model": "cnniqa", "weights": cnn_weights},
        "aesthetic": {"model": "cnniqa", "weights": cnn_weights, "direction": "max"},
    }


class Rounded(BaseMetric):
    """Of another metric, to the digits that do not depend on what else is in a batch."""

    def __init__(self, inner: BaseMetric) -> None:
        self.inner = inner
        self.name, self.range, self.direction, self.needs = (
            inner.name,
            inner.range,
            inner.direction,
            inner.needs,
        )

    def score(self, image: Image.Image, item: EvalItem) -> float:
        return round(score(self.inner, image, item), 3)

    def reference_folders(self) -> tuple[str, ...]:
        return self.inner.reference_folders()


def test_every_learned_metric_keeps_the_contract(
    clip_folder: str, dino_weights: str, cnn_weights: str
) -> None:
    given = options(clip_folder, dino_weights, cnn_weights)
    learned = [name for name, where in METRICS.items() if ".learned." in where]
    assert sorted(learned) == sorted(given)
    for name in learned:
        metric = make(resolve(name, METRICS, BaseMetric), given[name])
        assert metric.extra == "learned"
        size = (SMALLEST + 9, SMALLEST) if name == "ms_ssim" else SIZE
        images, items = [samples.picture(20 + n, size) for n in range(3)], samples.eval_set(3, size).items
        check_metric(Rounded(metric), images, items)


def test_images_of_all_sizes_may_be_in_one_batch(clip_folder: str, cnn_weights: str) -> None:
    images = [samples.picture(n, (64 + 8 * (n % 3), 72)) for n in range(9)]
    for metric in (
        CLIPScoreMetric("a boat", model=clip_folder),
        QualityMetric("cnniqa", weights=cnn_weights),
    ):
        alone = [score(metric, image) for image in images]
        together = pickle.loads(pickle.dumps(metric)).on(LocalHost()).calculate(images)
        assert together[metric.name] == pytest.approx(math.fsum(alone) / len(alone), abs=1e-3)


def test_a_model_is_loaded_once_for_all_metrics_that_name_it(clip_folder: str) -> None:
    loaded: list[str] = []

    class CountingService(ClipService):
        def load(self, device: Any) -> Any:
            loaded.append(self.model)
            return super().load(device)

    host = LocalHost()
    service = CountingService(clip_folder, "", Placement(batch=4))
    futures = [host.submit(service, EncodedImage.of(image)) for image in IMAGES * 4] + [
        host.submit(service, "a boat")
    ]
    assert {future.result().shape for future in futures} == {(16,)}
    assert loaded == [clip_folder]


def test_weights_that_cannot_be_had_cost_the_score_and_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    metric = DINOSimilarityMetric(reference="Original", model="no_such_model").on(LocalHost())
    with pytest.raises(
        ConfigurationError, match=r"the model 'no_such_model' .* cannot be loaded: .*docs/learned-metrics\.md"
    ):
        score(metric, IMAGES[0])


def test_weights_that_cannot_be_had_are_told_before_anything_is_generated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dino_weights: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    (problem,) = DINOSimilarityMetric(reference="Original", model="vit_tiny_patch16_224").problems()
    assert "cannot be loaded" in problem
    assert "docs/learned-metrics.md" in problem
    assert DINOSimilarityMetric(reference="Original", model="test_vit", weights=dino_weights).problems() == []


def test_what_is_wrong_with_the_options_is_told_before_anything_is_loaded() -> None:
    with pytest.raises(ConfigurationError) as caught:
        DINOSimilarityMetric(
            reference="Original", weights="/no/such/file.pth", device="gpu", batch=0, num_gpus=-1
        )
    assert "4 problems" in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"net: must be one of alex, vgg, squeeze \(got 'alexnet'\)"):
        LPIPSMetric(reference="Original", net="alexnet")
    with pytest.raises(ConfigurationError, match="'dists' is none of musiq"):
        QualityMetric("dists")
    with pytest.raises(ConfigurationError, match=r"open_clip_config\.json does not exist"):
        CLIPScoreMetric("a boat", model="local-dir:/no/such/folder")


def test_every_example_of_the_documentation_can_be_made() -> None:
    text = (Path(__file__).parents[2] / "docs" / "learned-metrics.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```", text, flags=re.M | re.S)
    made = [
        make(resolve(options.pop("type"), METRICS, BaseMetric), options)
        for options in yaml.safe_load(block)["metrics"]
    ]
    assert sorted(metric.name for metric in made) == sorted(
        name for name, where in METRICS.items() if ".learned." in where
    )
