"""Uploads, `/view`, loading and the names of saved files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


def png(mode: str = "RGB", size: tuple[int, int] = (4, 3), color: Any = 0, **save: Any) -> bytes:
    buffer = io.BytesIO()
    image = Image.new(mode, size, color)
    if mode == "P":
        image.putpalette([0, 0, 0, 255, 0, 0])
    image.save(buffer, "PNG", **save)
    return buffer.getvalue()


def put(client: Any, data: bytes, name: str, **fields: str) -> Any:
    return client.post("/upload/image", files={"image": (name, data)}, data=fields)


def show(image: str, slot: int = 0) -> dict[str, Any]:
    """A graph that saves a loaded image (slot 0) or its mask (slot 1)."""
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {"class_type": "MaskToImage", "inputs": {"mask": ["1", 1]}},
        "3": {
            "class_type": "SaveImage",
            "inputs": {"images": ["2", 0] if slot else ["1", 0], "filename_prefix": "x"},
        },
    }
    if not slot:
        del graph["2"]
    return graph


def test_equal_bytes_keep_the_name_and_others_get_a_number(client: Any) -> None:
    one, two = png(color=1), png(color=2)
    names = [put(client, data, "x.png").json()["name"] for data in (one, one, two, two, png(color=3), one)]
    assert names == ["x.png", "x.png", "x (1).png", "x (1).png", "x (2).png", "x.png"]
    assert client.get("/view", params={"filename": "x (1).png", "type": "input"}).content == two


@pytest.mark.parametrize(
    ("value", "overwrites"), [("true", True), ("1", True), ("True", False), ("yes", False)]
)
def test_overwrite_takes_two_words_only(client: Any, value: str, overwrites: bool) -> None:
    put(client, png(color=1), "x.png")
    assert put(client, png(color=2), "x.png", overwrite=value).json()["name"] == (
        "x.png" if overwrites else "x (1).png"
    )


def test_subfolder_type_and_reply(client: Any) -> None:
    reply = put(client, png(), "x.png", subfolder="a/b", type="temp")
    assert reply.json() == {"name": "x.png", "subfolder": "a/b", "type": "temp"}
    assert (
        client.get("/view", params={"filename": "x.png", "subfolder": "a/b", "type": "temp"}).status_code
        == 200
    )


def test_refused_uploads(client: Any) -> None:
    assert client.post("/upload/image", data={"x": "y"}, files={"other": b"1"}).status_code == 400
    assert put(client, b"1", "x.png", subfolder="../..").status_code == 400
    assert put(client, b"1", "x.png", subfolder="/etc").status_code == 400
    assert put(client, b"1", "../x.png").status_code == 400
    assert put(client, b"1", "/etc/x.png").status_code == 400
    assert put(client, b"1", "sub/x.png").status_code == 500
    assert put(client, b"1", "x.png", type="models").status_code == 500
    put(client, b"1", "x.png", subfolder="sub")
    assert put(client, b"1", "sub/y.png").status_code == 200


def test_content_is_not_checked_until_it_is_loaded(client: Any) -> None:
    assert put(client, b"", "empty.png").status_code == 200
    row = client.run(show("empty.png"))
    (name, error) = row["status"]["messages"][-1]
    assert name == "execution_error"
    assert "not a readable image" in error["exception_message"]


def test_a_body_over_the_limit_is_413(serve: Any) -> None:
    with serve(max_upload_megabytes=0.01) as client:
        reply = put(client, bytes(20_000), "x.png")
        assert reply.status_code == 413
        assert reply.text.startswith("Maximum request body size 10485 exceeded")
        assert client.get("/features").json()["max_upload_size"] == 10485


def test_unicode_and_spaces_in_names_survive(client: Any) -> None:
    name = put(client, png(), "Größe 1 (a).png").json()["name"]
    assert name == "Größe 1 (a).png"
    assert client.run(show(name))["status"]["completed"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 404),
        ({"filename": ""}, 400),
        ({"filename": "../a.png"}, 400),
        ({"filename": "/etc/passwd"}, 400),
        ({"filename": "a.png", "type": "models"}, 400),
        ({"filename": "a.png", "type": "input", "subfolder": "../.."}, 403),
        ({"filename": "a.png", "type": "input", "subfolder": "/etc"}, 403),
        ({"filename": "none.png", "type": "input"}, 404),
        ({"filename": "a.png"}, 404),
        ({"filename": "a.png", "type": "input"}, 200),
        ({"filename": "a.png [input]"}, 200),
        ({"filename": "dropped/a.png", "type": "input"}, 200),
    ],
)
def test_view_rules(client: Any, query: dict[str, str], status: int) -> None:
    assert client.get("/view", params=query).status_code == status


def test_view_sends_the_stored_bytes_and_headers(client: Any, recorded: Any) -> None:
    reply = client.get("/view", params={"filename": "a.png", "type": "input"})
    assert reply.content == recorded.asset("cells_00.png").read_bytes()
    assert reply.headers["Content-Disposition"] == 'filename="a.png"'
    assert reply.headers["Content-Type"] == "image/png"
    assert reply.headers["Accept-Ranges"] == "bytes"
    part = client.get("/view", params={"filename": "a.png", "type": "input"}, headers={"Range": "bytes=0-9"})
    assert (part.status_code, len(part.content)) == (206, 10)


@pytest.mark.parametrize(
    ("query", "kind", "mode"),
    [
        ({"preview": "webp;50"}, "WEBP", "RGBA"),
        ({"preview": "jpeg"}, "JPEG", "RGB"),
        ({"channel": "rgb"}, "PNG", "RGB"),
        ({"channel": "a"}, "PNG", "RGBA"),
    ],
)
def test_view_encodes_anew(client: Any, query: dict[str, str], kind: str, mode: str) -> None:
    reply = client.get("/view", params={"filename": "alpha_00.png", "type": "input", **query})
    image = Image.open(io.BytesIO(reply.content))
    assert (image.format, image.mode) == (kind, mode)


def test_active_content_is_offered_as_a_download(client: Any) -> None:
    put(client, b"<script>1</script>", "x.html")
    reply = client.get("/view", params={"filename": "x.html", "type": "input"})
    assert reply.headers["Content-Type"] == "application/octet-stream"


def test_mask_of_an_rgba_file_is_one_minus_alpha(client: Any, recorded: Any) -> None:
    alpha = np.asarray(Image.open(recorded.asset("alpha_00.png")))[..., 3]
    expected = (np.float32(255) * (np.float32(1) - alpha / np.float32(255))).astype(np.uint8)
    np.testing.assert_array_equal(client.image(client.run(show("alpha_00.png", 1)), "3")[..., 0], expected)


def test_mask_of_an_rgb_file_is_64_by_64_zeros(client: Any) -> None:
    mask = client.image(client.run(show("a.png", 1)), "3")
    assert (mask.shape, mask.max()) == ((64, 64, 3), 0)


def test_palette_files(client: Any) -> None:
    put(client, png("P", color=1), "palette.png")
    put(client, png("P", color=1, transparency=1), "clear.png")
    assert client.image(client.run(show("palette.png", 1)), "3").shape == (3, 4, 3)
    assert client.image(client.run(show("clear.png", 1)), "3").min() == 255


def test_gray_levels_come_out_one_lower(client: Any) -> None:
    for level, expected in ((255, 254), (1, 0), (0, 0)):
        put(client, png("L", color=level), f"gray{level}.png")
        assert client.image(client.run(show(f"gray{level}.png")), "3").max() == expected


def test_exif_orientation_is_applied(client: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    put(client, png(size=(194, 130), exif=exif), "turned.png")
    assert client.image(client.run(show("turned.png")), "3").shape == (194, 130, 3)


def test_load_image_mask_takes_a_channel(client: Any, recorded: Any) -> None:
    pixels = np.asarray(Image.open(recorded.asset("alpha_00.png")))
    for channel, index in (("red", 0), ("green", 1), ("blue", 2)):
        graph = show("alpha_00.png", 1)
        graph["1"] = {"class_type": "LoadImageMask", "inputs": {"image": "alpha_00.png", "channel": channel}}
        graph["2"]["inputs"]["mask"] = ["1", 0]
        np.testing.assert_array_equal(client.image(client.run(graph), "3")[..., 0], pixels[..., index])


def test_load_image_finds_subfolders_and_other_folders(client: Any, recorded: Any) -> None:
    put(client, png(color=(9, 9, 9)), "x.png", subfolder="deep/er")
    assert client.image(client.run(show("deep/er/x.png")), "3").max() == 9
    saved = client.run(recorded.seg())["outputs"]["8"]["images"][0]["filename"]
    assert client.run(show(f"{saved} [output]"))["status"]["completed"]


def test_saved_names_count_on_from_the_highest(client: Any, tmp_path: Path) -> None:
    def save(prefix: str, batch: int = 1) -> list[dict[str, str]]:
        graph = {
            "1": {
                "class_type": "EmptyImage",
                "inputs": {"width": 5, "height": 7, "batch_size": batch, "color": 0},
            },
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
        }
        client.post("/free", json={"free_memory": True})
        return client.run(graph)["outputs"]["2"]["images"]

    assert [file["filename"] for file in save("a", 3)] == ["a_00001_.png", "a_00002_.png", "a_00003_.png"]
    output = tmp_path / "server" / "output"
    (output / "a_00002_.png").unlink()
    assert save("a")[0]["filename"] == "a_00004_.png"
    (output / "a_00004_.png").unlink()
    assert save("a")[0]["filename"] == "a_00004_.png"
    assert save("sub/dir/b")[0] == {"filename": "b_00001_.png", "subfolder": "sub/dir", "type": "output"}
    assert save("%width%x%height%_%date:yyyy%")[0]["filename"] == "5x7_%date:yyyy%_00001_.png"
    assert save("n%batch_num%", 2)[1]["filename"] == "n1_00002_.png"
    assert save("")[0]["filename"] == "._00001_.png"


def test_saving_outside_the_output_folder_fails(client: Any, recorded: Any) -> None:
    for prefix in ("../../x", "/tmp/x"):
        row = client.run(recorded.seg(_8_filename_prefix=prefix))
        assert (
            "Saving image outside the output folder is not allowed"
            in row["status"]["messages"][-1][1]["exception_message"]
        )


def test_only_the_newest_outputs_are_kept_if_asked(serve: Any, recorded: Any, tmp_path: Path) -> None:
    with serve(keep_outputs=2) as client:
        for value in (0.1, 0.2, 0.3, 0.4):
            client.run(recorded.seg(_4_value=value))
        names = sorted(path.name for path in (tmp_path / "server" / "output").iterdir())
    assert names == ["seg_00003_.png", "seg_00004_.png"]


def test_private_folder_is_removed_at_the_end() -> None:
    from pixaris.comfyui.server.inprocess import serve_in_thread

    with serve_in_thread() as running:
        base = running.worker.folders.base
        assert (base / "input").is_dir()
    assert not base.exists()
