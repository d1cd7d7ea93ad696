"""The shared workflows give the pixels that a real ComfyUI 0.27.0 gave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

NAMES = ("01_empty_smoke", "02_seg_threshold_grow", "05_quantize_invert_crop", "06_slow_interruptible")


@pytest.mark.parametrize("name", NAMES)
def test_workflow_gives_the_golden_image_byte_for_byte(client: Any, recorded: Any, name: str) -> None:
    graph = recorded.workflow(name)
    saver = next(node for node, entry in graph.items() if entry["class_type"] == "SaveImage")
    row = client.run(graph)
    assert row["status"]["status_str"] == "success"
    np.testing.assert_array_equal(client.image(row, saver), recorded.golden(name))


def test_preview_image_goes_to_temp_and_has_the_same_pixels(client: Any, recorded: Any) -> None:
    row = client.run(recorded.workflow("05_quantize_invert_crop"))
    (preview,) = row["outputs"]["6"]["images"]
    assert preview["type"] == "temp"
    assert preview["filename"].startswith("ComfyUI_temp_")
    assert preview["filename"].endswith("_00001_.png")
    shown, saved = client.image(row, "6").astype(int), client.image(row, "5").astype(int)
    assert np.abs(255 - shown - saved).max() <= 1  # the saved one is the inverted preview, less a truncation


def test_saved_png_carries_the_graph_and_the_extra_texts(client: Any, recorded: Any) -> None:
    import io
    import json

    from PIL import Image

    graph = recorded.seg(_4_value="0.3")
    row = client.run(graph, extra_data={"extra_pnginfo": {"workflow": {"id": "study-1"}, "note": [1, 2]}})
    content = client.get("/view", params=row["outputs"]["8"]["images"][0]).content
    texts = Image.open(io.BytesIO(content)).text  # type: ignore[attr-defined]
    graph["4"]["inputs"]["value"] = 0.3  # as converted by the validation
    assert json.loads(texts["prompt"]) == graph
    assert json.loads(texts["workflow"]) == {"id": "study-1"}
    assert json.loads(texts["note"]) == [1, 2]
