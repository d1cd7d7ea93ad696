"""A search that begins with the best sets of an earlier one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from search_kit import Made, made_search

from pixaris.search.file.spec import read_search_file

FILE = {
    "name": "again",
    "project": "demo",
    "dataset": "photos",
    "generator": {"type": "comfyui", "workflow": "w.json"},
    "endpoints": {"embedded": 1},
    "parameters": {
        "amount": {"node_name": "Sharpen", "input": "alpha", "loguniform": [0.01, 1.0]},
        "radius": {"node_name": "Blur", "input": "blur_radius", "randint": [1, 9]},
    },
    "metrics": [{"type": "ssim", "reference": "Original"}],
    "objective": {"metric": "ssim"},
}


def read(folder: Path, points: object, **parameters: object) -> tuple[list[dict[str, object]], str]:
    """The points of a file, and what is wrong with it."""
    file = folder / "again.yaml"
    content = {**FILE, "search": {"algorithm": "tpe", "num_samples": 20, "points_to_evaluate": points}}
    content["parameters"] = {**FILE["parameters"], **parameters}  # type: ignore[dict-item]
    file.write_text(yaml.safe_dump(content))
    spec, problems = read_search_file(file)
    return [dict(point) for point in spec.search.points_to_evaluate], "\n".join(map(str, problems))


def test_the_best_sets_come_first_without_what_this_space_lacks(tmp_path: Path) -> None:
    earlier = made_search(tmp_path / "results" / "restore", Made(sets=9, items=4))
    points, problems = read(tmp_path, {"from": "results/restore", "top": 3})
    assert problems == ""
    best = [trial.values for trial in earlier.ranking() if trial.number != 0][:3]
    assert points == [{"amount": values["amount"], "radius": values["radius"]} for values in best]
    assert len(read(tmp_path, {"from": "results/restore"})[0]) == 5


def test_sets_outside_of_a_domain_are_left_out(tmp_path: Path) -> None:
    earlier = made_search(tmp_path / "restore", Made(sets=9, items=4))
    narrow = {"node_name": "Blur", "input": "blur_radius", "randint": [1, 5]}
    points, problems = read(tmp_path, {"from": "restore", "top": 8}, radius=narrow)
    best = [trial.values for trial in earlier.ranking() if trial.number != 0][:8]
    assert problems == ""
    assert 0 < len(points) < 8
    assert [point["radius"] for point in points] == [one["radius"] for one in best if int(one["radius"]) < 5]


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ({"from": "nowhere"}, "search.points_to_evaluate.from"),
        ({"from": "restore", "top": 0}, "must be at least 1"),
        ({"top": 3}, "write {from:"),
        ({"form": "restore"}, "did you mean 'from'"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, points: object, words: str) -> None:
    made_search(tmp_path / "restore", Made(sets=3, items=4))
    _, problems = read(tmp_path, points)
    assert words in problems


def test_a_search_of_another_space_has_nothing_to_begin_with(tmp_path: Path) -> None:
    made_search(tmp_path / "restore", Made(sets=3, items=4))
    other = {"node_name": "KSampler", "input": "cfg", "uniform": [1.0, 12.0]}
    points, problems = read(tmp_path, {"from": "restore"}, cfg=other)
    assert points == []
    assert "has no set of this space among its 2 best" in problems
