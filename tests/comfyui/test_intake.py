"""Images are given to a node as it takes them: as an uploaded file, as text, or not, which is said before."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from comfy_kit import encoded
from gateway import LAST, lying, serving
from PIL import Image

from pixaris.comfyui.client import ComfyClient
from pixaris.comfyui.graph.intake import Intake, intake
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.uploads import text_of
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import WorkflowError
from pixaris.generation.base import ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.types import EvalItem, EvalSet, GenerationRequest, InputImage, upload_name

PICTURE = encoded("red")
TEXT = base64.b64encode(PICTURE.data).decode()
UPLOAD = ["COMBO", {"options": ["a.png"], "image_upload": True}]
INFO = ObjectInfo(
    {
        name: {"input": {"required": {"image": spec}}, "output": ["IMAGE"], "output_node": False}
        for name, spec in {
            "LoadImage": UPLOAD,
            "LoadImageFancy": UPLOAD,
            "ETN_LoadImageBase64": ["STRING", {"multiline": True}],
            "LoadImageListed": ["COMBO", {"options": ["a.png", "b.png"]}],
            "LoadImageText": ["STRING", {}],
        }.items()
    }
)


def workflow(kind: str, **inputs: Any) -> Workflow:
    nodes = {
        "1": {"class_type": kind, "inputs": inputs, "_meta": {"title": "Load Input Image"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    return Workflow.load(nodes)


def asked(kind: str, info: ObjectInfo | None = None, **inputs: Any) -> Intake | str:
    return intake(workflow(kind, **inputs).nodes["1"], info)


@pytest.mark.parametrize(
    ("kind", "inputs", "expected"),
    [
        ("LoadImage", {"image": "a.png"}, Intake("image", "file")),
        ("LoadImage", {}, Intake("image", "file")),
        ("LoadImageMask", {"image": "a.png", "channel": "red"}, Intake("image", "file")),
        ("LoadImageOutput", {"image": "a.png [output]"}, Intake("image", "file")),
        ("Custom", {"image": "a.png"}, Intake("image", "file")),
        ("Custom", {"picture": "a.webp", "size": 3}, Intake("picture", "file")),
        ("ETN_LoadImageBase64", {"image": ""}, Intake("image", "base64")),
        ("ETN_LoadImageBase64", {"image": TEXT}, Intake("image", "base64")),
        ("LoadImageFromBase64", {"base64_string": ""}, Intake("base64_string", "base64")),
        ("Base64ToImageNode", {"data": "x", "b64": "x"}, Intake("b64", "base64")),
        ("Custom", {"image": f"data:image/png;base64,{TEXT}"}, Intake("image", "data url")),
        ("Custom", {"image": TEXT}, Intake("image", "base64")),
    ],
)
def test_what_a_node_takes_is_told_by_names_and_by_what_the_workflow_holds(
    kind: str, inputs: dict[str, Any], expected: Intake
) -> None:
    assert asked(kind, **inputs) == expected


@pytest.mark.parametrize(
    ("kind", "inputs", "said"),
    [
        ("LoadImageFromUrl", {"image": "https://x.com/a.png"}, "takes the address of an image in `image`"),
        ("LoadImageURL", {"url": ""}, "takes the address of an image in `url`"),
        ("Custom", {"image": "http://x/a.png"}, "takes the address of an image in `image`"),
        ("LoadImageFromPath", {"image": "/data/a.png"}, "takes the path of a file on the server in `image`"),
        ("Custom", {"image": "C:\\a.png"}, "takes the path of a file on the server in `image`"),
        ("Custom", {"image_path": ""}, "takes the path of a file on the server in `image_path`"),
        ("LoadImagesFromFolder", {"folder": "x"}, "takes a folder on the server in `folder`"),
        ("LoadImagesFromDir", {"directory": "x"}, "takes a folder on the server in `directory`"),
        ("EmptyImage", {"width": 5}, "loads no image file"),
        ("SaveImage", {"filename_prefix": "x"}, "loads no image file"),
    ],
)
def test_what_cannot_be_given_says_what_the_node_wants(kind: str, inputs: dict[str, Any], said: str) -> None:
    found = asked(kind, **inputs)
    assert isinstance(found, str)
    assert found.startswith(said)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("LoadImage", Intake("image", "file")),
        ("LoadImageFancy", Intake("image", "file")),
        ("ETN_LoadImageBase64", Intake("image", "base64")),
        ("LoadImageListed", "takes one of the files that the server lists in `image`"),
        ("LoadImageText", "takes text in `image`"),
    ],
)
def test_the_server_s_word_comes_before_names(kind: str, expected: Intake | str) -> None:
    found = asked(kind, INFO, image="a.png")
    assert found == expected or (isinstance(found, str) and found.startswith(str(expected)))


def test_an_error_says_which_node_and_the_way_out() -> None:
    generator = ComfyGenerator(workflow("LoadImageURL", url="https://x.com/a.png"))
    items = (EvalItem(0, "a", {"Input": PICTURE}),)
    (problem,) = generator.problems(EvalSet("set", items), ItemArgs({}))
    assert "node 'Load Input Image' (LoadImageURL, id 1) takes the address of an image in `url`" in str(
        problem
    )
    assert "put a LoadImage node in its place" in str(problem)
    with pytest.raises(WorkflowError, match="takes the address"):
        generator.request(ItemArgs({}, images={"Load Input Image": PICTURE}))


def request(kind: str, **inputs: Any) -> GenerationRequest:
    generator = ComfyGenerator(workflow(kind, **inputs))
    return generator.request(ItemArgs({}, item="a", images={"Load Input Image": PICTURE}))


def test_a_payload_names_an_image_by_its_content_however_it_is_given() -> None:
    for kind in ("LoadImage", "ETN_LoadImageBase64"):
        made = request(kind, image="")
        assert json.loads(made.payload)["1"]["inputs"]["image"] == upload_name(PICTURE)
    assert made.images == (InputImage("1", "image", PICTURE, "base64"),)
    assert len(made.payload) < 1000


def test_the_text_is_the_png_itself() -> None:
    for sent_as, head in (("base64", ""), ("data url", "data:image/png;base64,")):
        text = text_of(InputImage("1", "image", PICTURE, sent_as))  # type: ignore[arg-type]
        assert text.startswith(head)
        with Image.open(io.BytesIO(base64.b64decode(text.removeprefix(head)))) as image:
            assert (image.format, image.getpixel((0, 0))) == ("PNG", (255, 0, 0))
    assert text_of(InputImage("1", "image", PICTURE)) == ""


@pytest.mark.parametrize(("sent_as", "head"), [("base64", ""), ("data url", "data:image/png;base64,")])
def test_the_client_sends_the_image_in_place_of_its_name_and_uploads_nothing(
    connect: Callable[..., ComfyClient], sent_as: Any, head: str
) -> None:
    made = request("ETN_LoadImageBase64", image=head)
    app = lying(
        {"2": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}}, {"a.png": PICTURE.data}
    )
    with serving(app) as url:
        connect(url).run(replace(made, images=(InputImage("1", "image", PICTURE, sent_as),)))
    assert json.loads(app[LAST]["prompt"])["1"]["inputs"]["image"] == head + TEXT
