"""``pixaris doctor``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

from pixaris.cli import searches
from pixaris.config import Config
from pixaris.exceptions import ConfigurationError, PixarisError
from pixaris.words import pip, size

State: TypeAlias = Literal["ok", "note", "wrong"]

EXTRAS = {
    "cluster": ("aiohttp_cors", "jobs on a Ray cluster, Ray's dashboard"),
    "gcp": ("google.cloud.storage", "eval sets and results on Google Cloud"),
    "gemini": ("google.genai", "a language model as a judge"),
    "heic": ("pillow_heif", "photographs as phones take them"),
    "learned": ("torch", "networks as metrics: CLIP, DINO, LPIPS"),
    "ui": ("fastapi", "the review page"),
}
"""Extra to a module that it brings, and what it is for."""

# A few hundred images, and what Ray spills.
_LEAST_DISK = 2 * 10**9
# Ray's own processes take a good part of it before anything runs.
_LEAST_MEMORY = 2 * 10**9
# Docker gives 64 MB unless it is asked for more.
_LEAST_SHARED = 500 * 10**6
_SECRETS = {"flux_api_key": "the Flux API", "gemini_api_key": "the LLM judge"}


@dataclass(frozen=True)
class Finding:
    """Something that was looked at.

    Attributes:
        name: What.
        state: "wrong": a search would fail by it.
        words: What was found, and the way out where something is missing.
    """

    name: str
    state: State
    words: str


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "endpoints",
        metavar="FILE|URL",
        nargs="*",
        help="also look whether a search file's endpoints, or servers, answer",
    )
    searches.json_argument(parser)


def main(options: argparse.Namespace) -> int:
    """Look at everything; 1 if something is wrong."""
    findings = []
    for finding in look(options.endpoints):
        findings.append(finding)
        if not options.json:
            print(f"{finding.state:<6} {finding.name:<26} {finding.words}")
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    return int(any(finding.state == "wrong" for finding in findings))


def look(endpoints: list[str]) -> Iterator[Finding]:
    """Everything that was found, as it is found.

    Args:
        endpoints: Search files and URLs.
    """
    yield from _versions()
    yield from _extras()
    try:
        config = Config.load()
    except ConfigurationError as error:
        yield Finding("config", "wrong", str(error))
        # The rest can be looked at all the same, with what is usual.
        config = Config()
    else:
        yield from _settings(config)
    yield from _room(config)
    yield from _bucket(config)
    yield from _feedback(config)
    for target in endpoints:
        yield _endpoints(target)


def _versions() -> Iterator[Finding]:
    python = platform.python_version()
    yield Finding("Python", "ok", f"{python} at {sys.executable}")
    for package in ("pixaris", "ray", "pillow", "numpy"):
        try:
            yield Finding(package, "ok", version(package))
        except PackageNotFoundError:
            yield Finding(package, "wrong", f"is not installed; run: {pip()} install {package}")
    address = os.environ.get("RAY_ADDRESS")
    if address:
        words = f"searches go to {address} (RAY_ADDRESS)"
    else:
        words = "searches start their own on this machine"
    yield Finding("Ray cluster", "ok", words)


def _extras() -> Iterator[Finding]:
    for extra, (module, use) in EXTRAS.items():
        if _is_there(module):
            yield Finding(f"extra {extra}", "ok", use)
        else:
            yield Finding(
                f"extra {extra}", "note", f"not installed ({use}): {pip()} install 'pixaris[{extra}]'"
            )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package around it
        return False


def _settings(config: Config) -> Iterator[Finding]:
    for name, source in Config.sources().items():
        if name in _SECRETS:
            # Never its value: what a doctor prints is sent to others.
            yield Finding(name, "ok", f"is set ({source})")
        else:
            yield Finding(name, "ok", f"{getattr(config, name)} ({source})")
    for name, use in _SECRETS.items():
        if not getattr(config, name):
            way = f"for {use}, set PIXARIS_{name.upper()} or {name} in config.yaml"
            yield Finding(name, "note", f"is not set; {way}")


def _room(config: Config) -> Iterator[Finding]:
    for name, folder in (("results", config.results_dir), ("cache", config.cache_dir)):
        place = _existing(folder.expanduser().absolute())
        free = shutil.disk_usage(place).free
        if not os.access(place, os.W_OK):
            yield Finding(f"folder of {name}", "wrong", f"{place} may not be written to; make it writable")
        elif free < _LEAST_DISK:
            yield Finding(f"folder of {name}", "wrong", f"{size(free)} are free at {place}; make room there")
        else:
            yield Finding(f"folder of {name}", "ok", f"{size(free)} are free at {place}")
    memory = _memory()
    if memory is not None:
        state: State = "ok" if memory >= _LEAST_MEMORY else "wrong"
        if state == "ok":
            way = ""
        else:
            way = "; end other programs: Ray kills processes where memory runs out"
        yield Finding("memory", state, f"{size(memory)} are free, {os.cpu_count()} processors{way}")
    shared = Path("/dev/shm")
    if shared.is_dir() and shutil.disk_usage(shared).total < _LEAST_SHARED:
        room = size(shutil.disk_usage(shared).total)
        words = f"/dev/shm has {room}, so that Ray uses the disk and is slow; docker run --shm-size=2g"
        yield Finding("shared memory", "note", words)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    # The root is always there.
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _memory() -> int | None:
    """Bytes that are free; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    known = dict(line.split(":", 1) for line in lines)
    return int(known["MemAvailable"].split()[0]) * 1024


def _bucket(config: Config) -> Iterator[Finding]:
    name = config.gcp_pixaris_bucket_name
    if not name:
        return
    from pixaris.gcp.storage import Bucket

    try:
        Bucket(name, config.gcp_project_id).folders("")
    except PixarisError as error:
        yield Finding("bucket", "wrong", str(error))
    else:
        yield Finding("bucket", "ok", f"gs://{name} can be read")


def _feedback(config: Config) -> Iterator[Finding]:
    """Whether feedback can be kept in BigQuery, where that is configured."""
    name = config.gcp_bq_feedback_table
    if not name:
        return
    from pixaris.feedback_handlers.bigquery_table import FeedbackTable

    try:
        held = FeedbackTable(config.gcp_project_id, name).looked_at()
    except PixarisError as error:
        yield Finding("BigQuery", "wrong", str(error))
        return
    if held is None:
        yield Finding("BigQuery", "note", f"{name} is not there yet; pixaris ui makes it at its first use")
    else:
        yield Finding("BigQuery", "ok", f"{name} can be read; it has {size(held)}")


def _endpoints(target: str) -> Finding:
    from pixaris.cli.endpoint_table import Board
    from pixaris.cli.endpoints import read_targets

    try:
        board = Board(*read_targets([target]))
    except PixarisError as error:
        return Finding("endpoints", "wrong", str(error))
    board.update()
    # All are asked at once, and each has a time limit of its own.
    board.wait()
    if board.answers:
        return Finding("endpoints", "ok", f"{target}: at least one answers")
    return Finding("endpoints", "wrong", f"{target}: none answers; see: pixaris endpoints {target} --once")
