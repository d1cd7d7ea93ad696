"""Trials whose processes died: they are run again, in whatever state Tune had them.

Tune runs a trial again that dies while it runs, as often as its failure config allows. A process that dies
while Tune hands it to the next trial takes that trial with it, for good. So this gives Tune a new trial of
the same number and values in its place.
"""

from __future__ import annotations

import copy
from collections import Counter

from ray.tune.experiment import Trial

MOST_REPLACEMENTS = 3
"""How often a trial that Tune has given up is replaced: each time, Tune itself runs it three times."""


class LostTrials:
    """Replaces trials that Tune has given up.

    Attributes:
        waiting: Numbers of trials that wait to be run again.
        any_reported: Whether any trial of this process has ever reported. As long as none has, it is not
            processes that die but trials that cannot be made, and making them again is in vain.
    """

    def __init__(self) -> None:
        self.waiting: set[int] = set()
        self.any_reported = False
        self._handed_out: dict[str, Trial] = {}
        self._first_ids: dict[str, str] = {}
        self._replacements: Counter[int] = Counter()

    def handed_out(self, trial: Trial) -> None:
        """Remember a trial that Tune is given."""
        self._handed_out[trial.trial_id] = trial
        self.waiting.discard(trial.config["number"])

    def first_id(self, trial_id: str) -> str:
        """The id that a trial had first: what searchers know it by."""
        return self._first_ids.get(trial_id, trial_id)

    def another(self, trial_id: str) -> Trial | None:
        """A trial in the place of one that Tune has given up; None where that is in vain.

        Args:
            trial_id: The trial that died.
        """
        lost = self._handed_out.pop(trial_id, None)
        if lost is None or not self.any_reported:
            return None
        number = lost.config["number"]
        self._replacements[number] += 1
        if self._replacements[number] > MOST_REPLACEMENTS:
            return None
        # A new trial with a new id: Tune never runs one again that it has given up.
        trial = lost.reset()
        # Of its own: what the scheduler writes into it must not reach the one that is lost.
        trial.config = copy.deepcopy(lost.config)
        if lost.last_result:
            trial.config["reported"] = int(lost.last_result.get("items", 0))
        else:
            trial.config["reported"] = 0
        self._first_ids[trial.trial_id] = self.first_id(trial_id)
        self.waiting.add(number)
        return trial
