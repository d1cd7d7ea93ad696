"""The guide as a searcher of Ray Tune."""

from __future__ import annotations

from ray.tune.search import Searcher

from pixaris.search.algorithms.gp.guide import Guide
from pixaris.search.algorithms.gp.values import ValueCube


class GpSearcher(Searcher):
    """Proposes the sets that a guide has given a turn, in the order in which it did; the guide itself hears
    of their images through `GuidedBook`.

    Args:
        guide: Its first row is the baseline, which is proposed by others.
        cube: Knows the values at a point.
        keys: Parameter name to the neutral name that searchers use.
        metric: The key of the objective, which it does not read.
        mode: Its direction.
    """

    def __init__(self, guide: Guide, cube: ValueCube, keys: dict[str, str], metric: str, mode: str) -> None:
        super().__init__(metric=metric, mode=mode)
        self._guide = guide
        self._cube = cube
        self._keys = keys
        self._next = 1

    def suggest(self, trial_id: str) -> object:
        if self._next >= len(self._guide.points):
            # "Not now": the guide has no new set until it has heard more. Tune asks again.
            return None
        self._next += 1
        values = self._cube.values(self._guide.points[self._next - 1])
        return {self._keys[name]: value for name, value in values.items()}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, object] | None = None, error: bool = False
    ) -> None:
        """Nothing is learnt here."""

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_guide": None, "_cube": None}  # Tune keeps copies, which nobody reads

    def save(self, checkpoint_path: str) -> None:
        """Nothing is kept: a search that goes on is told what happened."""

    def restore(self, checkpoint_path: str) -> None:
        """See `save`."""
