"""The seam for image generation."""

from __future__ import annotations

import hashlib
from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.endpoints.apis.comfyui import ComfyUIApi
from pixaris.endpoints.base import Endpoint, EndpointApi
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.exceptions import ConfigurationError, Problem
from pixaris.images import EncodedImage
from pixaris.plugins import half_unpickled
from pixaris.types import EvalItem, EvalSet, GenerationParam, GenerationRequest, ParamValue


def load_node(folder: str) -> str:
    """Title of the node that a folder of the eval set feeds: ``Input`` feeds "Load Input Image"."""
    return f"Load {folder} Image"


class ItemArgs(Mapping[str, Any]):
    """The arguments for one image: the run's ``args`` with what belongs to the item.

    It reads like the dict that users know (``args["pillow_images"]`` gives Pillow images,
    ``args["generation_params"]`` dicts) and gives our own generators the typed values without decoding
    anything.

    Attributes:
        item: The eval item's name, or "" outside a run.
        repeat: Which of the item's seeds it is, from 0.
        images: Node title to image, the item's own and the run's.
        params: The parameter set.
        texts: The item's texts by column, of an eval set of prompts: ``args["prompt"]`` is one of them.
    """

    def __init__(
        self,
        args: Mapping[str, Any],
        *,
        item: str = "",
        images: Mapping[str, EncodedImage] | None = None,
        params: Sequence[GenerationParam] = (),
        repeat: int = 0,
        texts: Mapping[str, str] | None = None,
    ) -> None:
        self._args = dict(args)
        self.item = item
        self.repeat = repeat
        self.images = dict(images or {})
        self.params = tuple(params)
        self.texts = dict(texts or {})

    @classmethod
    def of(cls, args: Mapping[str, Any], *, item: str = "") -> ItemArgs:
        """Read a plain dict: its ``generation_params`` and ``pillow_images``.

        Raises:
            ConfigurationError: One of them has the wrong form; all faults are told at once.
        """
        if isinstance(args, ItemArgs):
            return args
        problems: list[Problem] = []
        params = read_generation_params(args.get("generation_params") or (), problems)
        images = read_pillow_images(args.get("pillow_images") or (), problems)
        if problems:
            raise ConfigurationError(problems, "args")
        return cls(args, item=item, images=images, params=params)

    @property
    def seed(self) -> int | None:
        """The seed that belongs to the item and the repeat, the same in every run: 32 bits, which every node
        accepts.

        It is ``args["seed"]`` too, unless the user gave one. None outside a run.
        """
        if not self.item:
            return None
        if self.repeat == 0:
            text = self.item
        else:
            text = f"{self.item}\0{self.repeat}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")

    def for_item(self, item: EvalItem, repeat: int = 0) -> ItemArgs:
        """The same arguments with what belongs to an item added: its images, its values, its texts.

        Args:
            item: The item.
            repeat: Which of the item's seeds it is.
        """
        images = {load_node(folder): image for folder, image in item.inputs.items()}
        own = self.with_images(images).with_params(item.params)
        return ItemArgs(
            self._args,
            item=item.name,
            images=own.images,
            params=own.params,
            repeat=repeat,
            texts=item.texts,
        )

    def without_params(self) -> ItemArgs:
        """The same arguments without parameters."""
        return self._with(self.images, ())

    @property
    def given(self) -> Mapping[str, Any]:
        """The run's ``args`` as the user gave them."""
        return dict(self._args)

    def with_images(self, images: Mapping[str, EncodedImage]) -> ItemArgs:
        """The same arguments with images added; a later one for the same node wins."""
        return self._with({**self.images, **images}, self.params)

    def with_params(self, params: Sequence[GenerationParam]) -> ItemArgs:
        """The same arguments with parameters added; a later value for the same input wins."""
        merged = {(p.node_name, p.input): p for p in (*self.params, *params)}
        return self._with(self.images, tuple(merged.values()))

    def _with(self, images: Mapping[str, EncodedImage], params: Sequence[GenerationParam]) -> ItemArgs:
        return ItemArgs(
            self._args, item=self.item, images=images, params=params, repeat=self.repeat, texts=self.texts
        )

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401  (whatever the user's components need)
        if key == "pillow_images":
            return [{"node_name": name, "pillow_image": image.image} for name, image in self.images.items()]
        if key == "generation_params":
            return [param.as_dict() for param in self.params]
        if key in self.texts:
            return self.texts[key]
        if key == "seed" and key not in self._args and self.seed is not None:
            return self.seed
        return self._args[key]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._args, *self.texts, "pillow_images", "generation_params"]))

    def __len__(self) -> int:
        return len(list(iter(self)))


@dataclass(frozen=True)
class Fault:
    """Why a parameter cannot be set.

    Attributes:
        message: The rule and the value.
        of_target: The node or input is at fault, not the value.
    """

    message: str
    of_target: bool = False


class ImageGenerator(ABC):
    """Makes one image from an item's arguments.

    Implement **one** of two methods:

    - `generate_single_image(args)`: make the image yourself. It is called from several threads at once, as
      many as ``args["max_parallel_jobs"]`` says (1 by default).
    - `request(args)` and `endpoints()`: describe the image as a request; the pool runs it on an endpoint,
      with retries and fail-over. `generate_single_image` then comes for free.

    A generator must pickle: it is sent to trial processes. What it holds is never changed; connections open
    lazily.
    """

    uses_endpoints: bool = False
    """True where `request` is implemented (set by the class itself)."""
    output_id: str = ""
    """Id of the workflow's node that gives the result, where there is one."""
    api: EndpointApi = ComfyUIApi()
    """What kind of endpoint serves its requests, where it makes any."""
    kind: str = ComfyUIApi.kind
    """Names that kind: every request's ``kind`` (set by the class that names an `api`, as are the next two).
    """
    charges: bool = False
    """Whether every image costs something, also one that nobody waits for any more."""
    has_nodes: bool = True
    """Whether a parameter needs a ``node_name``."""
    source: EndpointSource | None = None
    """Where a search that names no endpoints finds its servers, which may come and go; None: at its
    `endpoints`.
    """
    workflow: Workflow | None = None
    """The ComfyUI workflow it runs, where it runs one: then parameters are checked against it and its
    servers.
    """
    object_info: ObjectInfo | None = None
    """What its servers say about their nodes, once that is known (`for_servers`)."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know of what it makes, a sentence each."""
        return ()

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if half_unpickled():
            return
        cls.uses_endpoints = cls.request is not ImageGenerator.request
        if "api" in vars(cls):
            cls.kind, cls.charges, cls.has_nodes = cls.api.kind, cls.api.charges, cls.api.has_nodes
        if not cls.uses_endpoints and cls.generate_single_image is ImageGenerator.generate_single_image:
            raise TypeError(f"{cls.__name__} must implement generate_single_image(args) or request(args)")

    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        """Make one image.

        Args:
            args: See `ItemArgs`: ``pillow_images``, ``generation_params`` and whatever the user put in.

        Returns:
            The image and a name for it.

        Raises:
            PixarisError: It cannot be made; any other exception is treated the same: the item has no image,
                the run goes on.
        """
        item = ItemArgs.of(args)
        request = self.request(item)
        endpoints = self.endpoints()
        if not endpoints:
            raise ConfigurationError(f"{type(self).__name__} has no endpoint; give it one")
        client = endpoints[0].connect()
        try:
            return client.run(request).image.image, f"{item.item or 'generated'}.png"
        finally:
            client.close()

    def request(self, args: ItemArgs) -> GenerationRequest:
        """Describe one image as a request for an endpoint.

        Raises:
            ConfigurationError: The arguments do not fit the workflow.
        """
        raise NotImplementedError(f"{type(self).__name__} makes its images itself")

    def cache_key(self, args: ItemArgs) -> str | None:
        """Equal for items that make the same image: 64 hexadecimal digits over all that changes it.

        None means that this cannot be told; then the image is always generated. A generator that makes its
        images itself says so by overriding this.

        Raises:
            ConfigurationError: The arguments do not fit the workflow.
        """
        if self.uses_endpoints:
            return self.request(args).cache_key
        return None

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints it was made with, for use outside a search file."""
        return ()

    def loads(self, title: str) -> bool:
        """Whether it loads an image for the node of a title."""
        return self.workflow is not None and self.workflow.has(title)

    @property
    def most_at_once(self) -> int | None:
        """Requests that one endpoint may have at once, where the service limits it; else None."""
        return None

    def takes_seed(self, args: ItemArgs) -> bool:
        """Whether ``args.seed`` changes the image; not if it has no seed, or the parameters set it."""
        return "seed" not in args

    def fault(self, param: GenerationParam) -> Fault | None:
        """Why a parameter cannot be set; None if it can, or if that is not known (with a workflow, its nodes
        tell).
        """
        return None

    def own_value(self, node_name: str, input: str) -> ParamValue | None:
        """What an input is where no parameter sets it, without a workflow; None if that is nothing in
        particular, or not known: a search then calls it the generator's own.
        """
        return None

    def cost(self, eval_set: EvalSet, args: ItemArgs) -> float | None:
        """Estimate what a run costs, in credits: 0 where nothing is charged, None if it cannot be told."""
        return 0.0

    def for_servers(self, object_infos: Sequence[ObjectInfo]) -> ImageGenerator:
        """The same generator, knowing what its ComfyUI servers say about their nodes."""
        return self

    def for_accounts(self, urls: Sequence[str]) -> ImageGenerator:
        """The same generator, knowing at which addresses its endpoints are, where it is made for these."""
        return self

    def problems(self, eval_set: EvalSet, args: ItemArgs) -> list[Problem]:
        """Everything that would make every image of a run fail, found without generating. Called once before
        a run.
        """
        return []

    def bound_workflow(self, args: ItemArgs) -> Mapping[str, Any] | None:
        """The workflow with the run's parameters, to be kept with the results; None if there is none."""
        return None


def has_own_values(generator: ImageGenerator) -> bool:
    """Whether what no parameter sets has a value of the generator's own, which a search's baseline leaves as
    it is: a workflow's, or a default in the code of one that makes its images itself.
    """
    return generator.workflow is not None or not generator.uses_endpoints


def max_parallel_jobs(args: Mapping[str, Any]) -> int:
    """How many images a generator of the user's own may make at once: ``args["max_parallel_jobs"]``, 1 by
    default.

    Raises:
        ConfigurationError: It is no whole number from 1.
    """
    value = args.get("max_parallel_jobs", 1)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"max_parallel_jobs must be a whole number from 1 (got {value!r})", "args")
    return value


def read_generation_params(given: Any, problems: list[Problem]) -> tuple[GenerationParam, ...]:  # noqa: ANN401  (user input)
    """Read ``[{node_name, input, value}, …]``; faults are added to `problems`."""
    params = []
    for index, entry in enumerate(given):
        where = f"generation_params[{index}]"
        if isinstance(entry, GenerationParam):
            params.append(entry)
        elif not isinstance(entry, Mapping) or not {"node_name", "input", "value"} <= set(entry):
            problems.append(Problem(where, f"must be {{node_name, input, value}} (got {entry!r})"))
        else:
            value = (
                entry["value"].item() if hasattr(entry["value"], "item") else entry["value"]
            )  # numpy scalars
            if isinstance(value, str | int | float | bool):
                params.append(GenerationParam(str(entry["node_name"]), str(entry["input"]), value))
            else:
                problems.append(
                    Problem(where, f"value must be text, a number or a truth value (got {value!r})")
                )
    return tuple(params)


def read_pillow_images(given: Any, problems: list[Problem]) -> dict[str, EncodedImage]:  # noqa: ANN401  (user input)
    """Read ``[{node_name, pillow_image}, …]``; faults are added to `problems`."""
    images: dict[str, EncodedImage] = {}
    for index, entry in enumerate(given):
        where = f"pillow_images[{index}]"
        if not isinstance(entry, Mapping) or not {"node_name", "pillow_image"} <= set(entry):
            problems.append(Problem(where, f"must be {{node_name, pillow_image}} (got {entry!r})"))
            continue
        image = entry["pillow_image"]
        if isinstance(image, Image.Image):
            try:
                image = EncodedImage.of(image)
            except OSError as error:  # Pillow opens lazily: a damaged file shows now
                problems.append(Problem(where, f"the image cannot be read: {error}"))
                continue
        if not isinstance(image, EncodedImage):
            problems.append(Problem(where, f"pillow_image must be a PIL image (got {type(image).__name__})"))
            continue
        images[str(entry["node_name"])] = image
    return images
