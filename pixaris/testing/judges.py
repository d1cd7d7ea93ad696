"""The contract of what judges images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import jsonschema
from PIL import Image

from pixaris.images import EncodedImage
from pixaris.metrics.judges.base import Judge, NoVerdictError, Verdict
from pixaris.testing.rules import copied, require

SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 0, "maximum": 10}},
    "required": ["score"],
}
"""What the contract asks a judge for."""


def check_judge(judge: Judge) -> None:
    """Check a judge against the contract of `Judge`. It is asked a few questions, which may cost something.

    Args:
        judge: The judge. It may refuse (`NoVerdictError`), but not every question.

    Raises:
        ContractError: A rule is broken.
    """
    for one in (judge, copied(judge)):
        require(bool(one.identity), "identity names all that changes a judge's verdicts")
    require(copied(judge).identity == judge.identity, "the same judge has the same identity after pickling")
    images = [EncodedImage.of(Image.new("RGB", (16, 16), colour)) for colour in ("red", "blue")]
    before = [image.digest for image in images]
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda count: _asked(judge, images[:count]), (1, 2, 1)))
    require([image.digest for image in images] == before, "a judge leaves the images as they are")
    require(any(answers), "a judge answers; this one refused every question")


def _asked(judge: Judge, images: Sequence[EncodedImage]) -> bool:
    """Whether it gave a verdict, which then follows the schema."""
    try:
        verdict = judge.judge(images, "Rate the image from 0 to 10.", SCHEMA)
    except NoVerdictError as refusal:
        require(bool(str(refusal)), "a judge that refuses says why")
        return False
    require(isinstance(verdict, Verdict), f"judge() gives a Verdict (got {type(verdict).__name__})")
    try:
        jsonschema.validate(dict(verdict.answer), SCHEMA)
    except jsonschema.ValidationError as error:
        require(False, f"an answer follows the schema that was asked for ({error.message})")
    require(verdict.usage.calls >= 0, "usage counts what judging cost")
    return True
