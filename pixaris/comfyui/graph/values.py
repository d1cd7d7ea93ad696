"""Does a value fit an input? Written once, for binding (strict) and for the server's own rules (lenient)."""

from __future__ import annotations

import json

from pixaris.comfyui.object_info import InputSpec
from pixaris.exceptions import nearest
from pixaris.types import ParamValue

# Types no widget gives: a value in their place passes the server's validation and fails when the node runs.
SOCKET_TYPES = frozenset(
    (
        "IMAGE",
        "MASK",
        "LATENT",
        "MODEL",
        "CLIP",
        "VAE",
        "CONDITIONING",
        "CONTROL_NET",
        "CLIP_VISION",
        "CLIP_VISION_OUTPUT",
        "STYLE_MODEL",
        "UPSCALE_MODEL",
        "GLIGEN",
        "SAMPLER",
        "SIGMAS",
        "NOISE",
        "GUIDER",
    )
)
_SHOWN = 200
_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "text"}


class UnfitError(ValueError):
    """A value does not fit; the text is the rule and the value."""


def fit(value: ParamValue, spec: InputSpec | None, current: object) -> ParamValue:
    """Turn a value into what an input takes, keeping int and float sense.

    Args:
        value: Plain and finite.
        spec: What the server says about the input, or None if that is not known.
        current: The literal the workflow has there now, or None.

    Returns:
        The value, a whole float as int for an INT, an int as float for a FLOAT. Without a specification the
        literal that stands there decides: a float stays a float, an int stays an int unless the value has a
            fraction (a ``cfg`` of 8.0 is exported
        as ``8``).

    Raises:
        UnfitError: It does not fit.
    """
    if spec is None or (spec.type == "COMBO" and spec.remote):
        return _like(value, current)
    if spec.type in SOCKET_TYPES:
        raise UnfitError(f"takes {spec.type} from another node, not a value (got {_shown(value)})")
    if spec.type == "COMBO":
        return _option(value, spec)
    if spec.type == "INT":
        return _within(_whole(value), spec)
    if spec.type == "FLOAT":
        return _within(_float(value), spec)
    if spec.type == "BOOLEAN" and not isinstance(value, bool):
        raise UnfitError(f"must be true or false (got {_shown(value)})")
    if spec.type == "STRING" and not isinstance(value, str):
        raise UnfitError(f"must be text (got {_shown(value)})")
    return value


def check(value: object, spec: InputSpec) -> None:
    """Judge a literal as the server does: it converts first (``"0.3"`` is a FLOAT, 2.9 an INT), then checks
    range and options.

    Raises:
        UnfitError: The server would refuse it.
    """
    if spec.type == "INT":
        _within(_as_server(value, int, "a whole number"), spec)
    elif spec.type == "FLOAT":
        _within(_as_server(value, float, "a number"), spec)
    elif spec.type in SOCKET_TYPES:
        raise UnfitError(f"takes {spec.type} from another node, not a value (got {_shown(value)})")
    elif spec.type == "COMBO" and spec.upload:
        _file_name(value)
    elif spec.closed:
        if spec.multiselect and isinstance(value, tuple):
            chosen = value
        else:
            chosen = (value,)
        for one in chosen:
            if one not in spec.options:
                raise UnfitError(_not_an_option(one, spec))


def _as_server(value: object, convert: type[int] | type[float], rule: str) -> int | float:
    if not isinstance(value, str | int | float):
        raise UnfitError(f"must be {rule} (got {_shown(value)})")
    try:
        return convert(value)
    except (ValueError, OverflowError):
        raise UnfitError(f"must be {rule} (got {_shown(value)})") from None


def _shown(value: object) -> str:
    """A value as workflows and search files write it, cut short."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = repr(value)
    if len(text) <= _SHOWN:
        return text
    return f"{text[: _SHOWN - 1]}…"


def _like(value: ParamValue, current: object) -> ParamValue:
    kinds = (bool, int, float, str)
    if type(current) not in kinds:  # null, or a structure of a custom node: nothing to go by
        return value
    if _KINDS[type(value)] != _KINDS[type(current)]:
        raise UnfitError(
            f"must be {_KINDS[type(current)]}, as the workflow has {_shown(current)} there (got"
            f" {_shown(value)})"
        )
    if isinstance(current, float):
        return _float(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _float(value: ParamValue) -> float:
    if isinstance(value, bool | str):
        raise UnfitError(f"must be a number (got {_shown(value)})")
    try:
        return float(value)
    except OverflowError:
        raise UnfitError("must be a number of at most 308 digits") from None


def _whole(value: ParamValue) -> int:
    if isinstance(value, bool | str) or (isinstance(value, float) and not value.is_integer()):
        raise UnfitError(f"must be a whole number (got {_shown(value)})")
    return int(value)


def _within(value: int | float, spec: InputSpec) -> int | float:
    if spec.min is not None and value < spec.min:
        raise UnfitError(f"must be at least {spec.min} (got {_shown(value)})")
    if spec.max is not None and value > spec.max:
        raise UnfitError(f"must be at most {spec.max} (got {_shown(value)})")
    return value


def _option(value: ParamValue, spec: InputSpec) -> ParamValue:
    if spec.upload:
        return _file_name(value)
    for option in spec.options:
        if option == value and isinstance(option, bool) == isinstance(value, bool):
            return option
    raise UnfitError(_not_an_option(value, spec))


def _file_name(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise UnfitError(f"must be the name of an image file (got {_shown(value)})")
    return value


def _not_an_option(value: object, spec: InputSpec) -> str:
    if not spec.options:
        return f"has no options on this server (got {_shown(value)}); install the file it names there"
    shown = ", ".join(repr(option) for option in spec.options[:12])
    if len(spec.options) > 12:
        more = f", … ({len(spec.options)} in all)"
    else:
        more = ""
    if isinstance(value, str):
        hint = nearest(value, [option for option in spec.options if isinstance(option, str)])
    else:
        hint = ""
    return f"must be one of {shown}{more} (got {_shown(value)}){hint}"
