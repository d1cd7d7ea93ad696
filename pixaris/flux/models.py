"""The models of the Flux API that make images, each with its own fields, ranges, limit and price. Pure.

Left out on purpose: ``webhook_url`` and ``webhook_secret``, because an answer to a request with a webhook has
no ``polling_url``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil

from pixaris.exceptions import nearest
from pixaris.flux.fields import Field, ImageField, flag, number, ratio, seed, text, whole
from pixaris.types import ParamValue

MEGAPIXEL = 1_000_000
MOST_PIXELS = 16 * MEGAPIXEL
ACTIVE_TASKS = 24
"""Tasks that an account may have at once, from their submission to their end."""


@dataclass(frozen=True)
class Price:
    """Credits for one image, as listed in November 2026; one credit is 0.01 US dollars.

    Attributes:
        first: For the image, or its first megapixel.
        more: For every further begun megapixel, those of the input images among them.
    """

    first: float
    more: float = 0.0


@dataclass(frozen=True)
class Model:
    """A model of the API.

    Attributes:
        name: The last part of its URL.
        fields: What it takes besides images.
        images: What it takes as images.
        price: What an image costs, or None if that is not listed.
        active_tasks: How many tasks an account may have with it at once.
        fewest_pixels: That an input image may have.
        images_field: The one field that takes all images as a list, or "".
    """

    name: str
    fields: tuple[Field, ...]
    images: tuple[ImageField, ...] = ()
    price: Price | None = None
    active_tasks: int = ACTIVE_TASKS
    fewest_pixels: int = 1
    images_field: str = ""

    def field(self, name: str) -> Field | None:
        """The field of a name."""
        return next((field for field in self.fields if field.name == name), None)

    def image_field(self, title: str) -> ImageField | None:
        """The image field that the node of a title feeds."""
        return next((image for image in self.images if image.is_fed_by(title)), None)

    def unknown_field(self, name: str) -> str:
        """Why a name is no field's."""
        if any(image.name == name for image in self.images) or name == self.images_field:
            titles = ", ".join(repr(image.title) for image in self.images[:2])
            return (
                f"`{name}` of {self.name} is an image, which the eval set provides (the node titled {titles})"
            )
        # Without a polling URL nobody could fetch the image.
        if name.startswith("webhook"):
            return (
                f"`{name}` cannot be set: an answer to a request with a webhook says nothing of where its"
                " result is"
            )
        names = [field.name for field in self.fields]
        return f"{self.name} has no field {name!r}{nearest(name, names)}; it has {', '.join(names)}"

    def missing(self, names: Collection[str], images: Collection[str]) -> list[str]:
        """What a request lacks.

        Args:
            names: The fields that are set.
            images: The image fields that have an image.
        """
        lacks = []
        for field in self.fields:
            if field.required and field.name not in names:
                lacks.append(f"`{field.name}` of {self.name} is missing: it takes {field.describe()}")
        for image in self.images:
            if image.required and image.name not in images:
                lacks.append(f"{self.name} needs an image for the node {image.title!r}")
        return lacks

    def credits(self, values: Mapping[str, ParamValue], inputs: Iterable[tuple[int, int]]) -> float | None:
        """Estimate what one image costs; None if no price is listed.

        Args:
            values: Field name to value.
            inputs: Width and height of the input images, the first one's first.
        """
        if self.price is None:
            return None
        sizes = list(inputs)
        if sizes:
            width, height = sizes[0]
        else:
            width, height = (1024, 1024)
        own_width, own_height = values.get("width"), values.get("height")
        if isinstance(own_width, int) and isinstance(own_height, int):
            width, height = own_width, own_height
        # Every megapixel that is begun counts, of the result and of each input.
        begun = [max(1, ceil(w * h / MEGAPIXEL)) for w, h in ((width, height), *sizes)]
        return self.price.first + self.price.more * (sum(begun) - 1)


def _inputs(name: str, count: int, *, required: bool = False) -> tuple[ImageField, ...]:
    """``input_image``, ``input_image_2``, …: fed by the folders ``Input``, ``Input 2``, …"""
    first = ImageField(name, "Input", required)
    return (first, *(ImageField(f"{name}_{place}", f"Input {place}") for place in range(2, count + 1)))


_FORMATS = ("jpeg", "png", "webp")
_JPEG = text("output_format", *_FORMATS, default="jpeg")
_PNG = text("output_format", *_FORMATS, default="png")
_PROMPT = text("prompt", required=True)
_FREE_PROMPT = text("prompt", default="")
_UPSAMPLING = flag("prompt_upsampling", False)
_TOLERANCE = whole("safety_tolerance", 0, 6, 2)
_TOLERANCE_5 = whole("safety_tolerance", 0, 5, 2)
_SIDES = (whole("width", 256, 1440, 1024, multiple=32), whole("height", 256, 1440, 768, multiple=32))
_FREE_SIDES = (whole("width", 64), whole("height", 64))
_FINETUNE = text("finetune_id", required=True)
_IMAGE = ImageField("image", "Input", required=True)
_MASK = ImageField("mask", "Mask", mask=True)
_IMAGE_PROMPT = ImageField("image_prompt", "Input")

_STEERED = (
    whole("steps", 15, 50, 50),
    number("guidance", 1.5, 100, 60.0),
    seed(),
    _UPSAMPLING,
    _TOLERANCE,
    _JPEG,
)
_ULTRA = (
    _FREE_PROMPT,
    ratio("16:9"),
    flag("raw", False),
    number("image_prompt_strength", 0, 1, 0.1),
    seed(),
    _UPSAMPLING,
    _TOLERANCE,
    _JPEG,
)
_KONTEXT = (_PROMPT, ratio(), seed(), _UPSAMPLING, _TOLERANCE, _PNG)
_FLUX_2 = (_PROMPT, *_FREE_SIDES, seed(), _TOLERANCE_5, _JPEG)

FILL = Model("flux-pro-1.0-fill", (_FREE_PROMPT, *_STEERED), (_IMAGE, _MASK), Price(5))
FILL_FINETUNED = Model(
    "flux-pro-1.0-fill-finetuned",
    (_FINETUNE, number("finetune_strength", 0, 2, 1.1), _FREE_PROMPT, *_STEERED),
    (_IMAGE, _MASK),
)
EXPAND = Model(
    "flux-pro-1.0-expand",
    (_FREE_PROMPT, *(whole(side, 0, 2048, 0) for side in ("top", "bottom", "left", "right")), *_STEERED),
    (_IMAGE,),
    Price(5),
)
PRO_1_1 = Model(
    "flux-pro-1.1",
    (_FREE_PROMPT, *_SIDES, seed(), _UPSAMPLING, _TOLERANCE, _JPEG),
    (_IMAGE_PROMPT,),
    Price(4),
)
ULTRA = Model("flux-pro-1.1-ultra", _ULTRA, (_IMAGE_PROMPT,), Price(6))
ULTRA_FINETUNED = Model(
    "flux-pro-1.1-ultra-finetuned",
    (_FINETUNE, number("finetune_strength", 0, 2, 1.2), *_ULTRA),
    (_IMAGE_PROMPT,),
)
DEV = Model(
    "flux-dev",
    (
        _FREE_PROMPT,
        *_SIDES,
        whole("steps", 1, 50, 28),
        number("guidance", 1.5, 5, 3.0),
        seed(),
        _UPSAMPLING,
        _TOLERANCE,
        _JPEG,
    ),
    (_IMAGE_PROMPT,),
    Price(2.5),
)
KONTEXT_PRO = Model("flux-kontext-pro", _KONTEXT, _inputs("input_image", 4), Price(4))
KONTEXT_MAX = Model("flux-kontext-max", _KONTEXT, _inputs("input_image", 4), Price(8), active_tasks=6)
PRO_2 = Model("flux-2-pro", _FLUX_2, _inputs("input_image", 8), Price(3, 1.5))
PRO_2_PREVIEW = Model("flux-2-pro-preview", _FLUX_2, _inputs("input_image", 8), Price(3, 1.5))
MAX_2 = Model("flux-2-max", _FLUX_2, _inputs("input_image", 8), Price(7, 3))
FLEX_2 = Model(
    "flux-2-flex",
    (*_FLUX_2, flag("prompt_upsampling", True), whole("steps", 1, 50, 50), number("guidance", 1.5, 10, 5.0)),
    _inputs("input_image", 8),
    Price(5, 5),
)
FLEX_2_OUTPAINTING = Model(
    "flux-2-flex-outpainting",
    (
        text("prompt"),
        *_FREE_SIDES,
        whole("bbox_x1"),
        whole("bbox_y1"),
        flag("auto_crop", False),
        flag("pre_padded", False),
        flag("prompt_upsampling", True),
        whole("steps", 1, 50, 30),
        number("guidance", 1.5, 10, 4.0),
        text("effort", "high", "medium", "low", default="high"),
        seed(),
        _TOLERANCE_5,
        _PNG,
    ),
    _inputs("input_image", 1, required=True),
)
KLEIN_4B = Model("flux-2-klein-4b", _FLUX_2, _inputs("input_image", 4), Price(1.4, 0.1))
KLEIN_9B = Model("flux-2-klein-9b", _FLUX_2, _inputs("input_image", 4), Price(1.5, 0.2))
KLEIN_9B_PREVIEW = Model("flux-2-klein-9b-preview", _FLUX_2, _inputs("input_image", 4), Price(1.5, 0.2))
IMAGE_3 = Model(
    "flux-3-image",
    (
        _PROMPT,
        ratio(),
        text("resolution", "768sq", "1k", "1.5k", "2k", "4k"),
        whole("safety_tolerance", 0, 4),
        flag("grounding", False),
        text("version"),
    ),
    tuple(replace(one, position=place) for place, one in enumerate(_inputs("images", 10))),
    active_tasks=5,
    fewest_pixels=256 * 256,
    images_field="images",
)

MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        *(FILL, FILL_FINETUNED, EXPAND, PRO_1_1, ULTRA, ULTRA_FINETUNED, DEV, KONTEXT_PRO, KONTEXT_MAX),
        *(
            PRO_2,
            PRO_2_PREVIEW,
            MAX_2,
            FLEX_2,
            FLEX_2_OUTPAINTING,
            KLEIN_4B,
            KLEIN_9B,
            KLEIN_9B_PREVIEW,
            IMAGE_3,
        ),
    )
}
"""Name to model."""
