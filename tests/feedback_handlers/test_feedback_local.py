"""Feedback in a folder: the contract, several processes, what the first Pixaris wrote, older databases."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pixaris.exceptions import ConfigurationError, ImageError, StorageError
from pixaris.feedback_handlers import database
from pixaris.feedback_handlers.base import Feedback, FeedbackImage, Iteration, IterationKey, Totals, Vote
from pixaris.feedback_handlers.local import LocalFeedbackHandler
from pixaris.testing.contracts import check_feedback_handler

KEY = IterationKey("demo", "261130_first")


def pictures(folder: Path, count: int = 2) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(folder / f"photo {number}.png")
    return folder


def begun(root: Path, tmp_path: Path) -> LocalFeedbackHandler:
    handler = LocalFeedbackHandler(root)
    handler.create_feedback_iteration(pictures(tmp_path / "made"), "demo", "first", "261130")
    return handler


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    check_feedback_handler(lambda: LocalFeedbackHandler(tmp_path / "results"), tmp_path / "images")


WRITER = """
import sys
from pixaris.feedback_handlers.base import Feedback, IterationKey
from pixaris.feedback_handlers.local import LocalFeedbackHandler
handler = LocalFeedbackHandler(sys.argv[1])
for number in range(25):
    said = Feedback(sys.argv[2], image=f"photo {number % 2}.png", verdict="like", comment=str(number))
    handler.write(IterationKey("demo", "261130_first"), said)
"""


def test_four_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    handler = begun(tmp_path / "results", tmp_path)
    argv = [sys.executable, "-c", WRITER, str(handler.root)]
    writers = [subprocess.Popen([*argv, f"rater {number}"]) for number in range(4)]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0, 0]
    assert len(handler.read(KEY).entries) == 100
    assert {name: totals.likes for name, totals in handler.totals(KEY).items()} == {
        "photo 0.png": 4,
        "photo 1.png": 4,
    }


def test_feedback_as_a_mapping_is_checked_as_a_whole(tmp_path: Path) -> None:
    handler = begun(tmp_path / "results", tmp_path)
    given = {"project": "demo", "feedback_iteration": "261130_first", "image_name": "photo 1.png"}
    handler.write_single_feedback({**given, "feedback_indicator": "Dislike", "comment": "dull"})
    assert handler.totals(KEY) == {"photo 1.png": Totals(0, 1, (("", "dull"),))}
    with pytest.raises(ConfigurationError, match=r"(?s)image_name: is missing.*must be one of Like.*'Loved'"):
        handler.write_single_feedback({**given, "image_name": "", "feedback_indicator": "Loved"})


def test_names_of_the_original_list_what_there_is(tmp_path: Path) -> None:
    handler = begun(tmp_path / "results", tmp_path)
    assert handler.load_projects_list() == ["demo"]
    assert handler.load_feedback_iterations_for_project("demo") == ["261130_first"]
    files = handler.load_images_for_feedback_iteration("demo", "261130_first")
    assert [Path(file).is_file() for file in files] == [True, True]


@pytest.mark.parametrize("problem", ["nothing", "twice", "damaged"])
def test_an_iteration_that_cannot_be_kept_is_refused(tmp_path: Path, problem: str) -> None:
    file = pictures(tmp_path / "made") / "photo 0.png"
    images = {"nothing": [], "twice": [file, file], "damaged": [file]}[problem]
    if problem == "damaged":
        file.write_bytes(file.read_bytes()[:40])
    wanted = Iteration(KEY, tuple(FeedbackImage("same", image) for image in images))
    with pytest.raises((ConfigurationError, ImageError)):
        LocalFeedbackHandler(tmp_path / "results").create(wanted)
    assert LocalFeedbackHandler(tmp_path / "results").iterations() == []


# What the first Pixaris wrote


def earlier_line(**changes: object) -> str:
    row = {
        "project": "demo",
        "feedback_iteration": "250301_masks",
        "dataset": "photos",
        "image_name": "cat.png",
        "experiment_name": "run 1",
        "date": "2025-03-01T10:00:00",
        "comment": "",
        "likes": 0,
        "dislikes": 0,
    }
    return json.dumps({**row, **changes}) + "\n"


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """Results of the first Pixaris, with feedback."""
    folder = tmp_path / "results" / "demo" / "feedback_iterations"
    pictures(folder / "250301_masks", 1)
    (folder / "250301_masks" / "photo 0.png").rename(folder / "250301_masks" / "cat.png")
    lines = [
        earlier_line(comment="upload"),
        earlier_line(likes=1, comment="good edges"),
        earlier_line(likes=1),
        earlier_line(dislikes=1, comment="hole"),
        "no JSON\n",
        earlier_line(image_name="../../../config.yaml", likes=1),
    ]
    (folder / "feedback_tracking.jsonl").write_text("".join(lines))
    return folder


def test_feedback_of_the_first_pixaris_is_taken_in(tmp_path: Path, earlier: Path) -> None:
    handler = LocalFeedbackHandler(tmp_path / "results")
    key = IterationKey("demo", "250301_masks")
    assert handler.iterations() == [key]
    (image,) = handler.load(key).images
    assert (image.name, image.run, image.dataset) == ("cat.png", "run 1", "photos")
    assert image.file == earlier / "250301_masks" / "cat.png"
    totals = handler.totals(key)["cat.png"]
    assert (totals.likes, totals.dislikes) == (2, 1)
    assert [comment for _, comment in totals.comments] == ["good edges", "hole"]


def test_it_is_taken_in_once_and_what_is_added_later_too(tmp_path: Path, earlier: Path) -> None:
    key = IterationKey("demo", "250301_masks")
    LocalFeedbackHandler(tmp_path / "results").iterations()
    handler = LocalFeedbackHandler(tmp_path / "results")
    handler.iterations()
    assert len(handler.read(key).entries) == 3
    before = (earlier / "feedback_tracking.jsonl").read_bytes()
    (earlier / "feedback_tracking.jsonl").write_bytes(before + earlier_line(likes=1).encode())
    handler.iterations()
    assert handler.totals(key)["cat.png"].likes == 3


# The database's own troubles


def test_an_older_database_is_migrated_and_a_copy_of_it_is_kept(tmp_path: Path) -> None:
    root = tmp_path / "results"
    root.mkdir()
    old = sqlite3.connect(root / "feedback.sqlite")
    old.executescript(database._STEPS[0] + "pragma user_version = 1;")
    old.execute("insert into iterations (project, name, created) values ('demo', '261130_first', 1)")
    old.execute("insert into images values (1, 0, 'a.png', 'a.png', 'a', 'run', '', '', '{}')")
    old.execute("insert into images values (1, 1, 'b.png', 'b.png', 'a', 'run', '', '', '{}')")
    old.execute("insert into entries values (1, 'x', 1, 'feedback', 'ann', 2, 'a.png', 'like', '')")
    old.commit()
    old.close()
    handler = LocalFeedbackHandler(root)
    handler.write(KEY, Vote("bob", item="a", left="a.png", right="b.png", outcome="left"))
    assert [type(entry) for entry in handler.read(KEY).entries] == [Feedback, Vote]
    (copy,) = root.glob("feedback-version-1-*.sqlite")
    kept = sqlite3.connect(copy)
    assert kept.execute("pragma user_version").fetchone() == (1,)
    assert kept.execute("select count(*) from entries").fetchone() == (1,)


def test_a_newer_version_s_database_is_refused(tmp_path: Path) -> None:
    newer = sqlite3.connect(tmp_path / "feedback.sqlite")
    newer.execute("pragma user_version = 99")
    newer.close()
    with pytest.raises(ConfigurationError, match="newer version of Pixaris"):
        LocalFeedbackHandler(tmp_path).iterations()


def test_a_file_that_is_no_database_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "feedback.sqlite"
    file.write_bytes(b"my diary, which nobody reads" * 100)
    with pytest.raises(ConfigurationError, match="damaged or no database"):
        LocalFeedbackHandler(tmp_path).iterations()
    assert file.read_bytes().startswith(b"my diary")


def test_a_locked_database_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    handler = begun(tmp_path / "results", tmp_path)
    other = sqlite3.connect(handler.file)
    other.execute("begin immediate")
    with pytest.raises(StorageError, match="another process has held it"):
        handler.write(KEY, Feedback("ann", image="photo 0.png", verdict="like"))
    other.execute("rollback")
    handler.write(KEY, Feedback("ann", image="photo 0.png", verdict="like"))
    assert handler.totals(KEY)["photo 0.png"].likes == 1


@pytest.mark.parametrize(
    ("mount", "far"),
    [("ext4", False), ("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("tmpfs", False)],
)
def test_a_network_drive_is_noticed(tmp_path: Path, mount: str, far: bool) -> None:
    mounts = tmp_path / "mounts"
    folder = tmp_path / "team drive" / "results"
    folder.mkdir(parents=True)
    place = str(tmp_path / "team drive").replace(" ", "\\040")
    mounts.write_text(f"overlay / overlay rw 0 0\nserver:/share {place} {mount} rw 0 0\n")
    assert database.is_far(folder, mounts) is far


def test_the_log_is_written_ahead_only_where_memory_is_shared(tmp_path: Path) -> None:
    connection = database.open_database(tmp_path / "here.sqlite")
    assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
