"""The order of trials that needs few model loads. Pure.

A list of parameter sets may be run in any order. Worked off as it is written, every endpoint loads every
model, some of them again and again. So as many models as there are endpoints are worked on at the same time,
in turns, and a model's place goes to the next one when its last set is through: then every endpoint can stay
with its models until they are done.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from pixaris.search.space.space import Space
from pixaris.types import ParamValue

KeyOf = Callable[[Mapping[str, ParamValue]], str]
"""A parameter set's affinity key: equal for sets that need the same models loaded."""

_MOST = 16
"""Models at once: each needs a trial of its own that is under way, and a trial's process costs a second and
some memory.
"""


def deciding(space: Space, baseline: Mapping[str, ParamValue], key_of: KeyOf) -> tuple[str, ...]:
    """The parameters that decide which models are loaded: a model is named by a text, one of several in a
    list.

    Args:
        space: The search space.
        baseline: A parameter set from which each parameter is varied alone.
        key_of: Gives a set's affinity key.
    """
    # Each is varied alone: all combinations of many parameters could not be gone through.
    own = key_of(baseline)
    found = []
    for parameter in space.parameters:
        models = (value for value in parameter.domain.options if isinstance(value, str))
        if any(key_of({**baseline, parameter.name: model}) != own for model in models):
            found.append(parameter.name)
    return tuple(found)


def models_at_once(space: Space, names: Sequence[str], endpoints: int) -> int:
    """How many models are worked on at the same time: as many as there are models and endpoints, at most 16;
    1 if none vary.

    Args:
        space: The search space.
        names: The parameters that decide (`deciding`).
        endpoints: How many there are.
    """
    models = math.prod(
        len(parameter.domain.options) for parameter in space.parameters if parameter.name in names
    )
    return max(1, min(models, endpoints, _MOST))


def keys(sets: Sequence[Mapping[str, ParamValue]], names: Sequence[str], key_of: KeyOf) -> list[str]:
    """The affinity key of every set; sets that agree in the deciding parameters are looked at once."""
    known: dict[tuple[ParamValue | None, ...], str] = {}
    found = []
    for values in sets:
        # The key is found by binding the whole workflow, which takes long for a grid of thousands.
        decides = tuple(values.get(name) for name in names)
        if decides not in known:
            known[decides] = key_of(values)
        found.append(known[decides])
    return found


def by_models(keys: Sequence[str], at_once: int) -> list[int]:
    """The order that needs few loads, as indices.

    The first set stays the first; the sets of one model keep their order among each other; models come in the
    order of their first sets.

    Args:
        keys: Affinity key of every set.
        at_once: Models that are worked on at the same time, in turns.
    """
    groups: dict[str, deque[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, deque()).append(index)
    coming = deque(groups.values())
    # A queue in turns: the models that are worked on follow each other, so that neighbours in the order go to
    # different endpoints.
    turns = deque(coming.popleft() for _ in range(min(max(1, at_once), len(coming))))
    order = []
    while turns:
        group = turns.popleft()
        order.append(group.popleft())
        if group:
            turns.append(group)
        elif coming:
            turns.append(coming.popleft())
    return order
