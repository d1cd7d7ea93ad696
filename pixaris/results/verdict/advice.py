"""What to do now that a search has ended: the step that its verdict asks for, as a command."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import ConfigurationError
from pixaris.files import JsonMapping
from pixaris.results.manifest import read_manifest
from pixaris.results.paths import SearchPaths, trial_name
from pixaris.results.verdict.base import Judged, NextStep, Verdict
from pixaris.results.verdict.rechecked import Rechecked
from pixaris.results.verdict.words import names

_RANGES = ("uniform", "loguniform", "quniform", "qloguniform")
_WHOLE = ("randint", "lograndint", "qrandint", "qlograndint")
_AT_THE_EDGE = 0.05
"""Of a domain's width."""
_FARTHER = 10
"""Times as far that a logarithmic domain is widened."""
# Less than that no forest of so few trials tells from nothing.
_NO_INFLUENCE = 0.01
# Six are the fewest that give an interval, and some may fail.
_HELD_OUT = 8
_LEFT = 6
"""Items that a search must keep when others are held out."""
_ENOUGH = 20
"""Trials below which a small share of the variance says nothing."""
_EXHAUSTIVE = ("grid",)


@dataclass(frozen=True)
class _Known:
    """What a search was made from, as far as advice needs it.

    Attributes:
        folder: The search's.
        file: The search file; None for a search that Python made.
        manifest: All of it.
    """

    folder: Path
    file: str | None
    manifest: JsonMapping

    @classmethod
    def of(cls, search: Judged) -> _Known:
        """As the search's folder has it."""
        manifest = read_manifest(SearchPaths(search.folder))
        file = manifest.get("file")
        return cls(search.folder, file if isinstance(file, str) else None, manifest)

    def again(self, *words: str) -> tuple[str | Path, ...]:
        """The command that searches again, with what the search was told beside its file, and changed;
        empty without a search file.
        """
        if self.file is None:
            return ()
        return ("search", Path(self.file), *self.manifest.get("changes", ()), *words)

    @property
    def takes_seeds(self) -> bool:
        """Whether another seed makes another image."""
        workflow = self.manifest.get("workflow")
        if not workflow:
            return True
        try:
            graph = Workflow.load(workflow)
        # The workflow cannot be read any more: then nobody knows, and no advice is better than a wrong one.
        except ConfigurationError:
            return False
        # A seed that the user fixes or varies is no longer ours to choose.
        given = {(param.get("node_name"), param.get("input")) for param in self._params()}
        return any(not {(node.title, name), (node.id, name)} & given for node, name in graph.seeds())

    def _params(self) -> Sequence[Mapping[str, object]]:
        fixed = self.manifest.get("generation_params", [])
        return [*fixed, *self.manifest.get("space", {}).values()]


def next_steps(search: Judged, verdict: Verdict) -> tuple[NextStep, ...]:
    """The steps, the most pressing first.

    Args:
        search: A search that has ended.
        verdict: What it says.
    """
    known = _Known.of(search)
    steps = [
        *_of_kind(known, search, verdict),
        *_of_ties(known, verdict, search),
        *_of_edges(known, search, verdict),
    ]
    # Only of a winner that is one: what chance alone chose says nothing of the parameters.
    if verdict.kind in ("better", "needs a re-check"):
        steps += _of_influence(known, search)
    return tuple(steps)


def _of_kind(known: _Known, search: Judged, verdict: Verdict) -> list[NextStep]:
    again = search.recheck
    # Most pressing: what has been begun is paid for in part.
    if again is not None and again.status != "finished":
        return [NextStep("The re-check has not come to its end; go on with it.", ("recheck", known.folder))]
    if search.status == "interrupted" and verdict.kind in ("baseline", "too few items"):
        return [NextStep("The search has not come to its end; go on with it.", known.again("--resume"))]
    winner = next((trial for trial in search.trials if trial.number == verdict.winner), None)
    checked = winner is not None and Rechecked.of(search, winner) is not None
    if verdict.kind in ("better", "needs a re-check", "no evidence") and not checked:
        if known.takes_seeds:
            words = "Run the best few and the baseline once more, with seeds that the search has not used."
            return [NextStep(words, ("recheck", known.folder))]
        if verdict.kind == "needs a re-check" or (verdict.kind == "better" and verdict.expected is None):
            return [_of_luck(known, search)]
    if verdict.kind == "baseline":
        if known.manifest.get("algorithm") in _EXHAUSTIVE:
            words = "Every set of the grid was tried: widen a domain, or vary another input."
            # A generator of another kind has none, and nothing to write a file from.
            workflow = SearchPaths(known.folder).trial(0).workflow
            return [NextStep(words, ("space", workflow) if workflow.is_file() else ())]
        images = known.manifest.get("guided_images")
        if isinstance(images, int):
            words = "Try more sets, with twice the images; those that were made are in the cache."
            return [NextStep(words, known.again("--set", f"budget.images={2 * images}"))]
        words = "Try more sets; the search goes on where it ended."
        samples = known.manifest.get("num_samples")
        # A search without a number of sets goes by its budget.
        more = (2 * samples,) if isinstance(samples, int) else ()
        return [NextStep(words, known.again("--resume", *(f"--num-samples={count}" for count in more)))]
    if verdict.kind == "too few items":
        return [
            NextStep(
                "Add items to the eval set; six that both sets have give an interval, a dozen a good one."
            )
        ]
    return []


def _of_luck(known: _Known, search: Judged) -> NextStep:
    """How luck is told from a gain where another seed gives the same image: by other items."""
    start = "Another seed changes nothing here:"
    needed = _HELD_OUT + _LEFT
    if len(search.items) < needed:
        return NextStep(
            f"{start} have {needed} items or more, and hold {_HELD_OUT} of them out of the next search"
            f" (holdout: {_HELD_OUT}), to try its winner on."
        )
    words = f"{start} hold items out of the next search, to try its winner on."
    return NextStep(words, known.again("--set", f"holdout={_HELD_OUT}"))


def _of_ties(known: _Known, verdict: Verdict, search: Judged) -> list[NextStep]:
    if not verdict.tied or verdict.winner is None:
        return []
    others = [trial for trial in search.trials if trial.number != 0]
    all_went_through = all(trial.items >= len(search.items) for trial in others)
    first = known.folder / trial_name(verdict.winner)
    second = known.folder / trial_name(verdict.tied[0])
    words = f"See item by item what tells it from {names(verdict.tied[:1])}."
    if all_went_through and len(verdict.tied) + 1 >= len(others) > 2:
        metric = search.objectives[0].metric
        words = (
            f"All sets are tied: {metric} does not see what the parameters do, or the items are too few."
            f" Look at where the first two differ most."
        )
    return [NextStep(words, ("compare", first, second))]


def _of_edges(known: _Known, search: Judged, verdict: Verdict) -> list[NextStep]:
    """Parameters whose best value lies at an end of what was searched."""
    if verdict.kind not in ("better", "needs a re-check"):
        return []
    values = next(trial.values for trial in search.trials if trial.number == verdict.winner)
    steps = []
    for name, row in known.manifest.get("space", {}).items():
        kind = next((kind for kind in (*_RANGES, *_WHOLE) if isinstance(row.get(kind), list)), None)
        value = values.get(name)
        if kind is None or not isinstance(value, int | float) or isinstance(value, bool):
            continue
        wider = _widened(kind, row[kind], float(value))
        if wider is not None:
            end, domain = wider
            words = f"{name} = {value:.6g} lies at the {end} end of its domain: the best may lie beyond."
            change = f"parameters.{name}.{kind}={json.dumps(domain)}"
            steps.append(NextStep(words, known.again("--set", change)))
    return steps


def _widened(kind: str, domain: Sequence[Any], value: float) -> tuple[str, list[Any]] | None:
    """Which end a value lies at, and the domain with that end moved out; None if it lies within."""
    low, high, *rest = domain
    last = high - 1 if kind in ("randint", "lograndint") else high  # Tune's own leave out the upper end
    if not low < last:
        return None
    share = math.log(value / low) / math.log(last / low) if "log" in kind else (value - low) / (last - low)
    # A whole number lies at an end or does not.
    near = 0.0 if kind in _WHOLE else _AT_THE_EDGE
    if share >= 1.0 - near:
        return "upper", [low, high * _FARTHER if "log" in kind else high + (last - low), *rest]
    lower = _lower(kind, low, last)
    if share <= near and lower < low:
        return ("lower", [lower, high, *rest])
    return None


def _lower(kind: str, low: float, last: float) -> float:
    """A lower end farther out. What is positive stays so: few inputs of nodes may be less than 0, or a count
    less than 1.
    """
    if kind in _WHOLE and low > 0:
        return max(1, low // _FARTHER if "log" in kind else low - (last - low))
    if "log" in kind:
        return low / _FARTHER
    if low >= 0:
        return max(0.0, low - (last - low))
    return low - (last - low)


def _of_influence(known: _Known, search: Judged) -> list[NextStep]:
    """Parameters that explain next to nothing of the scores."""
    # Below that the forest finds structure in noise.
    if sum(trial.objective is not None for trial in search.trials) < _ENOUGH:
        return []
    try:
        shares = search.importance()
    except ConfigurationError:  # there is nothing to tell them by
        return []
    idle = [name for name, share in shares.items() if share < _NO_INFLUENCE]
    steps = []
    for name in idle:
        words = (
            f"{name} explains {shares[name]:.1%} of what the parameters do: leave it out of the next search."
        )
        steps.append(NextStep(words, known.again("--set", f"parameters.{name}=null")))
    return steps
