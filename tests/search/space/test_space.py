"""Domains and the search space."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import ConfigurationError, WorkflowError
from pixaris.search.file.parameters import read_parameters
from pixaris.search.file.reader import Reader
from pixaris.search.file.source import FileSource
from pixaris.search.file.yaml_file import Document
from pixaris.search.space.hyperparameters import space_of_hyperparameters
from pixaris.search.space.problems import problems_with_workflow
from pixaris.search.space.space import Domain, Parameter, Space, Target
from pixaris.types import GenerationParam

DATA = Path(__file__).parents[2] / "data" / "comfyui"
WORKFLOW = Workflow.load(DATA / "workflows" / "02_seg_threshold_grow.json")
INFO = ObjectInfo(json.loads((DATA / "object_info.0.27.0.json").read_text()))


def space_of(node_name: str, input: str, domain: Domain, name: str = "p") -> Space:
    return Space((Parameter(name, (Target(node_name, input),), domain),))


def faults(
    kind: str, low: float | None = None, high: float | None = None, q: float | None = None, options: Any = ()
) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        Domain(kind, low, high, q, options)
    return [problem.message for problem in caught.value.problems]


# Domains


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (Domain("choice", options=("a", 2, True)), ["a", 2, True]),
        (Domain("grid_search", options=(1.5, 2)), [1.5, 2]),
        (Domain("randint", 1, 4), [1, 2, 3]),
        (Domain("lograndint", 1, 4), [1, 2, 3]),
        (Domain("quniform", 0.1, 0.4, 0.1), [0.1, 0.2, 0.3, 0.4]),
        (Domain("quniform", 2.0, 6.0, 2.0), [2, 4, 6]),
        (Domain("qloguniform", 0.5, 2, 0.5), [0.5, 1.0, 1.5, 2.0]),
        (Domain("qrandint", 1, 8, 3), [3, 6]),
        (Domain("qrandint", 1, 4, 1), [1, 2, 3]),
        (Domain("qlograndint", 8, 32, 8), [8, 16, 24, 32]),
        (Domain("constant", options=(3,)), [3]),
    ],
)
def test_a_finite_domain_lists_exactly_what_it_contains(domain: Domain, values: list[Any]) -> None:
    listed = list(domain.values())
    assert listed == values
    assert [type(value) for value in listed] == [type(value) for value in values]
    assert domain.size() == len(values)
    assert all(domain.contains(value) for value in values)
    assert not any(domain.contains(value) for value in ("z", -7, 1e9, False, math.nan))


def test_a_continuous_domain_has_bounds_and_no_list() -> None:
    domain = Domain("loguniform", 1, 10)
    assert (domain.size(), domain.bounds, domain.describe()) == (None, (1.0, 10.0), "loguniform [1.0, 10.0]")
    assert domain.contains(10)
    assert not domain.contains(0.5)
    with pytest.raises(ConfigurationError, match=r"loguniform \[1.0, 10.0\] is continuous"):
        domain.values()


def test_true_is_not_one() -> None:
    domain = Domain("choice", options=(True, 1))
    assert list(domain.values()) == [True, 1]
    assert not Domain("choice", options=(1,)).contains(True)


@pytest.mark.parametrize(
    ("kind", "bounds", "message"),
    [
        ("randint", (6, 1), "low must be below high (got [6, 1]); swap them"),
        (
            "randint",
            (3, 3),
            "low must be below high (got [3, 3]); high itself is never drawn; a fixed value belongs into",
        ),
        (
            "uniform",
            (3, 3),
            "low must be below high (got [3, 3]); a fixed value belongs into generation_params",
        ),
        ("randint", (1.5, 3), "takes whole numbers (got [1.5, 3]); for fractions use uniform"),
        ("lograndint", (1, 3.5), "takes whole numbers (got [1, 3.5]); for fractions use loguniform"),
        ("randint", (0, 2**64), "bounds must fit into 64 bits"),
        ("loguniform", (0, 1), "low must be above 0 on a log scale (got 0)"),
        ("lograndint", (-1, 5), "low must be above 0 on a log scale (got -1)"),
        ("quniform", (0, 1, 0), "the step q must be above 0 (got 0)"),
        ("quniform", (0, 1, -1), "the step q must be above 0 (got -1)"),
        ("quniform", (0, 1, 0.3), "low and high must be multiples of the step q = 0.3 (got 1)"),
        ("quniform", (0, 1, 5e-324), "the step q is too small for its bounds"),
        ("quniform", (0, 1), "needs [low, high, q]"),
        ("uniform", (0, 1, 2), "has no step q (got 2); quniform has"),
        ("randint", (0, 8, 2), "has no step q (got 2); qrandint has"),
        ("qrandint", (1, 8, 0.5), "takes whole numbers (got [1, 8, 0.5]); for fractions use quniform"),
        ("qlograndint", (1.5, 8, 2), "takes whole numbers (got [1.5, 8, 2]); for fractions use qloguniform"),
        (
            "qrandint",
            (5, 7, 4),
            "no multiple of the step q lies between low and high (got [5, 7, 4]); it would have no value",
        ),
        ("qrandint", (3, 3, 1), "low must be below high (got [3, 3, 1]); high itself is never drawn"),
        ("qlograndint", (0, 8, 2), "low must be above 0 on a log scale (got 0)"),
        ("qloguniform", (0.1, 1, 0.25), "low and high must be multiples of the step q = 0.25 (got 0.1)"),
        ("uniform", (0, math.inf), "numbers must be finite (got [0, inf])"),
        ("uniform", (math.nan, 1), "numbers must be finite"),
        ("uniform", (0, 10**400), "numbers must be finite"),
    ],
)
def test_bad_bounds_say_the_rule_the_value_and_the_way_out(
    kind: str, bounds: tuple[float, ...], message: str
) -> None:
    assert any(fault.startswith(message) for fault in faults(kind, *bounds))


@pytest.mark.parametrize(
    ("kind", "numbers", "message"),
    [
        ("randn", {"mean": 0.0, "sd": 0.0}, "the standard deviation sd must be above 0 (got 0.0)"),
        ("randn", {"mean": 0.0}, "needs [mean, sd]"),
        ("randn", {"low": 0.0, "high": 1.0}, "needs [mean, sd]"),
        ("randn", {"mean": math.nan, "sd": 1.0}, "numbers must be finite (got [nan, 1.0])"),
        ("qrandn", {"mean": 0.0, "sd": 1.0, "q": -1.0}, "the step q must be above 0 (got -1.0)"),
        ("qrandn", {"mean": 0.0, "sd": 1e30, "q": 1.0}, "the step q is too small for its bounds"),
    ],
)
def test_bad_normal_distributions_say_the_rule_and_the_value(
    kind: str, numbers: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Domain(kind, **numbers)
    assert caught.value.problems[0].message.startswith(message)


def test_bad_lists_say_the_rule_and_the_value() -> None:
    assert faults("constant", options=(1, 2)) == ["has one value (got [1, 2]); use choice"]
    assert faults("choice") == ["needs at least one value (got an empty list)"]
    assert faults("choice", options=("a", 1, 1.0, "a", None, math.inf)) == [
        "holds 1.0 twice; keep one of them",
        "holds a twice; keep one of them",
        "values are text, numbers or booleans (got null); remove it",
        "numbers must be finite (got inf)",
    ]
    assert faults("randnt", 1, 2) == [
        "'randnt' is no domain (did you mean 'randint'?); known are choice, grid_search, uniform, loguniform,"
        " quniform, qloguniform, randn, qrandn, randint, qrandint, lograndint, qlograndint, constant"
    ]


def test_all_faults_of_a_domain_are_told_together() -> None:
    assert len(faults("lograndint", 0.5, -1)) == 2


# Binding

NAMES = st.text("abcdefgh", min_size=1, max_size=4)


@st.composite
def domains(draw: st.DrawFn) -> Domain:
    kind = draw(st.sampled_from(["choice", "uniform", "loguniform", "quniform", "randint", "lograndint"]))
    if kind == "choice":
        values = st.one_of(
            st.text(max_size=5), st.integers(-5, 5), st.booleans(), st.floats(-1, 1).filter(lambda v: v % 1)
        )
        return Domain(
            kind,
            options=tuple(draw(st.lists(values, min_size=1, max_size=4, unique_by=lambda v: (type(v), v)))),
        )
    low = draw(st.integers(1, 50))
    high = draw(st.integers(low + 1, 100))
    if kind == "quniform":
        q = draw(st.sampled_from([0.1, 0.25, 1, 3]))
        return Domain(kind, low * q, high * q, q)
    return Domain(kind, low, high)


def drawn(data: st.DataObject, domain: Domain) -> Any:
    if domain.size() is not None:
        value = data.draw(st.sampled_from(list(domain.values())))
        if domain.kind == "quniform":  # as Tune and numpy make it
            assert domain.q is not None
            return np.float64(np.round(np.divide(value, domain.q)) * domain.q)
        return np.int64(value) if domain.kind == "randint" else value
    assert domain.low is not None
    assert domain.high is not None
    return np.float64(data.draw(st.floats(domain.low, domain.high)))


@given(st.data(), st.dictionaries(NAMES, domains(), max_size=5))
@settings(max_examples=100, deadline=None)
def test_bind_is_total_over_what_the_domains_draw(data: st.DataObject, chosen: dict[str, Domain]) -> None:
    space = Space(tuple(Parameter(name, (Target("Node", name),), domain) for name, domain in chosen.items()))
    values = {name: drawn(data, domain) for name, domain in chosen.items()}
    before = dict(values)
    params = space.bind(values)
    assert params == space.bind(values)
    assert values == before
    assert [param.input for param in params] == list(chosen)
    for param, domain in zip(params, chosen.values(), strict=True):
        assert type(param.value) in (str, int, float, bool)
        assert domain.contains(param.value)
        assert domain.clean(param.value) == param.value
        if domain.whole:
            assert type(param.value) is int
        if domain.size() is not None:
            assert param.value in list(domain.values())
    assert json.loads(json.dumps(space.as_dict())) == space.as_dict()
    assert pickle.loads(pickle.dumps(space)) == space


@given(st.dictionaries(NAMES, domains(), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_a_described_space_is_read_back_as_it_was(chosen: dict[str, Domain]) -> None:
    space = Space(
        tuple(
            Parameter(name, (Target("Node", name), Target("B", name)), domain)
            for name, domain in chosen.items()
        )
    )
    reader = Reader(Document({}))
    assert read_parameters(reader, "parameters", space.as_dict(), ()) == space
    assert reader.problems == []


def test_bind_sets_every_target_and_takes_values_outside_of_the_domain() -> None:
    targets = (Target("A", "x"), Target("B", "y"))
    space = Space((Parameter("p", targets, Domain("randint", 1, 3)),))
    assert space.bind({"p": 99}) == (GenerationParam("A", "x", 99), GenerationParam("B", "y", 99))


def test_bind_names_every_wrong_value_at_once() -> None:
    space = Space(
        tuple(
            Parameter(name, (Target("A", name),), Domain("uniform", 0, 1))
            for name in ("radius", "amount", "power", "depth")
        )
    )
    with pytest.raises(ConfigurationError) as caught:
        space.bind({"radus": 1, "amount": math.nan, "power": [1], "depth": np.float32(0.5)})
    text = str(caught.value)
    assert "'radus' is no parameter of the space (did you mean 'radius'?)" in text
    assert "parameter 'radius' has no value" in text
    assert "parameter 'amount' must be text, a finite number or a boolean (got nan)" in text
    assert "parameter 'power' must be" in text
    assert "'depth'" not in text


def test_a_space_refuses_one_name_or_one_input_twice() -> None:
    one = Parameter("a", (Target("A", "x"),), Domain("randint", 1, 3))
    with pytest.raises(ConfigurationError, match="parameter 'a' exists twice"):
        Space((one, Parameter("a", (Target("B", "x"),), one.domain)))
    with pytest.raises(ConfigurationError, match="`x` of node 'A' is set twice"):
        Space((one, Parameter("b", (Target("A", "x"),), one.domain)))


def test_the_grid_has_every_set_once() -> None:
    space = Space(
        (
            Parameter("a", (Target("A", "x"),), Domain("randint", 1, 4)),
            Parameter("b", (Target("A", "y"),), Domain("choice", options=("u", "v"))),
        )
    )
    sets = list(space.grid())
    assert sets[:3] == [{"a": 1, "b": "u"}, {"a": 1, "b": "v"}, {"a": 2, "b": "u"}]
    assert space.size() == len(sets) == len({tuple(values.items()) for values in sets}) == 6
    assert list(Space().grid()) == [{}]
    assert Space().size() == 1
    continuous = space_of("A", "x", Domain("uniform", 0, 1))
    assert continuous.size() is None
    with pytest.raises(ConfigurationError, match="is continuous"):
        continuous.grid()


# The workflow


def test_the_baseline_is_the_workflows_own_values() -> None:
    space = Space(
        (
            Parameter(
                "radius", (Target("Blur", "blur_radius"), Target("Grow", "expand")), Domain("randint", 5, 9)
            ),
            Parameter("taper", (Target("Grow", "tapered_corners"),), Domain("choice", options=(True, False))),
        )
    )
    assert space.baseline(WORKFLOW) == {"radius": 2, "taper": True}


def test_the_baseline_of_an_absent_input_is_the_servers_default() -> None:
    graph = WORKFLOW.as_dict()
    del graph["5"]["inputs"]["tapered_corners"]
    workflow = Workflow.load(graph)
    space = space_of("Grow", "tapered_corners", Domain("choice", options=(True, False)))
    assert space.baseline(workflow, INFO) == {"p": True}
    assert problems_with_workflow(space, workflow, INFO) == []
    with pytest.raises(WorkflowError, match="has no input 'tapered_corners'"):
        space.baseline(workflow)


LINES = {
    "parameters": 3,
    "parameters.p": 4,
    "parameters.p.randint": 4,
    "generation_params": 1,
    "generation_params.0": 2,
}


def told(node_name: str, input: str, domain: Domain, info: ObjectInfo | None = INFO) -> list[str]:
    found = problems_with_workflow(space_of(node_name, input, domain), WORKFLOW, info)
    return [str(problem) for problem in FileSource(Path(), LINES).located(found)]


def test_a_space_that_fits_has_no_problems() -> None:
    for info in (INFO, None):
        assert told("Blur", "blur_radius", Domain("randint", 1, 32), info) == []
        assert told("Blur", "blur_radius", Domain("quniform", 1, 31, 1), info) == []
        assert told("Blur", "sigma", Domain("loguniform", 0.1, 10), info) == []
        assert told("Grow", "tapered_corners", Domain("choice", options=(True, False)), info) == []
        assert told("Channel", "channel", Domain("choice", options=("red", "alpha")), info) == []


def test_values_outside_of_the_nodes_limits_say_the_rule_the_value_and_the_way_out() -> None:
    assert told("Grow", "expand", Domain("randint", 0, 100_000)) == [
        "parameters.p.randint (line 4): `expand` of node 'Grow' must be at most 16384 (got 99999), drawn by"
        " randint [0, 100000]; change parameters.p.randint"
    ]
    assert told("Blur", "sigma", Domain("choice", options=(0.05, 1.0, 11)))[0].startswith(
        "parameters.p.choice (line 4): `sigma` of node 'Blur' must be at least 0.1 (got 0.05); change"
        " parameters.p.choice"
    )
    assert len(told("Blur", "sigma", Domain("uniform", -1, 11))) == 2


@pytest.mark.parametrize("info", [INFO, None])
@pytest.mark.parametrize(
    ("node_name", "input", "message"),
    [
        (
            "Blurr",
            "sigma",
            "parameters.p (line 4): no node has the title or id 'Blurr' (did you mean 'Blur'?)",
        ),
        (
            "Blur",
            "sigmo",
            (
                "parameters.p (line 4): node 'Blur' (ImageBlur, id 2) has no input 'sigmo' (did you mean"
                " 'sigma'?)"
            ),
        ),
        (
            "Blur",
            "image",
            "parameters.p (line 4): input 'image' of node 'Blur' (ImageBlur, id 2) is linked to node",
        ),
        (
            "Load Input Image",
            "image",
            "parameters.p (line 4): `image` of node 'Load Input Image' is an image file, which the eval",
        ),
    ],
)
def test_nodes_and_inputs_that_cannot_be_set_are_named(
    node_name: str, input: str, message: str, info: ObjectInfo | None
) -> None:
    (problem,) = told(node_name, input, Domain("choice", options=("a",)), info)
    assert problem.startswith(message)


@pytest.mark.parametrize(
    ("node_name", "input", "domain", "message"),
    [
        (
            "Blur",
            "blur_radius",
            Domain("uniform", 1, 5),
            "takes whole numbers, but uniform [1.0, 5.0] draws fractions; use randint, or",
        ),
        ("Blur", "blur_radius", Domain("loguniform", 1, 5), "draws fractions; use lograndint"),
        ("Blur", "blur_radius", Domain("quniform", 1, 5, 0.5), "draws fractions; use a whole step q"),
        (
            "Blur",
            "blur_radius",
            Domain("choice", options=(1.5,)),
            "`blur_radius` of node 'Blur' must be a whole number (got 1.5)",
        ),
        (
            "Blur",
            "sigma",
            Domain("choice", options=("1.5",)),
            "`sigma` of node 'Blur' must be a number (got '1.5')",
        ),
        ("Blur", "sigma", Domain("choice", options=(True,)), "must be a number (got true)"),
        ("Channel", "channel", Domain("choice", options=("rde",)), "(got 'rde') (did you mean 'red'?)"),
        (
            "Channel",
            "channel",
            Domain("randint", 0, 2),
            "is one of the server's options, so randint cannot set it; use choice",
        ),
        (
            "Save Output",
            "filename_prefix",
            Domain("randint", 0, 2),
            "is text, so randint cannot set it; use choice",
        ),
        (
            "Grow",
            "tapered_corners",
            Domain("randint", 0, 2),
            "is true or false, so randint cannot set it; use choice",
        ),
        ("Grow", "tapered_corners", Domain("choice", options=("no",)), "must be true or false (got 'no')"),
    ],
)
def test_values_of_another_type_say_what_to_use(
    node_name: str, input: str, domain: Domain, message: str
) -> None:
    (problem,) = told(node_name, input, domain)
    assert message in problem
    assert problem.endswith(f"change parameters.p.{domain.kind}")


def test_without_a_server_the_workflows_own_value_tells_the_type() -> None:
    assert "must be text" in told("Channel", "channel", Domain("choice", options=(1,)), None)[0]
    assert "is text, so randint cannot set it" in told("Channel", "channel", Domain("randint", 0, 2), None)[0]
    assert "is true or false, so uniform" in told("Grow", "tapered_corners", Domain("uniform", 0, 2), None)[0]


def test_many_values_that_do_not_fit_are_not_all_told() -> None:
    problems = told("Blur", "sigma", Domain("choice", options=tuple(range(100, 200))))
    assert len(problems) == 6
    assert "… and 95 more values do not fit" in problems[-1]


def test_fixed_values_are_held_against_the_workflow_too() -> None:
    fixed = (GenerationParam("Blur", "sigma", 99), GenerationParam("Grow", "expand", 1))
    space = space_of("5", "expand", Domain("randint", 0, 3))
    assert [
        str(problem)
        for problem in FileSource(Path(), LINES).located(problems_with_workflow(space, WORKFLOW, INFO, fixed))
    ] == [
        (
            "generation_params.0.value (line 2): `sigma` of node 'Blur' must be at most 10.0 (got 99.0); "
            "change generation_params.0.value"
        ),
        (
            "parameters.p (line 4): `expand` of node '5' and `expand` of node 'Grow' are one input; keep one"
            " of them"
        ),
    ]


def test_without_a_file_problems_name_the_setting_without_a_line() -> None:
    (problem,) = problems_with_workflow(
        space_of("Grow", "expand", Domain("grid_search", options=(99999,))), WORKFLOW, INFO
    )
    path = "parameters.p.grid_search"
    message = f"`expand` of node 'Grow' must be at most 16384 (got 99999); change {path}"
    assert (problem.path, str(problem)) == (path, f"{path}: {message}")


# The original API


def test_hyperparameters_become_a_grid() -> None:
    space = space_of_hyperparameters(
        [
            {"node_name": "Blur", "input": "sigma", "value": [1, 2.5]},
            {"node_name": "Grow", "input": "expand", "value": (3,)},
        ]
    )
    assert space.names == ("Blur.sigma", "Grow.expand")
    assert list(space.grid()) == [{"Blur.sigma": 1, "Grow.expand": 3}, {"Blur.sigma": 2.5, "Grow.expand": 3}]
    assert space.as_dict()["Grow.expand"] == {"node_name": "Grow", "input": "expand", "grid_search": [3]}


def test_all_faults_of_hyperparameters_are_told_together() -> None:
    rows: list[Any] = [
        {"node_name": "Blur", "input": "sigma", "value": [1, 1]},
        {"node_name": "Blur", "input": "sigma", "value": 3},
        {"node_name": "Blur", "input": "alpha", "value": []},
        {"node_name": "Blur", "input": "beta", "value": [1]},
        {"node_name": "Blur", "input": "beta", "value": [2]},
        {"node_name": "Blur", "value": [2]},
        {"node_name": 5, "input": "x", "value": [2]},
        "sigma",
    ]
    with pytest.raises(ConfigurationError) as caught:
        space_of_hyperparameters(rows)
    text = str(caught.value)
    assert text.startswith("hyperparameters: 7 problems")
    assert "hyperparameters[0], `sigma` of node 'Blur': value holds 1 twice; keep one of them" in text
    assert "hyperparameters[1]: value must be a list of values to try (got 3); write [3]" in text
    assert "value needs at least one value (got an empty list)" in text
    assert (
        "hyperparameters[4]: `beta` of node 'Blur' is listed twice; write all its values into one list"
        in text
    )
    assert (
        "hyperparameters[5]: must have exactly the keys node_name, input and value (got ['node_name',"
        " 'value'])" in text
    )
    assert "hyperparameters[6]: node_name and input must be text (got 5 and 'x')" in text
    assert "hyperparameters[7]: must have exactly the keys" in text
