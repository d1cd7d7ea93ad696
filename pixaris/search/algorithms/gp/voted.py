"""Thompson sampling from votes as a searcher of Ray Tune."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ray.tune.search import Searcher

from pixaris.search.algorithms.gp.cube import Point
from pixaris.search.algorithms.gp.thompson import Heard, Thompson
from pixaris.search.algorithms.gp.values import ValueCube
from pixaris.types import ParamValue


class VotedSearcher(Searcher):
    """Proposes the sets of one round: what votes say does not change within it.

    Args:
        cube: The space.
        heard: What the votes say of the sets of earlier rounds.
        keys: Parameter name to the neutral name that searchers use.
        metric: The key of the objective, which it does not read.
        mode: Its direction.
        first: Parameter sets to propose first, by neutral names.
        seed: Makes it repeatable.
    """

    def __init__(
        self,
        cube: ValueCube,
        heard: Heard,
        keys: Mapping[str, str],
        metric: str | list[str],
        mode: str | list[str],
        *,
        first: Sequence[Mapping[str, ParamValue]] = (),
        seed: int | None = None,
    ) -> None:
        super().__init__(metric=metric, mode=mode)
        self._cube = cube
        self._keys = dict(keys)
        self._names = {key: name for name, key in self._keys.items()}
        self._first = [dict(one) for one in first]
        self._thompson = Thompson(cube.cube, heard, seed)
        self._proposed: dict[str, Point] = {}
        self._learnt: set[Point] = set()

    def suggest(self, trial_id: str) -> Any:  # noqa: ANN401  (a config, or Searcher.FINISHED)
        if self._first:
            config = self._first.pop(0)
            self._proposed[trial_id] = self._cube.point({self._names[key]: config[key] for key in config})
            return config
        point = self._thompson.next([*self._proposed.values(), *self._learnt])
        if point is None:
            # Not None: votes will not come within a round, so waiting would be for ever.
            return Searcher.FINISHED
        self._proposed[trial_id] = point
        return {self._keys[name]: value for name, value in self._cube.values(point).items()}

    def learn(self, values: Mapping[str, ParamValue], scores: list[float]) -> None:
        """Take in a set that it did not propose, so that it is not proposed again."""
        self._learnt.add(self._cube.point(values))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A set that came to nothing may be proposed again: another was run in its place, or it failed."""
        if error:
            self._proposed.pop(trial_id, None)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_thompson": None, "_cube": None}  # Tune keeps copies, which nobody reads

    def save(self, checkpoint_path: str) -> None:
        """Nothing is kept: the next round makes it anew of the votes."""

    def restore(self, checkpoint_path: str) -> None:
        """See `save`."""
