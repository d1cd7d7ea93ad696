"""The contract of what makes images."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from pixaris.exceptions import Problem
from pixaris.generation.base import ImageGenerator, ItemArgs, choose, each
from pixaris.testing import samples
from pixaris.testing.rules import copied, require
from pixaris.types import GenerationRequest


def check_image_generator(generator: ImageGenerator, args: Sequence[Mapping[str, object]]) -> None:
    """Check a generator against the contract of `ImageGenerator`.

    One that makes its images itself makes some here; of one that has endpoints, only the requests are looked
    at.

    Args:
        generator: The generator.
        args: Arguments that it can make images of, two or more, each of another image.

    Raises:
        ContractError: A rule is broken.
    """
    require(len(args) >= 2, "check_image_generator needs arguments for two images or more")
    items = [ItemArgs.of(one, item=f"item {index}") for index, one in enumerate(args)]
    before = [_facts(one) for one in items]
    keys = [generator.cache_key(one) for one in items]
    for key in keys:
        hexadecimal = key is None or re.fullmatch("[0-9a-f]{64}", key) is not None
        require(hexadecimal, f"a cache key is 64 hexadecimal digits, or None (got {key!r})")
    known = [key for key in keys if key is not None]
    require(len(set(known)) == len(known), "images that differ have cache keys that differ")
    require([generator.cache_key(one) for one in items] == keys, "the same image has the same cache key")
    copy = copied(generator)
    require([copy.cache_key(one) for one in items] == keys, "also after pickling (it travels to trials)")
    if generator.uses_endpoints:
        _check_requests(generator, items)
    else:
        _check_images(generator, items)
    require([_facts(one) for one in items] == before, "a generator leaves its arguments as they are")
    problems = generator.problems(samples.eval_set(2), ItemArgs({}))
    require(
        all(isinstance(one, Problem) for one in problems), f"problems() gives problems (got {problems!r})"
    )


def _facts(args: ItemArgs) -> tuple[object, ...]:
    images = {name: image.digest for name, image in args.images.items()}
    return args.item, args.params, images, {key: args[key] for key in args if key != "pillow_images"}


def _check_requests(generator: ImageGenerator, items: Sequence[ItemArgs]) -> None:
    requests = [generator.request(one) for one in items]
    for args, request in zip(items, requests, strict=True):
        require(request.item == args.item, f"a request carries its item's name (got {request.item!r})")
        maker, _ = choose(generator, args)
        kinds = (request.kind, maker.kind, maker.api.kind)
        require(len(set(kinds)) == 1, f"a request is of the kind of the generator's api (got {kinds})")
        require(copied(request) == request, "a request equals itself after pickling")
    again = [generator.request(one) for one in items]
    ids = [request.id for request in (*requests, *again)]
    require(len(set(ids)) == len(ids), "every request has an id of its own, also for the same arguments")
    require(
        _contents(requests) == _contents(again), "the same arguments make the same request but for its id"
    )
    with ThreadPoolExecutor(4) as threads:
        at_once = list(threads.map(generator.request, [*items, *items]))
    rule = "request() gives the same when several threads call it at once"
    require(_contents(at_once) == _contents([*requests, *again]), rule)
    known = [one.kind for one in each(generator).values()]
    for endpoint in generator.endpoints():
        require(endpoint.kind in known, "endpoints() are of the generator's kind")


def _contents(requests: Sequence[GenerationRequest]) -> list[tuple[object, ...]]:
    return [(one.item, one.cache_key, one.images, one.affinity_key) for one in requests]


def _check_images(generator: ImageGenerator, items: Sequence[ItemArgs]) -> None:
    for args in items:
        made = generator.generate_single_image(args)
        is_pair = isinstance(made, tuple) and len(made) == 2
        require(is_pair, f"generate_single_image gives an image and a name (got {type(made).__name__})")
        image, name = made
        require(isinstance(image, Image.Image), f"the image is Pillow's (got {type(image).__name__})")
        require(isinstance(name, str) and bool(name), f"the name is text (got {name!r})")
