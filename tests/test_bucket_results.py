"""Results and eval sets copied to and from a bucket, by commands and handlers: the real client of Google
Cloud Storage on a stand-in of the service.
"""

from __future__ import annotations

import errno
import json
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from gcs_stand_in import BucketServer, Fault

from pixaris.cli import main, tensorboard
from pixaris.data_loaders.demo import prepare
from pixaris.experiment_handlers.gcp_tensorboard import GCPTensorboardHandler
from pixaris.gcp import storage as gcs
from pixaris.gcp.storage import BucketPath
from pixaris.results.bucket import copier
from pixaris.results.bucket import copies as copies_module
from pixaris.results.bucket.copies import pull, push
from pixaris.testing.contracts import check_experiment_handler
from pixaris.testing.samples import eval_set, run_record

pytest.importorskip("google.cloud.storage")

ITEMS = eval_set(4)
HOME = "results/samples/runs"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketServer]:
    with BucketServer("pixels", page=7) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def a_search(results: Path) -> Path:
    """A folder as a search leaves one."""
    folder = results / "demo" / "restore"
    (folder / "trial_0000" / "generated_images").mkdir(parents=True)
    (folder / ".images").mkdir()
    (folder / ".images" / "store.png").write_bytes(b"hidden")
    (folder / "search.json").write_text("{}")
    (folder / "journal.jsonl").write_text('{"proposed": 0}\n')
    (folder / "trial_0000" / "generated_images" / "a b.png").write_bytes(b"image")
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    names = [path for path in folder.rglob("*") if path.is_file() and "/." not in str(path)]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in names}


def test_a_search_goes_to_a_bucket_and_comes_back(
    server: BucketServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = a_search(tmp_path / "here")
    push_it = ["results", "push", str(folder), "gs://pixels/team"]
    assert main(push_it) == 0
    assert capsys.readouterr().out == "gs://pixels/team/demo/restore: 3 files sent (23 bytes), 0 were there\n"
    assert sorted(server.buckets["pixels"]) == [
        "team/demo/restore/journal.jsonl",
        "team/demo/restore/search.json",
        "team/demo/restore/trial_0000/generated_images/a b.png",
    ]
    assert main(push_it) == 0
    assert "0 files sent (0 bytes), 3 were there" in capsys.readouterr().out
    with (folder / "journal.jsonl").open("a") as file:
        file.write('{"ended": 0}\n')
    assert main(push_it) == 0
    assert "1 files sent" in capsys.readouterr().out
    there = tmp_path / "there"
    assert main(["results", "pull", "gs://pixels/team/demo/restore", "--results", str(there)]) == 0
    assert "3 files received" in capsys.readouterr().out
    assert files_of(there / "demo" / "restore") == files_of(folder)
    assert main(["results", "pull", "gs://pixels/team/demo/none", "--results", str(there)]) == 1
    assert "gs://pixels/team/demo/none holds no results" in capsys.readouterr().err


def test_names_from_a_bucket_never_lead_out_of_the_folder(server: BucketServer, tmp_path: Path) -> None:
    server.put("team/demo/x/../../evil.png", b"evil")
    with pytest.raises(gcs.ConfigurationError, match="leads out of its folder"):
        pull(BucketPath("pixels", "team/demo/x"), tmp_path / "x")
    assert not list(tmp_path.rglob("evil.png"))


def test_a_copy_that_breaks_off_goes_on(
    server: BucketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs, "SECONDS", 1.0)
    folder = a_search(tmp_path)
    server.faults.append(Fault("search.json", times=0))
    server.faults.append(Fault("POST /upload", times=2, cut=0))
    place = BucketPath("pixels", "team/demo/restore")
    assert push(folder, place).files == 3, "a lost connection is tried again"
    server.faults[:] = [Fault("POST /upload", times=999, status=503)]
    (folder / "search.json").write_text('{"more": 1}')
    with pytest.raises(gcs.BucketError, match="what was transferred is kept"):
        push(folder, place)
    server.faults.clear()
    assert push(folder, place).files == 1


def test_the_handler_fulfils_the_contract(server: BucketServer, tmp_path: Path) -> None:
    def made(folder: Path) -> GCPTensorboardHandler:
        return GCPTensorboardHandler("project", "europe-west4", "pixels", folder)

    check_experiment_handler(made, tmp_path)


def test_a_run_is_copied_with_its_events(server: BucketServer, tmp_path: Path) -> None:
    handler = GCPTensorboardHandler("project", "europe-west4", "pixels", tmp_path)
    handler = pickle.loads(pickle.dumps(handler))
    run = run_record(ITEMS, 4, "finished", values={"cfg": 7.1})
    handler.store_results(run)
    handler.close()
    names = list(server.buckets["pixels"])
    home = f"results/{run.project}/{run.group}"
    assert f"{home}/{run.name}/run.json" in names
    assert sum(name.startswith(f"{home}/{run.name}/generated_images/") for name in names) == 4
    assert any(name.startswith(f"{home}/tensorboard/{run.name}/events.out") for name in names)
    local = tmp_path / run.project / run.group / run.name / "run.json"
    assert server.buckets["pixels"][f"{home}/{run.name}/run.json"].data == local.read_bytes()


def test_a_copy_never_fails_a_run(
    server: BucketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs, "SECONDS", 0.5)
    server.denied.add("pixels")
    copies = copier.BucketCopies("pixels", "project")
    folder = a_search(tmp_path)
    copies.keep(folder)
    told = copies.end()
    assert "not copied to the bucket: gs://pixels/results/demo/restore: this account may not" in told
    rest = told[told.index("pixaris results push ") :].split()[1:]
    server.denied.clear()
    assert main(rest) == 0
    assert json.loads(server.buckets["pixels"]["results/demo/restore/search.json"].data) == {}


def test_an_interrupted_search_does_not_wait_for_a_bucket(server: BucketServer, tmp_path: Path) -> None:
    server.faults.append(Fault("/o?", times=1, delay=15.0))
    copies = copier.BucketCopies("pixels", "project")
    copies.keep(a_search(tmp_path))
    began = time.monotonic()
    told = copies.end(in_haste=True)
    assert time.monotonic() - began < 10
    assert "not copied to the bucket: there was no time" in told
    assert "pixaris results push" in told


def test_a_file_that_cannot_be_read_is_told(
    server: BucketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = a_search(tmp_path)

    def refused(path: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(copies_module, "checksum", refused)
    server.put("results/demo/restore/search.json", b"{}")
    copies = copier.BucketCopies("pixels", "project")
    copies.keep(folder)
    assert "search.json cannot be read, and is not copied: Permission denied" in copies.end()


def test_a_folder_that_grows_is_copied_while_it_grows(
    server: BucketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copier, "BETWEEN_COPIES", 0.05)
    folder = a_search(tmp_path)
    copies = copier.BucketCopies("pixels", "project")
    copies.keep(folder)
    for number in range(3):
        (folder / f"more_{number}.txt").write_text("x")
    assert copies.end() == "copied to gs://pixels/results/demo/restore"
    assert len(server.buckets["pixels"]) == 6
    assert server.asked("GET /storage/v1/b/pixels/o?") == 1, "listed once, not at every look"


def test_eval_sets_are_copied_by_command(
    server: BucketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path / "demo")
    where = "gs://pixels/experiment_inputs/demo/photos"
    (tmp_path / "config.yaml").write_text("gcp_pixaris_bucket_name: pixels\ngcp_location: europe-west4\n")
    assert main(["dataset", "create", "demo/photos", where]) == 0
    assert main(["dataset", "create", "demo/photos", where]) == 0
    capsys.readouterr()
    assert main(["dataset", "list"]) == 0
    assert capsys.readouterr().out == f"{where}\n"
    assert main(["dataset", "download", where]) == 0
    got = tmp_path / "local_experiment_inputs" / "demo" / "photos"
    assert files_of(got) == files_of(tmp_path / "demo" / "photos")
    (got / "Input" / sorted(path.name for path in (got / "Input").iterdir())[0]).write_bytes(b"no image")
    assert main(["dataset", "upload", str(got), where]) == 2
    assert "is not a readable image" in capsys.readouterr().err
    assert main(["dataset", "download", "photos"]) == 2
    assert "must be gs://BUCKET/FOLDER (got 'photos')" in capsys.readouterr().err


def test_the_originals_config_is_read(tmp_path: Path) -> None:
    from pixaris.config import Config

    (tmp_path / "config.yaml").write_text(
        'gcp_project_id: "p"\ngcp_location: "europe-west4"\ngcp_pixaris_bucket_name: "b"\n'
        'gcp_bq_feedback_table: "p.d.feedback_tracking"\ngcp_bq_experiment_dataset: "p.d"\n'
        'gcp_service_account_for_appengine_deployment: "a"\nbfl_api_key: "secret"\n'
    )
    config = Config.load({}, tmp_path)
    assert (config.gcp_project_id, config.gcp_pixaris_bucket_name) == ("p", "b")
    assert config.gcp_bq_feedback_table == "p.d.feedback_tracking"
    assert config.flux_api_key == "secret"
    assert "secret" not in repr(config)


def test_tensorboard_shows_a_search_in_a_bucket(
    server: BucketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = GCPTensorboardHandler("project", "europe-west4", "pixels", tmp_path)
    run = run_record(ITEMS, 4, "finished", values={"cfg": 7.1})
    handler.store_results(run)
    handler.close()
    seen: list[object] = []

    def ended(seconds: float) -> bool:
        address = capsys.readouterr().out.split("scopes: ")[-1].split(": ")[1].split(" ")[0]
        with urlopen(f"{address}data/runs") as answer:
            seen.extend(json.load(answer))
        raise KeyboardInterrupt

    monkeypatch.setattr(tensorboard, "_wait", ended)
    assert main(["tensorboard", f"gs://pixels/results/{run.project}/{run.group}"]) == 0
    assert seen == [run.name]
