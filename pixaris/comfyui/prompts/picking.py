"""Which images of a prompt that ended well are its result, and why there is none."""

from __future__ import annotations

from collections.abc import Iterator

from pixaris.comfyui.messages import ImageRef, PromptRecord, is_sane
from pixaris.comfyui.outputs import Came, foreign_format, is_image
from pixaris.comfyui.prompts.failures import NodeNames
from pixaris.exceptions import DamagedImageError, ImageError, NoOutputError, UnreachableError
from pixaris.images import EncodedImage
from pixaris.types import GenerationRequest


def picked(request: GenerationRequest, record: PromptRecord, url: str) -> tuple[ImageRef, ...]:
    """The images that a request asks for, at least one.

    Args:
        request: Says which images it asks for.
        record: How its prompt ended.
        url: The server.

    Raises:
        NoOutputError: The node gave none, or not as many; the message says what came.
        UnreachableError: The server names one as no ComfyUI does.
    """
    found = _images(request, record)
    if not found:
        raise NoOutputError(_what_came(request, record), endpoint=url, node=_name(request))
    for ref in found:
        if not is_sane(ref):
            raise UnreachableError(
                f"the server names an image in a way that is not ComfyUI's: {ref!r:.300}", endpoint=url
            )
    if request.pick == "all":
        return found
    if request.pick == "first":
        number = 1
    else:
        number = request.pick
    if number > len(found):
        text = f"it gave {_times(len(found))}, and the generator's images asks for number {number}"
        raise NoOutputError(text, endpoint=url, node=_name(request))
    return (found[number - 1],)


def note(request: GenerationRequest, record: PromptRecord) -> str:
    """What is to be known of images that were given and do not count; "" for nothing."""
    found, came = _images(request, record), _came(request, record)
    if request.pick == "first" and len(found) > 1:
        return (
            f"node {_name(request)!r} gives {len(found)} images at once, and the first counts; generator:"
            " {images: all} scores them all, a number chooses one"
        )
    if came.animated:
        return f"node {_name(request)!r} gives an animation, and its first frame counts"
    return ""


def decoded(data: bytes, ref: ImageRef, url: str) -> EncodedImage:
    """An image that a server gave.

    Raises:
        NoOutputError: It is whole and none that is read: another format, or too large.
        DamagedImageError: It is cut short or damaged.
    """
    try:
        return EncodedImage.received(data, "the generated image")
    except DamagedImageError:
        kind = foreign_format(data)
        if not kind:
            raise
        text = f"it gave {ref.filename!r:.200}, which is {kind} and no image that is read; save a PNG"
        raise NoOutputError(text, endpoint=url) from None
    except ImageError as error:
        raise NoOutputError(f"{error}", endpoint=url) from None


def _images(request: GenerationRequest, record: PromptRecord) -> tuple[ImageRef, ...]:
    found = record.images.get(request.output, ())
    if not request.output:  # the only node that gave images
        if len(record.images) == 1:
            found = next(iter(record.images.values()), ())
        else:
            found = ()
    return tuple(ref for ref in found if is_image(ref.filename))


def _what_came(request: GenerationRequest, record: PromptRecord) -> str:
    names = NodeNames(request.payload, request.titles)
    others = [node for node in _with_images(record) if node != request.output]
    text = f"the prompt ended well, but this node gave {_came(request, record).words}, no image"
    if others:
        return f"{text}; images came from {', '.join(repr(names.name(node)) for node in others)}"
    return text


def _with_images(record: PromptRecord) -> Iterator[str]:
    """Ids of the nodes that gave any."""
    for node, files in record.images.items():
        if any(is_image(ref.filename) for ref in files):
            yield node


def _came(request: GenerationRequest, record: PromptRecord) -> Came:
    if not request.output and len(record.came) == 1:
        return next(iter(record.came.values()))
    return record.came.get(request.output, Came())


def _name(request: GenerationRequest) -> str:
    return NodeNames(request.payload, request.titles).name(request.output)


def _times(count: int) -> str:
    if count == 1:
        return "1 image"
    return f"{count} images"
