"""The keys of a search file, as values: the reader goes by them, and so do the schema and the reference.

What the sections of endpoints take is declared by their sources, what algorithms and schedulers take by their
catalog, what a metric takes by its class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pixaris.endpoints.dispatch.policy import Policy
from pixaris.experiment.setup import MOST_SEEDS
from pixaris.search.algorithms.options import WHOLE, Option
from pixaris.search.file.reader import Reader
from pixaris.search.file.yaml_file import join
from pixaris.search.settings import DEFAULT_SAMPLES, Recheck
from pixaris.search.space.conditions import LIMITS

_MAX_SECONDS = 30 * 86_400
_MOST_SETS = 100
_MAX_SEED = 2**32 - 1
FEWEST_HELD_OUT = 8
TOP = 5
"""Sets that are taken from an earlier search, where nobody says how many."""

TEXT = Option("text")
ABOVE_ZERO = Option("number", above=0)


@dataclass(frozen=True)
class Key:
    """One key.

    Attributes:
        name: As it stands in the file.
        meaning: What it says, in a few words.
        form: The single value that it takes; None where a part of the reader knows what may stand there.
        default: What counts if it is left out, in words; "" where there is nothing to say.
    """

    name: str
    meaning: str
    form: Option | None = None
    default: str = ""


FILE = (
    Key("name", "name of the search; names its results folder", TEXT, "the file's name"),
    Key("project", "project it belongs to", TEXT, "required"),
    Key("dataset", "the eval set", default="required"),
    Key("generator", "what generates, with its workflow", default="required"),
    Key("endpoints", "where it generates", default="required, or --endpoint URL"),
    Key("generation_params", "values that are the same in every trial", default="none"),
    Key("parameters", "what varies", default="required for a search, not for a single run"),
    Key("metrics", "what scores the images", default="required for a search"),
    Key("objective", "the score to optimise", default="required for a search"),
    Key("search", "how the space is searched"),
    Key(
        "seeds",
        "images of every item, each with a seed of its own",
        Option(at_least=1, at_most=MOST_SEEDS),
        "1",
    ),
    Key("budget", "what the search may spend", default="no limit"),
    Key("limits", "how long a search waits for endpoints, how often an image is tried"),
    Key(
        "recheck",
        "runs the best sets and the baseline once more after the search, with new seeds",
        default="not done",
    ),
    Key(
        "holdout",
        "items that the search does not see, and that the winner and the baseline are run on in the end:"
        f" at least {FEWEST_HELD_OUT}",
        Option(at_least=0),
        "0",
    ),
    Key(
        "cache",
        "whether images come from the cache and are kept in it, or gs://BUCKET/FOLDER that shares it",
        default="true",
    ),
    Key("results", "folder for the results", TEXT, "the configured one"),
    Key("storage", "bucket in which the search is kept as it grows, gs://BUCKET/FOLDER", TEXT, "none"),
)

DATASET = (
    Key("name", "its name, under the project in the configured folder", TEXT),
    Key("path", "its folder, from the file's folder, or gs://BUCKET/FOLDER", TEXT),
    Key("prompts", "a file of prompts, every row an item", TEXT),
    Key("columns", "of a file of prompts, column name to the inputs that it feeds"),
    Key("references", "folders that only metrics see"),
)

TARGET = (
    Key("node_name", "the node's title in the workflow", TEXT),
    Key("input", "the name of the node's input", TEXT),
)

FIXED = (*TARGET, Key("value", "the value it has in every trial"))

PARAMETER = (
    *TARGET,
    Key("targets", "several inputs that get one value, or named ones for values that move together"),
    Key("when", "the parameters it depends on, and what they must be like"),
    Key("template", "a text with parameters in it", TEXT),
    Key("images", "image files to choose from, or a folder of them"),
)

CONDITION = (
    *(
        Key(name, f"the other parameter is {name.replace('_', ' ')} this", Option("number"))
        for name in LIMITS
    ),
    Key("not", "the other parameter has none of these values"),
)

OBJECTIVE = (
    Key("metric", "the score to optimise", TEXT),
    Key("direction", "max or min", default="the metric's own"),
    Key(
        "failures",
        "how items without a score count when sets are compared: skip leaves them out, worst counts them as"
        " the worst that can be",
        default="skip",
    ),
)

SEARCH = (
    Key(
        "algorithm",
        "proposes the parameter sets",
        default="grid if every domain is grid_search, else auto",
    ),
    Key(
        "num_samples",
        "how many parameter sets it proposes",
        WHOLE,
        f"{DEFAULT_SAMPLES}; a grid has as many as it has; with auto and a budget of images, what the budget"
        " pays for",
    ),
    Key("scheduler", "stops bad trials early", default="race"),
    Key(
        "seed",
        "of the algorithm and of the items' order",
        Option(at_least=0, at_most=_MAX_SEED),
        "none",
    ),
    Key("step", "images between two reports of a trial", WHOLE, "chosen for the scheduler"),
    Key("max_concurrent", "trials at once", WHOLE, "as many as keep the endpoints busy"),
    Key("points_to_evaluate", "parameter sets to try first", default="none"),
)

EARLIER = (
    Key("from", "an earlier search, whose best sets are tried first", TEXT),
    Key("top", "how many of them", WHOLE, str(TOP)),
)

BUDGET = (
    Key("images", "images generated; those that come from a cache cost nothing", WHOLE),
    Key("seconds", "wall time since the search was started", ABOVE_ZERO),
    Key(
        "endpoint_seconds",
        "seconds that the servers ran for images, added up over all endpoints",
        ABOVE_ZERO,
    ),
    Key("credits", "what the endpoints' account was charged, in its unit", ABOVE_ZERO),
)

_POLICY = Policy()
LIMIT = (
    Key(
        "wait",
        "seconds that a search waits while no endpoint answers",
        Option(at_least=1, at_most=_MAX_SECONDS),
        f"{_POLICY.wait_limit:g}",
    ),
    Key(
        "attempts",
        "endpoint failures that an image survives",
        Option(at_least=1, at_most=1000),
        str(_POLICY.max_attempts),
    ),
)

_USUAL = Recheck()
RECHECK = (
    Key(
        "top",
        "sets that are run once more, the best first; the baseline comes on top",
        Option(at_least=1, at_most=_MOST_SETS),
        str(_USUAL.top),
    ),
    Key(
        "seeds",
        "images of every item, with seeds that the search has not used",
        Option(at_least=1, at_most=MOST_SEEDS),
        str(_USUAL.seeds),
    ),
)


def names(keys: Sequence[Key]) -> tuple[str, ...]:
    """The names of keys, in their order."""
    return tuple(key.name for key in keys)


def key_of(keys: Sequence[Key], name: str) -> Key:
    """The key of a name."""
    return next(key for key in keys if key.name == name)


def read_values(reader: Reader, path: str, fields: Mapping[str, Any], keys: Sequence[Key]) -> dict[str, Any]:
    """The single values of a section, each read by its key's form; without those that are wrong, which is
    told.

    Args:
        reader: Collects the problems.
        path: The section's place.
        fields: The section.
        keys: Its keys.
    """
    found = {}
    for key in keys:
        if key.form is None or key.name not in fields:
            continue
        value = key.form.read(reader, join(path, key.name), fields[key.name])
        if value is not None:
            found[key.name] = value
    return found
