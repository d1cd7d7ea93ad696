"""`pixaris metrics` and `pixaris score`: what they print, write and refuse."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from pixaris.cli import main
from pixaris.components import METRICS, make, resolve
from pixaris.metrics.base import BaseMetric
from pixaris.testing import samples

NAMES = ("a1", "a2", "a10")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for folder in ("out", "ref", "mask"):
        (tmp_path / folder).mkdir()
    for number, name in enumerate(NAMES):
        samples.picture(number).save(tmp_path / "out" / f"{name}.png")
        samples.picture(number + 10).save(tmp_path / "ref" / f"{name}.webp", lossless=True)
        samples.mask(number).save(tmp_path / "mask" / f"{name}.bmp")
    return tmp_path


def score(folders: Path, *arguments: str) -> int:
    return main(["score", str(folders / "out"), *arguments])


def expected(name: str, number: int) -> float:
    metric = make(resolve(name, METRICS, BaseMetric), {"references": [samples.picture(number + 10)]})
    return float(metric.calculate([samples.picture(number)])[name])


def test_scores_are_those_of_the_metric_for_files_of_one_name(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        score(folders, "--reference", str(folders / "ref"), "--metric", "ssim", "--metric", "mae", "--json")
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert [item["name"] for item in found["items"]] == list(NAMES)  # a2 before a10
    for number, item in enumerate(found["items"]):
        assert item["scores"] == {name: pytest.approx(expected(name, number)) for name in ("ssim", "mae")}
        assert item["error"] is None
    values = [expected("ssim", number) for number in range(3)]
    assert found["metrics"]["ssim"]["mean"] == pytest.approx(sum(values) / 3)
    assert (found["metrics"]["ssim"]["count"], found["metrics"]["ssim"]["direction"]) == (3, "max")
    assert found["metrics"]["mae"]["direction"] == "min"


def test_the_table_ends_with_means_and_their_number(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        score(
            folders,
            "--mask",
            str(folders / "mask"),
            "--metric",
            "luminescence_difference",
            "--metric",
            "sharpness",
        )
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["image", "luminescence_difference", "↑", "sharpness", "↑"]
    assert [line.split()[0] for line in lines[1:4]] == list(NAMES)
    assert lines[4].startswith("mean")
    assert lines[6].split() == ["images", "3", "3"]


def test_csv_has_a_line_for_every_image(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folders / "scores.csv"
    assert score(folders, "--metric", "luminescence", "--csv", "-o", str(file)) == 0
    printed = capsys.readouterr().out
    assert printed == file.read_text()
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert [row["name"] for row in rows] == list(NAMES)
    assert all(0 < float(row["luminescence_mean"]) < 1 for row in rows)


def test_options_of_a_metric_are_written_as_in_a_search_file(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    means = []
    for tolerance in ("0.01", "0.5"):
        metric = f"{{type: boundary_f, tolerance: {tolerance}}}"
        assert score(folders, "--reference", str(folders / "mask"), "--metric", metric, "--json") == 0
        means.append(json.loads(capsys.readouterr().out)["metrics"]["boundary_f"]["mean"])
    assert means[0] < means[1]


def test_an_image_that_cannot_be_scored_is_told_and_the_others_count(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples.picture(1, (20, 90)).save(folders / "ref" / "a2.webp", lossless=True)
    assert (
        score(
            folders,
            "--reference",
            str(folders / "ref"),
            "--metric",
            "psnr",
            "--metric",
            "sharpness",
            "--json",
        )
        == 0
    )
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert (found["metrics"]["psnr"]["count"], found["metrics"]["sharpness"]["count"]) == (2, 3)
    assert "psnr" not in found["items"][1]["scores"]
    assert "48×32 and its reference 20×90" in found["items"][1]["error"]
    assert "a2: psnr: the generated image is 48×32" in captured.err


def test_without_a_single_score_it_fails(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(folders, "--metric", "seconds") == 1
    captured = capsys.readouterr()
    assert "only a run knows" in captured.err
    assert "error: not one image has a score" in captured.err
    assert captured.out == ""


def test_a_metric_of_the_whole_set_has_its_value_in_the_means(
    folders: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = (
        'class Count(BaseMetric):\n    def calculate(self, images):\n        return {"count":'
        " float(len(images))}\n"
    )
    (folders / "set_level_metric.py").write_text(f"from pixaris.metrics.base import BaseMetric\n\n\n{module}")
    monkeypatch.syspath_prepend(str(folders))
    assert score(folders, "--metric", "set_level_metric:Count", "--metric", "contrast") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[1:] == ["contrast", "↑", "count"]
    assert lines[4].split()[-1] == "3.0000"


def test_names_that_do_not_match_are_all_told_and_nothing_is_scored(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders / "out" / "a1.png").unlink()
    (folders / "ref" / "a10.webp").rename(folders / "ref" / "b10.webp")
    (folders / "mask" / "a2.bmp").write_bytes(b"no image")
    metrics = ["--metric", "ssim", "--metric", "saturation_difference"]
    assert score(folders, "--reference", str(folders / "ref"), "--mask", str(folders / "mask"), *metrics) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"folder '{folders / 'out'}': has no image for 2 of 4 names: a1, b10" in captured.err
    assert f"folder '{folders / 'ref'}': has no image for 1 of 4 names: a10" in captured.err
    assert "a2.bmp is not a readable image" in captured.err


def test_all_that_is_wrong_with_the_metrics_is_told_at_once(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [
        "ssim",
        "saturation_difference",
        "sim",
        "{typ: x}",
        "{type: sharpness, size: 3}",
        "contrast",
        "contrast",
    ]
    wrong += ["{type: psnr, refrence: ref}"]
    assert score(folders, *(part for text in wrong for part in ("--metric", text))) == 2
    told = capsys.readouterr().err
    assert "error: 7 problems" in told
    assert "--metric ssim: SSIMMetric takes either the reference images" in told
    assert "add --reference DIR" in told
    assert "add --mask DIR" in told
    assert "--metric sim: 'sim' is not known (did you mean 'ssim'?)" in told
    assert "--metric {typ: x}: type: is missing" in told
    assert "got an unexpected keyword argument 'size'" in told
    assert (
        "got an unexpected keyword argument 'refrence' (did you mean 'reference'?); it takes references,"
        " reference" in told
    )
    assert "'contrast' is given by several metrics; name each once" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--metric", "contrast", "-o", "scores.txt"], "must end in .json or .csv"),
        (["--metric", "ssim", "--reference", "nowhere"], "nowhere: is no folder"),
        (["--metric", "{type: clip_score, prompt: a boat, model: 5}"], "model: must be text (got 5)"),
        (
            ["--metric", "{type: clip_score, prompt: a boat, pretrained: [a]}"],
            "pretrained: must be text (got ['a'])",
        ),
        (
            ["--metric", "{type: quality, weights: 5}"],
            "weights: must be text, the path of a file or a name (got 5)",
        ),
    ],
)
def test_what_is_not_there_or_not_possible_is_told(
    folders: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(folders, *arguments) == 2
    assert words in capsys.readouterr().err


def test_the_list_of_metrics_has_every_metric_with_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(METRICS) <= set(lines)
    assert lines["psnr"].split() == [
        "psnr",
        "psnr",
        "higher",
        "is",
        "better",
        "0",
        "…",
        "100",
        "dB",
        "reference",
        "–",
    ]
    assert "lower is better" in lines["ciede2000"]
    assert lines["llm_reality"].split()[-1] == "gemini"
    assert main(["metrics", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert list(listed) == list(METRICS)
    assert listed["ciede2000"]["scores"]["ciede2000"] == {
        "direction": "min",
        "range": [0.0, None],
        "unit": "ΔE₀₀",
    }
    assert listed["luminescence_difference"]["needs"] == ["mask"]


def test_one_metric_is_told_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics", "boundary_f"]) == 0
    told = capsys.readouterr().out
    for words in (
        "boundary_f: higher is better, 0 … 1",
        "needs    reference",
        "tolerance (0.0075)",
        "Csurka",
    ):
        assert words in told
    assert main(["metrics", "boundery_f"]) == 2
    assert "did you mean 'boundary_f'?" in capsys.readouterr().err
