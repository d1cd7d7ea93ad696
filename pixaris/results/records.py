"""What a search found: plain values, read from and written to its folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Literal, TypeAlias

from pixaris.exceptions import ConfigurationError, PixarisError, nearest
from pixaris.files import read_json
from pixaris.results.budget import Amounts, Budget
from pixaris.results.evidence.guardrails import Guardrail
from pixaris.results.evidence.notebook import notebook_html
from pixaris.results.evidence.preferences import read_preferences
from pixaris.results.evidence.table import trials_table
from pixaris.results.folders import held, latest_folder
from pixaris.results.foreign import ForeignError, read_as
from pixaris.results.importance import importances, lies_among
from pixaris.results.manifest import read_manifest
from pixaris.results.objective import Objective
from pixaris.results.paths import SearchPaths, recheck_name
from pixaris.results.ranking import Failures, Row, Rules, is_thin, ranked
from pixaris.results.trial import EvalItems, TrialResult, trials_of
from pixaris.results.verdict import Verdict, verdict_of
from pixaris.statistics.intervals import MeanInterval
from pixaris.statistics.paired import PairedDifference, differences
from pixaris.types import Direction

if TYPE_CHECKING:
    import pandas

SearchStatus: TypeAlias = Literal["running", "finished", "stopped", "interrupted", "failed"]
_HEAD = ("name", "status", "metric", "direction", "items", "seconds", "images", "reason")
_TOTALS = ("seconds", "images")
_LOGARITHMIC = frozenset(("loguniform", "qloguniform", "lograndint", "qlograndint"))


@dataclass(frozen=True)
class Totals:
    """What a whole search took.

    Attributes:
        seconds: Wall time.
        images: Images of all trials, generated or taken from the cache.
        cached: Those taken from the cache.
        cost: Credits the endpoints' accounts were charged, for images that no trial waited for too; None
            where nothing was.
        unaccounted: Requests that may have been charged besides: their answers were lost.
    """

    seconds: float = 0.0
    images: int = 0
    cached: int = 0
    cost: float | None = None
    unaccounted: int = 0


@dataclass(frozen=True, repr=False)
class SearchResult:
    """A search as it stands: its trials, the best of them, and the baseline.

    Attributes:
        name: The search's name.
        folder: Where everything lies.
        status: "stopped" if its budget ended it, "interrupted" if it was stopped from outside; both with
            `reason`.
        objectives: What is optimised, the leading score first.
        trials: By number.
        items: Names of the eval set's items, in order.
        failures: What becomes of items without a score when trials are compared.
        totals: What it took.
        reason: Why it ended before its end, or "".
        budget: What it may spend.
        spent: What it has spent, if it has a budget.
        guardrails: Scores in which a winner may not be worse than the baseline.
        error: What ended it, in the process that ran it.
    """

    name: str
    folder: Path
    status: SearchStatus
    objectives: tuple[Objective, ...]
    trials: tuple[TrialResult, ...]
    items: tuple[str, ...] = ()
    failures: Failures = field(default_factory=Failures)
    totals: Totals = field(default_factory=Totals)
    reason: str = ""
    budget: Budget = field(default_factory=Budget)
    spent: Amounts = field(default_factory=Amounts)
    guardrails: tuple[Guardrail, ...] = ()
    # Not compared and not written: a search that is read again equals the one that was run.
    error: PixarisError | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        found = "no scores" if self.best is None else f"best {self.best!r}"
        return f"<search {self.name!r} {self.status}, {len(self.trials)} trials, {found}>"

    @property
    def metric(self) -> str:
        """Name of the score that leads."""
        return self.objectives[0].metric

    @property
    def direction(self) -> Direction:
        """Whether a higher one is better: "max" or "min"."""
        return self.objectives[0].direction

    @property
    def others(self) -> tuple[Objective, ...]:
        """The other objectives of a search that has several."""
        return self.objectives[1:]

    @property
    def seconds(self) -> float:
        """Wall time."""
        return self.totals.seconds

    @property
    def images(self) -> int:
        """Images of all trials, generated or taken from the cache."""
        return self.totals.images

    @property
    def cached(self) -> int:
        """Those of the images that were taken from the cache."""
        return self.totals.cached

    @property
    def cost(self) -> float | None:
        """Credits that were charged; None where nothing was."""
        return self.totals.cost

    @property
    def unaccounted(self) -> int:
        """Requests that may have been charged besides: their answers were lost."""
        return self.totals.unaccounted

    @property
    def baseline(self) -> TrialResult | None:
        """The trial with the workflow's own values."""
        return next((trial for trial in self.trials if trial.number == 0), None)

    @property
    def recheck(self) -> SearchResult | None:
        """The search's latest re-check, which is a search of its best sets with other seeds; None without
        one.
        """
        found = latest_folder(self.folder.parent, recheck_name(self.folder.name))
        # A search of the user's own may be called so by chance.
        if found is None or read_manifest(SearchPaths(found)).get("rechecks") != self.folder.name:
            return None
        return SearchResult.load(found)

    @property
    def best(self) -> TrialResult | None:
        """The best trial, or None while no trial has a score."""
        ranked = self.ranking()
        return ranked[0] if ranked else None

    def ranking(self) -> list[TrialResult]:
        """Trials with a score, best first: compared item by item, as `pixaris.results.ranking` says. Those
        that break a guardrail come last.
        """
        scored = [trial for trial in self.trials if trial.objective is not None]
        rows, rules = self._compared(scored)
        by_number = {trial.number: trial for trial in scored}
        order = [by_number[number] for number in ranked(rows, rules)]
        # A stable sort: within both groups the ranking stays.
        return sorted(order, key=lambda trial: bool(self.broken(trial)))

    def broken(self, trial: TrialResult) -> str:
        """How a trial breaks a guardrail, or ""."""
        if self.baseline is None:
            return ""
        faults = (guardrail.fault(trial, self.baseline) for guardrail in self.guardrails)
        return next(filter(None, faults), "")

    def thin(self) -> list[TrialResult]:
        """Trials that went through all items and have a score for too few of them to win."""
        scored = [trial for trial in self.trials if trial.objective is not None]
        rows, rules = self._compared(scored)
        through = zip(scored, rows, strict=True)
        return [trial for trial, row in through if row.items >= rules.items and is_thin(row, rules)]

    def _compared(self, trials: Sequence[TrialResult]) -> tuple[list[Row], Rules]:
        """Trials as they are ranked."""
        count = max([len(self.items), *(len(trial.item_scores) for trial in trials)])
        per_item = any(trial.scored for trial in trials)
        rows = []
        for trial in trials:
            ties = tuple(objective.loss(trial) for objective in self.others)
            if per_item:
                rows.append(Row(trial.number, trial.item_scores, trial.items, ties))
            else:  # the metric has one value for a whole run: it is compared as that of a single item
                # A value over fewer items is none that could be compared.
                through = int(trial.items >= len(self.items))
                rows.append(Row(trial.number, (trial.objective,), through, ties))
        return rows, Rules(self.direction, count if per_item else 1, self.failures)

    def pareto(self) -> list[TrialResult]:
        """The Pareto front, best leading score first: no other trial is better in one objective and as good
        in the rest.

        Only trials that went through all items are compared, each by its means. With one objective these are
        the best trial and those that equal it.
        """
        ranking = self.ranking()
        most = max((trial.items for trial in ranking), default=0)
        losses = {}
        for trial in ranking:
            of_trial = tuple(objective.loss(trial) for objective in self.objectives)
            # Means over fewer items are not comparable, and every one of them must be there.
            if trial.items == most and all(map(math.isfinite, of_trial)):
                losses[trial.number] = of_trial
        front = []
        for trial in ranking:
            mine = losses.get(trial.number)
            if mine is not None and not any(_dominates(other, mine) for other in losses.values()):
                front.append(trial)
        return front

    def difference(self, trial: TrialResult) -> PairedDifference | None:
        """A trial's objective minus the baseline's, over the items that both have; None without any."""
        if self.baseline is None:
            return None
        # Over common items only, as everywhere: the difference of two means over different items says
        # nothing.
        found = differences(trial.item_scores, self.baseline.item_scores)
        return PairedDifference.of(found) if found else None

    def interval(self, trial: TrialResult) -> MeanInterval | None:
        """A trial's objective with its interval over the items that have it, or over votes; None without
        any.
        """
        preferences = read_preferences(SearchPaths(self.folder))
        preferred = None if preferences is None else preferences.of(trial.number)
        if preferred is not None:
            # The baseline is preferred to itself half the time by definition.
            fixed = trial.number == 0
            return None if fixed else MeanInterval(*preferred.interval, preferred.votes)
        scores = [score for score in trial.item_scores if score is not None]
        return MeanInterval.of(scores) if scores else None

    def verdict(self) -> Verdict:
        """What the search says: whether its winner is better than the baseline, by how much, and how sure
        that is.
        """
        return verdict_of(self)

    def importance(self, metric: str | None = None) -> dict[str, float]:
        """How much each parameter matters: its share of the scores' variance (fANOVA), the largest first;
        they sum to 1.

        A score over a trial's first items is not comparable with one over all. So for the leading objective a
        trial counts with its difference to the baseline over the items that both have, stopped trials too.
        For any other score, and if the baseline has no score, only the trials with the most scored items
        count. The baseline itself counts only where its values lie among those of the other trials. What does
        not count in a trial, and all else, is as `pixaris.results.importance` says.

        Args:
            metric: Name of a score; by default the leading objective.

        Raises:
            ConfigurationError: There is no such score, fewer than five trials can be compared, or no
                parameter varies.
        """
        name = self.metric if metric is None else metric
        known = dict.fromkeys([self.metric, *(score for trial in self.trials for score in trial.scores)])
        if name not in known:
            raise ConfigurationError(
                f"{name!r} is no score of this search{nearest(name, known)}; there are {', '.join(known)}"
            )
        among = self._baseline_is_among_the_others
        ranking = [trial for trial in self.ranking() if trial.number != 0 or among]
        if name == self.metric and self.baseline is not None and self.baseline.scored:
            own = self.baseline.item_scores
            # Differences take out how hard the items are, which stopped trials have seen only some of.
            pairs = ((trial.values, differences(trial.item_scores, own)) for trial in ranking)
            samples = [(values, fmean(found)) for values, found in pairs if found]
        else:
            most = max((trial.scored for trial in ranking), default=0)
            whole = [trial for trial in ranking if trial.scored == most]
            samples = [
                (trial.values, trial.scores[name])
                for trial in whole
                if math.isfinite(trial.scores.get(name, math.nan))
            ]
        space = read_manifest(SearchPaths(self.folder)).get("space", {})
        return importances(
            samples, {parameter for parameter, row in space.items() if _LOGARITHMIC & row.keys()}
        )

    @property
    def _baseline_is_among_the_others(self) -> bool:
        """Whether the baseline's values could be another trial's: a workflow's own values often lie outside
        the domains.
        """
        if self.baseline is None or not self.baseline.values:
            return False
        return lies_among(self.baseline.values, [trial.values for trial in self.trials if trial.number != 0])

    def table(self) -> pandas.DataFrame:
        """All trials as a table for pandas, one row each, by number.

        Columns are ``name``, ``status``, ``objective``, ``items``, ``scored``, ``failures``, ``seconds``,
        ``error``, ``stopped`` (where and why), and ``parameters.<name>`` and ``scores.<name>``, so that no
        parameter's name meets another column's. What a trial does not have is missing. The index is the
        trial's number.
        """
        return trials_table(self.trials, len(self.items))

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict, the best trials, and where the report is."""
        report = SearchPaths(self.folder).report
        written = report if report.is_file() else None
        return notebook_html(self.name, self.metric, self.verdict(), self.ranking(), written)

    def with_trials(self, trials: Sequence[TrialResult]) -> SearchResult:
        """The same search with these trials."""
        return replace(self, trials=tuple(sorted(trials, key=lambda trial: trial.number)))

    @classmethod
    def load(cls, folder: str | Path) -> SearchResult:
        """Read a search from its folder, also one that is still running or was killed.

        Raises:
            ConfigurationError: There is no search.
        """
        paths = SearchPaths(Path(folder))
        row = read_json(paths.head)
        if row is None:
            raise ConfigurationError(f"{folder} holds no search (no {paths.head.name})")
        try:
            head, totals = read_as(_Head, row), read_as(Totals, row)
            spent = read_as(Amounts, read_json(paths.spent) or {})
        except ForeignError as error:
            raise ConfigurationError(f"{paths.head} is damaged, or none of a search: {error}") from None
        running = head.status == "running"
        # Not `not held(...)`: None means that it cannot be told, and then what the file says counts.
        killed = running and held(paths.folder) is False
        # Files of one objective have only `metric` and `direction`, as those of the first versions.
        objectives = head.objectives or (Objective(head.metric, head.direction),)
        eval_items = EvalItems(objectives[0].metric, len(head.items), paths)
        return cls(
            name=head.name,
            folder=paths.folder,
            status="interrupted" if killed else head.status,
            objectives=objectives,
            trials=tuple(trials_of(eval_items, "running" if running and not killed else "interrupted")),
            items=head.items,
            failures=head.failures,
            totals=totals,
            reason="its process was killed" if killed else head.reason,
            budget=head.budget,
            spent=spent,
            guardrails=head.guardrails,
        )

    def head(self) -> dict[str, object]:
        """Everything but the trials, as plain JSON values: what ``search.json`` holds."""
        best = self.best
        row: dict[str, object] = {key: getattr(self, key) for key in _HEAD if key not in _TOTALS}
        row |= asdict(self.totals)
        row["failures"] = asdict(self.failures)
        row["best"] = best.name if best else None
        if self.budget:
            row["budget"], row["spent"] = self.budget.as_dict(), asdict(self.spent)
        if self.guardrails:
            row["guardrails"] = [asdict(guardrail) for guardrail in self.guardrails]
        if self.others:
            row["objectives"] = [asdict(objective) for objective in self.objectives]
            row["pareto"] = [trial.name for trial in self.pareto()]
        return row


@dataclass(frozen=True)
class _Head:
    """What ``search.json`` has, besides the totals."""

    name: str
    status: SearchStatus
    metric: str
    direction: Direction
    items: tuple[str, ...]
    reason: str
    objectives: tuple[Objective, ...] = ()
    failures: Failures = field(default_factory=Failures)
    budget: Budget = field(default_factory=Budget)
    guardrails: tuple[Guardrail, ...] = ()


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether losses are nowhere larger than others and somewhere smaller."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
