"""Seeds are found under their names, and behind links."""

from __future__ import annotations

from typing import Any

import pytest

from pixaris.comfyui.graph.seeds import is_seed
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.generation.base import ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.types import GenerationParam

Nodes = dict[str, tuple[str, dict[str, Any]]]


def graph(nodes: Nodes) -> dict[str, Any]:
    return {
        key: {"class_type": kind, "inputs": inputs, "_meta": {"title": f"{kind} {key}"}}
        for key, (kind, inputs) in nodes.items()
    }


def found(nodes: Nodes, info: ObjectInfo | None = None) -> set[tuple[str, str]]:
    return {(node.id, name) for node, name in Workflow.load(graph(nodes)).seeds(info)}


@pytest.mark.parametrize(
    "name",
    [
        *("seed", "noise_seed", "rand_seed", "seed_num", "sampling_mode.seed", "Seed", "noiseSeed", "seed_2"),
        *(
            "base_seed",
            "subseed",
            "variation_seed",
            "seed1",
            "global_seed",
            "seed_value",
            "SEED",
            "random seed",
        ),
    ],
)
def test_these_are_seeds(name: str) -> None:
    assert is_seed(name)


@pytest.mark.parametrize(
    "name",
    [
        *("seed_mode", "variation_seed_strength", "seeds", "seed_increment", "add_seed_noise", "steps"),
        *("control_after_generate", "linseed_oil_amount", "seed.mode", "seeded", ""),
    ],
)
def test_these_are_none(name: str) -> None:
    assert not is_seed(name)


def sampler(source: Any, **inputs: Any) -> tuple[str, dict[str, Any]]:
    return "KSampler", {"seed": source, "steps": 20, **inputs}


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ({"1": ("PrimitiveInt", {"value": 7}), "2": sampler(["1", 0])}, {("1", "value")}),
        ({"1": ("INTConstant", {"Number": 7}), "2": sampler(["1", 0])}, {("1", "Number")}),
        ({"1": ("Seed (rgthree)", {"seed": 7}), "2": sampler(["1", 0])}, {("1", "seed")}),
        ({"1": ("CR Seed", {"seed": 7, "max": 99}), "2": sampler(["1", 0])}, {("1", "seed")}),
        ({"1": ("easy seed", {"seed_num": 7}), "2": sampler(["1", 0])}, {("1", "seed_num")}),
        ({"1": ("RandomNoise", {"noise_seed": 7}), "2": sampler(["1", 0])}, {("1", "noise_seed")}),
        (
            {"1": ("PrimitiveInt", {"value": 7}), "3": ("Reroute", {"": ["1", 0]}), "2": sampler(["3", 0])},
            {("1", "value")},
        ),
        (
            {
                "1": ("PrimitiveInt", {"value": 7}),
                "3": ("Reroute", {"": ["1", 0]}),
                "4": ("Reroute", {"": ["3", 0]}),
                "2": sampler(["4", 0]),
                "5": sampler(["3", 0]),
            },
            {("1", "value")},
        ),
        (
            {
                "1": ("PrimitiveInt", {"value": 7}),
                "3": ("SimpleMath+", {"value": "a + 1", "a": ["1", 0]}),
                "2": sampler(["3", 0]),
            },
            {("1", "value")},
        ),
        (
            {
                "1": ("PrimitiveInt", {"value": 7}),
                "4": ("PrimitiveInt", {"value": 8}),
                "3": ("Switch", {"select": 1, "input1": ["1", 0], "input2": ["4", 0]}),
                "2": sampler(["3", 0]),
            },
            {("1", "value"), ("4", "value")},
        ),
        ({"2": sampler(["1", 0]), "1": ("Loop", {"seed": ["2", 0]})}, set()),
        ({"2": sampler(["gone", 0])}, set()),
        ({"2": sampler(["1", 0]), "1": ("Text", {"value": "7"})}, set()),
        (
            {"2": sampler(5), "3": ("Generate", {"mode": "on", "mode.seed": 9})},
            {("2", "seed"), ("3", "mode.seed")},
        ),
        ({"2": ("Custom", {"settings": {"seed": 3, "cfg": 2.0}})}, {("2", "settings.seed")}),
        ({"2": ("Custom", {"seed": True, "noise_seed": "fixed"})}, set()),
    ],
)
def test_the_number_that_a_seed_comes_from_is_found(nodes: Nodes, expected: set[tuple[str, str]]) -> None:
    assert found(nodes) == expected


def test_a_number_that_sets_a_size_too_is_left_alone() -> None:
    nodes: Nodes = {
        "1": ("PrimitiveInt", {"value": 512}),
        "2": sampler(["1", 0]),
        "3": ("EmptyLatentImage", {"width": ["1", 0]}),
    }
    assert found(nodes) == set()
    nodes["3"] = ("ShowText", {"anything": ["1", 0]})
    assert found(nodes) == {("1", "value")}


def test_links_that_carry_no_number_are_not_followed() -> None:
    info = ObjectInfo(
        {
            "Sized": {"input": {"required": {"image": ["IMAGE"]}}, "output": ["INT"]},
            "Empty": {"input": {"required": {"width": ["INT"]}}, "output": ["IMAGE"]},
            "PrimitiveInt": {"input": {"required": {"value": ["INT"]}}, "output": ["INT"]},
        }
    )
    nodes: Nodes = {
        "1": ("PrimitiveInt", {"value": 512}),
        "3": ("Empty", {"width": ["1", 0]}),
        "4": ("Sized", {"image": ["3", 0]}),
        "2": sampler(["4", 0]),
    }
    assert found(nodes, info) == set()


def test_a_long_chain_and_a_circle_of_links_end() -> None:
    chain: Nodes = {str(n): ("Reroute", {"": [str(n + 1), 0]}) for n in range(2, 2000)}
    chain["1"] = sampler(["2", 0])
    assert found(chain) == set()
    assert found({"1": sampler(["2", 0]), "2": ("R", {"": ["3", 0]}), "3": ("R", {"": ["2", 0]})}) == set()


LINKED = graph(
    {
        "57:9": ("PrimitiveInt", {"value": 123}),
        "2": ("KSampler", {"seed": ["57:9", 0]}),
        "9": ("SaveImage", {"images": ["2", 0]}),
    }
)


def seed_of(generator: ComfyGenerator, item: str, repeat: int = 0, *params: GenerationParam) -> Any:
    import json

    args = ItemArgs({}, item=item, repeat=repeat, params=params)
    return json.loads(generator.request(args).payload)["57:9"]["inputs"]["value"]


def test_every_item_and_repeat_has_its_own_seed_behind_the_link() -> None:
    generator = ComfyGenerator(LINKED)
    seeds = {seed_of(generator, item, repeat) for item in "ab" for repeat in (0, 1)}
    assert len(seeds) == 4
    assert seed_of(generator, "a") == seed_of(ComfyGenerator(LINKED), "a") == ItemArgs({}, item="a").seed


def test_a_seed_behind_a_link_that_a_parameter_sets_stays() -> None:
    generator = ComfyGenerator(LINKED)
    given = GenerationParam("PrimitiveInt 57:9", "value", 42)
    assert seed_of(generator, "a", 0, given) == 42
    assert generator.takes_seed(ItemArgs({}))
    assert not generator.takes_seed(ItemArgs({}, params=(given,)))


@pytest.mark.parametrize(("low", "high"), [(0, 999), (1, 1), (0, 2**31 - 1), (-5, 10), (0, 0)])
def test_a_seed_lies_within_the_limits_of_its_input(low: int, high: int) -> None:
    limits = ["INT", {"min": low, "max": high}]
    info = ObjectInfo({"PrimitiveInt": {"input": {"required": {"value": limits}}, "output": ["INT"]}})
    generator = ComfyGenerator(LINKED, object_info=info)
    for item in "abcdef":
        assert low <= seed_of(generator, item) <= high
