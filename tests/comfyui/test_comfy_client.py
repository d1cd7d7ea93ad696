"""The client makes images, uploads what is missing, and names what went wrong, over real sockets."""

from __future__ import annotations

import json
import pickle
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from comfy_kit import Server, encoded, in_thread, inverted, picture, pixel, request, slow, until

from pixaris.comfyui.client import ComfyClient
from pixaris.exceptions import (
    BadImageError,
    ConfigurationError,
    ExecutionError,
    NoOutputError,
    OutOfMemoryError,
    PromptRejectedError,
    UnreachableError,
)
from pixaris.images import EncodedImage
from pixaris.types import upload_name

Connect = Callable[..., ComfyClient]
DATA = Path(__file__).parents[1] / "data" / "comfyui"


def test_a_request_becomes_its_image(server: Server, connect: Connect) -> None:
    client = connect(server.url.removeprefix("http://"))
    asked = picture(0x804020)
    made = client.run(asked)
    assert pixel(made) == (0x80, 0x40, 0x20)
    assert (made.request_id, made.item, made.endpoint, made.attempts) == (asked.id, "item", server.url, 1)
    assert 0 <= made.seconds < 1


def test_seconds_are_the_servers_not_the_queues(server: Server, connect: Connect) -> None:
    client = connect(server.url)
    first = in_thread(client, slow(server, 0.3))
    until(lambda: client.queue().running)
    assert client.run(picture(1)).seconds < 0.2
    assert first.result(5).seconds == pytest.approx(0.3, abs=0.15)


def test_many_threads_on_one_client_each_get_their_own_image(server: Server, connect: Connect) -> None:
    client = connect(server.url)
    futures = {color: in_thread(client, picture(color)) for color in range(0x100000, 0x100000 + 24)}
    for color, future in futures.items():
        assert pixel(future.result(10)) == (color >> 16, color >> 8 & 255, color & 255)
    readers = [
        thread for thread in threading.enumerate() if thread.name.endswith(server.url.rpartition(":")[2])
    ]
    assert len([thread for thread in readers if thread.name.startswith("pixaris-websocket")]) == 1


def test_a_small_prompt_takes_milliseconds(server: Server, connect: Connect) -> None:
    client = connect(server.url)
    client.run(picture(0))
    taken = []
    for color in range(1, 21):
        asked, started = picture(color), time.perf_counter()
        client.run(asked)
        taken.append(time.perf_counter() - started)
    assert statistics.median(taken) < 0.1  # about 5 ms on an idle machine; this one may be busy


def test_recorded_workflows_give_the_recorded_pixels(server: Server, connect: Connect) -> None:
    graph = json.loads((DATA / "workflows" / "02_seg_threshold_grow.json").read_text())
    image = EncodedImage.from_file(DATA / "assets" / "input" / "cells_00.png")
    (server.inputs / "cells_00.png").write_bytes(image.data)
    made = connect(server.url).run(request(graph, "8"))
    assert made.image == EncodedImage.from_file(DATA / "golden" / "0.27.0" / "02_seg_threshold_grow.png")


# Uploads


def test_an_input_image_goes_up_once(server: Server, connect: Connect) -> None:
    client, image = connect(server.url), encoded("#123456")
    assert pixel(client.run(inverted(image))) == (0xED, 0xCB, 0xA9)
    file = server.inputs / upload_name(image)
    assert EncodedImage.from_file(file) == image
    written = file.stat().st_mtime_ns
    server.fault("error500", route="/upload", times=None)
    assert pixel(client.run(inverted(image))) == (0xED, 0xCB, 0xA9)
    assert client.upload(image) == upload_name(image)
    assert file.stat().st_mtime_ns == written


def test_a_name_that_is_taken_by_another_file_is_not_overwritten_and_the_servers_name_is_used(
    server: Server, connect: Connect
) -> None:
    image = encoded("#0000ff")
    taken = server.inputs / upload_name(image)
    taken.parent.mkdir(exist_ok=True)
    taken.write_bytes(encoded("#ffffff").data)
    client = connect(server.url)
    assert pixel(client.run(inverted(image))) == (255, 255, 0)
    assert client.upload(image) == upload_name(image).replace(".png", " (1).png")
    assert EncodedImage.from_file(taken) == encoded("#ffffff")


def test_an_input_that_has_vanished_from_the_server_goes_up_again(server: Server, connect: Connect) -> None:
    client, image = connect(server.url), encoded("#ff0000")
    client.run(inverted(image))
    (server.inputs / upload_name(image)).unlink()
    assert pixel(client.run(inverted(image))) == (0, 255, 255)


def test_transparency_goes_up_and_comes_down(server: Server, connect: Connect) -> None:
    image = EncodedImage.from_file(DATA / "assets" / "input" / "alpha_00.png")
    assert connect(server.url).run(inverted(image)).image.image.mode == "RGB"
    assert EncodedImage.from_file(server.inputs / upload_name(image)).image.mode == "RGBA"


# What the server refuses, and what fails


def test_a_refused_prompt_names_node_title_input_and_the_servers_words(
    server: Server, connect: Connect
) -> None:
    graph = json.loads(picture(0).payload)
    graph["1"]["_meta"] = {"title": "Canvas"}
    graph["1"]["inputs"]["width"] = 0
    with pytest.raises(PromptRejectedError) as caught:
        connect(server.url).run(request(graph, "2"))
    assert caught.value.node == "Canvas"
    for word in ("'width'", "Value 0 smaller than min of 1", server.url):
        assert word in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_every_fault_of_a_refused_prompt_is_told(server: Server, connect: Connect) -> None:
    graph = json.loads(picture(0).payload)
    graph["1"]["inputs"].update(width=0, height="tall")
    del graph["2"]["inputs"]["filename_prefix"]
    with pytest.raises(PromptRejectedError) as caught:
        connect(server.url).run(request(graph, "2"))
    for word in ("'width'", "'height'", "'filename_prefix'", "Required input is missing"):
        assert word in str(caught.value)


def test_an_unknown_class_is_told_by_title(server: Server, connect: Connect) -> None:
    graph = json.loads(picture(0).payload)
    graph["1"].update(class_type="EmptyImageXL", _meta={"title": "Canvas"})
    with pytest.raises(PromptRejectedError, match=r"node 'Canvas': .*EmptyImageXL.* not found"):
        connect(server.url).run(request(graph, "2"))


def test_a_prompt_of_which_only_a_part_would_run_is_refused_and_withdrawn(
    server: Server, connect: Connect
) -> None:
    client, other = connect(server.url), connect(server.url)
    running = in_thread(other, slow(server))
    until(lambda: other.queue().running)
    graph = json.loads(picture(0).payload)
    graph["3"] = {"class_type": "ImageBlur", "inputs": {"image": ["1", 0], "blur_radius": 99, "sigma": 1.0}}
    graph["4"] = {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}}
    with pytest.raises(
        PromptRejectedError, match=r"ImageBlur.*'blur_radius': Value 99 bigger than max of 31"
    ):
        client.run(request(graph, "2"))
    assert client.queue().pending == ()
    assert not running.done()


def test_500_on_submit_is_the_prompts_fault(server: Server, connect: Connect) -> None:
    server.fault("error500")
    with pytest.raises(PromptRejectedError, match="HTTP 500"):
        connect(server.url).run(picture(0))


@pytest.mark.parametrize("route", ["/history", "/upload", "/queue"])
def test_500_elsewhere_is_the_endpoints_fault(server: Server, connect: Connect, route: str) -> None:
    client = connect(server.url)
    client.run(picture(0))
    server.fault("error500", route=route, times=None)
    call = client.probe if route == "/queue" else lambda: client.run(inverted(encoded("#aabbcc")))
    with pytest.raises(UnreachableError, match="HTTP 500"):
        call()


def test_a_node_that_fails_is_named_with_the_servers_words(server: Server, connect: Connect) -> None:
    graph = json.loads((DATA / "workflows" / "02_seg_threshold_grow.json").read_text())
    graph["1"] = {
        "class_type": "EmptyImage",
        "inputs": {"width": 9, "height": 9, "batch_size": 1, "color": 5},
    }
    graph["3"]["inputs"]["channel"] = "alpha"
    with pytest.raises(ExecutionError) as caught:
        connect(server.url).run(request(graph, "8"))
    assert caught.value.node == "Channel"
    assert "IndexError: index 3 is out of bounds" in str(caught.value)


def test_without_titles_nodes_go_by_class_and_id(server: Server, connect: Connect) -> None:
    graph = json.loads(picture(0).payload)
    graph["3"] = {"class_type": "ImageBlur", "inputs": {"image": ["1", 0], "blur_radius": 31, "sigma": 1.0}}
    graph["2"]["inputs"]["images"] = ["3", 0]
    asked = request(graph, "2")
    with pytest.raises(ExecutionError, match=r"'ImageBlur \(id 3\)'"):
        connect(server.url).run(type(asked)(asked.id, "item", "comfyui", asked.payload, output="2"))


def test_out_of_memory_is_told_from_other_failures_of_nodes(server: Server, connect: Connect) -> None:
    server.fault("oom")
    with pytest.raises(OutOfMemoryError, match="out of memory"):
        connect(server.url).run(picture(0))


def test_a_prompt_whose_output_node_gives_no_image(server: Server, connect: Connect) -> None:
    with pytest.raises(NoOutputError, match="images came from 'SaveImage'"):
        connect(server.url).run(request(json.loads(picture(0).payload), "1"))


# Images


def test_a_cut_image_is_fetched_again(server: Server, connect: Connect) -> None:
    client = connect(server.url)
    for how in ("short", "cut"):
        server.fault("truncate", how=how)
        assert pixel(client.run(picture(0x0000FF))) == (0, 0, 255)


@pytest.mark.parametrize("how", ["short", "cut"])
def test_an_image_that_is_cut_twice_is_an_error(server: Server, connect: Connect, how: str) -> None:
    server.fault("truncate", how=how, times=2)
    with pytest.raises(BadImageError, match="damaged twice"):
        connect(server.url).run(picture(0))


def test_a_cached_image_whose_file_was_deleted_is_made_again(server: Server, connect: Connect) -> None:
    client, asked = connect(server.url), picture(0x00FF00)
    client.run(asked)
    [file] = [
        file for file in (server.outputs / "test").iterdir() if file.name.startswith(_prefix(asked.payload))
    ]
    file.unlink()
    assert pixel(client.run(asked)) == (0, 255, 0)
    assert not file.exists()


def _prefix(payload: str) -> str:
    return str(json.loads(payload)["2"]["inputs"]["filename_prefix"]).removeprefix("test/")


# The client itself


def test_it_pickles_as_its_description_and_shows_no_credentials(server: Server) -> None:
    client = ComfyClient(server.url.replace("//", "//joe:s3cret@"), headers={"X-Key": "hush"})
    assert pixel(client.run(picture(1))) == (0, 0, 1)
    again = pickle.loads(pickle.dumps(client))
    assert again.url == client.url == server.url
    assert pixel(again.run(picture(2))) == (0, 0, 2)
    for text in (repr(client), repr(client._address), str(client.url)):
        assert "s3cret" not in text
        assert "hush" not in text
    client.close()
    again.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://host",
        "http://",
        "http://joe:s3cret@",
        "http://h:99999",
        "http://joe:s3cret@h/?a=s3cret",
        "a b",
        "http://[::1",
    ],
)
def test_a_url_that_is_none_is_refused_without_showing_secrets(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ComfyClient(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("localhost:8188", "http://localhost:8188"),
        ("http://10.0.0.5:8188/", "http://10.0.0.5:8188"),
        ("https://host/comfy/", "https://host/comfy"),
        ("https://joe:p%40ss@host:1/a/b", "https://host:1/a/b"),
        ("http://[::1]:8188", "http://[::1]:8188"),
    ],
)
def test_urls_are_brought_into_one_form(given: str, shown: str) -> None:
    assert ComfyClient(given).url == shown


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X\n": "a"}, {"": "a"}, {"X": "ä"}])
def test_headers_that_cannot_be_sent_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        ComfyClient("localhost", headers=headers)


def test_stats_object_info_queue_and_history(server: Server, connect: Connect) -> None:
    client = connect(server.url)
    client.probe()
    assert "comfyui_version" in client.system_stats()["system"]
    some = client.object_info(["SaveImage", "No/Such Class"])
    assert some.classes() == ("SaveImage",)
    assert client.object_info().input("ImageBlur", "blur_radius") == client.object_info(["ImageBlur"]).input(
        "ImageBlur", "blur_radius"
    )
    assert client.history("unknown") is None
    client.run(picture(7))
    rows = requests.get(f"{server.url}/history?max_items=1", timeout=5).json()
    [newest] = rows
    record = client.history(newest)
    assert record is not None
    assert record.status == "success"
    assert client.queue().running == ()
