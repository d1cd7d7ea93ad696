"""The review page with its feedback in BigQuery: the real clients on stand-ins of the services."""

from __future__ import annotations

from pathlib import Path

import pytest
from bigquery_stand_in import BigQueryServer
from gcs_stand_in import BucketServer
from page_kit import new_iteration, page, results_of, visitor

from pixaris.feedback_handlers.bigquery import BigqueryFeedbackHandler

pytest.importorskip("google.cloud.bigquery")


def test_two_pages_on_two_machines_share_what_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BigQueryServer() as tables, BucketServer("pixels") as objects:
        for name, value in {**tables.environment, **objects.environment}.items():
            monkeypatch.setenv(name, value)
        results = results_of(tmp_path / "results")

        def machine(name: str) -> BigqueryFeedbackHandler:
            return BigqueryFeedbackHandler("project", "project.feedback.tracking", "pixels", tmp_path / name)

        with page(results, feedback=machine("a")) as first, page(results, feedback=machine("b")) as second:
            ann, bob = visitor(first, "ann"), visitor(second, "bob")
            url = new_iteration(ann, [0, 1], "shared")
            assert ann.post(f"{url}/say", {"id": "0a" * 10, "image": 0, "verdict": "like"}).status_code == 200
            asked = len(tables.queries)
            for number in range(20):
                body = {"id": f"{number:020x}", "image": 1, "verdict": "dislike", "comment": "dark"}
                assert ann.post(f"{url}/say", body).status_code == 200
            assert len(tables.queries) - asked <= 2, "a word of somebody's costs no look at the table"
            html = bob.get(url).text
            assert '"likes":1' in html
            assert "dark" in html
            assert bob.get(f"{url}/blind").status_code == 200
