"""A Flux request as it travels and as it is sent: its payload names images by content, the body holds
them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from pixaris.flux.models import MODELS, Model
from pixaris.images import EncodedImage, encode_gray_png
from pixaris.types import GenerationRequest, InputImage, ParamValue, upload_name


def payload_of(model: Model, values: Mapping[str, ParamValue], images: Mapping[str, EncodedImage]) -> str:
    """The canonical text of a request.

    Args:
        model: The model.
        values: Field name to value, as `Field.fit` gives it.
        images: Name of an image field to image.
    """
    named = {name: upload_name(image) for name, image in images.items()}
    return json.dumps(
        {"model": model.name, "fields": dict(values), "images": named}, sort_keys=True, ensure_ascii=False
    )


def input_images(images: Mapping[str, EncodedImage]) -> tuple[InputImage, ...]:
    """The images of a request."""
    return tuple(InputImage(name, name, image) for name, image in images.items())


def model_of(request: GenerationRequest) -> Model:
    """The model of a request."""
    return MODELS[json.loads(request.payload)["model"]]


def body_of(request: GenerationRequest) -> bytes:
    """What is sent: the fields, and every image as base64 of a PNG, a mask in gray."""
    model = model_of(request)
    body = dict(json.loads(request.payload)["fields"])
    given = {one.input: one.image for one in request.images}
    listed = []
    for field in model.images:
        if field.name not in given:
            continue
        image = given[field.name]
        text = base64.b64encode(encode_gray_png(image.image) if field.mask else image.data).decode("ascii")
        if field.position is None:
            body[field.name] = text
        else:
            listed.append(text)
    if listed:
        body[model.images_field] = listed
    return json.dumps(body, allow_nan=False).encode()
