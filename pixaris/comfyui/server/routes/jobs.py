"""``/api/jobs``: pending, running and ended prompts under one shape."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from pixaris.comfyui.server.queue import Item, PromptQueue
from pixaris.comfyui.server.routes.context import json_object, worker_of
from pixaris.files import JsonObject

STATUSES = ("pending", "in_progress", "completed", "failed", "cancelled")
_SORT_KEYS = {"created_at": "create_time", "execution_duration": "execution_duration"}


def _waiting(item: Item, status: str) -> JsonObject:
    return _head(item.row(), status) | {"outputs_count": 0} | _workflow_id(item.extra_data)


def _head(prompt: list[Any], status: str) -> JsonObject:
    return {
        "id": prompt[1],
        "status": status,
        "priority": prompt[0],
        "create_time": prompt[3].get("create_time"),
    }


def _workflow_id(extra_data: JsonObject) -> JsonObject:
    workflow = (extra_data.get("extra_pnginfo") or {}).get("workflow")
    if isinstance(workflow, dict):
        found = workflow.get("id")
    else:
        found = None
    if found is None:
        return {}
    return {"workflow_id": found}


def _ended(row: JsonObject) -> JsonObject:
    """Make a job of a history row."""
    messages: list[list[Any]] = row["status"]["messages"]
    last, details = messages[-1]
    status = {"execution_error": "failed", "execution_interrupted": "cancelled"}.get(last, "completed")
    files = []
    for node, shown in row["outputs"].items():
        for media, found in shown.items():
            files += [{**file, "nodeId": node, "mediaType": media} for file in found]
    job = _head(row["prompt"], status)
    job |= {"execution_start_time": messages[0][1]["timestamp"], "execution_end_time": details["timestamp"]}
    job["outputs_count"] = len(files)
    if files:
        job["preview_output"] = next((file for file in files if file["type"] == "output"), files[0])
    if status == "failed":
        job["execution_error"] = details
    return job | _workflow_id(row["prompt"][3])


def _all(queue: PromptQueue) -> Iterable[JsonObject]:
    running, pending = queue.current()
    yield from (_waiting(item, "in_progress") for item in running)
    yield from (_waiting(item, "pending") for item in pending)
    yield from (_ended(row) for row in queue.history.rows().values())


async def list_jobs(request: web.Request) -> web.Response:
    """``GET /api/jobs``: filtered, sorted (newest first) and paged."""
    query = request.query
    try:
        statuses = _choices("status", [part for part in query.get("status", "").split(",") if part], STATUSES)
        sort_key = _SORT_KEYS[_choices("sort_by", [query.get("sort_by", "created_at")], _SORT_KEYS)[0]]
        newest_first = _choices("sort_order", [query.get("sort_order", "desc")], ("asc", "desc"))[0] == "desc"
        if "limit" in query:
            limit = _whole("limit", query["limit"], 1)
        else:
            limit = None
        offset = _whole("offset", query.get("offset", "0"), 0)
    except ValueError as error:
        return web.json_response({"error": str(error)}, status=400)
    jobs = [job for job in _all(worker_of(request).queue) if not statuses or job["status"] in statuses]
    if "workflow_id" in query:
        jobs = [job for job in jobs if job.get("workflow_id") == query["workflow_id"]]
    jobs.sort(key=lambda job: _sort_value(job, sort_key), reverse=newest_first)
    if limit is None:
        page = jobs[offset:]
    else:
        page = jobs[offset : offset + limit]
    pagination = {
        "offset": offset,
        "limit": limit,
        "total": len(jobs),
        "has_more": offset + len(page) < len(jobs),
    }
    return web.json_response({"jobs": page, "pagination": pagination})


def _sort_value(job: JsonObject, key: str) -> float:
    if key == "execution_duration":
        return float(job.get("execution_end_time", 0) - job.get("execution_start_time", 0))
    return float(job.get("create_time") or 0)


def _choices(name: str, given: list[str], known: Iterable[str]) -> list[str]:
    for value in given:
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)} (got {value!r})")
    return given


def _whole(name: str, text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise ValueError(f"{name} must be a whole number of at least {least} (got {text!r})")
    return value


async def show_job(request: web.Request) -> web.Response:
    """``GET /api/jobs/{id}``: one job with its outputs and its workflow, or 404."""
    queue = worker_of(request).queue
    prompt_id = request.match_info["job_id"]
    running, pending = queue.current()
    for items, status in ((running, "in_progress"), (pending, "pending")):
        for item in items:
            if item.prompt_id == prompt_id:
                return web.json_response(_waiting(item, status))
    row = queue.history.row(prompt_id)
    if row is None:
        return web.json_response({"error": "Job not found"}, status=404)
    workflow = {"prompt": row["prompt"][2], "extra_data": row["prompt"][3]}
    more = {"outputs": row["outputs"], "execution_status": row["status"], "workflow": workflow}
    return web.json_response(_ended(row) | more)


async def cancel_job(request: web.Request) -> web.Response:
    """``POST /api/jobs/{id}/cancel``: remove it if pending, interrupt it if running; else nothing, and 200
    all the same.
    """
    return web.json_response({"cancelled": worker_of(request).queue.cancel(request.match_info["job_id"])})


async def cancel_jobs(request: web.Request) -> web.Response:
    """``POST /api/jobs/cancel`` with ``{"job_ids": […]}``: all of them, or, if one is unknown, none and
    404.
    """
    queue = worker_of(request).queue
    ids = (await json_object(request)).get("job_ids")
    if not isinstance(ids, list) or not all(isinstance(prompt_id, str) for prompt_id in ids):
        return web.json_response({"error": "job_ids must be a list of job ids"}, status=400)
    if not all(queue.knows(prompt_id) for prompt_id in ids):
        return web.json_response({"error": "Job not found"}, status=404)
    cancelled = [queue.cancel(prompt_id) for prompt_id in ids]
    return web.json_response({"cancelled": any(cancelled)})


ROUTES = (
    web.get("/api/jobs", list_jobs),
    web.post("/api/jobs/cancel", cancel_jobs),
    web.get("/api/jobs/{job_id}", show_job),
    web.post("/api/jobs/{job_id}/cancel", cancel_job),
)
