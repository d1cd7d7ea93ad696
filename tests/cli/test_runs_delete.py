"""``pixaris runs --delete``: told first, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from search_kit import Made, made_search

from pixaris.cli import main
from pixaris.results.folders import holding


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    for name in ("demo/one", "demo/two"):
        made_search(folder / name, Made(sets=3, items=2))
    return folder


def delete(results: Path, *arguments: str) -> int:
    return main(["runs", "--results", str(results), "--delete", *arguments])


def test_without_yes_it_only_tells_what_would_go(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert delete(results, "demo/one") == 0
    out = capsys.readouterr().out
    assert "would go  demo/one  " in out
    assert "files" in out
    assert "nothing was deleted; add --yes" in out
    assert (results / "demo" / "one" / "search.json").is_file()


def test_with_yes_it_is_gone_and_the_others_stay(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = sorted(path for path in (results / "demo" / "two").rglob("*"))
    assert delete(results, "demo/one", "demo/one/", "--yes") == 0
    assert capsys.readouterr().out.count("deleted  demo/one") == 1
    assert not (results / "demo" / "one").exists()
    assert sorted(path for path in (results / "demo" / "two").rglob("*")) == kept


@pytest.mark.parametrize("name", ["demo/non", "demo", "..", "../elsewhere", "/etc", ""])
def test_what_is_not_listed_is_not_deleted(
    results: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    elsewhere = results.parent / "elsewhere"
    made_search(elsewhere, Made(sets=2, items=2))
    before = sorted(path for path in results.parent.rglob("*"))
    assert delete(results, "demo/two", name, "--yes") == 2
    assert "is no search and no run" in capsys.readouterr().err
    assert sorted(path for path in results.parent.rglob("*")) == before, "nor what stands beside it"


def test_a_search_that_lies_elsewhere_is_left_alone(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = results.parent / "elsewhere"
    made_search(elsewhere, Made(sets=2, items=2))
    (results / "demo" / "link").symlink_to(elsewhere, target_is_directory=True)
    assert delete(results, "demo/link", "--yes") == 2
    assert "lies outside of" in capsys.readouterr().err
    assert (elsewhere / "search.json").is_file()


def test_links_in_it_go_without_what_they_lead_to(results: Path) -> None:
    target = results.parent / "precious.txt"
    target.write_text("keep me")
    (results / "demo" / "one" / "link.txt").symlink_to(target)
    (results / "demo" / "one" / "folder").symlink_to(results / "demo" / "two", target_is_directory=True)
    assert delete(results, "demo/one", "--yes") == 0
    assert target.read_text() == "keep me"
    assert (results / "demo" / "two" / "search.json").is_file()


def test_one_that_runs_stays(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with holding(results / "demo" / "one"):
        assert delete(results, "demo/one", "--yes") == 2
    assert "is still running; stop it first" in capsys.readouterr().err
    assert (results / "demo" / "one" / "search.json").is_file()


def test_yes_alone_deletes_nothing(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--results", str(results), "--yes"]) == 2
    assert "with --delete only" in capsys.readouterr().err
