"""A search space in Python: in a module, and as the argument of a search."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ray import tune

from pixaris.exceptions import ConfigurationError
from pixaris.search.algorithms.tune_domains import space_of
from pixaris.search.file.spec import read_search_file
from pixaris.search.space.space import Condition, Space

ROOT = Path(__file__).parents[3]
REST = """
project: demo
dataset: photos
generator: {type: comfyui, workflow: w.json}
endpoints: {embedded: 1}
metrics: [{type: ssim, reference: Original}]
objective: {metric: ssim}
search: {algorithm: random}
"""


def read(folder: Path, module: str, rest: str = REST) -> tuple[Space, list[str]]:
    (folder / "my_space.py").write_text(module, encoding="utf-8")
    (folder / "x.yaml").write_text(f"parameters: my_space.py{rest}")
    spec, problems = read_search_file(folder / "x.yaml")
    return spec.space, [str(problem) for problem in problems]


def test_a_search_file_names_a_module(tmp_path: Path) -> None:
    (tmp_path / "looks").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "looks" / "a.png")
    space, problems = read(
        tmp_path,
        """
import numpy as np
from ray import tune

SPACE = {
    "cfg": ("K", "cfg", tune.uniform(1, 12)),
    "steps": ("K", "steps", tune.qrandint(8, 30, 2)),
    "sampler": {"node_name": "K", "input": "sampler_name", "domain": tune.choice(["euler", "lcm"])},
    "eta": {"node_name": "K", "input": "eta", "domain": tune.randn(0.5, 0.1), "when": {"sampler": "lcm"}},
    "width": ("C", "width", [np.int64(512), 768]),
    "clip": ("C", "clip", 2),
    "size": {
        "targets": {"w": {"node_name": "S", "input": "w"}, "h": {"node_name": "S", "input": "h"}},
        "domain": tune.choice([{"w": 1, "h": 2}, {"w": 2, "h": 1}]),
    },
    "prompt": {"node_name": "P", "input": "text", "template": "a {thing}"},
    "thing": tune.choice(["cat", "dog"]),
    "look": {"node_name": "Load Look", "images": "looks"},
}
""",
    )
    assert problems == []
    assert {p.name: p.domain.kind for p in space.parameters} == {
        "cfg": "uniform",
        "steps": "qrandint",
        "sampler": "choice",
        "eta": "randn",
        "width": "grid_search",
        "clip": "constant",
        "size": "choice",
        "thing": "choice",
        "look": "choice",
    }
    assert space.parameters[3].when == (Condition("sampler", ("lcm",)),)
    assert space.domains["width"].options == (512, 768)
    assert space.domains["size"].options == ("w=1, h=2", "w=2, h=1")
    assert [template.text for template in space.templates] == ["a {thing}"]


TUNE = "from ray import tune\n"


@pytest.mark.parametrize(
    ("module", "problem"),
    [
        (
            "SPACE = {",
            r"parameters \(line 1\): .*my_space.py: line 1: cannot be run: SyntaxError: '{' was never closed",
        ),
        (
            "x = 1\nimport nothing_of_the_kind",
            "line 2: cannot be run: ModuleNotFoundError: No module named 'nothing_of_the_kind'",
        ),
        ("x = 1\ny = x / 0\nSPACE = {}", "line 2: cannot be run: ZeroDivisionError: division by zero"),
        ("def f():\n    raise ValueError\n\nf()", "line 2: cannot be run: ValueError: without a word"),
        ("raise SystemExit(3)", "line 1: cannot be run: SystemExit: 3"),
        ("SPACES = {}", r"has no SPACE \(did you mean 'SPACES'\?\); write SPACE = "),
        ("SPACE = 7", r"SPACE: must be a mapping: .* \(got int\)"),
        (
            "SPACE = {'a': ('K', 'cfg')}",
            r"SPACE\['a'\]: must be \(node title, input, domain\) \(got \('K', 'cfg'\)\)",
        ),
        ("SPACE = {'a': ('K', 'cfg', None)}", r"SPACE\['a'\]: None is no domain Pixaris knows"),
        ("SPACE = {'a': ('K', 'cfg', object())}", r"SPACE\['a'\]: .*is no domain Pixaris knows"),
        (
            f"{TUNE}SPACE = {{'a': ('K', 'cfg', tune.sample_from(lambda c: 1))}}",
            r"SPACE\['a'\]: .*is no domain Pixaris knows",
        ),
        (
            f"{TUNE}SPACE = {{'a': ('K', 'cfg', tune.choice([1, 1]))}}",
            r"SPACE\['a'\]: holds 1 twice; keep one of them",
        ),
        (
            "SPACE = {'a': {'node_nam': 'K', 'input': 'cfg', 'domain': 3}}",
            "parameters.a.*did you mean 'node_name'",
        ),
    ],
)
def test_a_broken_module_is_told(tmp_path: Path, module: str, problem: str) -> None:
    _, problems = read(tmp_path, module)
    assert any(re.search(problem, one) for one in problems), problems


def test_a_module_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(f"parameters: my_space.py{REST}")
    (tmp_path / "my_spaces.py").write_text("SPACE = {}")
    (problem,) = map(str, read_search_file(tmp_path / "x.yaml")[1])
    assert "there is no such file (did you mean 'my_spaces.py'?)" in problem


def test_a_module_can_be_a_whole_search() -> None:
    spec, problems = read_search_file(
        ROOT / "search_spaces" / "restore_in_python.py", ["search.num_samples=3"]
    )
    assert problems == []
    other, _ = read_search_file(ROOT / "search_spaces" / "restore.yaml")
    assert spec.space == other.space
    assert (spec.home.name, spec.search.num_samples) == ("restore_in_python", 3)
    assert spec.generator == other.generator


@pytest.mark.parametrize(
    ("module", "problem"),
    [
        ("SPACE = {}", "has no SEARCH; write SEARCH = "),
        ("SEARCH = 3", r"has a SEARCH that is no mapping \(int\)"),
        (
            "SEARCH = {'name': object()}",
            "SEARCH.name: must be text, a number, a boolean, a list or a mapping",
        ),
        ("SPACE = {}\nSEARCH = {'parameters': {}}", "has SPACE, and parameters in SEARCH; keep one of them"),
        ("SEARCH = {", "cannot be run: SyntaxError"),
    ],
)
def test_a_module_that_is_no_search_is_told(tmp_path: Path, module: str, problem: str) -> None:
    path = tmp_path / "x.py"
    path.write_text(module)
    with pytest.raises(ConfigurationError, match=problem):
        read_search_file(path)


def test_what_a_search_in_python_is_given_has_the_same_forms() -> None:
    space = space_of(
        {
            "KSampler.cfg": ("K", "cfg", tune.uniform(1, 12)),
            "n": ("K", "n", np.arange(3)),
            "eta": {"node_name": "K", "input": "eta", "domain": tune.uniform(0, 1), "when": {"n": [1, 2]}},
        }
    )
    assert space.names == ("KSampler.cfg", "n", "eta")
    assert space.domains["n"].options == (0, 1, 2)


def test_all_that_is_wrong_is_told_at_once() -> None:
    given: dict[str, Any] = {"a": ("K", "a"), "b": ("K", "b", None), "c": 5}
    with pytest.raises(ConfigurationError) as caught:
        space_of(given)
    assert [problem.where for problem in caught.value.problems] == ["space['a']", "space['b']", "space['c']"]
    with pytest.raises(ConfigurationError, match=r"`a` of node 'K' is also set by parameter 'a'"):
        space_of({"a": ("K", "a", 1), "b": ("K", "a", 2)})
