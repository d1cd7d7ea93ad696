"""The vocabulary: frozen values that travel between rooms and between processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

from PIL import Image

from pixaris.exceptions import ChargedError, PixarisError
from pixaris.images import EncodedImage

ParamValue: TypeAlias = str | int | float | bool
Direction: TypeAlias = Literal["max", "min"]
SentAs: TypeAlias = Literal["file", "base64", "data url"]
"""How a node is given an image: the name of an uploaded file, or the image itself as text."""
Pick: TypeAlias = Literal["first", "all"] | int
"""Which images of a node that gives several are the result: the first, all, or the one of a number from 1."""

NodeInput: TypeAlias = tuple[str, str]
"""A node's title (or id) and the name of one of its inputs."""


@dataclass(frozen=True, slots=True)
class GenerationParam:
    """One parameter of a run: the value of one input of one node, found by its title."""

    node_name: str
    input: str
    value: ParamValue

    def as_dict(self) -> dict[str, ParamValue]:
        """The form it has in ``args["generation_params"]`` and in result files."""
        return {"node_name": self.node_name, "input": self.input, "value": self.value}


@dataclass(frozen=True)
class EvalItem:
    """One row of the eval set.

    Attributes:
        index: Position in the eval set, from 0; it never changes, whatever fails.
        name: Unique in the eval set; the files' common stem.
        inputs: Folder name to image, for the folders that feed the workflow.
        references: Folder name to image, for the folders that only metrics see.
        texts: Column name to text, of an eval set of prompts: what feeds the workflow, and what only metrics
            read.
        params: Values that the item alone gives to the workflow, such as its prompt.
    """

    index: int
    name: str
    inputs: Mapping[str, EncodedImage] = field(default_factory=dict)
    references: Mapping[str, EncodedImage] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    params: tuple[GenerationParam, ...] = ()

    def image(self, folder: str) -> EncodedImage:
        """The image of a folder, be it a reference or an input.

        Raises:
            KeyError: The eval set has no such folder.
        """
        if folder in self.references:
            return self.references[folder]
        return self.inputs[folder]


@dataclass(frozen=True)
class EvalSet:
    """The ordered items an experiment run goes through.

    Attributes:
        name: The dataset's name.
        items: In their fixed order.
        passed_over: What lies there and is not used, a sentence for each reason.
        feeds: Column name to the inputs that its texts go to, where that was said.
        remarks: What was guessed of where columns and folders go, a sentence each.
    """

    name: str
    items: tuple[EvalItem, ...]
    passed_over: tuple[str, ...] = field(default=(), compare=False)
    feeds: Mapping[str, tuple[NodeInput, ...]] = field(default_factory=dict)
    remarks: tuple[str, ...] = field(default=(), compare=False)

    @property
    def input_folders(self) -> tuple[str, ...]:
        """Folders that feed the workflow (``Input`` feeds the node titled "Load Input Image")."""
        if self.items:
            return tuple(self.items[0].inputs)
        return ()

    @property
    def reference_folders(self) -> tuple[str, ...]:
        """Folders that only metrics see."""
        if self.items:
            return tuple(self.items[0].references)
        return ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of text, of an eval set of prompts."""
        if self.items:
            return tuple(self.items[0].texts)
        return ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the names, every image's digest, and the texts where there are any."""
        sha = hashlib.sha256()
        for item in self.items:
            folders = {**item.inputs, **item.references}
            row: list[object] = [item.name, {k: v.digest for k, v in sorted(folders.items())}]
            if item.texts or item.params:
                row += [dict(sorted(item.texts.items())), [param.as_dict() for param in item.params]]
            sha.update(json.dumps(row).encode())
        return sha.hexdigest()

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class InputImage:
    """An image a workflow loads: where it goes, what it shows, and how it is given."""

    node_id: str
    input: str
    image: EncodedImage
    sent_as: SentAs = "file"


@dataclass(frozen=True)
class GenerationRequest:
    """Everything an endpoint needs for one workflow execution, and nothing else.

    Attributes:
        id: Unique per submission; results and retries are matched by it.
        item: Name of the eval item it is for.
        kind: The endpoints that can serve it: `EndpointApi.kind`.
        payload: What is sent, as canonical JSON text: the bound workflow for ComfyUI.
        images: Images to upload; the payload already names them by `upload_name`.
        output: Where the result is read: the output node's id for ComfyUI.
        affinity_key: Equal for requests that need the same models loaded.
        titles: Node id and title of the payload's nodes, for errors; no part of the cache key.
        models: Versions of the models that are loaded, as far as the servers tell them; "" where they do not.
        pick: Which of the images that `output` gives.
    """

    id: str
    item: str
    kind: str
    payload: str
    images: tuple[InputImage, ...] = ()
    output: str = ""
    affinity_key: str = ""
    titles: tuple[tuple[str, str], ...] = ()
    models: str = ""
    pick: Pick = "first"

    @cached_property
    def cache_key(self) -> str:
        """SHA-256 of all that changes the image: endpoint kind, payload (it names its images by content),
        output, models, and which image it is.
        """
        parts = [self.kind, self.output, self.payload, self.models]
        # Only where it is another one, so that keys of before there was a choice still hold.
        if self.pick != "first":
            parts.append(str(self.pick))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def upload_name(image: EncodedImage) -> str:
    """The name under which an input image lies on a server, ``pixaris/<digest>.png``: equal names mean equal
    pixels.
    """
    return f"pixaris/{image.digest[:40]}.png"


@dataclass(frozen=True)
class GeneratedImage:
    """What an endpoint made of one request.

    Attributes:
        request_id: The request it answers.
        item: The eval item's name, copied from the request.
        image: Decoded safely and encoded anew.
        endpoint: Where it was made (URL without credentials).
        seconds: Time the server ran for it, without its queue.
        attempts: How many endpoints were tried, this one included.
        cost: What the endpoint's account was charged for it, in that account's unit; None where nothing is
            charged.
        cached: Whether it was taken from a cache; then endpoint, seconds and cost are those of its making.
        others: Further images of the same execution, where all were asked for.
        note: What is to be known about it, a sentence; "" for nothing.
    """

    request_id: str
    item: str
    image: EncodedImage
    endpoint: str
    seconds: float
    attempts: int = 1
    cost: float | None = None
    cached: bool = False
    others: tuple[EncodedImage, ...] = ()
    note: str = ""

    @property
    def each(self) -> tuple[GeneratedImage, ...]:
        """Its images by themselves: they share the seconds, and the first one has the cost."""
        if not self.others:
            return (self,)
        seconds = self.seconds / (1 + len(self.others))
        first = replace(self, others=(), seconds=seconds)
        return (first, *(replace(first, image=image, cost=None, note="") for image in self.others))

    def as_answer_to(self, request: GenerationRequest) -> GeneratedImage:
        """The same for a request that asks for the same image: it was not made for that one."""
        return replace(self, request_id=request.id, item=request.item, cached=True)

    @property
    def data(self) -> bytes:
        """The bytes of all its images, to travel apart from the rest; see `bare` and `with_data`."""
        if not self.others:
            return self.image.data
        images = [image.data for image in (self.image, *self.others)]
        return b"".join(len(data).to_bytes(8, "big") + data for data in images)

    @property
    def bare(self) -> GeneratedImage:
        """The same without its images' bytes."""
        others = tuple(EncodedImage(b"", image.known_digest) for image in self.others)
        return replace(self, image=EncodedImage(b"", self.image.known_digest), others=others)

    def with_data(self, data: bytes) -> GeneratedImage:
        """The same with its images' bytes, as `data` gave them."""
        if not self.others:
            return replace(self, image=EncodedImage(data, self.image.known_digest))
        images, place = [], 0
        for image in (self.image, *self.others):
            end = place + 8 + int.from_bytes(data[place : place + 8], "big")
            images.append(EncodedImage(data[place + 8 : end], image.known_digest))
            place = end
        return replace(self, image=images[0], others=tuple(images[1:]))


@dataclass(frozen=True)
class ItemResult:
    """One item of one experiment run: its image or its error, and its scores. It keeps its place whatever
    happens.

    Attributes:
        index: The item's position in the eval set.
        name: The item's name.
        generated: The image, or None.
        error: Why there is no image (or no score), or None.
        scores: Score name to value; a metric that could not score this item is absent.
        samples: With several seeds, or several images of one execution, the item once for each of them, in
            their order: ``generated`` is then the first image there is, and the scores are means over them,
            of those that every one has.
    """

    index: int
    name: str
    generated: GeneratedImage | None = None
    error: PixarisError | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    samples: tuple[ItemResult, ...] = ()

    @property
    def each(self) -> tuple[ItemResult, ...]:
        """Its results by seed; itself where there is one."""
        return self.samples or (self,)


RunStatus: TypeAlias = Literal["running", "finished", "stopped", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """A score over a run's items so far.

    Attributes:
        mean: Over the items that have the score.
        std: Sample standard deviation over them; 0.0 for one item.
        count: How many items have it.
    """

    mean: float
    std: float
    count: int


@dataclass(frozen=True)
class RunRecord:
    """An experiment run as it stands: what experiment handlers are given, while it grows and when it has
    ended.

    Attributes:
        id: Unique; the same run stored again has the same id.
        name: ``experiment_run_name``, or the trial's name in a search.
        project: The project's name.
        eval_set: All items, with input and reference images.
        status: "running" until it ends; "stopped" when a scheduler ended it early.
        params: What is bound into the workflow.
        values: In a search: parameter name to value.
        items: Results so far, in the order of the eval set (those not generated yet are absent).
        metrics: Score name to its summary over `items`.
        directions: Score name to "max" or "min", where the metric declares it.
        search: Name of the search it is a trial of, or "".
        workflow: The bound workflow (API format, images not bound), where there is one.
        workflow_image: Picture of the workflow to keep with the results, or None.
        started: Unix time of the start.
        seconds: Wall time so far.
        notes: Anything else worth keeping in ``run.json`` (plain JSON values).
        args: What the user gave for every image, as it was given.
    """

    id: str
    name: str
    project: str
    eval_set: EvalSet
    status: RunStatus
    params: tuple[GenerationParam, ...] = ()
    values: Mapping[str, ParamValue] = field(default_factory=dict)
    items: tuple[ItemResult, ...] = ()
    metrics: Mapping[str, MetricSummary] = field(default_factory=dict)
    directions: Mapping[str, Direction] = field(default_factory=dict)
    search: str = ""
    workflow: Mapping[str, object] | None = None
    workflow_image: EncodedImage | None = None
    started: float = 0.0
    seconds: float = 0.0
    notes: Mapping[str, Any] = field(default_factory=dict)
    args: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)

    @property
    def image_name_pairs(self) -> list[tuple[Image.Image, str]]:
        """The images with their items' names, in the eval set's order, of those items that have one."""
        made = (item for item in self.items if item.generated is not None)
        return [(item.generated.image.image, item.name) for item in made if item.generated is not None]

    def __iter__(self) -> Iterator[tuple[Image.Image, str]]:
        return iter(self.image_name_pairs)

    @property
    def group(self) -> str:
        """The folder runs of one kind share: the search they belong to, else their eval set."""
        return self.search or self.eval_set.name

    @property
    def cost(self) -> float | None:
        """What the items were charged, those without an image too, and not those from a cache; None where
        nothing was.
        """
        costs = [cost for item in self.items for cost in map(_charged, item.each) if cost is not None]
        if costs:
            return sum(costs)
        return None

    @property
    def cached(self) -> int:
        """Images that were taken from a cache."""
        images = (result.generated for item in self.items for result in item.each)
        return sum(image is not None and image.cached for image in images)

    @property
    def unaccounted(self) -> int:
        """Items whose request may have been charged, which nobody can tell because its answer was lost."""
        results = [result for item in self.items for result in item.each]
        return sum(isinstance(result.error, ChargedError) and result.error.cost is None for result in results)

    @property
    def item_scores(self) -> dict[str, dict[int, float]]:
        """Score name to item index to score."""
        found: dict[str, dict[int, float]] = {}
        for item in self.items:
            for name, score in item.scores.items():
                found.setdefault(name, {})[item.index] = score
        return found

    @property
    def failures(self) -> tuple[ItemResult, ...]:
        """Items that have an error."""
        return tuple(item for item in self.items if item.error is not None)


def _charged(result: ItemResult) -> float | None:
    """What an image was charged, or the attempt that failed; None where nothing was, or nobody knows it."""
    if result.generated is None:
        return None if result.error is None else result.error.cost
    if result.generated.cached:
        return None
    return result.generated.cost
