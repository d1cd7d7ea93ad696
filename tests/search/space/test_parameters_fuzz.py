"""Whatever stands under ``parameters``: a space that works, or problems; never an exception, never a hang."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pixaris.search.file.parameters import read_parameters
from pixaris.search.file.reader import Reader
from pixaris.search.file.yaml_file import Document
from pixaris.search.space.domain import KINDS
from pixaris.search.space.space import Space

NAMES = st.sampled_from(["a", "b", "c", "ä 🎨", "a.b"])
VALUES = st.one_of(
    st.sampled_from(["a", "b", "x", "", "{a}", "{a:.2f}", "{a!r}", "{", "{{}}", "{}", "{b:>999}", "1e-3"]),
    st.integers(-3, 9),
    st.sampled_from(
        [10**400, -(10**30), 1e308, float("nan"), float("inf"), 0.5, True, None, "\u0000", "\ud800"]
    ),
)
LISTS = st.lists(st.one_of(VALUES, st.dictionaries(NAMES, VALUES, max_size=2)), max_size=3)
TARGETS = st.one_of(
    st.lists(st.fixed_dictionaries({"node_name": NAMES, "input": NAMES}), max_size=2),
    st.dictionaries(NAMES, st.fixed_dictionaries({"node_name": NAMES, "input": NAMES}), max_size=2),
    VALUES,
)
LIMITS = st.dictionaries(
    st.sampled_from(["at_least", "at_most", "above", "below", "not", "width"]), st.one_of(VALUES, LISTS)
)
WHEN = st.one_of(st.dictionaries(NAMES, st.one_of(VALUES, LISTS, LIMITS), max_size=2), VALUES)
DOMAIN = st.tuples(
    st.sampled_from([*KINDS, "images", "template"]), st.one_of(VALUES, LISTS, st.dictionaries(NAMES, VALUES))
)


@st.composite
def entries(draw: st.DrawFn) -> Any:
    entry: dict[str, Any] = dict([draw(DOMAIN)])
    if draw(st.booleans()):
        entry |= {"node_name": draw(NAMES), "input": draw(NAMES)}
    if draw(st.integers(0, 3)) == 0:
        entry["targets"] = draw(TARGETS)
    if draw(st.booleans()):
        entry["when"] = draw(WHEN)
    if draw(st.integers(0, 5)) == 0:
        entry[draw(NAMES)] = draw(VALUES)
    return entry


@given(st.dictionaries(NAMES, st.one_of(entries(), VALUES), max_size=4), st.booleans())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_parameters_are_a_space_or_problems(tree: dict[str, Any], nodes: bool) -> None:
    reader = Reader(Document(tree))
    space = read_parameters(reader, "parameters", tree, (), nodes=nodes)
    assert isinstance(space, Space)
    assert all(problem.message for problem in reader.problems)
    if not reader.problems:
        space.as_dict()
        if space.size() is not None:
            for values in itertools.islice(space.grid(), 5):
                assert space.contains(values)
                space.bind(values)
