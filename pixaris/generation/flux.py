"""Images from the Flux API: one generator for each of its models."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pixaris.config import Config
from pixaris.endpoints.apis.flux import FluxApi, flux_endpoint
from pixaris.endpoints.base import Endpoint
from pixaris.exceptions import ConfigurationError, Problem, nearest
from pixaris.flux import models, trust
from pixaris.flux.fields import Field, ImageField, UnfitError
from pixaris.flux.models import MOST_PIXELS, Model
from pixaris.flux.request import input_images, payload_of
from pixaris.generation.base import Fault, ImageGenerator, ItemArgs, load_node
from pixaris.images import EncodedImage
from pixaris.types import EvalItem, EvalSet, GenerationParam, GenerationRequest, ParamValue

_SEEDS = 2**31


class FluxGenerator(ImageGenerator):
    """Asks a model of the Flux API for every item's image.

    A parameter is one of the model's fields, named by its ``input``; its ``node_name`` is the field's name
    again, or says that Flux is meant (``flux``, the model's name). Images come by node title, as in a ComfyUI
    workflow: the eval set's folder ``Input`` feeds "Load Input Image", ``Mask`` feeds "Load Mask Image",
    ``Input 2`` feeds "Load Input 2 Image".

    Two things differ from the API's own defaults, so that parameter sets can be compared: the seed is made
    from the item's name (the same in every run), and ``output_format`` is ``png``. A parameter wins over
    both.

    Args:
        api_key: The account's key; by default what the configuration says. It is no part of a pickle: trials
            never need it.
        base_url: The API; by default what the configuration says, else https://api.bfl.ai.
    """

    model: ClassVar[Model]
    api = FluxApi()

    def __init__(self, api_key: str | None = None, *, base_url: str | None = None) -> None:
        self._api_key = api_key
        self.base_url = base_url

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_api_key": None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def loads(self, title: str) -> bool:
        return self.model.image_field(title) is not None

    @property
    def most_at_once(self) -> int:
        return self.model.active_tasks

    def endpoints(self) -> tuple[Endpoint, ...]:
        config = Config.load()
        key = self._api_key or config.flux_api_key
        return (flux_endpoint(key, self.base_url or config.flux_base_url, depth=self.model.active_tasks),)

    def for_accounts(self, endpoints: Sequence[Endpoint]) -> FluxGenerator:
        known = copy.copy(self)
        urls = [endpoint.url for endpoint in endpoints if endpoint.kind == self.kind]
        if urls:
            known.base_url = urls[0]
        else:
            known.base_url = self.base_url
        known._api_key = self._api_key  # a copy, as a pickle, goes without
        return known

    def request(self, args: ItemArgs) -> GenerationRequest:
        images = self._images(args.images)
        problems = [
            *self._faults(args.params),
            *self._image_problems(images),
            *self._missing(args.params, images),
        ]
        if problems:
            raise ConfigurationError(tuple(dict.fromkeys(problems)))
        values = self._values(args)
        fitted = {name: self._field(name).fit(value) for name, value in values.items()}
        return GenerationRequest(
            id=str(uuid.uuid4()),
            item=args.item,
            kind=self.kind,
            payload=payload_of(self.model, fitted, images),
            images=input_images(images),
            models=trust.maker(self.base_url or Config.load().flux_base_url or trust.DEFAULT_URL),
        )

    def problems(self, eval_set: EvalSet, args: ItemArgs) -> list[Problem]:
        found = self._faults(args.params)
        found += self._title_problems(eval_set, args)
        for item in eval_set.items:
            images = self._images_of(item, args)
            found += [
                Problem(f"item {item.name!r}", problem.message) for problem in self._image_problems(images)
            ]
            own = args.with_params(item.params).params
            found += self._faults(own) if item.params else []
            found += self._missing(own, images)
        return list(dict.fromkeys(found))

    def fault(self, param: GenerationParam) -> Fault | None:
        name = param.node_name.casefold()
        field = self.model.field(param.input)
        if field is None:
            return Fault(self.model.unknown_field(param.input), of_target=True)
        known = (param.input, self.kind, self.model.name)
        if name and name not in known:
            hint = f"write node_name: {param.input}, or leave it out{nearest(name, known)}"
            return Fault(
                f"a Flux model has no nodes, but the parameter names {param.node_name!r}; {hint}",
                of_target=True,
            )
        try:
            field.fit(param.value)
        except UnfitError as error:
            return Fault(f"`{param.input}` of {self.model.name} {error}")
        return None

    def own_value(self, node_name: str, input: str) -> ParamValue | None:
        field = self.model.field(input)
        if field is None:
            return None
        if field.name == "output_format":
            return "png"
        return field.default

    def cost(self, eval_set: EvalSet, args: ItemArgs) -> float | None:
        values = self._settable(args)
        total = 0.0
        for item in eval_set.items:
            images = self._images_of(item, args)
            masks = {image.name for image in self.model.images if image.mask}
            credits = self.model.credits(
                values, [image.size for name, image in images.items() if name not in masks]
            )
            if credits is None:
                return None
            total += credits
        return total

    # Inside

    def _field(self, name: str) -> Field:
        field = self.model.field(name)
        assert field is not None
        return field

    def takes_seed(self, args: ItemArgs) -> bool:
        return self.model.field("seed") is not None and "seed" not in self._settable(args)

    def _settable(self, args: ItemArgs) -> dict[str, ParamValue]:
        """The parameters that fit, by field."""
        return {param.input: param.value for param in args.params if self.fault(param) is None}

    def _values(self, args: ItemArgs) -> dict[str, ParamValue]:
        """What is sent for an item: its seed, the lossless format, and the parameters."""
        values: dict[str, ParamValue] = {}
        if self.model.field("output_format"):
            values["output_format"] = "png"
        if args.seed is not None and self.model.field("seed"):
            values["seed"] = args.seed % _SEEDS
        return {**values, **self._settable(args)}

    def _images(self, given: Mapping[str, EncodedImage]) -> dict[str, EncodedImage]:
        """The images by field; those of other titles are left out."""
        found = {
            field.name: image for title, image in given.items() if (field := self.model.image_field(title))
        }
        return {field.name: found[field.name] for field in self.model.images if field.name in found}

    def _images_of(self, item: EvalItem, args: ItemArgs) -> dict[str, EncodedImage]:
        return self._images(
            {**args.images, **{load_node(folder): image for folder, image in item.inputs.items()}}
        )

    def _faults(self, params: Sequence[GenerationParam]) -> list[Problem]:
        faults = [fault for param in params if (fault := self.fault(param))]
        fields = [param.input for param in params]
        twice = sorted({name for name in fields if fields.count(name) > 1})
        rules = [fault.message for fault in faults]
        rules += [f"`{name}` of {self.model.name} is set twice; keep one of them" for name in twice]
        return [Problem("", rule) for rule in rules]

    def _missing(
        self, params: Sequence[GenerationParam], images: Mapping[str, EncodedImage]
    ) -> list[Problem]:
        """Fields and images that the model needs and does not get."""
        names = [param.input for param in params]
        return [Problem("", message) for message in self.model.missing(names, images)]

    def _title_problems(self, eval_set: EvalSet, args: ItemArgs) -> list[Problem]:
        titles = {
            load_node(folder): f"folder {folder!r} of eval set {eval_set.name!r}"
            for folder in eval_set.input_folders
        }
        titles |= dict.fromkeys(args.images, "pillow_images")
        known = [image.title for image in self.model.images]
        if not known:
            way_out = f"{self.model.name} takes no images; name the folder among the references"
        else:
            way_out = (
                f"{self.model.name} takes {', '.join(map(repr, known))}; rename it, or name the folder among"
                " the references"
            )
        problems = []
        taken: dict[ImageField, str] = {}
        for title, place in titles.items():
            field = self.model.image_field(title)
            if field is None:
                problems.append(Problem(place, f"feeds the node {title!r}{nearest(title, known)}; {way_out}"))
            elif field in taken:
                problems.append(
                    Problem(
                        place, f"{title!r} and {taken[field]!r} both feed `{field.name}`; keep one of them"
                    )
                )
            else:
                taken[field] = title
        return problems

    def _image_problems(self, images: Mapping[str, EncodedImage]) -> list[Problem]:
        problems = []
        first = next((images[field.name] for field in self.model.images if field.name in images), None)
        for field in self.model.images:
            image = images.get(field.name)
            if image is None:
                continue
            width, height = image.size
            if width * height > MOST_PIXELS:
                problems.append(
                    Problem(
                        "",
                        f"`{field.name}` has {width}×{height} pixels; {self.model.name} takes at most 16"
                        " megapixels",
                    )
                )
            if width * height < self.model.fewest_pixels:
                least = f"{self.model.fewest_pixels:,} pixels (256×256)"
                problems.append(
                    Problem(
                        "",
                        f"`{field.name}` has {width}×{height} pixels; {self.model.name} takes at least"
                        f" {least}",
                    )
                )
            if field.mask and first is not None and image.size != first.size:
                size = f"{first.size[0]}×{first.size[1]}"
                problems.append(
                    Problem(
                        "",
                        f"the mask has {width}×{height} pixels and the image {size}; they must be the same",
                    )
                )
        return problems


class _Masked(FluxGenerator):
    """A model that paints where a mask is white."""

    def _image_problems(self, images: Mapping[str, EncodedImage]) -> list[Problem]:
        problems = super()._image_problems(images)
        if "image" in images and "mask" not in images and not images["image"].has_alpha:
            message = (
                f"{self.model.name} needs a mask: a folder 'Mask' (white is painted, black is kept), or"
                " transparency in 'Input'"
            )
            problems.append(Problem("", message))
        return problems


class FluxFillGenerator(_Masked):
    """Paints anew what a mask shows white (``flux-pro-1.0-fill``)."""

    model = models.FILL


class FluxFillFinetunedGenerator(_Masked):
    """The same with a finetuned model (``flux-pro-1.0-fill-finetuned``)."""

    model = models.FILL_FINETUNED


class FluxExpandGenerator(FluxGenerator):
    """Adds to an image's sides (``flux-pro-1.0-expand``)."""

    model = models.EXPAND


class FluxProGenerator(FluxGenerator):
    """Images from text (``flux-pro-1.1``)."""

    model = models.PRO_1_1


class FluxUltraGenerator(FluxGenerator):
    """Images from text, up to 4 megapixels (``flux-pro-1.1-ultra``)."""

    model = models.ULTRA


class FluxUltraFinetunedGenerator(FluxGenerator):
    """The same with a finetuned model (``flux-pro-1.1-ultra-finetuned``)."""

    model = models.ULTRA_FINETUNED


class FluxDevGenerator(FluxGenerator):
    """Images from text, with steps and guidance (``flux-dev``)."""

    model = models.DEV


class FluxKontextProGenerator(FluxGenerator):
    """Images from text, or edited by it (``flux-kontext-pro``)."""

    model = models.KONTEXT_PRO


class FluxKontextMaxGenerator(FluxGenerator):
    """Images from text, or edited by it (``flux-kontext-max``)."""

    model = models.KONTEXT_MAX


class Flux2ProGenerator(FluxGenerator):
    """Images from text and up to eight images (``flux-2-pro``)."""

    model = models.PRO_2


class Flux2ProPreviewGenerator(FluxGenerator):
    """Images from text and up to eight images (``flux-2-pro-preview``)."""

    model = models.PRO_2_PREVIEW


class Flux2MaxGenerator(FluxGenerator):
    """Images from text and up to eight images (``flux-2-max``)."""

    model = models.MAX_2


class Flux2FlexGenerator(FluxGenerator):
    """Images from text and up to eight images, with steps and guidance (``flux-2-flex``)."""

    model = models.FLEX_2


class Flux2FlexOutpaintingGenerator(FluxGenerator):
    """Puts an image on a larger canvas and paints the rest (``flux-2-flex-outpainting``)."""

    model = models.FLEX_2_OUTPAINTING


class Flux2Klein4BGenerator(FluxGenerator):
    """Images from text and up to four images, fast (``flux-2-klein-4b``)."""

    model = models.KLEIN_4B


class Flux2Klein9BGenerator(FluxGenerator):
    """Images from text and up to four images, fast (``flux-2-klein-9b``)."""

    model = models.KLEIN_9B


class Flux2Klein9BPreviewGenerator(FluxGenerator):
    """Images from text and up to four images, fast (``flux-2-klein-9b-preview``)."""

    model = models.KLEIN_9B_PREVIEW


class Flux3ImageGenerator(FluxGenerator):
    """Images from text and up to ten images (``flux-3-image``); it takes no seed."""

    model = models.IMAGE_3
