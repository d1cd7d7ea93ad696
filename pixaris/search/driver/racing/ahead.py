"""Images of a race that are asked for before a trial's process gets to them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from pixaris.exceptions import PixarisError
from pixaris.experiment.scoring import Scorer
from pixaris.experiment.snapshots import RunSnapshot
from pixaris.experiment.submitters import AHEAD
from pixaris.search.algorithms.race_book import Book
from pixaris.search.algorithms.searchers import BaselineFirst
from pixaris.search.driver.ahead.prefetch import Sender
from pixaris.search.driver.racing.trial import turn_of
from pixaris.search.driver.trial import TrialConfig, experiment_run
from pixaris.types import ItemResult, ParamValue

log = logging.getLogger(__name__)

_FOR_A_SLOT = 2
"""Images that are asked for or wait to be scored, for every slot of the endpoints."""

Values = Mapping[str, ParamValue]


class RaceAhead:
    """Keeps every slot of the endpoints busy: asks for the items that come next, and behind them for those of
    the best sets that would come after the next look.

    Args:
        config: What trials are made from.
        race: Knows what comes next.
        proposals: Knows which sets come.
    """

    def __init__(self, config: TrialConfig, race: Book, proposals: BaselineFirst) -> None:
        self._config = config
        self._race = race
        self._proposals = proposals
        self._values: dict[int, Values] = {}
        self._asked: set[tuple[int, int]] = set()
        self._scorer = Scorer(())
        self._most = max(2, _FOR_A_SLOT * config.pace.slots // max(1, config.setup.seeds))

    def began(self, number: int, values: Values) -> None:
        """A trial was handed to Tune."""
        self._values[number] = values
        self.refill()

    def reported(self, number: int, items: int) -> None:
        """A trial has so many items."""
        for done in [turn for turn in self._asked if turn[0] == number and turn[1] < items]:
            self._asked.discard(done)
        self.refill()

    def over(self, number: int) -> None:
        """A trial is over: what was asked for it is not wanted any more."""
        for turn in [turn for turn in self._asked if turn[0] == number]:
            self._asked.discard(turn)
            # To close a client's connection cancels what it has asked for.
            self._config.services.pool.connect(turn_of(self._config.run_id(number), turn[1])).close()

    def refill(self) -> None:
        """Ask for as much as there is room for."""
        room = self._most - len(self._asked)
        if room <= 0:
            return
        for number, items, certain in self._wanted():
            if (number, items) in self._asked:
                continue
            self._asked.add((number, items))
            self._ask(number, items, AHEAD if certain else AHEAD + 1)
            room -= 1
            if room == 0:
                return

    def _wanted(self) -> Iterator[tuple[int, int, bool]]:
        later = []
        for number, items, certain in self._race.upcoming():
            if certain:
                yield number, items, True
            else:
                later.append((number, items, False))
        yield from self._coming()
        yield from later

    def _coming(self) -> Iterator[tuple[int, int, bool]]:
        """The first items of sets that are still to be proposed."""
        fresh = self._proposals.proposed
        for number, values in enumerate(self._proposals.upcoming(fresh + self._race.room), fresh):
            self._values[number] = values
            yield number, 0, True

    def _ask(self, number: int, items: int, priority: int) -> None:
        config = self._config
        turn = turn_of(config.run_id(number), items)
        values = self._values[number]
        try:
            sender = Sender(config, config.run_id(number), turn, priority)
            run = experiment_run(config, config.setup, number, values, sender, self._scorer)
            # As if the items before were done: the run then asks for the next one.
            run.go_on_from(RunSnapshot(self._done(items), 0.0, 0.0))
            run.start_ahead(1)
        except PixarisError:  # the trial itself will meet it, and tell
            log.debug("nothing is asked for ahead for trial %d", number, exc_info=True)

    def _done(self, items: int) -> dict[int, ItemResult]:
        names = self._config.setup.eval_set.items
        return {index: ItemResult(index, names[index].name) for index in self._config.setup.indices()[:items]}
