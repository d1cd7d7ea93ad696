"""A search on the terminal: live on a screen, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pixaris.endpoints.base import EndpointStatus
from pixaris.results.progress import ProgressListener, SearchProgress, Silent
from pixaris.results.trial import TrialResult
from pixaris.results.verdict.words import counted
from pixaris.terminal import console, safe, say
from pixaris.words import credits, duration, listed

# A log of an hour has 360 lines at most.
_LINE_SECONDS = 10.0


def summary(progress: SearchProgress) -> str:
    """The state of a search in one line."""
    if progress.images_planned is None:
        planned = "?"
    else:
        planned = str(progress.images_planned)
    parts = [
        f"images {progress.images}/{planned}"
        + (f" ({progress.cached} from the cache)" if progress.cached else ""),
        f"trials {progress.finished} done, {progress.stopped} stopped"
        + (f", {progress.running} under way" if progress.running else "")
        + (f", {progress.failed} failed" if progress.failed else "")
        + (f" of {progress.trials}" if progress.trials is not None else ""),
    ]
    if progress.best is not None and progress.best.objective is not None:
        parts.append(
            f"best so far {progress.metric} {progress.best.objective:.4f} ({progress.best.name})"
            + _against(progress)
        )
    if progress.budget:
        parts.append(f"budget: {progress.budget}")
    if waiting := waits_for(progress):
        return " · ".join([*parts, waiting])
    if progress.rate:
        parts.append(f"{progress.rate:.1f} images/s")
    if progress.cost is not None:
        parts.append(credits(progress.cost))
    if progress.seconds_left is not None:
        parts.append(f"{duration(progress.seconds_left)} left")
    return " · ".join(parts)


def waits_for(progress: SearchProgress) -> str:
    """What a search waits for while no endpoint is healthy, else ""."""
    if not progress.endpoints or any(endpoint.state == "healthy" for endpoint in progress.endpoints):
        return ""
    if all(endpoint.state == "drained" for endpoint in progress.endpoints):
        return "waiting for an endpoint: all are drained or disabled"
    # One reason is enough: where all are out it is mostly the same.
    reason = next(
        (endpoint.last_failure for endpoint in progress.endpoints if endpoint.last_failure),
        "none has answered yet",
    )
    return f"waiting for an endpoint: {reason}"


def _against(progress: SearchProgress) -> str:
    if progress.baseline is None or progress.baseline.objective is None:
        return ""
    return f", baseline {progress.baseline.objective:.4f}"


def _baseline_ended(progress: SearchProgress) -> bool:
    """Whether there is a baseline that a trial can be better than."""
    return progress.baseline is not None and progress.baseline.status != "running"


def trial_line(trial: TrialResult) -> str:
    """An ended trial in one line."""
    if trial.objective is None:
        score = "no score"
    else:
        score = f"{trial.objective:.4f}"
    if trial.number == 0:
        what = "baseline "
    else:
        what = ""
    if trial.failures:
        failures = f" · {trial.failures} failed"
    else:
        failures = ""
    if trial.error and trial.objective is None:
        error = f" · {trial.error.splitlines()[0]}"
    else:
        error = ""
    return (
        f"{trial.name} {trial.status:<11} {score} on {counted(trial.scored, 'image')}{failures} ·"
        f" {what}{listed(trial.values)}{error}{_reason(trial)}"
    )


def _reason(trial: TrialResult) -> str:
    """Why a trial was stopped, where more than the number of its images can be said."""
    stop = trial.stop
    if stop is None or (stop.against is None and not stop.note):
        return ""
    return f" · {stop.describe(len(trial.item_scores))}"


class PlainProgress:
    """Lines, for pipes and logs."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._phase = ""

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def update(self, progress: SearchProgress) -> None:
        if progress.phase != self._phase:
            self._phase = progress.phase
            self._say(f"{progress.phase} …")
        elif time.monotonic() - self._last >= _LINE_SECONDS:
            self._say(summary(progress))

    def trial_ended(self, trial: TrialResult, progress: SearchProgress) -> None:
        self._say(trial_line(trial))

    def event(self, sentence: str) -> None:
        self._say(f"note: {sentence}")

    def _say(self, line: str) -> None:
        self._last = time.monotonic()
        say(line)


class LiveProgress:
    """A few lines that stay at the bottom of the screen; new bests and events scroll above them."""

    def __init__(self, screen: Console) -> None:
        self._console = screen
        self._live = Live(console=screen, refresh_per_second=4, transient=True)
        self._best = ""

    def __enter__(self) -> LiveProgress:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def update(self, progress: SearchProgress) -> None:
        self._live.update(self._picture(progress))

    def trial_ended(self, trial: TrialResult, progress: SearchProgress) -> None:
        best = progress.best
        if best is not None and best.name == trial.name and trial.name != self._best:
            self._best = trial.name
            if _baseline_ended(progress):
                head = "new best  "
            else:
                head = "so far    "
            if not trial.number:
                head = "baseline  "
            self._console.print(Text(head, "bold green") + Text(safe(trial_line(trial))))
        # Others scroll by unmentioned: a search has hundreds of trials.
        elif trial.objective is None and trial.status == "failed":
            self._console.print(Text("failed    ", "bold red") + Text(safe(trial_line(trial))))
        self.update(progress)

    def event(self, sentence: str) -> None:
        self._console.print(Text("note      ", "bold yellow") + Text(safe(sentence)))

    def _picture(self, progress: SearchProgress) -> Group:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column()
        planned = progress.images_planned
        if planned is not None:
            images = f"{progress.images} of {planned}"
        else:
            images = str(progress.images)
        if progress.cached:
            extra = [f"{progress.cached} from the cache"]
        else:
            extra = []
        extra += [f"{progress.rate:.1f} images/s"] if progress.rate else []
        extra += [credits(progress.cost)] if progress.cost is not None else []
        extra += [f"{duration(progress.seconds_left)} left"] if progress.seconds_left is not None else []
        grid.add_row("", ProgressBar(total=planned or 1, completed=progress.images, width=60))
        grid.add_row("images", " · ".join([images, *extra]))
        states = [f"{progress.finished} done", f"{progress.stopped} stopped"]
        if progress.running:
            states.append(f"{progress.running} under way")
        if progress.failed:
            states.append(f"{progress.failed} failed")
        if progress.trials is not None:
            states.append(f"{progress.trials} in all")
        grid.add_row("trials", " · ".join(states))
        if progress.budget:
            grid.add_row("budget", progress.budget)
        best = progress.best
        if best is not None and best.objective is not None:
            score = f"{progress.metric} {best.objective:.4f}{_against(progress)}"
            grid.add_row("best so far", Text(safe(f"{score} · {best.name} · {listed(best.values)}")))
        resting = [endpoint for endpoint in progress.endpoints if endpoint.state != "healthy"]
        if progress.endpoints:
            healthy = f"{len(progress.endpoints) - len(resting)} of {len(progress.endpoints)} healthy"
            if resting:
                failure = f" · {resting[0].url}: {_why_resting(resting[0])}"
            else:
                failure = ""
            grid.add_row("endpoints", Text(safe(healthy + failure)))
        return Group(Text(safe(f"{progress.phase} · {duration(progress.seconds)}"), "bold"), grid)


def _why_resting(endpoint: EndpointStatus) -> str:
    if endpoint.state == "drained":
        return endpoint.state
    return endpoint.last_failure


@contextmanager
def shown(progress: bool) -> Iterator[ProgressListener]:
    """Show how a search goes, if that is wished."""
    if not progress:
        yield Silent()
        return
    with listener() as told:
        yield told


def listener() -> PlainProgress | LiveProgress:
    """The one that fits where the output goes."""
    screen = console()
    # Both: rich can be told by a variable that a pipe is a terminal.
    if screen.is_terminal and sys.stdout.isatty():
        return LiveProgress(screen)
    return PlainProgress()
