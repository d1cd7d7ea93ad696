"""The error tree: it pickles, its messages read well, its docstring is true."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from pixaris import exceptions
from pixaris.exceptions import (
    ConfigurationError,
    DatasetError,
    ExecutionError,
    FarSideError,
    PixarisError,
    Problem,
    RateLimitedError,
    nearest,
)

TREE = [c for _, c in inspect.getmembers(exceptions, inspect.isclass) if issubclass(c, PixarisError)]


def example(cls: type[PixarisError]) -> PixarisError:
    if issubclass(cls, ConfigurationError):
        return cls([Problem("parameters.radius", "must be positive (got -1)"), "no metrics"], "x.yaml")
    if cls is RateLimitedError:
        return RateLimitedError("slow down", endpoint="http://a:8188", retry_after=2.5)
    if issubclass(cls, FarSideError):
        return cls("it broke", endpoint="http://a:8188", node="KSampler")
    return cls("it broke")


@pytest.mark.parametrize("cls", TREE, ids=lambda cls: cls.__name__)
def test_errors_cross_process_borders_with_their_text_and_fields(cls: type[PixarisError]) -> None:
    error = example(cls)
    error.add_note("on item 'photo 1'")
    for copied in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(copied) is cls
        assert str(copied) == str(error)
        assert copied.args == error.args
        assert vars(copied) == vars(error)
        assert copied.exit_code == cls.exit_code


def test_the_docstring_names_every_error_of_the_tree_once() -> None:
    named = re.findall(r"^ +[│├└─ ]*(\w+Error)\b", exceptions.__doc__ or "", re.MULTILINE)
    assert sorted(named) == sorted({cls.__name__ for cls in TREE} - {"FarSideError"})


def test_one_problem_is_one_line_and_several_are_a_list() -> None:
    assert str(ConfigurationError("no metrics")) == "no metrics"
    assert (
        str(ConfigurationError(Problem("search.seed", "must be whole"), "x.yaml"))
        == "x.yaml: search.seed: must be whole"
    )
    assert str(DatasetError(["a", Problem("b", "c")], "x")) == "x: 2 problems\n  - a\n  - b: c"
    assert str(DatasetError(["a", "b"])) == "2 problems\n  - a\n  - b"


def test_a_thousand_problems_are_kept_and_a_hundred_are_told() -> None:
    error = ConfigurationError([f"p{number}" for number in range(1000)], "x.yaml")
    lines = str(error).splitlines()
    assert (lines[0], len(lines), lines[-1]) == ("x.yaml: 1000 problems", 102, "  … and 900 more")
    assert len(error.problems) == 1000


def test_a_far_side_error_names_endpoint_and_node() -> None:
    assert (
        str(ExecutionError("CUDA error", endpoint="http://a:8188", node="Blur"))
        == "node 'Blur': CUDA error [http://a:8188]"
    )
    assert str(ExecutionError("CUDA error")) == "CUDA error"


def test_exit_codes_say_whose_turn_it_is() -> None:
    codes = {cls.__name__: cls.exit_code for cls in TREE}
    assert {name for name, code in codes.items() if code == 2} == {
        *("ConfigurationError", "WorkflowError", "DatasetError", "ImageError", "DamagedImageError"),
    }
    assert {name for name, code in codes.items() if code == 3} == {"AccountError", "NoEndpointError"}
    assert set(codes.values()) == {1, 2, 3}


def test_the_nearest_word_is_found_whatever_its_case_and_nothing_is_made_up() -> None:
    assert nearest("ksampler", ["KSampler", "VAE Decode"]) == " (did you mean 'KSampler'?)"
    assert nearest("radus", ["amount", "radius"]) == " (did you mean 'radius'?)"
    assert nearest("zzz", ["amount", "radius"]) == ""
    assert nearest("a", []) == ""


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("Tresholt", "Threshold"),
        ("iuo", "iou"),
        ("ssmi", "ssim"),
        ("hi", "high"),
        ("num_sample", "num_samples"),
        ("Load Input Image", "Load Image"),
        ("KSamplerAdvanced (Efficient)", "KSamplerAdvanced"),
        ("VAEEncodeTiled", "VAEEncode"),
    ],
)
def test_slips_and_left_out_words_are_recognised(typo: str, meant: str) -> None:
    assert nearest(typo, ["seed", meant, "height"]) == f" (did you mean {meant!r}?)"


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("FaceDetailer", "VAEEncodeTiled"),
        ("Image Saver", "ImageScaleBy"),
        ("CR Seed", "Crop"),
        ("UltralyticsDetectorProvider", "UpscaleModelLoader"),
        ("purge", "prune"),
        ("SEGSPaste", "LatentPaste"),
    ],
)
def test_names_that_are_not_alike_are_not_suggested(word: str, other: str) -> None:
    assert nearest(word, [other]) == ""
