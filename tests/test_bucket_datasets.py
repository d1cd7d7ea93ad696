"""Eval sets in a bucket: the real client of Google Cloud Storage on a stand-in of the service."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from gcs_stand_in import BucketServer, Fault
from kit import WORKFLOW
from PIL import Image

from pixaris.components import assemble
from pixaris.data_loaders.gcp import GCPDatasetLoader, datasets
from pixaris.exceptions import BucketError, DatasetError
from pixaris.gcp import storage as gcs
from pixaris.search.file.spec import read_search_file

pytest.importorskip("google.cloud.storage")

ROOT = "experiment_inputs/shop/photos"


def png(level: int) -> bytes:
    data = BytesIO()
    Image.new("RGB", (8, 8), (level, level, level)).save(data, "PNG")
    return data.getvalue()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketServer]:
    with BucketServer("pixels", page=4) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        for folder in ("Input", "Mask"):
            for number in range(5):
                server.put(f"{ROOT}/{folder}/i{number}.png", png(number))
        yield server


def loader(tmp_path: Path, **changes: object) -> GCPDatasetLoader:
    given = {"project": "shop", "dataset": "photos", "eval_dir_local": tmp_path, **changes}
    return GCPDatasetLoader("project", "pixels", **given)  # type: ignore[arg-type]


def downloads(server: BucketServer) -> int:
    return server.asked("alt=media")


def test_an_eval_set_is_downloaded_once(server: BucketServer, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    ours = loader(tmp_path, references=["Mask"])
    ours.progress = lambda *at: told.append(at)
    eval_set = ours.load_dataset()
    assert [item.name for item in eval_set.items] == ["i0", "i1", "i2", "i3", "i4"]
    assert set(eval_set.items[0].inputs) == {"Input"}
    assert set(eval_set.items[0].references) == {"Mask"}
    assert told[-1] == (10, 10)
    assert downloads(server) == 10
    again = loader(tmp_path, references=["Mask"]).load_dataset()
    assert again.items == eval_set.items
    assert downloads(server) == 10
    loader(tmp_path, force_download=True).load_dataset()
    assert downloads(server) == 20


def test_only_what_was_changed_is_downloaded(server: BucketServer, tmp_path: Path) -> None:
    before = loader(tmp_path).load_dataset()
    server.put(f"{ROOT}/Input/i2.png", png(200))
    for folder in ("Input", "Mask"):
        del server.buckets["pixels"][f"{ROOT}/{folder}/i4.png"]
    (tmp_path / "shop" / "photos" / "Mask" / "i1.png").write_bytes(png(9))  # somebody edits a copy
    after = loader(tmp_path).load_dataset()
    assert downloads(server) == 12
    assert [item.name for item in after.items] == ["i0", "i1", "i2", "i3"]
    assert after.items[2].inputs["Input"] != before.items[2].inputs["Input"]
    assert after.items[1] == before.items[1]


def test_a_change_under_a_search_is_told(server: BucketServer, tmp_path: Path) -> None:
    ours = loader(tmp_path)
    ours.load_dataset()
    assert ours.changed() == ""
    server.put(f"{ROOT}/Input/i2.png", png(2))  # the same content, in another generation
    server.put(f"{ROOT}/Input/i7.png", png(7))
    assert ours.changed() == (
        "gs://pixels/experiment_inputs/shop/photos has changed since it was loaded: 1 replaced"
        " (Input/i2.png), 1 added (Input/i7.png); these images are not in here"
    )


def test_a_folder_becomes_an_eval_set_in_the_bucket(server: BucketServer, tmp_path: Path) -> None:
    source = tmp_path / "here"
    for folder in ("Input", "Mask"):
        (source / folder).mkdir(parents=True)
        for number in range(3):
            (source / folder / f"x{number}.png").write_bytes(png(number))
    ours = loader(tmp_path / "there", dataset="fresh")
    assert len(ours.create_dataset(source).moved) == 6
    again = ours.create_dataset(source)
    assert (again.moved, again.kept) == ((), 6)
    assert datasets("gs://pixels") == [
        "gs://pixels/experiment_inputs/shop/fresh",
        "gs://pixels/experiment_inputs/shop/photos",
    ]
    assert [item.name for item in ours.load_dataset().items] == ["x0", "x1", "x2"]
    (source / "Input" / "x1.png").write_bytes(png(50))
    with pytest.raises(DatasetError, match=r"has other content already for 1 names: Input/x1\.png"):
        ours.create_dataset(source)
    assert ours.create_dataset(source, new=False).moved == ("Input/x1.png",)
    with pytest.raises(DatasetError):
        ours.create_dataset(tmp_path)
    assert server.buckets["pixels"]["experiment_inputs/shop/fresh/Input/x1.png"].data == png(50)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("Input/../../../evil.png", "leads out of its folder"),
        ("/etc/passwd.png", "is an absolute path"),
        ("Input\\evil.png", "holds a backslash"),
        ("Input//evil.png", "has an empty part"),
        ("Input/Jose\u0301.png", "is the same file here as"),
    ],
)
def test_names_that_cannot_be_files_are_refused_by_name(
    server: BucketServer, tmp_path: Path, name: str, rule: str
) -> None:
    server.put(f"{ROOT}/Input/Jos\u00e9.png", png(1))
    server.put(f"{ROOT}/{name}", png(1))
    with pytest.raises(DatasetError) as caught:
        loader(tmp_path).load_dataset()
    assert rule in str(caught.value)
    assert repr(name) in str(caught.value)
    assert not list(tmp_path.rglob("*.png"))


def test_names_that_differ_in_case_are_refused_where_case_does_not_count() -> None:
    assert gcs.unsafe(["A/a.png", "A/A.png"], folds_case=False) == {}
    assert list(gcs.unsafe(["A/a.png", "A/A.png"], folds_case=True)) == ["A/A.png"]


def test_files_of_somebody_else_in_the_folder_are_neither_used_nor_removed(
    server: BucketServer, tmp_path: Path
) -> None:
    mine = tmp_path / "shop" / "photos" / "Input" / "mine.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(png(1))
    with pytest.raises(DatasetError, match=r"1 files that are not in gs://pixels.*Input/mine\.png"):
        loader(tmp_path).load_dataset()
    assert mine.read_bytes() == png(1)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("alt=media", times=3, status=503),
        Fault("alt=media", times=2, status=429),
        Fault("alt=media", times=2, cut=20),
        Fault("/o?", times=2, status=503),
    ],
    ids=["503", "429", "cut", "listing"],
)
def test_passing_faults_are_passed_over(server: BucketServer, tmp_path: Path, fault: Fault) -> None:
    server.faults.append(fault)
    assert len(loader(tmp_path).load_dataset().items) == 5
    assert fault.times == 0


def test_a_damaged_file_is_never_used(server: BucketServer, tmp_path: Path) -> None:
    server.faults.append(Fault("Mask%2Fi3.png", times=99, corrupt=True))
    with pytest.raises(BucketError, match=r"Mask/i3\.png: it arrives damaged"):
        loader(tmp_path).load_dataset()
    assert not (tmp_path / "shop" / "photos" / "Mask" / "i3.png").exists()
    server.faults.clear()
    before = downloads(server)
    assert len(loader(tmp_path).load_dataset().items) == 5
    assert downloads(server) < before + 10, "what had come is kept"


def test_what_does_not_pass_is_one_line_with_the_way_out(
    server: BucketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BucketError, match=r"there is no bucket gs://elsewhere; .*buckets create"):
        GCPDatasetLoader("project", "elsewhere", "shop", "photos", tmp_path).load_dataset()
    with pytest.raises(DatasetError, match=r"no eval set \(did you mean 'photos'\?\).*there is: photos"):
        loader(tmp_path, dataset="photo").load_dataset()
    server.denied.add("pixels")
    with pytest.raises(BucketError, match=r"may not list it.*--role=roles/storage\.objectViewer"):
        loader(tmp_path).load_dataset()
    server.denied.clear()
    monkeypatch.setattr(gcs, "SECONDS", 1.0)
    server.faults.append(Fault("/o?", times=99, status=503))
    with pytest.raises(BucketError, match="could not list it within 1 s"):
        loader(tmp_path).load_dataset()
    server.faults.clear()
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(
        BucketError, match=r"no valid Google credentials.*gcloud auth application-default login"
    ):
        loader(tmp_path).load_dataset()


def test_two_writers_of_one_object_are_told_apart(server: BucketServer, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(png(1))
    bucket = gcs.Bucket("pixels")
    first = bucket.upload(file, "x/a.png", 0)
    assert bucket.upload(file, "x/a.png", 0) == first, "the same content once more: an answer was lost"
    file.write_bytes(png(2))
    with pytest.raises(gcs.BucketChangedError, match=r"gs://pixels/x/a\.png: somebody else has changed it"):
        bucket.upload(file, "x/a.png", 0)
    assert bucket.upload(file, "x/a.png", first.generation).generation > first.generation


def test_two_processes_download_at_once(server: BucketServer, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        sets = list(pool.map(lambda _: loader(tmp_path).load_dataset(), range(2)))
    assert sets[0].items == sets[1].items


def test_a_large_file_goes_up_in_pieces_and_survives_a_fault(server: BucketServer, tmp_path: Path) -> None:
    file = tmp_path / "large.bin"
    file.write_bytes(os.urandom(20_000_000))
    server.faults.append(Fault("PUT /upload", times=1, status=503))
    found = gcs.Bucket("pixels").upload(file, "large.bin")
    assert server.asked("uploadType=resumable") >= 2
    assert found.crc32c == gcs.checksum(file)
    assert server.buckets["pixels"]["large.bin"].data == file.read_bytes()


def test_a_download_that_is_killed_goes_on(server: BucketServer, tmp_path: Path) -> None:
    for folder in ("Input", "Mask"):
        for number in range(5, 60):
            server.put(f"{ROOT}/{folder}/i{number}.png", png(number))
    server.faults.append(Fault("alt=media", times=1000, delay=0.1))
    code = (
        "from pixaris.data_loaders.gcp import GCPDatasetLoader as L;"
        f"L('project', 'pixels', 'shop', 'photos', {str(tmp_path)!r}).load_dataset()"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while downloads(server) < 40 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    server.faults.clear()
    before = downloads(server)
    assert len(loader(tmp_path).load_dataset().items) == 60
    assert downloads(server) - before <= 120 - 40 + 2 * 16, "what was there is not downloaded again"


def test_an_upload_that_is_killed_goes_on(server: BucketServer, tmp_path: Path) -> None:
    source = tmp_path / "made"
    for folder in ("Input", "Mask"):
        (source / folder).mkdir(parents=True)
        for number in range(60):
            (source / folder / f"n{number}.png").write_bytes(png(number))
    server.faults.append(Fault("POST /upload", times=1000, delay=0.1))
    code = (
        "from pixaris.data_loaders.gcp import GCPDatasetLoader as L;"
        f"L('project', 'pixels', 'shop', 'new', {str(tmp_path)!r}).create_dataset({str(source)!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while server.asked("POST /upload") < 40 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    server.faults.clear()
    before = server.asked("POST /upload")
    done = loader(tmp_path, dataset="new").create_dataset(source)
    assert server.asked("POST /upload") - before == len(done.moved)
    assert len(done.moved) <= 120 - 40 + 2 * 16, "what is there is not sent again"
    assert done.kept >= 40 - 16
    for folder in ("Input", "Mask"):
        for number in range(60):
            blob = server.buckets["pixels"][f"experiment_inputs/shop/new/{folder}/n{number}.png"]
            assert blob.data == png(number), "no file is there in part"
    assert loader(tmp_path, dataset="new").create_dataset(source).moved == ()


@pytest.mark.slow
def test_two_thousand_files_go_up_and_come_back_with_one_request_each(tmp_path: Path) -> None:
    source = tmp_path / "made"
    for folder in ("Input", "Mask"):
        (source / folder).mkdir(parents=True)
        for number in range(1000):
            (source / folder / f"n{number:04d}.png").write_bytes(png(number % 256))
    with BucketServer("pixels") as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        ours = loader(tmp_path, dataset="new", references=["Mask"])
        assert len(ours.create_dataset(source).moved) == 2000
        assert (server.asked("POST /upload"), server.asked("prefix=")) == (2000, 1)
        server.requests.clear()
        assert len(ours.load_dataset().items) == 1000
        assert (downloads(server), server.asked("prefix=")) == (2000, 2)
        server.requests.clear()
        assert len(ours.load_dataset().items) == 1000
        assert [words.split("?")[0] for words in server.requests] == 2 * ["GET /storage/v1/b/pixels/o"]


def test_a_search_file_names_an_eval_set_in_a_bucket(
    server: BucketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "search.yaml"
    lines = [
        "name: x",
        "dataset: {path: gs://pixels/experiment_inputs/shop/photos, references: [Mask]}",
        f"generator: {{type: comfyui, workflow: {WORKFLOW}}}",
        "endpoints: [http://127.0.0.1:9]",
        "parameters: {value: {node_name: Threshold, input: value, uniform: [0.1, 0.9]}}",
        "metrics: [{type: iou, reference: Mask}]",
        "objective: {metric: iou}",
        "project: demo",
    ]
    file.write_text("\n".join(lines))
    spec, problems = read_search_file(file)
    assert problems == []
    settings = assemble(spec, problems)
    assert settings is not None
    eval_set = settings.data_loader.load_dataset()
    assert eval_set.name == "photos"
    assert len(eval_set.items) == 5
    assert (tmp_path / "local_experiment_inputs" / "shop" / "photos" / "Mask" / "i0.png").is_file()
    file.write_text("\n".join([*lines[:1], "dataset: gs://P", *lines[2:]]))
    _, problems = read_search_file(file)
    assert any("must be gs://BUCKET/FOLDER (got 'gs://P')" in str(problem) for problem in problems)
