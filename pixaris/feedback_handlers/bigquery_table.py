"""A table of BigQuery that is only ever added to. The only module that knows BigQuery's SDK."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from pixaris.exceptions import ConfigurationError, StorageError
from pixaris.feedback_handlers.base import IterationKey
from pixaris.files import JsonObject
from pixaris.gcp.errors import credential_errors, of_credentials, passing_errors, words_of
from pixaris.words import pip

VERSION = "1"
"""Of the table's columns, kept in its label ``pixaris_schema``."""

_COLUMNS = {
    "kind": "STRING",
    "id": "STRING",
    "project": "STRING",
    "feedback_iteration": "STRING",
    "rater": "STRING",
    "at": "FLOAT64",
    "subject": "STRING",
    "said": "STRING",
    "comment": "STRING",
    "rival": "STRING",
    "item": "STRING",
    "content": "STRING",
    "written": "INT64",
    "day": "DATE",
}
_EARLIER = (
    "project",
    "feedback_iteration",
    "dataset",
    "image_name",
    "experiment_name",
    "date",
    "comment",
    "likes",
    "dislikes",
)
"""Columns of the first Pixaris' table; its rows have no ``kind``."""

_NAME = re.compile(r"[a-zA-Z0-9:.-]+\.\w+\.[\w-]+")
_SECONDS = 30.0


class FeedbackTable:
    """The table, made with its dataset when it is first used; columns that an earlier version did not have
    are added. It is partitioned by day and clustered by project and iteration, so that a read looks at the
    rows of its own iteration.

    Args:
        project: The Google Cloud project that is charged; "": the table's own.
        name: ``project.dataset.table``.

    Raises:
        ConfigurationError: The name is none.
    """

    def __init__(self, project: str, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"gcp_bq_feedback_table must be PROJECT.DATASET.TABLE (got {name!r})")
        self.project = project or name.partition(".")[0]
        self.name = name
        self._lock = threading.Lock()
        self._last = 0
        self._earlier = False

    def __getstate__(self) -> dict[str, object]:
        return {"project": self.project, "name": self.name}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def looked_at(self) -> int | None:
        """How many bytes it has, by the dry run of a query, so that it is known whether it can be read; None
        where there is no table yet. Nothing is made by that.

        Raises:
            ConfigurationError: The SDK is missing.
            StorageError: BigQuery cannot be asked.
        """
        client = self._client
        from google.api_core.exceptions import NotFound

        with self._told("read"):
            try:
                client.get_table(self.name, timeout=_SECONDS, retry=self._retry)
            except NotFound:
                return None
        return self._dry_run(f"select * from `{self.name}`")

    def read_bytes(self) -> int:
        """How many bytes a look at all iterations reads, by a dry run, which costs nothing.

        Raises:
            StorageError: BigQuery cannot be asked.
        """
        self._ready()
        return self._dry_run(self._sql(""))

    def _dry_run(self, query: str) -> int:
        from google.cloud import bigquery

        with self._told("read"):
            settings = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
            job = self._client.query(query, job_config=settings, timeout=_SECONDS)
            return int(job.total_bytes_processed)

    def insert(self, key: IterationKey, values: Mapping[str, object]) -> None:
        with self._lock:
            self._last = max(self._last + 1, time.time_ns() // 1000)
            written = self._last
        place = {"project": key.project, "feedback_iteration": key.name}
        row = {
            **dict.fromkeys(_COLUMNS),
            **place,
            **values,
            "written": written,
            "day": _day(written).isoformat(),
        }
        self._ready()
        with self._told("write"):
            faults = self._client.insert_rows_json(
                self.name, [row], row_ids=[str(row["id"])[-128:]], timeout=_SECONDS, retry=self._retry
            )
        if faults:
            raise StorageError(f"{self.name} does not take the row: {faults[0]['errors'][0]['message']}")

    def rows(self, wanted: str, key: IterationKey | None = None, after: int = 0) -> list[JsonObject]:
        """Rows in the order in which they were written, each id once.

        Args:
            wanted: A condition of our own.
            key: Only of this iteration.
            after: Only what was written after this time in microseconds; then days before it are not read.
        """
        from google.cloud import bigquery

        conditions = [wanted]
        parameters: list[Any] = []

        def require(condition: str, name: str, kind: str, value: object) -> None:
            conditions.append(condition)
            parameters.append(bigquery.ScalarQueryParameter(name, kind, value))

        if key is not None:
            require("project = @project", "project", "STRING", key.project)
            require("feedback_iteration = @iteration", "iteration", "STRING", key.name)
        if after:
            require("written > @after", "after", "INT64", after)
            require("day >= @day", "day", "DATE", _day(after))
        self._ready()
        with self._told("read"):
            found = self._client.query_and_wait(
                self._sql(f"where {' and '.join(conditions)}"),
                job_config=bigquery.QueryJobConfig(query_parameters=parameters),
                api_timeout=_SECONDS,
                retry=self._retry,
            )
            rows: dict[str, JsonObject] = {}
            for row in found:
                rows.setdefault(row["id"], dict(row))
        return list(rows.values())

    def earlier_rows(self, key: IterationKey | None = None) -> list[dict[str, Any]]:
        """Rows that the first Pixaris wrote into this table, the oldest first; none where it is another.

        Args:
            key: Only of this iteration; None: a row for every iteration there is, with its key alone.
        """
        from google.cloud import bigquery

        self._ready()
        if not self._earlier:
            return []
        query = f"select distinct project, feedback_iteration from `{self.name}` where image_name is not null"
        parameters = []
        if key is not None:
            columns = ", ".join(_EARLIER)
            query = (
                f"select {columns} from `{self.name}` where image_name is not null"
                " and project = @project and feedback_iteration = @iteration order by date, image_name, likes"
            )
            named = {"project": key.project, "iteration": key.name}
            parameters = [bigquery.ScalarQueryParameter(name, "STRING", one) for name, one in named.items()]
        with self._told("read"):
            found = self._client.query_and_wait(
                query,
                job_config=bigquery.QueryJobConfig(query_parameters=parameters),
                api_timeout=_SECONDS,
                retry=self._retry,
            )
            return [dict(row) for row in found]

    def _sql(self, where: str) -> str:
        """A query of everything; the table's name was checked, and nothing else comes from outside."""
        columns = ", ".join(name for name in _COLUMNS if name != "day")
        return f"select {columns} from `{self.name}` {where} order by written, id"

    @cached_property
    def _made(self) -> bool:
        """Whether the table is there with all columns; makes it so."""
        from google.api_core.exceptions import Conflict, NotFound
        from google.cloud import bigquery

        fields = [bigquery.SchemaField(name, kind) for name, kind in _COLUMNS.items()]
        with self._told("make"):
            try:
                table = self._client.get_table(self.name, timeout=_SECONDS, retry=self._retry)
            except NotFound:
                table = bigquery.Table(self.name, schema=fields)
                table.time_partitioning = bigquery.TimePartitioning(field="day")
                table.clustering_fields = ["project", "feedback_iteration"]
                table.labels = {"pixaris_schema": VERSION}
                with contextlib.suppress(Conflict):  # another process was first
                    self._client.create_dataset(table.dataset_id, exists_ok=True, timeout=_SECONDS)
                    self._client.create_table(table, timeout=_SECONDS)
                return True
            known = {field.name for field in table.schema}
            self._earlier = known.issuperset(_EARLIER)
            missing = [field for field in fields if field.name not in known]
            there = [_optional(field) for field in table.schema]
            if missing or there != list(table.schema):
                table.schema = [*there, *missing]
                table.labels = {**table.labels, "pixaris_schema": VERSION}
                self._client.update_table(table, ["schema", "labels"], timeout=_SECONDS)
        return True

    def _ready(self) -> None:
        assert self._made

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401  (the SDK carries no types)
        try:
            from google.cloud import bigquery
        except ImportError:
            raise ConfigurationError(
                "feedback in BigQuery needs the package google-cloud-bigquery:"
                f" {pip()} install 'pixaris[gcp]'"
            ) from None
        from google.auth.credentials import AnonymousCredentials

        # as the SDK of the storage does it by itself
        stand_in = "BIGQUERY_EMULATOR_HOST" in os.environ
        with self._told("open"):
            return bigquery.Client(
                project=self.project, credentials=AnonymousCredentials() if stand_in else None
            )

    @cached_property
    def _retry(self) -> object:
        from google.cloud.bigquery import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(_SECONDS)

    @contextlib.contextmanager
    def _told(self, act: str) -> Iterator[None]:
        """Turn the SDK's errors into ours."""
        from google.api_core.exceptions import Forbidden, NotFound

        try:
            yield
        except Forbidden as error:
            raise StorageError(
                f"{self.name}: this account may not {act} it: {words_of(error)}; an owner of the project"
                f" runs: gcloud projects add-iam-policy-binding {self.project} --member=user:ACCOUNT"
                " --role=roles/bigquery.dataEditor, and the same with roles/bigquery.jobUser"
            ) from None
        except NotFound as error:
            raise StorageError(f"{self.name}: {words_of(error)}; is the project right?") from None
        except credential_errors() as error:
            raise StorageError(f"{self.name}: {of_credentials(error)}") from None
        except passing_errors() as error:
            raise StorageError(
                f"{self.name}: BigQuery could not {act} it within {_SECONDS:.0f} s: {words_of(error)};"
                " try again"
            ) from None


def _optional(field: Any) -> Any:  # noqa: ANN401  (the SDK carries no types)
    """A column as it stands, but for one of somebody else's that must be filled: our rows leave it empty."""
    from google.cloud import bigquery

    if field.mode != "REQUIRED":
        return field
    return bigquery.SchemaField(field.name, field.field_type, mode="NULLABLE", description=field.description)


def _day(microseconds: int) -> datetime.date:
    """The day of a time, in UTC."""
    return datetime.datetime.fromtimestamp(microseconds / 1e6, datetime.UTC).date()
