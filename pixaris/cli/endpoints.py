"""``pixaris endpoints FILE|URL …``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pixaris.cli import searches
from pixaris.config import Config
from pixaris.endpoints.apis.comfyui import ComfyUIApi
from pixaris.endpoints.base import EndpointStatus, Use
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.catalog import SOURCES
from pixaris.exceptions import ConfigurationError, Problem
from pixaris.files import safe_name
from pixaris.gcp.storage import Bucket, BucketPath
from pixaris.results.evidence.switches import ask
from pixaris.results.paths import SearchPaths
from pixaris.search.file.spec import SearchSpec, read_search_file
from pixaris.terminal import console, say

_REFRESH_SECONDS = 1.0
_UPDATE_SECONDS = 5.0
# A pipe has no width; rich would take 80 columns and fold addresses.
_PIPE_WIDTH = 400


_USES: dict[Use, str] = {
    "drain": "let an endpoint end what it has, and give it no more",
    "disable": "give what an endpoint has to others, and give it no more",
    "enable": "use an endpoint again",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "targets",
        metavar="FILE|URL",
        nargs="+",
        help="a search file (its endpoints are meant), a server's URL, or flux for the configured account",
    )
    printed = parser.add_mutually_exclusive_group()
    printed.add_argument("--once", action="store_true", help="print the table once; so it is in a pipe, too")
    printed.add_argument("--json", action="store_true", help="print JSON once, for scripts")
    for use, text in _USES.items():
        parser.add_argument(
            f"--{use}",
            metavar="URL",
            action="append",
            default=[],
            help=f"tell the running search of FILE: {text}; may be given several times",
        )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="also ask sources of your own that the file names for their endpoints: that runs their code",
    )


def main(options: argparse.Namespace) -> int:
    """Show the endpoints until Ctrl-C, or once; 3 if once and none of them answers."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from pixaris.cli.endpoint_table import Board

    specs, sources = read_targets(options.targets, trust=options.trust)
    if any(getattr(options, use) for use in _USES):
        return _switch(specs, options)
    board = Board(specs, sources)
    if options.json:
        board.update()
        board.wait()
        searches.print_json({"endpoints": board.facts(), "notes": board.notes})
        if board.answers:
            return 0
        return 3
    screen = console()
    if options.once or not (screen.is_terminal and sys.stdout.isatty()):
        board.update()
        board.wait()
        (screen if screen.is_terminal else console(_PIPE_WIDTH)).print(board.picture())
        if board.answers:
            return 0
        return 3
    try:
        with Live(console=screen, auto_refresh=False) as live:
            due = 0.0
            while True:
                if time.monotonic() >= due:
                    board.update()
                    due = time.monotonic() + _UPDATE_SECONDS
                live.update(Group(board.picture(), Text("Ctrl-C quits", "dim")), refresh=True)
                time.sleep(_REFRESH_SECONDS)
    except KeyboardInterrupt:
        return 0


def _switch(specs: Sequence[SearchSpec], options: argparse.Namespace) -> int:
    """Tell the running searches of the files which endpoints they are to use.

    Raises:
        ConfigurationError: None runs, or none has such an endpoint.
        StorageError: It cannot be written down.
        BucketError: A search is kept in a bucket that cannot be used.
    """
    from pixaris.results.endpoints_file import running_search

    running: dict[Path | BucketPath, list[str]] = {}
    for spec in specs:
        here = running_search(spec.home.project_folder, spec.home.name, time.time(), spec.source.path)
        # This machine's own first: its folder answers at once.
        found = here or _in_bucket(spec)
        if found is not None:
            running[found[0]] = [status.url for status in found[1]]
    if not running:
        raise ConfigurationError(
            "no search of these files runs here; name the file of one that does, on the machine where its"
            " results are, or one with storage: gs://…"
        )
    wanted = [(use, url) for use in _USES for url in getattr(options, use)]
    known = sorted({url for urls in running.values() for url in urls})
    full = {url: known_as(url, known) for _, url in wanted}
    # Told before anything is asked for: of several switches either all are written down or none.
    has = f"is no endpoint of it; it has {', '.join(known)}"
    missing = [Problem(url, has) for url, one in full.items() if not one]
    if missing:
        raise ConfigurationError(missing)
    for folder, urls in running.items():
        for use, url in wanted:
            if full[url] in urls:
                _ask(folder, full[url], use)
                say(f"{folder} is told: {use} {full[url]}")
    return 0


def _in_bucket(spec: SearchSpec) -> tuple[BucketPath, tuple[EndpointStatus, ...]] | None:
    """The newest search of a file that is kept in a bucket, with its endpoints, if it runs on some machine.

    Raises:
        BucketError: The bucket cannot be read.
    """
    from pixaris.results.bucket.wanted import running_in_bucket
    from pixaris.search.driver.storage.bucket import bucket_home

    kept = bucket_home(spec.home)
    if kept is None:
        return None
    newest = kept.newest(safe_name(spec.home.name))
    if newest is None:
        return None
    place = kept.place / newest
    endpoints = running_in_bucket(place, kept.bucket, time.time())
    if endpoints is None:
        return None
    return place, endpoints


def _ask(where: Path | BucketPath, url: str, use: Use) -> None:
    """Tell a search, through its folder or through its bucket.

    Raises:
        BucketError: The bucket cannot be written.
        StorageError: The folder cannot be written.
    """
    from pixaris.results.bucket.wanted import ask_in_bucket

    if isinstance(where, Path):
        ask(SearchPaths(where), url, use)
    else:
        ask_in_bucket(where, Bucket(where.bucket, Config.load().gcp_project_id), url, use)


def known_as(url: str, known: Sequence[str]) -> str:
    """An endpoint's URL as the search has it; "" where it has none.

    Args:
        url: As somebody wrote it: the scheme and a slash at the end may differ.
        known: The search's.
    """
    bare = url.partition("://")[2] or url
    return next((one for one in known if one.partition("://")[2] == bare.rstrip("/")), "")


def read_targets(
    targets: Sequence[str], *, trust: bool = False
) -> tuple[list[SearchSpec], list[EndpointSource]]:
    """Read the command's arguments.

    Args:
        targets: Files, URLs, and names of accounts.
        trust: Whether code that a file names may be run.

    Returns:
        The search files, and all endpoint sources, those of the files among them; each once.

    Raises:
        ConfigurationError: A file cannot be read, its endpoints are wrong, or something is neither a file nor
            a URL.
    """
    from pixaris.search.file.endpoints import endpoints_of_urls, read_endpoints
    from pixaris.search.file.reader import Reader
    from pixaris.search.file.yaml_file import Document

    specs: list[SearchSpec] = []
    sources: list[EndpointSource] = []
    problems: list[Problem] = []
    for target in targets:
        # The suffix too, so that a file that is missing is told as one, and not as a strange URL.
        if Path(target).suffix in (".yaml", ".yml") or Path(target).is_file():
            spec, found = read_search_file(target, need_parameters=False, trust=trust)
            specs.append(spec)
            sources += spec.endpoints
            # What else is wrong with the file is none of this command's business.
            wrong = [one for one in found if one.path.startswith("endpoints")]
            problems += [replace(one, path="", where=f"{target}, {one.path}") for one in wrong]
        else:
            reader = Reader(Document({}))
            if target in SOURCES and SOURCES[target].bare:
                sources += read_endpoints(reader, target, target, Path())
            else:
                sources += endpoints_of_urls(reader, [target], ComfyUIApi())
            problems += [replace(one, path=one.path.removeprefix("--endpoint ")) for one in reader.problems]
    if problems:
        raise ConfigurationError(problems)
    return specs, [source for index, source in enumerate(sources) if source not in sources[:index]]
