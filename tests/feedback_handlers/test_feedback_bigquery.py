"""Feedback in BigQuery: the real clients on stand-ins of the services."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bigquery_stand_in import BigQueryServer
from gcs_stand_in import BucketServer
from PIL import Image

from pixaris.components import feedback_handler
from pixaris.config import Config
from pixaris.exceptions import ConfigurationError, StorageError
from pixaris.feedback_handlers import bigquery_table
from pixaris.feedback_handlers.base import Feedback, FeedbackImage, Iteration, IterationKey
from pixaris.feedback_handlers.bigquery import BigqueryFeedbackHandler
from pixaris.feedback_handlers.local import LocalFeedbackHandler
from pixaris.testing.feedback import check_feedback_handler

pytest.importorskip("google.cloud.bigquery")

KEY = IterationKey("shop", "first")
TABLE = "project.feedback.tracking"


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[BigQueryServer, BucketServer]]:
    with BigQueryServer() as tables, BucketServer("pixels") as objects:
        for name, value in {**tables.environment, **objects.environment}.items():
            monkeypatch.setenv(name, value)
        yield tables, objects


@pytest.fixture
def tables(servers: tuple[BigQueryServer, BucketServer]) -> BigQueryServer:
    return servers[0]


def handler(tmp_path: Path, name: str = TABLE) -> BigqueryFeedbackHandler:
    return BigqueryFeedbackHandler("project", name, "pixels", tmp_path)


def an_iteration(tmp_path: Path) -> Iteration:
    images = []
    for number in range(2):
        file = tmp_path / f"{number}.png"
        Image.new("RGB", (8, 8), (number, 0, 0)).save(file)
        images.append(FeedbackImage(file.name, file, "one", f"run {number}"))
    return Iteration(KEY, tuple(images), 1.0)


def test_feedback_in_bigquery_fulfils_the_contract(tables: BigQueryServer, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    homes = iter(range(1000))
    check_feedback_handler(lambda: handler(tmp_path / str(next(homes))), folder)


def test_the_table_is_made_once_partitioned_and_with_its_version(
    tables: BigQueryServer, tmp_path: Path
) -> None:
    for _ in range(2):
        handler(tmp_path).iterations()
    table = tables.tables[TABLE]
    assert table["timePartitioning"]["field"] == "day"
    assert table["clustering"]["fields"] == ["project", "feedback_iteration"]
    assert table["labels"] == {"pixaris_schema": "1"}
    assert sum(one.startswith("POST") and "/tables?" in one for one in tables.requests) == 1


def test_a_table_of_an_earlier_version_gets_the_columns_that_it_lacks(
    tables: BigQueryServer, tmp_path: Path
) -> None:
    ours = handler(tmp_path)
    ours.create(an_iteration(tmp_path))
    fields = tables.tables[TABLE]["schema"]["fields"]
    tables.tables[TABLE]["schema"]["fields"] = [one for one in fields if one["name"] != "rival"]
    tables.database.execute(f'alter table "{TABLE}" drop column rival')
    assert handler(tmp_path / "other").load(KEY).images[0].name == "0.png"
    assert "rival" in {one["name"] for one in tables.tables[TABLE]["schema"]["fields"]}


def test_the_configuration_says_where_feedback_is_kept(tables: BigQueryServer, tmp_path: Path) -> None:
    assert isinstance(feedback_handler(Config(), tmp_path), LocalFeedbackHandler)
    config = Config(gcp_bq_feedback_table=TABLE, gcp_pixaris_bucket_name="pixels")
    found = feedback_handler(config, tmp_path)
    assert isinstance(found, BigqueryFeedbackHandler)
    assert found.table.project == "project"
    assert found.notes == [], "a table that is not there yet is made"
    assert list(found.iterations()) == []
    with pytest.raises(ConfigurationError, match="needs a bucket for images: set gcp_feedback_bucket"):
        feedback_handler(Config(gcp_bq_feedback_table=TABLE), tmp_path)


def test_nothing_from_outside_becomes_sql(tables: BigQueryServer, tmp_path: Path) -> None:
    evil = IterationKey("x'; drop table tracking; --", 'y" or 1=1')
    ours = handler(tmp_path)
    with pytest.raises(ConfigurationError, match="has no feedback iteration"):
        ours.load(evil)
    sql, values = tables.queries[0]
    assert evil.project not in sql
    assert evil.name not in sql
    assert values["project"] == evil.project
    for name in ("a.b", "p.d.t`; drop", "p.d.t where", ""):
        with pytest.raises(ConfigurationError, match=r"must be PROJECT\.DATASET\.TABLE"):
            handler(tmp_path, name)


def test_a_row_that_came_twice_counts_once(tables: BigQueryServer, tmp_path: Path) -> None:
    ours = handler(tmp_path)
    ours.create(an_iteration(tmp_path))
    said = Feedback("ann", image="0.png", verdict="like")
    ours.write(KEY, said)
    tables.duplicates = True  # an insert id is remembered for a while only
    ours.write(KEY, said)
    assert handler(tmp_path).read(KEY).entries == (said,)


def test_an_iteration_is_on_another_machine_with_its_images(tables: BigQueryServer, tmp_path: Path) -> None:
    handler(tmp_path / "a").create(an_iteration(tmp_path))
    found = handler(tmp_path / "b").load(KEY)
    assert [image.file.is_file() for image in found.images] == [True, True]
    assert str(found.images[0].file).startswith(str(tmp_path / "b"))


def test_faults_are_passed_over_or_told_in_a_line(
    tables: BigQueryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = handler(tmp_path)
    ours.create(an_iteration(tmp_path))
    tables.faults["insertAll"] = 1
    ours.write(KEY, Feedback("ann", image="0.png", verdict="like"))
    assert len(ours.read(KEY).entries) == 1
    monkeypatch.setattr(bigquery_table, "_SECONDS", 2.0)
    tables.faults["insertAll"] = 999
    with pytest.raises(StorageError, match="could not write it within 2 s"):
        handler(tmp_path).write(KEY, Feedback("ann", image="0.png", verdict="like"))
    tables.faults.clear()
    tables.denied = True
    with pytest.raises(StorageError, match=r"may not .*roles/bigquery\.dataEditor"):
        handler(tmp_path).iterations()


def test_ten_thousand_rows_are_read_and_their_cost_is_told(tables: BigQueryServer, tmp_path: Path) -> None:
    ours = handler(tmp_path)
    ours.create(an_iteration(tmp_path))
    row = dict.fromkeys(bigquery_table._COLUMNS)
    rows = [
        {
            **row,
            "kind": "feedback",
            "id": f"id {n}",
            "project": "shop",
            "feedback_iteration": "first",
            "rater": f"r{n % 40}",
            "at": 1.0,
            "subject": "0.png",
            "said": "like",
            "comment": "",
            "written": n + 1,
            "day": "2026-11-30",
        }
        for n in range(10_000)
    ]
    for start in range(0, len(rows), 1000):
        assert not ours.table._client.insert_rows_json(TABLE, rows[start : start + 1000])
    began = time.monotonic()
    assert len(ours.read(KEY).entries) == 10_000
    assert ours.totals(KEY)["0.png"].likes == 40
    assert time.monotonic() - began < 60
    assert ours.table.read_bytes() > 500_000
    assert ours.notes == []


# What the first Pixaris kept in its table

EARLIER = dict.fromkeys(
    ("project", "feedback_iteration", "dataset", "image_name", "experiment_name", "date", "comment"), "STRING"
) | {"likes": "INTEGER", "dislikes": "INTEGER"}


def earlier_row(**changes: object) -> dict[str, object]:
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
    return {**row, **changes}


@pytest.fixture
def earlier(servers: tuple[BigQueryServer, BucketServer], tmp_path: Path) -> IterationKey:
    """Feedback of the first Pixaris: its rows in the table, its image in the bucket."""
    tables, objects = servers
    rows = [
        earlier_row(comment="upload"),
        earlier_row(likes=1, comment="good edges", date="2025-03-01T11:00:00"),
        earlier_row(likes=1, date="2025-03-01T12:00:00"),
        earlier_row(dislikes=1, comment="hole", date="2025-03-01T13:00:00"),
        earlier_row(image_name="../../../config.yaml", likes=1),
        earlier_row(project="other", feedback_iteration="250302_more", likes=1),
    ]
    tables.add(TABLE, EARLIER, rows)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "cat.png")
    objects.put("demo/250301_masks/cat.png", (tmp_path / "cat.png").read_bytes())
    return IterationKey("demo", "250301_masks")


def test_rows_of_the_first_pixaris_are_read_where_they_are(earlier: IterationKey, tmp_path: Path) -> None:
    one = handler(tmp_path / "here")
    assert one.iterations() == [earlier, IterationKey("other", "250302_more")]
    (image,) = one.load(earlier).images
    assert (image.name, image.run, image.dataset) == ("cat.png", "run 1", "photos")
    assert Image.open(image.file).getpixel((0, 0)) == (255, 0, 0)
    totals = one.totals(earlier)["cat.png"]
    assert (totals.likes, totals.dislikes) == (2, 1)
    assert [comment for _, comment in totals.comments] == ["good edges", "hole"]
    log = one.read(earlier)
    assert one.read(earlier, log.until).entries == (), "they are told once"


def test_what_is_said_from_now_on_stands_beside_them(
    earlier: IterationKey, tables: BigQueryServer, tmp_path: Path
) -> None:
    one = handler(tmp_path / "here")
    until = one.read(earlier).until
    one.write(earlier, Feedback("ann", image="cat.png", verdict="like", comment="still good"))
    assert [entry.rater for entry in one.read(earlier, until).entries] == ["ann"]
    assert one.totals(earlier)["cat.png"].likes == 3
    modes = {field["name"]: field.get("mode") for field in tables.tables[TABLE]["schema"]["fields"]}
    assert "REQUIRED" not in modes.values(), "our rows have none of its columns"
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "dog.png")
    one.extend(earlier, [FeedbackImage("dog.png", tmp_path / "dog.png", "dog", "run 2")])
    again = handler(tmp_path / "there")
    assert [image.name for image in again.load(earlier).images] == ["cat.png", "dog.png"]
    with pytest.raises(ConfigurationError, match="already"):
        one.create(Iteration(earlier, (FeedbackImage("dog.png", tmp_path / "dog.png"),), 1.0))
