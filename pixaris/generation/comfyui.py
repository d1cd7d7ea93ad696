"""Images from ComfyUI workflows."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pixaris.comfyui.graph.intake import Intake, intake_of
from pixaris.comfyui.graph.node import Node
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import DEFAULT_OUTPUT, SAVING_CLASSES, Workflow, alternatives_of, chosen
from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.sources.static import StaticSource
from pixaris.exceptions import ConfigurationError, Problem, nearest
from pixaris.generation.base import ImageGenerator, ItemArgs, load_node
from pixaris.types import (
    EvalItem,
    EvalSet,
    GenerationParam,
    GenerationRequest,
    InputImage,
    ParamValue,
    Pick,
    upload_name,
)


class ComfyGenerator(ImageGenerator):
    """Runs a ComfyUI workflow for every item.

    A folder ``Input`` of the eval set feeds the node titled "Load Input Image", and so on. Seeds (inputs
    that are called so, and the numbers that such inputs are linked to) are set from the item's name, so that
    an item has the same seed in every run; a seed in the parameters wins.

    Args:
        workflow_apiformat_json: The workflow in API format, as a path or a dict.
        api_host: Where ComfyUI answers, for use outside a search file: ``localhost:8188`` or a URL.
        output_node: Title or id of the node whose first image is the result; by default the node titled "Save
            Image", else the only node that saves images.
        object_info: What the server says about its nodes, to bind numbers by their type; None to go by the
            workflow's own values.
        images: Which images are the result where that node gives several at once: ``first``, ``all`` (scored
            as repeats: an item's scores are means over them), or the number of one, from 1.

    Raises:
        WorkflowError: The workflow cannot be read, or has no such output node.
        ConfigurationError: `images` is none of these.
    """

    def __init__(
        self,
        workflow_apiformat_json: str | Path | Mapping[str, Any] | Workflow,
        api_host: str = "localhost:8188",
        *,
        output_node: str | None = None,
        object_info: ObjectInfo | None = None,
        images: Pick = "first",
    ) -> None:
        whole = isinstance(images, int) and not isinstance(images, bool) and images >= 1
        if images not in ("first", "all") and not whole:
            raise ConfigurationError(
                Problem("images", f"must be first, all, or the number of an image from 1 (got {images!r})")
            )
        given = workflow_apiformat_json
        self.workflow: Workflow = given if isinstance(given, Workflow) else Workflow.load(given)
        self.api_host = api_host
        self.output_node = output_node
        self.object_info = object_info
        self.images: Pick = images
        self.output_id = chosen(self.workflow)[1] or self.workflow.output_node(output_node).id

    @property
    def remarks(self) -> tuple[str, ...]:
        if chosen(self.workflow)[1]:
            return ()
        node = self.workflow.nodes[self.output_id]
        plain = node.title == DEFAULT_OUTPUT or node.class_type in SAVING_CLASSES
        if plain or self.output_node is not None:
            return ()
        return (
            f"what node {node.label} gives: the only candidate, for none is titled {DEFAULT_OUTPUT!r};"
            " output_node names another",
        )

    def for_servers(self, object_infos: Sequence[ObjectInfo]) -> ComfyGenerator:
        if object_infos:
            info = object_infos[0].with_files(_versions(object_infos))
        else:
            info = None
        return ComfyGenerator(
            self.workflow,
            self.api_host,
            output_node=self.output_node,
            object_info=info,
            images=self.images,
        )

    def endpoints(self) -> tuple[Endpoint, ...]:
        host = self.api_host
        return StaticSource(host if "://" in host else f"http://{host}").endpoints()

    def request(self, args: ItemArgs) -> GenerationRequest:
        workflow = self.workflow.bind([*self._seeds(args), *args.params], self.object_info)
        images = []
        for name, image in args.images.items():
            node, intake = workflow.node(name), self._intake(name)
            # also where the image itself is sent: the payload names it by its content
            workflow = workflow.bind_image(name, upload_name(image), intake.input)
            images.append(InputImage(node.id, intake.input, image, intake.sent_as))
        workflow, output = chosen(workflow)
        images = [image for image in images if image.node_id in workflow.nodes]
        affinity_key = workflow.affinity_key(self.object_info)
        return GenerationRequest(
            id=str(uuid.uuid4()),
            item=args.item,
            kind=self.kind,
            payload=workflow.canonical_json(),
            images=tuple(images),
            output=output or self.output_id,
            affinity_key=affinity_key,
            models=self._models(affinity_key),
            titles=workflow.titles,
            pick=self.images,
        )

    def _intake(self, name: str) -> Intake:
        """How a node of a title takes its image.

        Raises:
            WorkflowError: There is none, or it takes none that can be given.
        """
        workflow = self.workflow
        return intake_of(workflow.node(name), workflow.nodes, workflow.source, self.object_info)

    def _models(self, affinity_key: str) -> str:
        """The versions of the model files that are loaded, as far as they are known."""
        if self.object_info is not None:
            known = self.object_info.files
        else:
            known = {}
        loaded = [line.partition("=")[2] for line in affinity_key.splitlines()]
        return "\n".join(f"{name} {known[name]}" for name in dict.fromkeys(loaded) if name in known)

    def _seeds(self, args: ItemArgs) -> list[GenerationParam]:
        """The item's own seed for every seed the parameters leave alone."""
        seed = args.seed
        if seed is None:
            return []
        return [
            GenerationParam(node.id, name, self._within(seed, node, name))
            for node, name in self._free_seeds(args)
        ]

    def _within(self, seed: int, node: Node, name: str) -> int:
        """A seed within the limits of its input, where the server has some below 32 bits."""
        info = self.object_info
        if info is not None:
            spec = info.input(node.class_type, name, node.inputs)
        else:
            spec = None
        if spec is None or spec.max is None or seed <= spec.max:
            return seed
        least = max(0, math.ceil(spec.min or 0))
        if spec.max >= least:
            return least + seed % (math.floor(spec.max) - least + 1)
        return seed

    def _free_seeds(self, args: ItemArgs) -> list[tuple[Node, str]]:
        """Node and literal of every seed that no parameter sets."""
        found = [(self.workflow.find(param.node_name), param.input) for param in args.params]
        given = {(node.id, node.place(name)) for node, name in found if node is not None}
        seeds = self.workflow.seeds(self.object_info)
        return [(node, name) for node, name in seeds if (node.id, node.place(name)) not in given]

    def takes_seed(self, args: ItemArgs) -> bool:
        return bool(self._free_seeds(args))

    def own_value(self, node_name: str, input: str) -> ParamValue | None:
        node = self.workflow.find(node_name)
        if node is None or node.is_linked(input):
            return None
        value = node.get(input) if node.place(input) is not None else None
        if value is None and self.object_info is not None:
            spec = self.object_info.input(node.class_type, input, node.inputs)
            value = spec.default if spec is not None else None
        return value if isinstance(value, str | int | float | bool) else None

    def bound_workflow(self, args: ItemArgs) -> Mapping[str, Any]:
        bound, _ = chosen(self.workflow.bind(args.params, self.object_info))
        return bound.as_dict()

    def problems(self, eval_set: EvalSet, args: ItemArgs) -> list[Problem]:
        problems = []
        titles = [node.title for node in self.workflow.nodes.values()]
        for folder in eval_set.input_folders:
            if not self.workflow.has(load_node(folder)):
                problems.append(
                    Problem(
                        f"folder {folder!r} of eval set {eval_set.name!r}",
                        f"feeds the node {load_node(folder)!r}, which {self.workflow.source}"
                        f" lacks{nearest(load_node(folder), titles)}; title a node so, or name the folder"
                        " among the references",
                    )
                )
        for name in args.images:
            if not self.workflow.has(name):
                problems.append(
                    Problem("pillow_images", f"no node is titled {name!r}{nearest(name, titles)}")
                )
        for name in [*(load_node(folder) for folder in eval_set.input_folders), *args.images]:
            try:
                if self.workflow.has(name):
                    self._intake(name)
            except ConfigurationError as error:
                problems.extend(Problem(error.source, problem.message) for problem in error.problems)
        try:
            self.workflow.bind(args.params, self.object_info)
        except ConfigurationError as error:
            problems.extend(error.problems)
        for item in eval_set.items:
            problems += self._item_problems(item, args)
        return problems

    def _item_problems(self, item: EvalItem, args: ItemArgs) -> list[Problem]:
        """What of an item's own values does not fit, or is set for the whole run too."""
        if not item.params:
            return []
        run = {(param.node_name, param.input) for param in args.params}
        twice = [param for param in item.params if (param.node_name, param.input) in run]
        problems = [
            Problem(
                f"node {param.node_name!r}, input {param.input!r}",
                "is set for every item by generation_params, and by the eval set for each; keep one",
            )
            for param in twice
        ]
        try:
            self.workflow.bind([*args.params, *item.params] if not twice else item.params, self.object_info)
        except ConfigurationError as error:
            problems += [Problem(f"item {item.name!r}, {one.where}", one.message) for one in error.problems]
        return problems


def alternatives(generators: Mapping[str, ComfyGenerator]) -> ComfyGenerator:
    """One generator of several, of which the parameter for ``workflow`` of the node "Generator" chooses.

    Args:
        generators: Name to generator, two or more, with the same ``images``.

    Raises:
        ConfigurationError: There are fewer, or they differ in what they give.
    """
    picks = {generator.images for generator in generators.values()}
    if len(picks) > 1:
        raise ConfigurationError("images must be the same in all workflows of a choice", "generator")
    workflows = {name: (one.workflow, one.output_id) for name, one in generators.items()}
    first = next(iter(generators.values()))
    return ComfyGenerator(alternatives_of(workflows), first.api_host, images=first.images)


def _versions(object_infos: Sequence[ObjectInfo]) -> dict[str, str]:
    """Model file to its versions on all servers: which of them makes an image is not known before it is
    made.
    """
    found: dict[str, set[str]] = {}
    for info in object_infos:
        for name, version in info.files.items():
            found.setdefault(name, set()).add(version)
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}
