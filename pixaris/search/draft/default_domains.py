"""Which domain is sensible for an input, by its name: the rule of ``pixaris space``, in one place."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pixaris.comfyui.graph.seeds import is_seed
from pixaris.comfyui.object_info import InputSpec
from pixaris.types import ParamValue

RULE = """A parameter is searched where its meaning is known by its name and a change costs no more than an
image: cfg, guidance, steps, denoise, sampler_name, scheduler, shift, strengths and weights, when a
ControlNet starts and ends, thresholds, radii, sigma, alpha, blend factors and modes, opacity, expand,
channel, dither, methods of scaling. Its domain lies around the workflow's value, within the server's
limits.
It is commented out where it changes what is asked for or what is loaded (prompts, seeds, sizes,
models: every change of a model loads a file; a choice that brings inputs of its own, and these),
where the workflow's value says that it must stay (denoise 1, cfg 1), where the server refuses the
workflow's value, where its node does not reach the output, and where its purpose is not known by its
name."""

_MOST_OPTIONS = 20
_LONGEST_TEXT = 2000
_SAMPLERS = ("euler", "euler_ancestral", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m_sde", "heun", "ddim", "uni_pc")
_SCHEDULERS = ("normal", "karras", "exponential", "sgm_uniform", "simple", "beta")
USUAL: Mapping[str, tuple[str, ...]] = {"sampler_name": _SAMPLERS, "scheduler": _SCHEDULERS}
"""Options that are worth a try, and that every ComfyUI has."""
_MODES = frozenset(
    (
        "blend_mode",
        "mode",
        "channel",
        "dither",
        "operation",
        "upscale_method",
        "scale_method",
        "resize_method",
    )
)
_SIZES = frozenset(
    (
        "width",
        "height",
        "batch_size",
        "length",
        "x",
        "y",
        "left",
        "top",
        "right",
        "bottom",
        "megapixels",
        "color",
        "tile_size",
        "overlap",
        "temporal_size",
        "temporal_overlap",
        "crop_w",
        "crop_h",
        "feathering",
        "longer_size",
        "shorter_size",
        "largest_size",
        "multiple",
    )
)


@dataclass(frozen=True)
class Suggestion:
    """A domain as it stands in a search file.

    Attributes:
        kind: A name of `pixaris.search.space.domain.KINDS`.
        arguments: What stands behind it.
        active: Whether it stands in; else it is commented out.
        note: Why it does not, or what else is to be known.
    """

    kind: str
    arguments: object
    active: bool
    note: str = ""


def suggest(class_type: str, name: str, own: ParamValue, spec: InputSpec) -> Suggestion | None:
    """A domain for an input.

    Args:
        class_type: The node's class.
        name: The input.
        own: The workflow's value, of the input's type and within its limits.
        spec: What the server says of the input.

    Returns:
        None where no domain can be written: a text that is too long, an option list that is empty.
    """
    # Options first: whatever such an input is called, only these are taken.
    if spec.type == "COMBO":
        return _of_options(name, own, spec)
    if isinstance(own, bool):
        return Suggestion("choice", [own, not own], False, "a switch")
    if isinstance(own, str):
        if len(own) <= _LONGEST_TEXT:
            return Suggestion("choice", [own], False, "text: write more of them into the list")
        return None
    last = name.rpartition(".")[2]
    if is_seed(name):
        return a_seed(own)
    # Before the rules: a size changes what an image costs, and often what it can be compared with.
    if last in _SIZES or last.endswith(("_width", "_height")):
        return Suggestion("choice", [own], False, "a size or place: write more of them into the list")
    limits = _Limits(spec)
    # The first that fits and finds a domain: rules that stand higher are more particular.
    for pattern, rule in _RULES:
        if (
            re.fullmatch(pattern, f"{class_type}.{last}", re.IGNORECASE | re.DOTALL)
            and (found := rule(float(own), limits)) is not None
        ):
            return found
    return _unknown(float(own), limits)


def a_seed(own: ParamValue) -> Suggestion:
    """A domain for a seed."""
    note = "a seed: left alone, every item has its own, the same in every trial"
    return Suggestion("choice", [own], False, note)


def is_real(class_type: str, name: str) -> bool:
    """Whether an input's name says that it takes fractions, whatever its value looks like."""
    last = name.rpartition(".")[2]
    return any(
        re.fullmatch(pattern, f"{class_type}.{last}", re.IGNORECASE | re.DOTALL) for pattern in _FRACTIONS
    )


def _of_options(name: str, own: ParamValue, spec: InputSpec) -> Suggestion | None:
    if not spec.options or spec.upload:
        return None
    known = USUAL.get(name)
    if known is not None:
        usual = [option for option in spec.options if option in known or option == own]
        if len(usual) > 1:
            chosen = usual
        else:
            chosen = list(spec.options[:6])
        return Suggestion(
            "choice", _with(own, chosen), True, _cut(len(spec.options), len(chosen), "the usual ones")
        )
    chosen = _with(own, list(spec.options[:_MOST_OPTIONS]))
    note = _cut(len(spec.options), len(chosen), "the first")
    if spec.lists_models:
        if spec.remote:
            what = "models: write more of them into the list"
        else:
            what = "models that the server has"
        return Suggestion("choice", chosen, False, note or what)
    if spec.branches:
        return Suggestion("choice", chosen, False, note or "each brings inputs of its own")
    active = name in _MODES and len(chosen) > 1
    return Suggestion("choice", chosen, active, note or ("" if active else "the server's options"))


def _with(own: ParamValue, options: list[ParamValue]) -> list[ParamValue]:
    return list(dict.fromkeys([own, *options]))


def _cut(all_of_them: int, chosen: int, which: str) -> str:
    if chosen < all_of_them:
        return f"{which} of the server's {all_of_them}"
    return ""


class _Limits:
    """What the server takes, and domains within it."""

    def __init__(self, spec: InputSpec) -> None:
        self.whole = spec.type == "INT"
        if spec.min is None or not math.isfinite(spec.min):
            self.low = -math.inf
        else:
            self.low = float(spec.min)
        if spec.max is None or not math.isfinite(spec.max):
            self.high = math.inf
        else:
            self.high = float(spec.max)

    def between(
        self, low: float, high: float, step: float, active: bool = True, note: str = ""
    ) -> Suggestion | None:
        """Multiples of a step, of whole numbers for an INT; None if fewer than two are left."""
        if self.whole:
            step = max(1.0, round(step))
        # A hair of room, since a limit of 0.3 is 2.9999999 steps of 0.1.
        first, last = (
            math.ceil(max(low, self.low) / step - 1e-9),
            math.floor(min(high, self.high) / step + 1e-9),
        )
        # Beyond that, steps are smaller than what a float tells apart.
        if last <= first or max(abs(first), abs(last)) > 1e12:
            return None
        if self.whole and step == 1:
            return Suggestion("randint", [first, last + 1], active, note)
        bounds = [_tidy(first * step), _tidy(last * step), _tidy(step)]
        if self.whole:
            return Suggestion("qrandint", [int(bound) for bound in bounds], active, note)
        return Suggestion("quniform", [float(bound) for bound in bounds], active, note)

    def magnitude(self, own: float) -> Suggestion | None:
        """From a quarter to four times the value, on a log scale."""
        if self.whole:
            return self.between(max(1.0, own / 2), max(2 * own, own + 4), 1)
        low, high = max(own / 4, self.low), min(own * 4, self.high)
        if own <= 0 or not 0 < low < high < 1e12:
            return None
        return Suggestion("loguniform", [_tidy(low), _tidy(high)], True)


def _tidy(value: float) -> float:
    return float(f"{value:.10g}")


def _cfg(own: float, limits: _Limits) -> Suggestion | None:
    # Halving it would leave the range in which such models work.
    if own <= 1:
        return limits.between(
            1, 4, 0.5, False, "cfg 1 is how distilled models are run, and leaves the negative prompt out"
        )
    return limits.between(max(1.5, own / 2), min(30.0, own * 1.75), 0.5)


def _guidance(own: float, limits: _Limits) -> Suggestion | None:
    return limits.between(max(1.0, own / 2), max(own * 2, 3), 0.5)


def _steps(own: float, limits: _Limits) -> Suggestion | None:
    # Few steps: each one counts. Many: fives are as near as anybody sees.
    if own < 20:
        return limits.between(max(1, own // 2), max(own * 3 // 2, own + 2), 1)
    return limits.between(max(5, own // 2), own * 2, 5)


def _denoise(own: float, limits: _Limits) -> Suggestion | None:
    # Text to image starts from an empty latent, of which any part that is kept is grey.
    if own >= 1:
        return limits.between(
            0.5,
            1,
            0.05,
            False,
            "1 replaces the latent whole, as text to image needs; below 1 it is kept in part",
        )
    return limits.between(max(0.05, own - 0.3), min(1, own + 0.3), 0.05)


def _share(own: float, limits: _Limits) -> Suggestion | None:
    """Of what goes from 0 to 1 or somewhat above."""
    if limits.whole:
        return limits.between(own - 10, own + 10, 1)
    return limits.between(min(0.0, own), max(1.0, math.ceil(own * 1.5 * 10) / 10), 0.05)


def _threshold(own: float, limits: _Limits) -> Suggestion | None:
    if limits.whole:
        return limits.between(own / 2, own * 2, 1)
    if 0 <= own <= 1:
        return limits.between(own - 0.3, own + 0.3, 0.05)
    return limits.between(own / 2, own * 2, 0.5)


def _radius(own: float, limits: _Limits) -> Suggestion | None:
    return limits.between(limits.low if limits.low > 0 else 0, max(2 * own, 6), 1)


def _grow(own: float, limits: _Limits) -> Suggestion | None:
    reach = max(8.0, abs(own))
    return limits.between(own - reach, own + reach, 1)


def _start(own: float, limits: _Limits) -> Suggestion | None:
    """Of what begins at a part of the steps: not beyond the middle, unless it does so already."""
    return limits.between(0, max(0.5, own), 0.05)


def _end(own: float, limits: _Limits) -> Suggestion | None:
    return limits.between(min(0.5, own), 1, 0.05)


def _shift(own: float, limits: _Limits) -> Suggestion | None:
    return limits.between(own / 2, own * 2, 0.5 if own >= 1 else 0.05)


def _factor(own: float, limits: _Limits) -> Suggestion | None:
    """Of what changes an image's size."""
    return limits.between(own / 2, own * 2, 0.25, False, "changes the size of the image, and what it costs")


def _last_layer(own: float, limits: _Limits) -> Suggestion | None:
    return limits.between(min(own, -2), -1, 1)


def _step(own: float, limits: _Limits) -> Suggestion | None:
    kept = Suggestion("choice", [int(own)], False, "a step, to be changed together with steps")
    if limits.whole:
        return kept
    return None


def _unknown(own: float, limits: _Limits) -> Suggestion:
    """Around the value, or all that the server takes where that is little; commented out."""
    note = "purpose unknown; uncomment to search it"
    low, high = limits.low, limits.high
    if own > 0:
        low, high = own / 2, own * 2
    elif own < 0:
        low, high = own * 2, own / 2
    if limits.high - limits.low <= 1:
        low, high = limits.low, limits.high
    if math.isfinite(low) and math.isfinite(high) and (limits.whole or 1e-12 < high - low <= 1e6):
        if limits.whole:
            step = 1.0
        else:
            # A power of ten that gives between 20 and 200 steps.
            step = 10.0 ** math.floor(math.log10((high - low) / 20))
        if (found := limits.between(low, high, step, False, note)) is not None:
            return found
    return Suggestion("choice", [int(own) if limits.whole else own], False, note)


_RULES: tuple[tuple[str, Callable[[float, _Limits], Suggestion | None]], ...] = (
    (r".*\.cfg(_\w+)?|.*\.cfg_\w*", _cfg),
    (r".*\.guidance", _guidance),
    (r".*\.(steps|num_steps|refiner_steps)", _steps),
    (r".*\.(start|end)_at_step", _step),
    (r".*\.(start_percent|\w+_start_percent)|ConditioningSetTimestepRange\.start", _start),
    (r".*\.(end_percent|\w+_end_percent)|ConditioningSetTimestepRange\.end", _end),
    (r".*\.(shift|max_shift|base_shift)", _shift),
    (r".*\.(scale_by|upscale_by|scale_factor|rescale_factor)|.*(Scale|Resize)\w*\.multiplier", _factor),
    (r".*\.stop_at_clip_layer", _last_layer),
    (r".*\.denoise", _denoise),
    (r".*\.(\w*strength\w*|weight|\w+_weight|blend_factor|\w*opacity|conditioning_scale)", _share),
    (r".*\.noise_augmentation|RescaleCFG\.multiplier", _share),
    (r".*\.\w*threshold\w*|threshold\w*\.value", _threshold),
    (r".*\.\w*radius", _radius),
    (r".*\.(sigma|alpha)", lambda own, limits: limits.magnitude(own)),
    (r".*\.(expand|grow\w*|erode|dilate|padding)", _grow),
)
_FRACTIONS = (
    r".*\.(cfg\w*|guidance|denoise|\w*strength\w*|weight|\w+_weight|blend_factor|\w*opacity|\w*_percent)",
    r".*\.(conditioning_scale|\w*shift|scale_by|upscale_by|\w*scale_factor|multiplier|sigma|alpha|megapixels)",
)
