"""The seam for image generation."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from pixaris.comfyui.graph.alternatives import CHOOSER, CHOSEN
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.endpoints.apis.comfyui import ComfyUIApi
from pixaris.endpoints.base import Endpoint, EndpointApi
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.exceptions import ConfigurationError, Problem, nearest
from pixaris.generation.arguments import (
    ItemArgs,
    load_node,
    max_parallel_jobs,
    read_generation_params,
    read_pillow_images,
)
from pixaris.plugins import half_unpickled
from pixaris.types import EvalItem, EvalSet, GenerationParam, GenerationRequest, ParamValue

__all__ = [
    "Choice",
    "Fault",
    "ImageGenerator",
    "ItemArgs",
    "choose",
    "each",
    "has_own_values",
    "load_node",
    "makes_itself",
    "max_parallel_jobs",
    "read_generation_params",
    "read_pillow_images",
]


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
    choice: Choice | None = None
    """The generators of which a parameter chooses one for every set, where it is several."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know of what it makes, a sentence each."""
        return ()

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        # Classes that are pickled by value are made twice, the first time without their methods.
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
        # The first alone: who calls this has no pool, and wants one image.
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

    def for_accounts(self, endpoints: Sequence[Endpoint]) -> ImageGenerator:
        """The same generator, knowing the search's endpoints, where it is made for those of its kind."""
        return self

    def problems(self, eval_set: EvalSet, args: ItemArgs) -> list[Problem]:
        """Everything that would make every image of a run fail, found without generating. Called once before
        a run.
        """
        return []

    def bound_workflow(self, args: ItemArgs) -> Mapping[str, Any] | None:
        """The workflow with the run's parameters, to be kept with the results; None if there is none."""
        return None


@dataclass(frozen=True)
class Choice:
    """Several generators in one search, of which the parameter for ``workflow`` of the node "Generator"
    chooses.

    A parameter whose ``node_name`` begins with a generator's name (``soft/Blur``, or ``api`` alone where it
    has no nodes) is that one's; every other is for all that have such an input. An image goes to all that
    load it.

    Attributes:
        generators: Name to generator; the first one is the baseline's.
    """

    generators: Mapping[str, ImageGenerator]

    def name(self, params: Sequence[GenerationParam]) -> str:
        """Which one a parameter set chooses; the first where it does not say.

        Raises:
            ConfigurationError: There is no such generator.
        """
        names = [str(one.value) for one in params if (one.node_name, one.input) == (CHOOSER, CHOSEN)]
        # The last one counts: a parameter stands behind the fixed values.
        name = [next(iter(self.generators)), *names][-1]
        if name not in self.generators:
            known = ", ".join(self.generators)
            rule = f"no generator is called {name!r}{nearest(name, self.generators)}; there are {known}"
            raise ConfigurationError(rule, "generator")
        return name

    def target(self, name: str, node_name: str, input: str) -> str | None:
        """What a generator calls the node of a parameter; None if the parameter is not for it.

        Args:
            name: The generator's.
            node_name: The parameter's.
            input: The parameter's.
        """
        if (node_name, input) == (CHOOSER, CHOSEN):
            return None
        owner, _, rest = node_name.partition("/")
        if owner in self.generators:
            return rest if owner == name else None
        knowing = {key: one for key, one in self.generators.items() if _knows_inputs(one)}
        having = [key for key, one in knowing.items() if _has(one, node_name, input)]
        # A generator that cannot tell its inputs gets everything; and what nobody has is told as a fault by
        # all, not passed over.
        if name in having or name not in knowing or not having:
            return node_name
        return None

    def title(self, name: str, title: str) -> str | None:
        """What a generator calls the node that loads an image; None if the image is not for it."""
        owner, _, rest = title.partition("/")
        if owner in self.generators:
            return rest if owner == name else None
        one = self.generators[name]
        if one.loads(title) or not one.uses_endpoints:
            return title
        # An image that nobody loads stays with all: their checks then say that it feeds nothing.
        elsewhere = any(other.loads(title) for other in self.generators.values())
        return None if elsewhere else title

    def params(self, name: str, params: Sequence[GenerationParam]) -> tuple[GenerationParam, ...]:
        """The parameters that are for a generator, as it knows them."""
        found = [(self.target(name, one.node_name, one.input), one) for one in params]
        return tuple(replace(one, node_name=node) for node, one in found if node is not None)

    def args(self, name: str, args: ItemArgs) -> ItemArgs:
        """The arguments that are for a generator, as it knows them."""
        found = [(self.title(name, title), image) for title, image in args.images.items()]
        images = {title: image for title, image in found if title is not None}
        return args.replaced(images, self.params(name, args.params))

    def eval_set(self, name: str, eval_set: EvalSet) -> EvalSet:
        """An eval set with the folders and columns that are for a generator."""
        items = [self._item(name, item) for item in eval_set.items]
        feeds = {}
        for column, places in eval_set.feeds.items():
            found = [(self.target(name, *place), place[1]) for place in places]
            if own := [(node, input) for node, input in found if node is not None]:
                feeds[column] = tuple(own)
        return replace(eval_set, items=tuple(items), feeds=feeds)

    def _item(self, name: str, item: EvalItem) -> EvalItem:
        inputs = {key: one for key, one in item.inputs.items() if self.title(name, load_node(key))}
        return replace(item, inputs=inputs, params=self.params(name, item.params))


def _knows_inputs(generator: ImageGenerator) -> bool:
    """Whether it can tell which inputs it has."""
    return generator.workflow is not None or type(generator).fault is not ImageGenerator.fault


def _has(generator: ImageGenerator, node_name: str, input: str) -> bool:
    if generator.workflow is not None:
        return generator.workflow.has(node_name)
    fault = generator.fault(GenerationParam(node_name, input, ""))
    return fault is None or not fault.of_target


def choose(generator: ImageGenerator, args: ItemArgs) -> tuple[ImageGenerator, ItemArgs]:
    """Of several generators the one that makes an image, with what is for it; else the generator itself.

    Raises:
        ConfigurationError: The arguments choose one that there is not.
    """
    if generator.choice is None:
        return generator, args
    name = generator.choice.name(args.params)
    return generator.choice.generators[name], generator.choice.args(name, args)


def each(generator: ImageGenerator) -> Mapping[str, ImageGenerator]:
    """Name to generator of those that a parameter chooses from; else itself under no name."""
    if generator.choice is None:
        return {"": generator}
    return generator.choice.generators


def makes_itself(generator: ImageGenerator) -> bool:
    """Whether it makes some images itself, without an endpoint."""
    return any(not one.uses_endpoints for one in each(generator).values())


def has_own_values(generator: ImageGenerator) -> bool:
    """Whether what no parameter sets has a value of the generator's own, which a search's baseline leaves as
    it is: a workflow's, or a default in the code of one that makes its images itself. Of several generators
    the baseline's counts.
    """
    first = next(iter(each(generator).values()))
    return first.workflow is not None or not first.uses_endpoints
