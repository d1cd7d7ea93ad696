"""What the server's nodes declare, apart from how they run: reading it costs nothing."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib import resources

from pixaris.files import JsonObject


@functools.cache
def declarations() -> Mapping[str, JsonObject]:
    """Return ``/object_info`` as shipped: class name to declaration, with LoadImage's options empty. Do not
    change it.
    """
    text = resources.files("pixaris.comfyui.server").joinpath("object_info.json").read_text("utf-8")
    found: dict[str, JsonObject] = json.loads(text)
    return found
