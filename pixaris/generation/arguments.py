"""The arguments that one image is made from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from PIL import Image

from pixaris.exceptions import ConfigurationError, Problem
from pixaris.images import EncodedImage
from pixaris.types import EvalItem, GenerationParam


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
        return self.replaced(self.images, ())

    @property
    def given(self) -> Mapping[str, Any]:
        """The run's ``args`` as the user gave them."""
        return dict(self._args)

    def with_images(self, images: Mapping[str, EncodedImage]) -> ItemArgs:
        """The same arguments with images added; a later one for the same node wins."""
        return self.replaced({**self.images, **images}, self.params)

    def with_params(self, params: Sequence[GenerationParam]) -> ItemArgs:
        """The same arguments with parameters added; a later value for the same input wins."""
        merged = {(p.node_name, p.input): p for p in (*self.params, *params)}
        return self.replaced(self.images, tuple(merged.values()))

    def replaced(self, images: Mapping[str, EncodedImage], params: Sequence[GenerationParam]) -> ItemArgs:
        """The same arguments with these images and parameters in place of its own."""
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
