"""What travels to a cluster with a search."""

from __future__ import annotations

from pathlib import Path

import pytest

from pixaris.exceptions import ConfigurationError
from pixaris.results.folders import fault_of
from pixaris.search.driver.jobs.package import FilesRead, package_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder: some of it is ignored, some is a virtual environment, some are results."""
    for name in ("search.yaml", "eval/a.png", "eval/b.png", ".venv/x", "results/r.json", "code/m.py", "big"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    (tmp_path / ".gitignore").write_text("/eval/\n")
    (tmp_path / ".rayignore").write_text("big\n")
    return tmp_path


def test_what_the_search_reads_travels_although_it_is_ignored(folder: Path) -> None:
    made = package_of(folder, [Path("eval/a.png"), Path("search.yaml")], [folder / "results"])
    assert sorted(map(str, made.files)) == ["code/m.py", "eval/a.png", "search.yaml"]
    assert list(map(str, made.rescued)) == ["eval/a.png"]
    with made.staged() as staged:
        sent = sorted(str(path.relative_to(staged)) for path in staged.rglob("*") if path.is_file())
        assert (staged / "eval" / "a.png").read_text() == "eval/a.png"
    assert sent == ["code/m.py", "eval/a.png", "search.yaml"], "an ignore file would keep files from Ray"


def test_the_files_that_were_read_are_those_of_the_folder_and_modules_by_their_source(folder: Path) -> None:
    reading = FilesRead(folder)
    (folder / "eval" / "b.png").read_bytes()
    (folder.parent / "outside").write_text("x")
    with pytest.raises(FileNotFoundError):
        (folder / "none").read_bytes()
    compiled = folder / "code" / "__pycache__" / "m.cpython-311.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"")
    found = reading.end()
    (folder / "search.yaml").read_bytes()
    assert list(map(str, found)) == ["code/m.py", "eval/b.png"]
    assert reading.end() == found


def test_more_than_ray_takes_is_refused_with_the_largest_folders(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"and Ray takes 20 bytes \(eval/ 20 bytes, "):
        package_of(folder, [Path("eval/a.png"), Path("eval/b.png")], most=20)


def test_results_are_not_kept_in_a_job_s_copy_of_its_files(tmp_path: Path) -> None:
    inside = tmp_path / "working_dir_files" / "_ray_pkg_0123" / "local_results"
    assert "name an absolute folder that stays" in fault_of(inside)
    assert fault_of(tmp_path / "local_results") == ""
