"""What a node gave: which of its images are the result, and what is said where there is none."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from comfy_kit import Server, picture, pixel, request
from gateway import lying, serving
from PIL import Image

from pixaris.comfyui.client import ComfyClient
from pixaris.exceptions import BadImageError, NoOutputError
from pixaris.images import EncodedImage
from pixaris.types import GeneratedImage, GenerationRequest

Connect = Callable[..., ComfyClient]
COLORS = [(10, 0, 0), (20, 0, 0), (30, 0, 0)]


def png(color: tuple[int, int, int]) -> bytes:
    return EncodedImage.of(Image.new("RGB", (8, 8), color)).data


FILES = {f"{number}.png": png(color) for number, color in enumerate(COLORS)}


def images(*names: str) -> dict[str, Any]:
    return {"images": [{"filename": name, "subfolder": "", "type": "output"} for name in names or FILES]}


def ran(outputs: dict[str, Any], asked: GenerationRequest, files: dict[str, bytes]) -> GeneratedImage:
    with serving(lying(outputs, files)) as url, ComfyClient(url) as client:
        return client.run(asked)


def asked(pick: Any = "first") -> GenerationRequest:
    return replace(picture(1), pick=pick)


def test_the_first_of_several_counts_and_that_is_said() -> None:
    made = ran({"2": images()}, asked(), FILES)
    assert (pixel(made), made.others) == (COLORS[0], ())
    assert made.note == (
        "node 'SaveImage' gives 3 images at once, and the first counts; generator: {images: all} scores them"
        " all, a number chooses one"
    )


def test_one_image_alone_is_worth_no_word() -> None:
    for pick in ("first", "all", 1):
        made = ran({"2": images("1.png")}, asked(pick), FILES)
        assert (pixel(made), made.others, made.note) == (COLORS[1], (), "")


def test_all_of_them_come_with_all() -> None:
    made = ran({"2": images()}, asked("all"), FILES)
    assert [pixel(one) for one in made.each] == COLORS
    assert made.note == ""
    assert sum(one.seconds for one in made.each) == pytest.approx(made.seconds)


def test_a_number_chooses_one() -> None:
    for number, color in enumerate(COLORS, 1):
        assert pixel(ran({"2": images()}, asked(number), FILES)) == color
    with pytest.raises(
        NoOutputError, match=r"it gave 3 images, and the generator's images asks for number 4"
    ):
        ran({"2": images()}, asked(4), FILES)


def test_an_animation_counts_by_its_first_frame_and_that_is_said() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in COLORS]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    outputs = {"2": {**images("a.webp"), "animated": [True]}}
    made = ran(outputs, asked(), {"a.webp": buffer.getvalue()})
    assert pixel(made) == COLORS[0]
    assert made.note == "node 'SaveImage' gives an animation, and its first frame counts"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({}, "this node gave nothing, no image"),
        ({"images": []}, "this node gave nothing, no image"),
        (
            {"gifs": [{"filename": "x.mp4", "subfolder": "", "type": "output", "format": "video/h264-mp4"}]},
            r"this node gave a video \(x.mp4\), no image",
        ),
        ({**images("x.mp4"), "animated": [True]}, r"this node gave a video \(x.mp4\), no image"),
        ({"audio": images("x.flac")["images"]}, r"this node gave an audio file \(x.flac\), no image"),
        ({"3d": images("x.glb")["images"]}, r"this node gave a 3D model \(x.glb\), no image"),
        ({"text": ["a cat on a mat"]}, r"this node gave text \('a cat on a mat'\), no image"),
        (images("x.exr"), r"this node gave a file in a format that is not read \(x.exr\), no image"),
        ({"images": [None, 5], "tags": [{"a": 1}]}, r"this node gave .*, no image"),
    ],
)
def test_where_no_image_comes_it_says_what_came(output: dict[str, Any], said: str) -> None:
    with pytest.raises(NoOutputError, match=said):
        ran({"2": output}, asked(), {})


def test_it_says_where_images_came_from() -> None:
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}, "_meta": {"title": "Wanted"}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}, "_meta": {"title": "Look"}},
    }
    outputs = {"2": {"text": ["no"]}, "3": images("0.png")}
    with pytest.raises(NoOutputError, match=r"gave text \('no'\), no image; images came from 'Look'"):
        ran(outputs, request(graph, "2"), FILES)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"v/1\x01" + b"\0" * 90, "which is OpenEXR"),
        (b"\0\0\0\x20ftypisom" + b"\0" * 90, "which is an ISO media file"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "which is SVG"),
        (b"GIF89a" + b"\0" * 90, "which is GIF"),
    ],
)
def test_a_whole_file_of_another_format_is_the_request_s_fault(data: bytes, said: str) -> None:
    with pytest.raises(NoOutputError, match=said):
        ran({"2": images("a.png")}, asked(), {"a.png": data})


def test_an_image_too_large_to_be_read_is_the_request_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixaris.images.MAX_PIXELS", 63)
    with pytest.raises(NoOutputError, match="pixels"):
        ran({"2": images("0.png")}, asked(), FILES)


@pytest.mark.parametrize("cut", [1, 20, 50])
def test_a_damaged_image_is_the_server_s_fault(cut: int) -> None:
    with pytest.raises(BadImageError):
        ran({"2": images("0.png")}, asked(), {"0.png": FILES["0.png"][:cut]})


@pytest.mark.parametrize(
    "prefix", ["a:b", "a\\b", "x/.a", ".a", "sub/.a", "10:30 x", "ü-é", "%date:yyyy-MM-dd%"]
)
def test_whatever_a_prefix_makes_of_a_name_the_image_comes(
    server: Server, connect: Connect, prefix: str
) -> None:
    base = picture(0x0A0B0C)
    payload = json.loads(base.payload)
    payload["2"]["inputs"]["filename_prefix"] = prefix
    made = connect(server.url).run(replace(base, payload=json.dumps(payload)))
    assert pixel(made) == (10, 11, 12)


def test_a_name_that_the_server_does_not_give_out_is_the_request_s_fault(
    server: Server, connect: Connect
) -> None:
    made = picture(0x0A0B0C)
    client = connect(server.url)
    with pytest.raises(NoOutputError, match=r"saved the image as 'a\.\.b.* change filename_prefix"):
        client.run(replace(made, payload=made.payload.replace("test/", "a..b")))
    client.probe()


@pytest.fixture(scope="module")
def three() -> GeneratedImage:
    return ran({"2": images()}, asked("all"), FILES)


def test_several_images_travel_as_bytes_and_come_back(three: GeneratedImage) -> None:
    for made in (three, replace(three, others=()), replace(three, others=three.others[:1])):
        bare = made.bare
        assert bare.with_data(made.data) == made
        assert len(made.data) >= sum(len(one.image.data) for one in made.each)


def test_a_batch_of_the_embedded_server(server: Server, connect: Connect) -> None:
    base = picture(0x102030)
    payload = base.payload.replace('"batch_size":1', '"batch_size":3')
    assert payload != base.payload
    client = connect(server.url)
    made = client.run(replace(base, payload=payload, pick="all"))
    assert [pixel(one) for one in made.each] == [(16, 32, 48)] * 3
    first = client.run(replace(base, payload=payload, id=uuid.uuid4().hex))
    assert "gives 3 images" in first.note
