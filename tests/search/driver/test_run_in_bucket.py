"""A search that is kept in a bucket is gone on with on another machine: the real client of Google Cloud
Storage on a stand-in of the service.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import resume_kit
from gcs_stand_in import BucketServer
from resume_kit import facts, killed, made

from pixaris.cli import main
from pixaris.exceptions import BucketError
from pixaris.results.paths import SearchPaths

pytest.importorskip("google.cloud.storage")
pytestmark = pytest.mark.usefixtures("ray_session")

STORAGE = "gs://pixels/team"
PLACE = f"{STORAGE}/tests/gray"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketServer]:
    with BucketServer("pixels") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def another_machine(results: Path) -> None:
    """What the first machine had is gone, its caches too."""
    shutil.rmtree(results / "tests")
    shutil.rmtree(results / "cache")


def test_a_search_whose_machine_is_lost_goes_on_on_another(
    server: BucketServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, hurt = tmp_path / "whole", tmp_path / "hurt"
    hurt.mkdir()
    expected = resume_kit.search(whole, 0.0).run()
    assert killed(hurt, images=24, seconds=0.25, changes=f"{{'storage': {STORAGE!r}}}")
    another_machine(hurt)

    capsys.readouterr()
    assert main(["show", PLACE]) == 0
    assert "gray" in capsys.readouterr().out

    result = resume_kit.search(hurt, 0.0, storage=STORAGE).run(resume=True)
    assert result.status == "finished"
    assert facts(result) == facts(expected)
    assert result.images == expected.images
    for trial in result.trials:
        assert len(list(SearchPaths(result.folder).trial(trial.number).images.glob("*.png"))) == trial.items
    again = sum(count - 1 for count in made(hurt).values())
    assert again <= 12, "what is lost was made in the last few seconds"

    another_machine(hurt)
    before = made(hurt)
    assert facts(resume_kit.search(hurt, 0.0, storage=STORAGE).run(resume=True)) == facts(expected)
    assert made(hurt) == before, "nothing is left to do"
    for command in (["show", PLACE, "--json"], ["report", PLACE, "-o", str(tmp_path / "report.html")]):
        assert main(command) == 0
    assert (tmp_path / "report.html").stat().st_size > 10_000

    second = resume_kit.search(hurt, 0.0, storage=STORAGE, num_samples=3)
    shutil.rmtree(hurt / "tests")
    assert second.run().folder.name == "gray-2", "the bucket has one of this name"


def test_a_bucket_that_cannot_be_used_ends_a_search_before_it_begins(
    server: BucketServer, tmp_path: Path
) -> None:
    server.denied.add("pixels")
    with pytest.raises(BucketError, match="may not list it"):
        resume_kit.search(tmp_path, 0.0, storage=STORAGE).run()
    assert not (tmp_path / "tests").exists()
    assert made(tmp_path).total() == 0
