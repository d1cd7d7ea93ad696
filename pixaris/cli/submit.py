"""``pixaris submit FILE``."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pixaris.cli import files
from pixaris.cli.invocation import command
from pixaris.cli.search import with_changes
from pixaris.exceptions import ConfigurationError
from pixaris.files import safe_name
from pixaris.search.check import CheckedSearch
from pixaris.search.steering.problems import out_of_reach
from pixaris.search.steering.steering import Steering
from pixaris.terminal import say
from pixaris.words import size

if TYPE_CHECKING:
    from pixaris.search.driver.jobs.client import Job, Jobs
    from pixaris.search.file.spec import SearchSpec

_MOST_NAMED = 6


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        help="the search file, in the working folder; with --stop and --follow, a job's name will do, too",
    )
    files.changes_arguments(parser)
    files.cache_argument(parser)
    parser.add_argument("--num-samples", metavar="N", help="parameter sets to try besides the baseline")
    parser.add_argument(
        "--address",
        metavar="URL",
        help="the cluster's dashboard (default: RAY_API_SERVER_ADDRESS, else http://127.0.0.1:8265)",
    )
    parser.add_argument(
        "--working-dir",
        metavar="DIR",
        type=Path,
        default=Path(),
        help="the folder that travels to the cluster (default: this one)",
    )
    parser.add_argument(
        "--follow",
        action="store_true",
        help="show the search's progress until it ends, and exit with its exit code",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the newest search of this name that the cluster's results folder has",
    )
    parser.add_argument("--stop", action="store_true", help="stop the search in order; it can be resumed")
    parser.add_argument("--list", action="store_true", help="list the searches that were submitted")


def main(options: argparse.Namespace) -> int:
    """Submit a search, or look after those that were."""
    from pixaris.search.driver.jobs.client import DEFAULT_ADDRESS, Jobs  # needs Ray

    if options.file is None and not options.list:
        raise ConfigurationError("name the search file: pixaris submit FILE (or --list)")
    address = options.address or os.environ.get("RAY_API_SERVER_ADDRESS") or DEFAULT_ADDRESS
    if options.list:
        return _list(Jobs(address))
    if options.stop:
        return _stop(Jobs(address), options)
    if options.follow and not Path(options.file).is_file():
        return _follow(Jobs(address), options.file, options)
    return _submit(options, address)


def _submit(options: argparse.Namespace, address: str) -> int:
    from pixaris.search.driver.jobs.calls import SUBMITTED_WITH, own_versions
    from pixaris.search.driver.jobs.client import Jobs
    from pixaris.search.driver.jobs.package import FilesRead, package_of

    folder: Path = options.working_dir.resolve()
    file = Path(options.file).resolve()
    if not file.is_relative_to(folder):
        raise ConfigurationError(
            f"{options.file} is not in {folder}, the folder that travels; name another with --working-dir"
        )
    # From before the file is read to after the check: what that opens must travel, even where git ignores it.
    reading = FilesRead(folder)
    options.file = Path(options.file)
    spec, problems = files.read(options, with_changes(options))
    checked = files.check(spec, problems, probing=False)
    say(files.describe(checked))
    _refuse_votes_out_of_reach(checked)
    read = reading.end()
    _refuse_results_inside(spec, folder)
    for outside in _outside(spec, folder):
        say(f"note: {outside} is not in {folder} and does not travel; the cluster's nodes must have it")
    # After the check: a file that is wrong is told without a cluster.
    jobs = Jobs(address)
    package = package_of(folder, read, [spec.home.results])
    if package.rescued:
        say(f"note: sent although it is ignored: {_some(package.rescued)}")
    # Only a note: other versions often work, and the log says where they do not.
    if jobs.ray_version != version("ray"):
        say(f"note: the cluster has Ray {jobs.ray_version}, this machine {version('ray')}")
    search = f"{spec.home.project}/{spec.home.name}"
    for other in jobs.list():
        if other.search == search and not other.is_over:
            say(f"note: {other.id} is a search of the same name and goes on; this one gets its own folder")
    # With something of chance, since Ray refuses a second job of a name.
    job_id = f"pixaris-{safe_name(spec.home.name, 40)}-{secrets.token_hex(4)}".replace(" ", "_")
    words = ["python", "-m", "pixaris", "search", file.relative_to(folder).as_posix()]
    say(f"sending     {len(package.files)} files, {size(package.bytes)}, to {address}")
    with package.staged() as staged:
        variables = {SUBMITTED_WITH: own_versions()}
        jobs.submit(job_id, [*words, *_passed(options)], str(staged), search=search, variables=variables)
    say(f"submitted   {job_id}")
    if options.follow:
        return _follow(jobs, job_id, options)
    if options.address is None:
        at = []
    else:
        at = ["--address", options.address]
    say(f"follow it with: {command('submit', job_id, '--follow', *at)}")
    say(f"stop it with:   {command('submit', job_id, '--stop', *at)}")
    return 0


def _passed(options: argparse.Namespace) -> list[str]:
    """The options that the search itself is given."""
    words = [word for url in options.endpoint for word in ("--endpoint", url)]
    words += [word for override in options.overrides for word in ("--set", override)]
    words += [] if options.num_samples is None else ["--num-samples", options.num_samples]
    words += ["--no-cache"] if options.no_cache else []
    return words + (["--resume"] if options.resume else [])


def _refuse_results_inside(spec: SearchSpec, folder: Path) -> None:
    """A job's copy of the working folder goes with its node, and everything in it.

    Raises:
        ConfigurationError: The file keeps the results there.
    """
    from pixaris.config import Config

    if spec.home.storage is not None:
        return
    results = spec.home.results.resolve()
    if results.is_relative_to(folder) and results != Config.load().results_dir.resolve():
        raise ConfigurationError(
            f"results is {spec.home.results}, in the folder that travels, and what a job writes there goes"
            " with its node; name an absolute folder that the cluster's head keeps (--set results=/…), or a"
            " bucket (--set storage=gs://…)"
        )


def _refuse_votes_out_of_reach(checked: CheckedSearch) -> None:
    """Votes in a file of the node that runs the job are reached by nobody.

    Raises:
        ConfigurationError: The search keeps them so.
    """
    steering = Steering.of(checked)
    if steering is not None and steering.handler.is_local:
        raise ConfigurationError(out_of_reach(steering.handler), checked.settings.source_name)


def _outside(spec: SearchSpec, folder: Path) -> list[Path]:
    """What the file names that lies elsewhere."""
    if spec.dataset.path is not None:
        named = [spec.dataset.path]
    else:
        named = []
    return [path for path in named if not path.resolve().is_relative_to(folder)]


def _some(paths: tuple[Path, ...]) -> str:
    shown = ", ".join(path.as_posix() for path in paths[:_MOST_NAMED])
    more = len(paths) - _MOST_NAMED
    if more > 0:
        return f"{shown} and {more} more"
    return shown


def _follow(jobs: Jobs, job_id: str, options: argparse.Namespace) -> int:
    try:
        job = jobs.follow(job_id, _write)
    except KeyboardInterrupt:
        if options.address is None:
            at = []
        else:
            at = ["--address", options.address]
        print(
            f"\n{job_id} goes on; stop it with: {command('submit', job_id, '--stop', *at)}", file=sys.stderr
        )
        raise
    # With an exit code of its own the search has said why, in the log that was just shown.
    if job.code and job.exit_code is None:
        print(f"error: {job_id} {job.status.lower()}: {_said(job)}", file=sys.stderr)
    return job.code


def _write(text: str) -> None:
    print(text, end="", flush=True)


def _said(job: Job) -> str:
    if job.message:
        return job.message.splitlines()[0]
    return "the cluster does not say why"


def _stop(jobs: Jobs, options: argparse.Namespace) -> int:
    from pixaris.search.driver.jobs.client import STOP_SECONDS

    code = 0
    for job in _meant(jobs, options):
        began = time.monotonic()
        # Ray sends SIGTERM, which ends a search in order.
        jobs.stop(job.id)
        ended = jobs.wait(job.id, STOP_SECONDS + 10)
        if ended.is_over:
            say(f"stopped     {job.id}, after {time.monotonic() - began:.0f} s; --resume goes on with it")
        else:
            code = 1
            print(f"error: {job.id} is asked to stop and has not ended yet", file=sys.stderr)
    return code


def _meant(jobs: Jobs, options: argparse.Namespace) -> list[Job]:
    """The running jobs of a search file, or the one of that name.

    Raises:
        ConfigurationError: None runs.
    """
    running = [job for job in jobs.list() if not job.is_over]
    found = [job for job in running if job.id == options.file]
    if not found and Path(options.file).is_file():
        options.file = Path(options.file)
        home = files.read(options, with_changes(options))[0].home
        found = [job for job in running if job.search == f"{home.project}/{home.name}"]
    if not found:
        raise ConfigurationError(f"no job of {options.file} runs there; pixaris submit --list lists them")
    return found


def _list(jobs: Jobs) -> int:
    found = jobs.list()
    if not found:
        say("no search was submitted there")
    width = max((len(job.id) for job in found), default=0)
    for job in found:
        if job.started:
            started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.started))
        else:
            started = ""
        if job.exit_code is None:
            code = ""
        else:
            code = f"exit {job.exit_code}"
        say(f"{job.id:<{width}}  {job.status:<9}  {started:<19}  {job.search}  {code}".rstrip())
    return 0
