"""What a search may optimise, where nobody has said it yet.

Sharpness, contrast, colours and brightness are no measure of quality: their highest values belong to ruined
images. They can be watched, and are an objective only where a person asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WAYS = (
    ("llm_reality", "a language model judges how real an image looks (pixaris[gemini] and a key)"),
    ("llm_errors", "the same counts errors of generation"),
    ("quality", "a trained network rates technical quality (pixaris[learned])"),
    ("aesthetic", "a trained network rates beauty (pixaris[learned])"),
    ("clip_score", "a trained network tells how well an image fits its prompt (pixaris[learned])"),
    ("ssim", "likeness to reference images, in a folder of the eval set that feeds no node"),
)
"""Scores that tell something of quality, and what each is."""
WATCHED = "seconds"
"""What can be measured of any image, and rewards nothing that is seen on it."""

PEOPLE = (
    "Or let people vote on the images: metrics: [{type: votes, iteration: first look}], objective: {metric:"
    " preference} (pixaris[ui])."
)
"""The way that needs no score at all."""

_RESOURCES = ("seconds", "cost")
_NO_AIM = frozenset(
    (
        *("sharpness", "contrast", "colorfulness", "saturation", "luminescence", *_RESOURCES),
        *("saturation_mean", "saturation_var", "luminescence_mean", "luminescence_var"),
    )
)
"""Scores whose best value says nothing good of an image."""


@dataclass(frozen=True)
class Aim:
    """What scores the images of a drafted search.

    Attributes:
        metrics: Metric name to its options.
        objective: The score to optimise; "" where a person must choose.
        about: Sentences for the file, where the choice is made.
    """

    metrics: Mapping[str, Mapping[str, str]]
    objective: str = ""
    about: tuple[str, ...] = ()


CHOOSE = (
    "What is better is yours to say: choose one of these scores, put it among the metrics, and name it as"
    " objective: {metric: ...}."
)


def choose_one(scores: Sequence[str]) -> str:
    """What to say of a search without objective.

    Args:
        scores: What its metrics give.
    """
    given = [score for score in scores if score not in _NO_AIM]
    if given:
        return f"name at least one score; choose one of {', '.join(given)}: objective: {{metric: {given[0]}}}"
    names = ", ".join(name for name, _ in WAYS)
    return (
        f"name at least one score; choose one of {names}, put it among the metrics, and name it: objective:"
        f" {{metric: {WAYS[0][0]}}}"
    )


def aim(reference: str, others: Sequence[str] = ()) -> Aim:
    """What to optimise where nobody has said it.

    Args:
        reference: The folder to compare with, "" for none.
        others: Folders that it could be as well.
    """
    if not reference:
        return Aim({WATCHED: {}}, "", (CHOOSE, *(f"  {name}: {what}" for name, what in WAYS), PEOPLE))
    if "mask" in reference.lower():
        name = "iou"
    else:
        name = "ssim"
    return Aim({name: {"reference": reference}}, name, _guesses(reference, others))


def asked_for(
    objective: str, metrics: Mapping[str, Mapping[str, str]], reference: str, others: Sequence[str] = ()
) -> Aim:
    """What a person asks for.

    Args:
        objective: The metric that leads.
        metrics: All of them, with their options.
        reference: The folder that those compare with that do.
        others: Folders that it could be as well.
    """
    compares = any("reference" in options for options in metrics.values())
    if compares:
        about = _guesses(reference, others)
    else:
        about = ()
    if objective in _NO_AIM and objective not in _RESOURCES:
        about = (*about, f"{objective} alone is no measure of quality: look at what wins before you use it")
    return Aim(metrics, objective, about)


def _guesses(reference: str, others: Sequence[str]) -> tuple[str, ...]:
    shown = " or ".join(map(repr, others))
    if others:
        return (f"that results are compared with {reference!r} is a guess, it could be {shown}",)
    return ()
