"""What proposes parameter sets: Ray Tune's searchers, with the baseline before them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np
from ray.tune.result import TRAINING_ITERATION
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from pixaris.exceptions import SearchFailedError
from pixaris.results.budget import Answer
from pixaris.results.report import OBJECTIVE, TIME, objective_keys
from pixaris.search.algorithms.tune_domains import to_tune
from pixaris.search.space.space import Space
from pixaris.types import Direction, ParamValue


class ProposedTrial(TypedDict):
    """A trial's configuration, as Tune hands it on.

    Attributes:
        number: The trial's; the baseline is 0.
        values: Parameter name to value.
        reported: Items that an earlier process has reported already; absent for none.
    """

    number: int
    values: Mapping[str, ParamValue]
    reported: NotRequired[int]


class ListSearcher(Searcher):
    """Proposes the parameter sets of a list, in order.

    Args:
        sets: The list.
        metric: The keys of the objectives, which it does not read.
        mode: Their directions.
        fixed: How many of the first sets keep their place.

    Attributes:
        sets: The list.
        fixed: As given.
    """

    def __init__(
        self,
        sets: Iterable[Mapping[str, ParamValue]],
        metric: str | list[str],
        mode: str | list[str],
        fixed: int = 0,
    ) -> None:
        super().__init__(metric=metric, mode=mode)
        self.sets = tuple(sets)
        self.fixed = fixed
        self._next = 0

    def of(self, sets: Iterable[Mapping[str, ParamValue]]) -> ListSearcher:
        """The same with another list."""
        return ListSearcher(sets, self._metric, self._mode, self.fixed)

    def suggest(self, trial_id: str) -> object:
        if self._next == len(self.sets):
            return Searcher.FINISHED
        self._next += 1
        return dict(self.sets[self._next - 1])

    @property
    def upcoming(self) -> tuple[Mapping[str, ParamValue], ...]:
        """The sets that are still to be proposed."""
        return self.sets[self._next :]

    def put_back(
        self, proposed: Mapping[str, ParamValue], meant: Callable[[Mapping[str, ParamValue]], bool]
    ) -> None:
        """Let a set that was just proposed come later, and pass over one that has had its turn.

        Args:
            proposed: The set that was just proposed.
            meant: Tells the other one.
        """
        # What comes back takes the next place, so the list keeps its length and nothing runs twice.
        rest = list(self.sets[self._next :])
        had = next((index for index, one in enumerate(rest) if meant(one)), None)
        if had is not None:
            rest.pop(had)
        self.sets = (*self.sets[: self._next], proposed, *rest)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, object] | None = None, error: bool = False
    ) -> None:
        """Nothing is learnt."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing is kept: the list is made anew from the search file."""

    def restore(self, checkpoint_path: str) -> None:
        """See `save`."""


class BaselineFirst(Searcher):
    """The baseline first, then what a searcher proposes, each with its number.

    A configuration is ``{"number": 0, "values": {parameter name: value}}``. The inner searcher sees
    parameters under neutral names (a node's title may hold any character), learns the baseline's score if it
    lies in its space, and is told "error" where a trial has no score.

    Args:
        inner: Proposes the other sets, under the names of `neutral`.
        space: The search space.
        baseline: The workflow's own values.
        limit: Number of trials, the baseline included.
        directions: Of the objectives.
        stopped: Whether nothing more is to be started.
        affords: Whether the budget pays for another trial, given how many were proposed.
    """

    def __init__(
        self,
        inner: Searcher,
        space: Space,
        baseline: Mapping[str, ParamValue],
        *,
        limit: int | None,
        directions: Sequence[Direction],
        stopped: Callable[[], bool] = bool,  # never
        affords: Callable[[int], Answer] | None = None,
    ) -> None:
        self._keys = objective_keys(len(directions))
        several = len(directions) > 1
        super().__init__(
            metric=self._keys if several else OBJECTIVE, mode=list(directions) if several else directions[0]
        )
        self._inner = inner
        self._stopped = stopped
        self._affords = affords
        self._space = space.shape
        self._domains = {parameter.name: parameter.domain for parameter in space.parameters}
        self._baseline = dict(baseline)
        self._limit = limit
        self._count = 0
        self._baseline_trial: str | None = None
        # Tune gives the last result only to trials that end by themselves, so it is kept here.
        self._latest: dict[str, dict[str, Any]] = {}
        self._under_way: set[str] = set()
        self._repeated: tuple[int, dict[str, ParamValue]] | None = None
        # trial to its values, where the inner searcher proposed others
        self._foreign: dict[str, dict[str, ParamValue]] = {}

    def repeat(self, number: int, values: Mapping[str, ParamValue]) -> None:
        """Make the next proposal this one, of an earlier process; the inner searcher proposes too, so that it
        knows the trial.

        A searcher that was made alike and has heard the same proposes the same. From one that does not (it
        has no seed, or is of another version) the trial is withdrawn, and it learns the outcome as that of a
        trial it did not propose, where it can.
        """
        self._repeated = (number, dict(values))

    @property
    def proposed(self) -> int:
        """How many trials were proposed, the baseline included."""
        return self._count

    def upcoming(self, number: int) -> list[dict[str, ParamValue]]:
        """The values of the next trials up to this one, before they are proposed; none where they depend on
        what is still to be learnt."""
        if not isinstance(self._inner, ListSearcher) or self._repeated is not None:
            return []
        if self._limit is None:
            end = number
        else:
            end = min(number, self._limit)
        if self._count == 0:
            first = [dict(self._baseline)]
        else:
            first = []
        following = self._inner.upcoming[: max(0, end - self._count - len(first))]
        return [*first, *map(self._values, following)][: max(0, end - self._count)]

    def suggest(self, trial_id: str) -> object:
        if self._repeated is not None:
            return self._again(trial_id, *self._repeated)
        # FINISHED and not None: Tune ends when nothing is under way, where None would be asked again for
        # ever.
        if self._stopped() or (self._limit is not None and self._count >= self._limit):
            return Searcher.FINISHED
        if self._affords is None:
            answer = "go"
        else:
            answer = self._affords(self._count)
        if answer != "go":
            # Images under way may cost less than was set aside for them, and then there is enough for another
            # trial.
            if answer == "wait":
                return None
            return Searcher.FINISHED
        if self._count == 0:
            self._baseline_trial = trial_id
            values = dict(self._baseline)
        else:
            with self._asking():
                proposed = self._inner.suggest(trial_id)
            if proposed is None and not self._under_way:  # nothing will happen that could change its mind
                raise SearchFailedError(
                    f"{self._name} proposes nothing after {self._count} trials, though none of them is"
                    " under way"
                )
            # None is "not now": it waits for the end of trials that are under way.
            if proposed is None or proposed == Searcher.FINISHED:
                return proposed
            values = self._values(proposed)
        self._under_way.add(trial_id)
        self._count += 1
        return {"number": self._count - 1, "values": values}

    def _again(self, trial_id: str, number: int, values: dict[str, ParamValue]) -> dict[str, object]:
        self._repeated = None
        self._under_way.add(trial_id)
        self._count = number + 1
        if number == 0:
            self._baseline_trial = trial_id
            return {"number": number, "values": values}
        # Asked although its answer is known: it must draw as it did then, so that the sets after this one are
        # those that it would have proposed.
        with self._asking():
            proposed = self._inner.suggest(trial_id)
        none = proposed is None or proposed == Searcher.FINISHED
        if none or self._values(proposed) != values:
            self._foreign[trial_id] = values
            if isinstance(self._inner, ListSearcher) and not none:
                self._inner.put_back(proposed, lambda one: self._values(one) == values)
            elif not none:
                with self._asking():
                    self._inner.on_trial_complete(trial_id, None, True)
        return {"number": number, "values": values}

    def _values(self, proposed: Mapping[str, object]) -> dict[str, ParamValue]:
        """Parameter name to value, of what the inner searcher proposes."""
        # Conditions are ours, not the searcher's: what does not apply is left out of what it proposes.
        names = neutral(self._space)
        return dict(
            self._space.active(
                {names[key]: self._clean(names[key], value) for key, value in proposed.items()}
            )
        )

    def _unknown(self, trial_id: str) -> dict[str, ParamValue] | None:
        """The values of a trial that the inner searcher did not propose; None of the others."""
        # The workflow's own values come from nobody's proposal.
        if trial_id == self._baseline_trial:
            return self._baseline
        return self._foreign.get(trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, object]) -> None:
        self._latest[trial_id] = result
        if self._unknown(trial_id) is None and self._scored(result):
            if isinstance(self._inner, OptunaSearch):  # counts Tune's calls, which begin anew on a resume
                result = {**result, TRAINING_ITERATION: result[TIME]}
            with self._asking():
                self._inner.on_trial_result(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._under_way.discard(trial_id)
        latest = self._latest.pop(trial_id, None)
        result = result or latest  # a trial that is stopped while it is paused comes without its result
        scored = result is not None and self._scored(result)
        with self._asking():
            values = self._unknown(trial_id)
            if values is None:
                self._inner.on_trial_complete(trial_id, result if scored else None, error or not scored)
            # Only now, not with each report: it would count as a finished trial several times.
            elif scored and result is not None:
                self._teach(values, [result[key] for key in self._keys])
        self._foreign.pop(trial_id, None)

    def on_pause(self, trial_id: str) -> None:
        """The scheduler hb_bohb has paused a trial."""
        if self._unknown(trial_id) is None and hasattr(self._inner, "on_pause"):
            self._inner.on_pause(trial_id)

    def on_unpause(self, trial_id: str) -> None:
        """The scheduler hb_bohb lets a trial go on."""
        if self._unknown(trial_id) is None and hasattr(self._inner, "on_unpause"):
            self._inner.on_unpause(trial_id)

    def __getstate__(self) -> dict[str, object]:
        # Tune keeps a copy of its searcher; who may stop it belongs to this process
        return {**self.__dict__, "_stopped": bool, "_affords": None}

    @property
    def _name(self) -> str:
        return type(self._inner).__name__

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Say whose fault it is when a searcher fails: its code is not ours."""
        try:
            yield
        except Exception as error:
            # Tune would print the error of somebody else's searcher and end the search without a reason
            raise SearchFailedError(
                f"{self._name} failed after {self._count} trials: {type(error).__name__}: {error}"
            ) from error

    def _scored(self, result: Mapping[str, object]) -> bool:
        return all(_finite(result.get(key)) for key in self._keys)

    def _teach(self, given: Mapping[str, ParamValue], scores: list[float]) -> None:
        """Tell the inner searcher of a set that it did not propose."""
        if not self._space.contains(given):
            return
        varying = {parameter.name for parameter in self._space.varying}
        if hasattr(self._inner, "learn"):
            self._inner.learn(dict(given), scores)
        # Ray's searcher for Optuna takes points from elsewhere only whole, and with one score.
        elif isinstance(self._inner, OptunaSearch) and len(scores) == 1 and varying <= given.keys():
            values = {key: given[name] for key, name in neutral(self._space).items() if name in varying}
            self._inner.add_evaluated_point(values, scores[0])

    def _clean(self, name: str, value: Any) -> ParamValue:  # noqa: ANN401  (numpy scalars in, Python values out)
        domain = self._domains[name]
        if isinstance(value, np.generic):
            value = value.item()
        if domain.bounds is not None and not domain.contains(value):
            value = domain.nearest(value)  # many searchers know no steps and draw what lies between them
        cleaned: ParamValue = domain.clean(value)
        return cleaned

    def save(self, checkpoint_path: str) -> None:
        self._inner.save(checkpoint_path)

    def restore(self, checkpoint_path: str) -> None:
        self._inner.restore(checkpoint_path)


def tune_domains(space: Space) -> dict[str, object]:
    """Neutral name to the domain as Tune has it; of constants Tune knows nothing."""
    named = zip(neutral(space), space.parameters, strict=True)
    return {key: to_tune(parameter.domain) for key, parameter in named if parameter.domain.kind != "constant"}


def neutral(space: Space) -> dict[str, str]:
    """Neutral name to parameter name."""
    return {f"p{index}": parameter.name for index, parameter in enumerate(space.parameters)}


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
