"""``pixaris space --around SEARCH``: a search file with narrower domains."""

from __future__ import annotations

from pathlib import Path

import pytest
from search_kit import SPACE, Made, made_search

from pixaris.cli import main
from pixaris.results.manifest import read_manifest, write_manifest
from pixaris.results.paths import SearchPaths
from pixaris.search.draft.render import flow
from pixaris.search.file.spec import read_search_file

FILE = """\
name: restore
project: demo
dataset: ./photos
generator: {type: comfyui, workflow: w.json}
endpoints: {embedded: 1}
parameters:
%s
metrics: [{type: ssim, reference: Original}]
objective: {metric: ssim}
search: {num_samples: 20, seed: 3}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a search whose file lies in ``tmp_path``."""
    folder = tmp_path / "results" / "demo" / "restore"
    made_search(folder, Made(sets=12, items=8))
    (tmp_path / "w.json").write_text("{}")
    text = FILE % "\n".join(f"  {name}: {flow(entry)}" for name, entry in SPACE.items())
    paths = SearchPaths(folder)
    for place in (tmp_path / "restore.yaml", paths.source(".yaml")):
        place.write_text(text)
    write_manifest(paths, {**read_manifest(paths), "file": str(tmp_path / "restore.yaml")})
    return folder


def test_it_writes_a_right_file_that_is_narrower_and_begins_with_the_best(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["space", "--around", str(folder), "--top", "3"]) == 0
    told = capsys.readouterr().out
    output = tmp_path / "restore_around.yaml"
    assert f"{output}: around trial_00" in told
    assert "  amount: loguniform [0.01, 1.0] → loguniform [" in told
    spec, problems = read_search_file(output)
    assert problems == []
    before, _ = read_search_file(tmp_path / "restore.yaml")
    assert spec.home.name == "restore_around"
    assert len(spec.search.points_to_evaluate) == 3
    for name, domain in spec.space.domains.items():
        old, new = before.space.domains[name].bounds, domain.bounds
        if old is not None and new is not None:
            assert new[1] - new[0] <= old[1] - old[0]
        assert all(domain.contains(point[name]) for point in spec.search.points_to_evaluate)
    assert (spec.search.num_samples, spec.search.seed) == (20, 3)

    assert main(["space", "--around", str(folder)]) == 2
    assert "exists; name another with --output, or write over it with --force" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "give a workflow, or --around SEARCH"),
        (["--around", "{folder}", "--top", "0"], "--top must be at least 1 (got 0)"),
        (["--around", "{folder}", "-o", "/else/x.yaml"], "--output must lie in"),
        (["--around", "gone"], "there is no search 'gone'"),
    ],
)
def test_what_it_cannot_do_is_told(
    folder: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["space", *(word.format(folder=folder) for word in words)]) == 2
    assert told in capsys.readouterr().err


def test_a_search_from_python_has_no_file_to_write_anew(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = SearchPaths(folder)
    manifest = read_manifest(paths)
    del manifest["file"]
    write_manifest(paths, manifest)
    assert main(["space", "--around", str(folder)]) == 2
    assert "was made in Python, so there is no search file to write anew" in capsys.readouterr().err
