"""Algorithms and schedulers by name, one row each: all that reading a search file must know of them. Needs no
Ray.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pixaris.search.algorithms.options import FLAG, GUARDS, NUMBER, WHOLE, Option, options_of

_NOT_OURS = frozenset(
    (
        "space",
        "dim_dict",
        "metric",
        "mode",
        "points_to_evaluate",
        "evaluated_rewards",
        "study_name",
        "verbose",
    )
)
"""Arguments of Tune's searchers that the search itself gives."""


@dataclass(frozen=True)
class Draws:
    """Which domains an algorithm can draw from.

    Attributes:
        continuous: Those without a list of values.
        grid_search: Every value of a grid_search domain: it goes through all of them.
        lacks: Kinds that it cannot draw from.
        only: The only kinds that it can; empty for all but `lacks`.
    """

    continuous: bool = True
    grid_search: bool = False
    lacks: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()

    def can(self, kind: str) -> bool:
        """Whether it can draw from a kind of domain."""
        return kind not in self.lacks and (not self.only or kind in self.only)


_NO_NORMAL = Draws(lacks=frozenset(("randn", "qrandn")))


@dataclass(frozen=True)
class AlgorithmInfo:
    """What an algorithm or scheduler takes.

    Attributes:
        options: Option name to its form, where the table says them.
        homes: ``module:Class`` of the classes whose arguments are options too; the first one is the searcher.
        modules: What must be importable, and …
        packages: … what to install for it.
        draws: Which domains it can draw from.
        samples: It goes by ``num_samples``.
        seeded: The searcher's argument for the seed, or "".
        many: It knows several objectives.
    """

    options: Mapping[str, Option] = field(default_factory=dict)
    homes: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    packages: str = ""
    draws: Draws = Draws()
    samples: bool = True
    seeded: str = ""
    many: bool = False


def _tune(name: str, cls: str, *also: str) -> tuple[str, ...]:
    return (f"ray.tune.search.{name}.{name}_search:{cls}", *also)


ALGORITHMS: Mapping[str, AlgorithmInfo] = {
    "auto": AlgorithmInfo(many=True),
    "gp": AlgorithmInfo({"in_flight": WHOLE}),
    "grid": AlgorithmInfo(draws=Draws(continuous=False, grid_search=True), samples=False, many=True),
    "random": AlgorithmInfo(draws=Draws(grid_search=True), many=True),
    "tpe": AlgorithmInfo(
        {
            "n_startup_trials": WHOLE,
            "n_ei_candidates": WHOLE,
            "multivariate": FLAG,
            "group": FLAG,
            "prior_weight": Option("number", above=0),
        },
        many=True,
    ),
    "optuna": AlgorithmInfo({"sampler": Option("text")}, many=True),
    "hyperopt": AlgorithmInfo(
        homes=_tune("hyperopt", "HyperOptSearch"),
        modules=("hyperopt",),
        packages="hyperopt",
        seeded="random_state_seed",
    ),
    "bayesopt": AlgorithmInfo(
        homes=_tune("bayesopt", "BayesOptSearch"),
        modules=("bayes_opt",),
        # Ray's searcher calls an interface that later versions have dropped.
        packages="bayesian-optimization==1.4.3",
        draws=Draws(only=frozenset(("uniform", "quniform"))),
        seeded="random_state",
    ),
    "ax": AlgorithmInfo(
        homes=_tune("ax", "AxSearch", "ax.service.ax_client:AxClient"),
        modules=("ax",),
        packages="ax-platform",
        draws=_NO_NORMAL,
        seeded="random_seed",
    ),
    "nevergrad": AlgorithmInfo(
        {"optimizer": Option("text")},
        homes=_tune("nevergrad", "NevergradSearch"),
        modules=("nevergrad",),
        packages="nevergrad",
        draws=_NO_NORMAL,
    ),
    "zoopt": AlgorithmInfo(
        homes=_tune("zoopt", "ZOOptSearch"),
        modules=("zoopt",),
        packages="zoopt",
        draws=Draws(only=frozenset(("choice", "constant", "uniform", "quniform", "randint", "qrandint"))),
    ),
    "hebo": AlgorithmInfo(
        homes=_tune("hebo", "HEBOSearch", "hebo.optimizers.hebo:HEBO"),
        modules=("hebo", "torch"),
        packages="HEBO",
        draws=_NO_NORMAL,
        seeded="random_state_seed",
    ),
    "bohb": AlgorithmInfo(
        homes=_tune("bohb", "TuneBOHB"),
        modules=("hpbandster", "ConfigSpace"),
        packages="hpbandster ConfigSpace",
        draws=_NO_NORMAL,
        seeded="seed",
    ),
}

SCHEDULERS: Mapping[str, AlgorithmInfo] = {
    "race": AlgorithmInfo(
        {"p": NUMBER, "guarantee": NUMBER, "min_effect": NUMBER, "guard": GUARDS}, many=True
    ),
    "fifo": AlgorithmInfo(many=True),
    "asha": AlgorithmInfo(
        {"grace_period": WHOLE, "reduction_factor": Option("number", above=1), "brackets": WHOLE}
    ),
    "median": AlgorithmInfo(
        {
            "grace_period": WHOLE,
            "min_samples_required": WHOLE,
            "min_time_slice": Option("whole", at_least=0),
            "hard_stop": FLAG,
        }
    ),
    "hyperband": AlgorithmInfo({"reduction_factor": Option("number", above=1)}),
    "hb_bohb": AlgorithmInfo({"reduction_factor": Option("number", above=1)}),
}
ALIASES: Mapping[str, str] = {
    "async_hyperband": "asha",
    "asynchyperband": "asha",
    "median_stopping_rule": "median",
    "medianstopping": "median",
    "variant_generator": "random",
}
"""Ray Tune's other names for rows of these tables."""

REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        ("pbt", "pbt_replay", "pb2"),
        "changes a trial's parameters while it runs, and here a trial is one parameter set over the eval set,"
        " so that its images can be compared",
    ),
    "resource_changing": "changes a trial's CPUs and GPUs while it runs, and here the endpoints do the work",
}
"""Schedulers of Ray Tune that make no sense for images, and why."""


def strategy_options(name: str, strategy: AlgorithmInfo, given: Mapping[str, object]) -> dict[str, Option]:
    """Every option a strategy takes; those of Ray's and others' classes are asked for only where some are
    given.
    """
    if name == "optuna":
        sampler = sampler_name(str(given.get("sampler", "TPE")))
        if sampler:
            found = options_of((f"optuna.samplers:{sampler}",), ("seed",))
        else:
            found = {}
        return {**strategy.options, **found}
    if not (given and strategy.homes):
        return dict(strategy.options)
    return {**strategy.options, **options_of(strategy.homes, _NOT_OURS)}


SAMPLERS = (
    "TPESampler",
    "CmaEsSampler",
    "GPSampler",
    "NSGAIISampler",
    "NSGAIIISampler",
    "QMCSampler",
    "RandomSampler",
)
"""Optuna's samplers that need no objects of the caller's."""
SAMPLER_MODULES: Mapping[str, tuple[str, str]] = {
    "CmaEsSampler": ("cmaes", "cmaes"),
    "GPSampler": ("torch", "torch"),
}


def sampler_name(text: str) -> str:
    """Optuna's class for what a user calls it (``CmaEs``, ``cmaes``, ``CmaEsSampler``), or ""."""
    wanted = text.lower().replace("-", "").replace("_", "").removesuffix("sampler")
    return next((name for name in SAMPLERS if name.lower().removesuffix("sampler") == wanted), "")
