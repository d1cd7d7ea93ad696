"""``pixaris search FILE``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
from collections import Counter
from functools import partial
from pathlib import Path
from typing import get_args

from pixaris.cli import files, looking
from pixaris.cli.invocation import command, shown
from pixaris.cli.searches import own_value
from pixaris.config import Config
from pixaris.feedback_handlers.base import IterationKey
from pixaris.frontend.sessions import Keyring
from pixaris.frontend.settings import PORT
from pixaris.results.evidence.preferences import read_preferences
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult, TrialStatus
from pixaris.results.verdict import Verdict
from pixaris.search.check import CheckedSearch
from pixaris.search.resume import Earlier, described, earlier_of
from pixaris.terminal import flush, say

# More rows than that do not fit on a screen.
_SHEET_ITEMS = 12
_OWN = {"workflow": "the workflow's own values", "default": "the default values"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    files.arguments(parser)
    files.cache_argument(parser)
    parser.add_argument(
        "--num-samples",
        metavar="N",
        help="parameter sets to try besides the baseline (--set search.num_samples=N)",
    )
    parser.add_argument(
        "--address",
        metavar="ADDRESS",
        help=(
            "the Ray cluster to run on, from inside it: host:port of its head, auto for the one that runs"
            " here, local for none (default: RAY_ADDRESS, else none); from elsewhere use pixaris submit"
        ),
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help=(
            "go on with the newest search of this name where it was stopped, however that was; without one,"
            " start it"
        ),
    )


def main(options: argparse.Namespace) -> int:
    """Search, and say what was found."""
    from pixaris.report.progress import listener
    from pixaris.search.driver.jobs.calls import other_versions, own_versions
    from pixaris.search.driver.start import run  # needs Ray
    from pixaris.search.driver.storage.bucket import fetch_earlier

    # By the variable, which processes that Ray starts inherit.
    if options.address is not None:
        os.environ["RAY_ADDRESS"] = options.address
    if told := other_versions():
        say(f"note: submitted with {told}; this node has {own_versions()}")
    spec, problems = files.read(options, with_changes(options))
    checked = files.check(spec, problems, probing=False)
    say(files.describe(checked))
    fetched = fetch_earlier(checked.settings.home) if options.resume else ""
    if fetched:
        say(fetched)
    earlier = earlier_of(checked)
    resume = options.resume or (earlier is not None and wanted(earlier, again(options)))
    if resume and earlier is not None:
        # Before anything is made: a search that has changed cannot go on as the same one.
        earlier.raise_problems(str(options.file))
        over, begun = len(earlier.history.over), len(earlier.history.values)
        say(f"resuming    {shown(earlier.folder)}: {over} trials done, {begun - over} continue")
    with listener() as progress:
        result = run(checked, progress, resume=resume, place=partial(voting_page, checked))
    if result.trials or result.error is None:
        report(result, files.owner(checked))
        # What was found is out before anything on stderr, also in a log that has both.
        flush()
    if result.error is None and result.status in ("interrupted", "stopped"):
        print(f"stopped: {result.reason}; what was done is kept", file=sys.stderr)
    if result.status == "interrupted":
        print(f"resume with: {again(options)}", file=sys.stderr)
    elif result.status == "stopped":
        print(f"with a larger budget, resume with: {again(options)}", file=sys.stderr)
    return ended(result)


def voting_page(checked: CheckedSearch, key: IterationKey) -> str:
    """Where people vote on a search's sets: the page's address, and the command that serves it."""
    results = checked.settings.home.results
    identity = Keyring.of(results).opaque("iteration", key.project, key.name)
    own = results.resolve() == Config.load().results_dir.resolve()
    # Without --results where the configuration says the same: a shorter command to paste.
    words = ("ui",) if own else ("ui", "--results", shown(results))
    return f"http://127.0.0.1:{PORT}/feedback/{identity}/blind ({command(*words)} serves it)"


def with_changes(options: argparse.Namespace) -> list[str]:
    """What ``--num-samples`` changes in the file."""
    if options.num_samples is None:
        return []
    return [f"search.num_samples={options.num_samples}"]


def ended(result: SearchResult) -> int:
    """Say what ended a search or its re-check before its end; the exit code."""
    if result.error is not None:
        print(f"error: {result.error}", file=sys.stderr)
    rechecked = result.recheck
    if rechecked is not None and rechecked.status in ("interrupted", "stopped"):
        print(f"the re-check was stopped: {rechecked.reason}; what was done is kept", file=sys.stderr)
        print(f"go on with: {command('recheck', shown(result.folder))}", file=sys.stderr)
    if result.error is not None:
        return result.error.exit_code
    statuses = (result.status, "" if rechecked is None else rechecked.status)
    # As a shell says it of a program that Ctrl-C ended, so that scripts stop too.
    if "interrupted" in statuses:
        return 130
    return 0


def wanted(earlier: Earlier, resume: str) -> bool:
    """Whether an earlier search of the same name is to be gone on with: asked on a terminal, else told
    how.
    """
    # A search of before 0.2 without a journal has nothing that could be gone on with.
    if not earlier.unfinished or earlier.kept_no_journal:
        return False
    stopped = (
        f"{shown(earlier.folder)} was stopped after {len(earlier.history.over)} trials"
        f" ({earlier.result.reason})"
    )
    if earlier.differences:
        print(
            f"{stopped}, but is another search: {described(earlier.differences)}; this one starts anew",
            file=sys.stderr,
        )
        return False
    # Nobody can answer in a pipe or a job: there it is told how.
    if sys.stdin.isatty() and sys.stdout.isatty():
        return input(f"{stopped}. Go on with it? [Y/n] ").strip().lower() in ("", "y", "yes")
    print(f"{stopped}; resume with: {resume}", file=sys.stderr)
    return False


def again(options: argparse.Namespace) -> str:
    """The command that goes on with a search."""
    return command("search", str(options.file), *_changes(options), "--resume")


def _changes(options: argparse.Namespace) -> list[str]:
    """What a search was told beside its file, as it was told."""
    words = [word for url in options.endpoint for word in ("--endpoint", url)]
    words += [word for override in options.overrides for word in ("--set", override)]
    words += [] if options.num_samples is None else ["--num-samples", str(options.num_samples)]
    words += ["--no-cache"] if options.no_cache else []
    words += [] if options.address is None else ["--address", options.address]
    return words


def report(result: SearchResult, owner: str = "workflow") -> None:
    """Print what was found and where to look at it.

    Args:
        result: The search as it ended.
        owner: Whose values the baseline has.
    """
    _print_totals(result)
    verdict = result.verdict()
    print(f"\n{said(verdict)}")
    if result.best is not None:
        _print_best(result, result.best, owner)
    _print_left_out(result)
    if verdict.next_steps:
        print("\n".join(["\nnext", *next_lines(verdict)]))
    print("\n".join(["\nlook at it", *looking.lines(result)]))


def _on_what(result: SearchResult, best: TrialResult) -> str:
    """What the best score rests on: images, or votes."""
    preferences = read_preferences(SearchPaths(result.folder))
    preferred = None if preferences is None else preferences.of(best.number)
    if preferences is None or preferred is None:
        return f"on {best.scored} images"
    return f"in {preferred.votes} of {preferences.votes} votes"


def said(verdict: Verdict) -> str:
    """A verdict's sentences, as wide as the terminal; in a pipe each is a line."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    lines = [verdict.sentence, *verdict.lines]
    return "\n".join(textwrap.fill(line, width) if width else line for line in lines)


def next_lines(verdict: Verdict) -> list[str]:
    """What to do now, with the commands to paste."""
    lines = []
    for step in verdict.next_steps:
        lines.append(f"  {step.words}")
        if step.command:
            words = [shown(word) if isinstance(word, Path) else word for word in step.command]
            lines.append(f"    {command(*words)}")
    return lines


def front(result: SearchResult) -> list[str]:
    """The Pareto front as a table: one line for each trial, best leading score first."""
    from pixaris.words import listed

    names = [objective.metric for objective in result.objectives]
    wanted = ", ".join(f"{objective.metric} {objective.direction}" for objective in result.objectives)
    trials = result.pareto()
    counted = f"{len(trials)} of {len(result.trials)} trials, the best compromises"
    width = max(10, *map(len, names))
    lines = [
        f"front     {counted} ({wanted})",
        f"  {'':<12}" + "".join(f"{name:>{width}}  " for name in names),
    ]
    for trial in trials:
        scores = "".join(f"{trial.scores[name]:>{width}.4f}  " for name in names)
        lines.append(f"  {trial.name:<12}{scores}{listed(trial.values)}")
    return lines


def _print_totals(result: SearchResult) -> None:
    """What the search did, and what of its budget that took."""
    from pixaris.words import credits, duration

    ended = Counter(trial.status for trial in result.trials)
    counts = ", ".join(f"{ended[status]} {status}" for status in get_args(TrialStatus) if ended[status])
    images = f"{result.images} images" + (f" ({result.cached} from the cache)" if result.cached else "")
    did = f"{len(result.trials)} trials ({counts or 'none ended'}), {images}, {duration(result.seconds)}"
    charged = credits(result.cost, result.unaccounted)
    print(f"\n{result.name}: {did}{f', {charged}' if charged else ''}")
    if result.budget:
        print(f"budget    {result.budget.compare(result.spent)}")


def _print_best(result: SearchResult, best: TrialResult, owner: str) -> None:
    """The winner beside the baseline, and its values."""
    from pixaris.words import number

    baseline = result.baseline
    higher = "higher is better" if result.direction == "max" else "lower is better"
    first = "best so far" if result.status == "running" else "winner"
    print(f"\n{first:<9} {best.name}{' (the baseline itself)' if best.number == 0 else ''}")
    print(f"{result.metric:<9} {best.objective:.4f} {_on_what(result, best)} ({higher})")
    if baseline is not None and baseline.objective is not None:
        print(f"baseline  {baseline.objective:.4f} ({_OWN[owner]})")
    if result.others:
        print("\n".join(front(result)))
    width = max(map(len, best.values), default=0)
    print("parameters")
    for name, value in best.values.items():
        print(f"  {name:<{width}}  {number(value)}{own_value(baseline, name, owner)}")


def _print_left_out(result: SearchResult) -> None:
    """The reasons why trials failed, the most frequent first, and who could not win for another reason."""
    failed = [trial for trial in result.trials if trial.failures and trial.error]
    reasons = Counter(trial.error.splitlines()[0] for trial in failed)
    for reason, count in reasons.most_common(5):
        print(f"failed    {reason} ({count} trials)" if count > 1 else f"failed    {reason}")
    for trial in result.thin():
        few = f"a score on {trial.scored} of {len(result.items)} images"
        print(f"left out  {trial.name} has {few}; a winner needs one on half of them")
    for trial in result.trials:
        if trial.stop is None and (broken := result.broken(trial)):
            print(f"left out  {trial.name}: {broken}")
