"""Parameters that depend on each other: conditions, values that move together, templates, images as
choices.
"""

from __future__ import annotations

import itertools
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.server.nodes import registry
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import ConfigurationError
from pixaris.images import EncodedImage
from pixaris.search.file.parameters import read_parameters
from pixaris.search.file.reader import Reader
from pixaris.search.file.source import FileSource
from pixaris.search.file.yaml_file import parse_yaml
from pixaris.search.space.conditions import Condition
from pixaris.search.space.problems import problems_with_workflow
from pixaris.search.space.space import Domain, Parameter, Space, Target, Template
from pixaris.types import GenerationParam

INFO = ObjectInfo(registry.declarations())


def reader_of(text: str, folder: Path | None = None) -> tuple[Space, list[str]]:
    reader = Reader(parse_yaml(text))
    space = read_parameters(reader, "", parse_yaml(text).value, (), folder)
    return space, [str(problem) for problem in FileSource(Path(), reader.lines).located(reader.problems)]


def space_of(text: str, folder: Path | None = None) -> Space:
    space, problems = reader_of(text, folder)
    assert problems == []
    return space


def told(text: str, folder: Path | None = None) -> list[str]:
    return reader_of(text, folder)[1]


SAMPLER = """
sampler:  {node_name: K, input: sampler_name, choice: [euler, lcm]}
cfg:      {node_name: K, input: cfg, choice: [4, 8], when: {sampler: euler}}
eta:      {node_name: K, input: eta, choice: [0.0, 0.5, 1.0], when: {sampler: [lcm], steps: {at_least: 8}}}
steps:    {node_name: K, input: steps, choice: [4, 8]}
"""


def test_a_grid_has_sets_once_that_differ_only_in_what_does_not_count() -> None:
    space = space_of(SAMPLER)
    sets = list(space.grid())
    assert len(sets) == space.size() == 2 * 2 + 1 + 3
    assert len({json.dumps(values) for values in sets}) == len(sets)
    assert {"sampler": "lcm", "steps": 4} in sets
    assert {"sampler": "euler", "cfg": 4, "steps": 8} in sets
    assert not any("cfg" in values for values in sets if values["sampler"] == "lcm")


def test_what_does_not_count_is_not_bound() -> None:
    space = space_of(SAMPLER)
    params = space.bind({"sampler": "lcm", "cfg": 4, "eta": 0.5, "steps": 4})
    assert params == (GenerationParam("K", "sampler_name", "lcm"), GenerationParam("K", "steps", 4))
    assert space.active({"steps": 8, "eta": 0.5, "cfg": 4, "sampler": "lcm"}) == {
        "sampler": "lcm",
        "eta": 0.5,
        "steps": 8,
    }
    with pytest.raises(ConfigurationError, match="parameter 'cfg' has no value"):
        space.bind({"sampler": "euler", "steps": 4})


def test_what_depends_on_something_that_does_not_count_does_not_count() -> None:
    space = space_of("""
a: {node_name: N, input: a, choice: [1, 2]}
b: {node_name: N, input: b, choice: [1, 2], when: {a: 1}}
c: {node_name: N, input: c, choice: [1, 2], when: {b: 1}}
""")
    assert [tuple(values.values()) for values in space.grid()] == [(1, 1, 1), (1, 1, 2), (1, 2), (2,)]
    assert space.size() == 4


def test_a_condition_may_name_limits_and_exceptions() -> None:
    space = space_of("""
n: {node_name: N, input: n, randint: [0, 10]}
x: {node_name: N, input: x, choice: [1, 2], when: {n: {above: 2, at_most: 6, not: 4}}}
""")
    counts = [value for value in range(10) if "x" in space.active({"n": value, "x": 1})]
    assert counts == [3, 5, 6]
    assert space.size() == 3 * 2 + 7


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "a: {node_name: N, input: a, choice: [1], when: {b: 1}}",
            "a.when.b (line 1): 'b' is no parameter; known are a",
        ),
        (
            (
                "lora: {node_name: N, input: a, choice: [portrait]}\nb: {node_name: N, input: b, choice: [1],"
                " when: {lora: potrait}}"
            ),
            (
                "b.when.lora (line 2): 'lora' is never 'potrait' (did you mean 'portrait'?); it is choice"
                " [portrait]"
            ),
        ),
        (
            (
                "a: {node_name: N, input: a, choice: [1], when: {b: 1}}\nb: {node_name: N, input: b, choice:"
                " [1], when: {a: 1}}"
            ),
            (
                "a.when.b (line 1): 'a' depends on itself; these decide about each other: a, b; remove one of"
                " their conditions"
            ),
        ),
        (
            "a: {node_name: N, input: a, choice: [1], when: {a: 1}}",
            "a.when.a (line 1): 'a' depends on itself",
        ),
        (
            (
                "a: {node_name: N, input: a, randint: [1, 5]}\nb: {node_name: N, input: b, choice: [1], when:"
                " {a: {above: 4}}}"
            ),
            "b.when.a (line 2): can never hold: 'a' is randint [1, 5]",
        ),
        (
            (
                "a: {node_name: N, input: a, uniform: [0, 1]}\nb: {node_name: N, input: b, choice: [1], when:"
                " {a: {above: 1}}}"
            ),
            "b.when.a (line 2): can never hold: 'a' is uniform [0.0, 1.0]",
        ),
        (
            (
                "a: {node_name: N, input: a, choice: [x, y]}\nb: {node_name: N, input: b, choice: [1], when:"
                " {a: {at_least: 1}}}"
            ),
            "b.when.a (line 2): 'a' has no numbers to compare with at_least; name its values",
        ),
        (
            (
                "a: {node_name: N, input: a, choice: [x, y]}\n"
                "b: {node_name: N, input: b, choice: [1, 2], when: {a: x}}\n"
                "c: {node_name: N, input: c, choice: [1], when: {b: 1, a: y}}"
            ),
            (
                "c.when.b (line 3): can never hold, together with the conditions of 'b', 'a': 'a' would have"
                " to be 'x' and 'y'"
            ),
        ),
        (
            (
                "a: {node_name: N, input: a, randint: [0, 9]}\n"
                "b: {node_name: N, input: b, choice: [1], when: {a: {above: 5, below: 6}}}"
            ),
            "b.when.a (line 2): can never hold",
        ),
        (
            "a: {node_name: N, input: a, choice: [1], when: {}}",
            "a.when (line 1): must name the parameters it depends on (got {})",
        ),
        (
            "a: {node_name: N, input: a, choice: [1], when: b}",
            "a.when (line 1): must name the parameters it depends on (got 'b')",
        ),
        (
            (
                "b: {node_name: N, input: b, choice: [1]}\na: {node_name: N, input: a, choice: [1], when: {b:"
                " []}}"
            ),
            "a.when.b (line 2): needs at least one value",
        ),
        (
            (
                "b: {node_name: N, input: b, choice: [1]}\na: {node_name: N, input: a, choice: [1], when: {b:"
                " {atleast: 1}}}"
            ),
            "a.when.b.atleast (line 2): 'atleast' is no known key (did you mean 'at_least'?)",
        ),
        (
            (
                "b: {node_name: N, input: b, randint: [1, 3]}\na: {node_name: N, input: a, choice: [1], when:"
                " {b: {above: .nan}}}"
            ),
            "a.when.b.above (line 2): must be a finite number (got nan)",
        ),
        (
            (
                "b: {node_name: N, input: b, choice: [true]}\na: {node_name: N, input: a, choice: [1], when:"
                " {b: 1}}"
            ),
            "a.when.b (line 2): 'b' is never 1; it is choice [true]",
        ),
    ],
)
def test_conditions_that_make_no_sense_are_named(text: str, problem: str) -> None:
    assert told(text)[0].startswith(problem)


def test_a_space_made_in_python_refuses_them_too() -> None:
    one = Parameter("a", (Target("N", "a"),), Domain("choice", options=(1, 2)), (Condition("b", (1,)),))
    with pytest.raises(ConfigurationError, match="parameter 'a', when 'b': 'b' is no parameter"):
        Space((one,))


@st.composite
def conditional(draw: st.DrawFn) -> Space:
    """A space of listed domains in which a parameter depends on some before it; conditions that cannot hold
    are left out.
    """
    parameters: list[Parameter] = []
    for index in range(draw(st.integers(1, 5))):
        when = []
        for other in parameters:
            if draw(st.booleans()):
                size = len(other.domain.options)
                some = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=size, unique=True))
                when.append(Condition(other.name, tuple(some)))
        domain = Domain("choice", options=tuple(range(draw(st.integers(1, 3)))))
        parameter = Parameter(f"p{index}", (Target("N", f"p{index}"),), domain, tuple(when))
        try:
            Space((*parameters, parameter))
        except ConfigurationError:
            parameter = Parameter(f"p{index}", (Target("N", f"p{index}"),), domain)
        parameters.append(parameter)
    order = draw(st.permutations(parameters))
    return Space(tuple(order))


@given(conditional())
@settings(max_examples=150, deadline=None)
def test_the_grid_is_every_set_that_counts_once(space: Space) -> None:
    flat = itertools.product(*(parameter.domain.values() for parameter in space.parameters))
    wanted = {tuple(space.active(dict(zip(space.names, values, strict=True))).items()) for values in flat}
    sets = [tuple(values.items()) for values in space.grid()]
    assert len(sets) == len(set(sets)) == space.size()
    assert set(sets) == wanted
    seen = {name for values in sets for name, _ in values}
    assert seen == set(space.names)  # a condition that can never hold would have been refused
    for values in sets:
        assert {param.input for param in space.bind(dict(values))} == {name for name, _ in values}


# Values that move together

SIZE = """
size:
  targets: {width: {node_name: Canvas, input: width}, height: {node_name: Canvas, input: height}}
  choice: [{width: 512, height: 768}, {width: 768, height: 512}]
tiles: {node_name: N, input: tiles, choice: [1, 2], when: {size: {width: 768}}}
"""


def test_values_that_move_together_are_one_choice() -> None:
    space = space_of(SIZE)
    assert list(space.grid()) == [
        {"size": "width=512, height=768"},
        {"size": "width=768, height=512", "tiles": 1},
        {"size": "width=768, height=512", "tiles": 2},
    ]
    assert space.bind({"size": "width=512, height=768"}) == (
        GenerationParam("Canvas", "width", 512),
        GenerationParam("Canvas", "height", 768),
    )
    with pytest.raises(
        ConfigurationError, match=r"parameter 'size' has no option 'width=512, height=76'.*did you mean"
    ):
        space.bind({"size": "width=512, height=76"})
    again = read_parameters(Reader(parse_yaml("a: 1")), "", space.as_dict(), ())
    assert again == space == pickle.loads(pickle.dumps(space))


def canvas(width: int, height: int) -> Workflow:
    return Workflow.load(
        {
            "1": {
                "class_type": "EmptyImage",
                "inputs": {"width": width, "height": height, "batch_size": 1, "color": 0},
                "_meta": {"title": "Canvas"},
            },
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
        }
    )


def test_the_workflow_s_own_values_are_an_option_or_stand_as_they_are() -> None:
    space = space_of(SIZE.partition("tiles")[0])
    assert space.baseline(canvas(768, 512)) == {"size": "width=768, height=512"}
    assert space.baseline(canvas(640, 640)) == {}
    assert space.bind({}, partial=True) == ()


def test_each_of_them_is_held_against_its_own_input() -> None:
    space = space_of(SIZE.partition("tiles")[0].replace("height: 512", "height: tall"))
    assert [str(problem) for problem in problems_with_workflow(space, canvas(1, 1), INFO)] == [
        "parameters.size.choice: `height` of node 'Canvas' must be a whole number (got 'tall'); "
        "change parameters.size.choice"
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            ("{width: 768, height: 512}", "{width: 768}"),
            "size.choice.1.height (line 4): is missing; every mapping gives values to",
        ),
        (
            ("height: 512}", "hight: 512}"),
            "size.choice.1.hight (line 4): 'hight' is no known key (did you mean 'height'?)",
        ),
        (
            ("{width: 768, height: 512}", "768"),
            "size.choice.1 (line 4): must give a value to each of width, height (got 768)",
        ),
        (
            ("768, height: 512", "512, height: 768"),
            "size.choice.1 (line 4): holds width=512, height=768 twice",
        ),
        (
            ("768, height: 512", "512.0, height: 768.0"),
            "size.choice.1 (line 4): holds width=512.0, height=768.0 twice",
        ),
        (
            ("height: 512}", "height: .inf}"),
            "size.choice.1.height (line 4): numbers must be finite (got inf)",
        ),
        (("choice", "uniform"), "size.targets (line 3): has names, for the values of a choice of mappings"),
        (("input: height", "input: width"), "size.targets (line 3): `width` of node 'Canvas' stands twice"),
    ],
)
def test_mappings_that_do_not_fit_are_named(change: tuple[str, str], problem: str) -> None:
    assert any(one.startswith(problem) for one in told(SIZE.partition("tiles")[0].replace(*change)))


def test_mappings_need_named_targets() -> None:
    (problem,) = told("size: {node_name: C, input: w, choice: [{width: 1}]}")
    assert problem.startswith(
        "size.choice (line 1): holds mappings, whose names must be named among the targets"
    )


# Templates

PROMPT = """
prompt:  {node_name: Prompt, input: text, template: "a photo of {subject}, {style} ({weight:.2f})"}
subject: {choice: [a cat, a dog]}
style:   {choice: [oil, ink], when: {subject: a cat}}
weight:  {uniform: [0, 1]}
"""


def test_a_template_writes_its_parameters_into_a_text() -> None:
    space = space_of(PROMPT)
    assert space.names == ("subject", "style", "weight")
    values = {"subject": "a cat", "style": "oil", "weight": 0.12345}
    assert space.bind(values) == (GenerationParam("Prompt", "text", "a photo of a cat, oil (0.12)"),)
    assert space.bind({**values, "subject": "a dog"})[0].value == "a photo of a dog,  (0.12)"
    assert read_parameters(Reader(parse_yaml("a: 1")), "", space.as_dict(), ()) == space


def prompt(text: str) -> Workflow:
    return Workflow.load(
        {"1": {"class_type": "SaveImage", "inputs": {"text": text}, "_meta": {"title": "Prompt"}}}
    )


def test_the_workflow_s_own_prompt_stands_unless_the_template_gives_it() -> None:
    space = space_of("""
prompt:  {node_name: Prompt, input: text, template: "{subject}, {style}, {{x}}"}
subject: {choice: [a cat, a cat and a dog]}
style:   {choice: [oil, 3]}
""")
    own = "a cat and a dog, 3, {x}"
    assert space.baseline(prompt(own)) == {"subject": "a cat and a dog", "style": 3}
    assert space.bind(space.baseline(prompt(own))) == (GenerationParam("Prompt", "text", own),)
    assert space.baseline(prompt("anything else")) == {}
    assert space.bind({}, partial=True) == ()
    assert space.size() == 4


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "a photo of {sujbect}",
            "has the placeholder {sujbect}, which is no parameter (did you mean 'subject'?)",
        ),
        (
            "{subject} {a|b}",
            "has the placeholder {a|b}, which is no parameter; parameters are subject; write {{ and }}",
        ),
        (
            "{subject",
            "cannot be read: expected '}' before end of string; write {{ and }} for braces that stay",
        ),
        ("{subject} {}", "has the placeholder {}, which is no parameter"),
        (
            "{subject!r}",
            "has the placeholder {subject!r}, whose form is not known; write {subject} or {subject:.2f}",
        ),
        ("{subject:>99999999}", "has the placeholder {subject:>99999999}, whose form is not known"),
        ("{subject:{subject}}", "has the placeholder {subject:{subject}}, whose form is not known"),
        (
            "{subject:.2f}",
            "has the placeholder {subject:.2f}, and subject is choice [a cat]; write {subject}",
        ),
        ("a photo", "has no placeholder (got 'a photo'); write {subject}, or give the text as a constant"),
    ],
)
def test_bad_templates_are_named(text: str, problem: str) -> None:
    lines = (
        f"prompt: {{node_name: P, input: text, template: {json.dumps(text)}}}\nsubject: {{choice: [a cat]}}\n"
    )
    assert any(one.startswith(f"prompt.template (line 1): {problem}") for one in told(lines))


def test_a_parameter_that_sets_nothing_is_named() -> None:
    (problem,) = told("lost: {choice: [1, 2]}")
    assert problem == "lost (line 1): sets nothing; give node_name and input, or write {lost} into a template"


def test_a_template_s_texts_are_held_against_the_input() -> None:
    space = space_of("""
mode: {node_name: Blend, input: blend_mode, template: "{how}_light"}
how:  {choice: [soft, hard]}
""")
    blend = {"class_type": "ImageBlend", "inputs": {"blend_mode": "normal"}, "_meta": {"title": "Blend"}}
    (problem,) = problems_with_workflow(space, Workflow.load({"1": blend}), INFO)
    assert "`blend_mode` of node 'Blend' must be one of" in str(problem)
    assert "'hard_light'" in str(problem)


def test_a_template_of_a_space_made_in_python_is_checked() -> None:
    with pytest.raises(
        ConfigurationError, match=r"template 't' has the placeholder \{x\}, which is no parameter"
    ):
        Space((), (Template("t", (Target("P", "text"),), "{x}"),))


# Images


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "inspiration").mkdir()
    for number, colour in ((10, "red"), (2, "blue")):
        Image.new("RGB", (8, 8), colour).save(tmp_path / "inspiration" / f"img{number}.png")
    (tmp_path / "inspiration" / "notes.txt").write_text("no image")
    return tmp_path


LOADER = {
    "class_type": "LoadImage",
    "inputs": {"image": "img10.png"},
    "_meta": {"title": "Load Inspiration Image"},
}


def test_images_are_choices(pictures: Path) -> None:
    space = space_of("look: {node_name: Load Inspiration Image, images: inspiration}", pictures)
    assert list(space.grid()) == [{"look": "img2.png"}, {"look": "img10.png"}]
    assert space.bind({"look": "img2.png"}) == ()
    (title, image), *rest = space.bind_images({"look": "img2.png"}).items()
    assert (title, rest) == ("Load Inspiration Image", [])
    assert image.image.getpixel((0, 0)) == (0, 0, 255)
    assert len(space.images) == 2
    assert space.image_nodes == (("look", "Load Inspiration Image"),)
    assert pickle.loads(pickle.dumps(space)) == space
    listed = space_of("look: {node_name: Load Inspiration Image, images: [inspiration/img2.png]}", pictures)
    assert list(listed.grid()) == [{"look": "inspiration/img2.png"}]


def test_the_baseline_has_the_image_that_the_workflow_names_or_the_first(pictures: Path) -> None:
    space = space_of("look: {node_name: Load Inspiration Image, images: inspiration}", pictures)
    workflow = Workflow.load({"1": LOADER})
    assert space.baseline(workflow) == {"look": "img10.png"}
    assert problems_with_workflow(space, workflow, INFO) == []
    assert space.baseline(Workflow.load({"1": {**LOADER, "inputs": {"image": "other.png"}}})) == {
        "look": "img2.png"
    }


def test_an_image_may_move_together_with_values(pictures: Path) -> None:
    space = space_of(
        """
look:
  targets: {picture: {node_name: Load Inspiration Image, input: image}, strength: {node_name: N, input: s}}
  choice: [{picture: {image: inspiration/img2.png}, strength: 0.3}, {picture: {image: inspiration/img10.png},
  strength: 0.7}]
""",
        pictures,
    )
    label = "picture=inspiration/img10.png, strength=0.7"
    assert space.bind({"look": label}) == (GenerationParam("N", "s", 0.7),)
    assert space.bind_images({"look": label})["Load Inspiration Image"].image.getpixel((0, 0)) == (255, 0, 0)


def test_only_nodes_that_load_images_are_given_some(pictures: Path) -> None:
    space = space_of("look: {node_name: Save, images: inspiration}", pictures)
    workflow = Workflow.load(
        {"1": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}, "_meta": {"title": "Save"}}}
    )
    (problem,) = problems_with_workflow(space, workflow, INFO)
    assert "node 'Save' (SaveImage, id 1) loads no image file" in str(problem)


@pytest.mark.parametrize(
    ("images", "problem"),
    [
        ("inspiraton", "look.images (line 1): there is no folder 'inspiraton'"),
        (
            "inspiration/img2.png",
            "look.images (line 1): there is no folder 'inspiration/img2.png'; for one file write images: [",
        ),
        ("[inspiration/img3.png]", "look.images.0 (line 1): there is no file"),
        ("[inspiration/notes.txt]", "look.images.0 (line 1):"),
        ("[]", "look.images (line 1): needs at least one image file"),
        (
            "[inspiration/img2.png, inspiration/img2.png]",
            "look.images.1 (line 1): 'inspiration/img2.png' is listed twice",
        ),
        (
            "[inspiration/img2.png, ./inspiration/img2.png]",
            "look.images (line 1): inspiration/img2.png and ./inspiration/img2.png are",
        ),
        ("empty", "look.images (line 1): the folder 'empty' holds no image"),
    ],
)
def test_images_that_cannot_be_read_are_named(pictures: Path, images: str, problem: str) -> None:
    (pictures / "empty").mkdir()
    message, *_ = told(f"look: {{node_name: Load Inspiration Image, images: {images}}}", pictures)
    assert message.startswith(problem)


# Constants


def test_a_constant_is_the_same_in_every_set_and_in_the_baseline() -> None:
    space = space_of("""
width:  {node_name: Canvas, input: width, constant: 64}
height: {node_name: Canvas, input: height, choice: [64, 128]}
color:  {node_name: Canvas, input: color, constant: 255, when: {height: 128}}
""")
    assert space.size() == 2
    assert [tuple(values.values()) for values in space.grid()] == [(64, 64), (64, 128, 255)]
    assert space.bind({"height": 128})[0] == GenerationParam("Canvas", "width", 64)
    assert space.baseline(canvas(1, 2)) == {"width": 64, "height": 2}
    assert [parameter.name for parameter in space.varying] == ["height"]


def test_every_kind_is_read_from_a_file() -> None:
    space = space_of("""
a: {node_name: N, input: a, randn: [7, 1]}
b: {node_name: N, input: b, qrandn: {mean: 7, sd: 1, q: 0.5}}
c: {node_name: N, input: c, qloguniform: [1, 8, 0.5]}
d: {node_name: N, input: d, qrandint: [1, 8, 2]}
e: {node_name: N, input: e, qlograndint: {low: 1, high: 8, q: 2}}
ä: {node_name: Größe 🎨, input: f, constant: Ölbild 🎨}
""")
    assert space.as_dict()["b"] == {"node_name": "N", "input": "b", "qrandn": [7.0, 1.0, 0.5]}
    assert space.bind(dict.fromkeys("abcde", 2))[-1] == GenerationParam("Größe 🎨", "f", "Ölbild 🎨")


def test_images_of_a_space_travel_as_they_are(pictures: Path) -> None:
    image = EncodedImage.from_file(pictures / "inspiration" / "img2.png")
    domain = Domain("choice", options=("blue",))
    space = Space((Parameter("look", (Target("L", "image"),), domain, gives=((image,),)),))
    assert space.images == (image,)
    described: Any = space.as_dict()
    assert described == {"look": {"node_name": "L", "images": {"blue": {"image": image.digest}}}}
