"""A stand-in for BigQuery, as its Python client sees it: tables, streaming inserts with insert ids, queries
with parameters, dry runs, errors in its own shape. SQLite runs the queries.
"""

from __future__ import annotations

import json
import re
import sqlite3
import uuid
from typing import Any

from aiohttp import web
from stand_in import StandIn

_KINDS = {"STRING": "text", "FLOAT64": "real", "FLOAT": "real", "INT64": "integer", "INTEGER": "integer"}


class BigQueryServer(StandIn):
    """Serves one project's tables on a port of this machine.

    Attributes:
        tables: Full name (``project.dataset.table``) to the table as it was made.
        faults: Words found in method and path, to how often it is answered with 503.
        queries: The SQL that came, with its parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.datasets: set[str] = set()
        self.tables: dict[str, dict[str, Any]] = {}
        self.queries: list[tuple[str, dict[str, Any]]] = []
        self.faults: dict[str, int] = {}
        self.denied = False
        self.duplicates = False
        self._ids: set[tuple[str, str]] = set()
        self._jobs: dict[str, dict[str, Any]] = {}
        self.database = sqlite3.connect(":memory:", check_same_thread=False)

    @property
    def environment(self) -> dict[str, str]:
        """What makes the real client use it."""
        return {"BIGQUERY_EMULATOR_HOST": self.url}

    def add(self, name: str, fields: dict[str, str], rows: list[dict[str, Any]]) -> None:
        """A table that somebody else has made and written to; its columns must be filled."""
        columns = [{"name": one, "type": kind, "mode": "REQUIRED"} for one, kind in fields.items()]
        project, dataset, table = name.split(".")
        self.datasets.add(dataset)
        place = {"projectId": project, "datasetId": dataset, "tableId": table}
        self._make(name, {"tableReference": place, "schema": {"fields": columns}})
        self._insert(name, {"rows": [{"json": row} for row in rows]})

    async def answer(self, request: web.Request) -> web.Response:
        words = f"{request.method} {request.path}"
        body = await request.json() if request.can_read_body else {}
        fault = next((one for one, left in self.faults.items() if left > 0 and one in words), None)
        if fault is not None:
            self.faults[fault] -= 1
            return _error(503, "backendError", "The service is currently unavailable.")
        if self.denied:
            return _error(403, "accessDenied", "Access Denied: User does not have bigquery permission.")
        project, _, rest = request.path.partition("/projects/")[2].partition("/")
        parts = rest.split("/")
        if parts[0] == "datasets":
            return self._of_dataset(request, project, parts[1:], body)
        if parts[0] == "queries" and request.method == "POST":
            return self._query(project, body)
        if parts[0] == "queries":
            return web.json_response(self._jobs[parts[1]])
        if parts[0] == "jobs" and request.method == "POST":
            return self._dry_run(project, body)
        return _error(404, "notFound", f"Not found: {request.path}")

    def _of_dataset(
        self, request: web.Request, project: str, parts: list[str], body: dict[str, Any]
    ) -> web.Response:
        if not parts:
            name = body["datasetReference"]["datasetId"]
            if name in self.datasets:
                return _error(409, "duplicate", f"Already Exists: Dataset {project}:{name}")
            self.datasets.add(name)
            return web.json_response(body)
        if len(parts) == 1:
            if parts[0] not in self.datasets:
                return _error(404, "notFound", f"Not found: Dataset {project}:{parts[0]}")
            return web.json_response({"datasetReference": {"projectId": project, "datasetId": parts[0]}})
        if len(parts) == 2:
            return self._make(f"{project}.{parts[0]}.{body['tableReference']['tableId']}", body)
        name = f"{project}.{parts[0]}.{parts[2]}"
        if name not in self.tables:
            return _error(404, "notFound", f"Not found: Table {name.replace('.', ':', 1)}")
        if len(parts) == 4:
            return self._insert(name, body)
        if request.method in ("PATCH", "PUT"):
            return self._alter(name, body)
        return web.json_response(self.tables[name])

    def _make(self, name: str, body: dict[str, Any]) -> web.Response:
        if name.split(".")[1] not in self.datasets:
            return _error(404, "notFound", "Not found: Dataset")
        if name in self.tables:
            return _error(409, "duplicate", f"Already Exists: Table {name}")
        self.tables[name] = {**body, "etag": "1"}
        self.database.execute(f'create table "{name}" ({self._columns(body)})')
        return web.json_response(self.tables[name])

    def _columns(self, body: dict[str, Any]) -> str:
        fields = body["schema"]["fields"]
        return ", ".join(f'"{one["name"]}" {_KINDS.get(one["type"], "text")}' for one in fields)

    def _alter(self, name: str, body: dict[str, Any]) -> web.Response:
        known = {one["name"] for one in self.tables[name]["schema"]["fields"]}
        for one in body.get("schema", {}).get("fields", []):
            if one["name"] not in known:
                self.database.execute(f'alter table "{name}" add column "{one["name"]}"')
        self.tables[name].update(body)
        return web.json_response(self.tables[name])

    def _insert(self, name: str, body: dict[str, Any]) -> web.Response:
        known = {one["name"] for one in self.tables[name]["schema"]["fields"]}
        errors = []
        for index, row in enumerate(body["rows"]):
            foreign = row["json"].keys() - known
            if foreign:
                field = sorted(foreign)[0]
                reason = {"reason": "invalid", "location": field, "message": f"no such field: {field}."}
                errors.append({"index": index, "errors": [reason]})
                continue
            identity = (name, row.get("insertId", uuid.uuid4().hex))
            if identity in self._ids and not self.duplicates:
                continue
            self._ids.add(identity)
            names = list(row["json"])
            marks = ", ".join("?" for _ in names)
            columns = ", ".join(f'"{one}"' for one in names)
            self.database.execute(
                f'insert into "{name}" ({columns}) values ({marks})', [row["json"][one] for one in names]
            )
        answer: dict[str, Any] = {"kind": "bigquery#tableDataInsertAllResponse"}
        if errors:
            answer["insertErrors"] = errors
        return web.json_response(answer)

    def _query(self, project: str, body: dict[str, Any]) -> web.Response:
        values = {one["name"]: _value(one) for one in body.get("queryParameters", [])}
        self.queries.append((body["query"], values))
        sql = re.sub(r"`([^`]+)`", r'"\1"', body["query"])
        try:
            found = self.database.execute(sql, values)
        except sqlite3.OperationalError as error:
            return _error(400, "invalidQuery", str(error))
        columns = [one[0] for one in found.description]
        table = next(iter(self.tables.values()))
        types = {one["name"]: one["type"] for one in table["schema"]["fields"]}
        rows = [{"f": [{"v": None if v is None else str(v)} for v in row]} for row in found.fetchall()]
        fields = [{"name": one, "type": types.get(one, "STRING"), "mode": "NULLABLE"} for one in columns]
        job = {"projectId": project, "jobId": uuid.uuid4().hex, "location": "EU"}
        answer = {
            "kind": "bigquery#queryResponse",
            "schema": {"fields": fields},
            "jobReference": job,
            "totalRows": str(len(rows)),
            "rows": rows,
            "jobComplete": True,
            "totalBytesProcessed": "0",
        }
        self._jobs[job["jobId"]] = answer
        return web.json_response(answer)

    def _dry_run(self, project: str, body: dict[str, Any]) -> web.Response:
        sql = re.sub(r"`([^`]+)`", r'"\1"', body["configuration"]["query"]["query"])
        size = sum(len(json.dumps(row)) for row in self.database.execute(sql))
        return web.json_response(
            {
                **body,
                "jobReference": {"projectId": project, "jobId": "dry", "location": "EU"},
                "status": {"state": "DONE"},
                "statistics": {"totalBytesProcessed": str(size), "query": {"totalBytesProcessed": str(size)}},
            }
        )


def _value(parameter: dict[str, Any]) -> Any:
    kind, value = parameter["parameterType"]["type"], parameter["parameterValue"]["value"]
    return int(value) if kind == "INT64" else value


def _error(status: int, reason: str, message: str) -> web.Response:
    errors = [{"message": message, "domain": "global", "reason": reason}]
    body = {"error": {"code": status, "message": message, "errors": errors, "status": reason}}
    return web.json_response(body, status=status)
