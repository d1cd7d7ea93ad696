"""Classes of the user's own: by name (a short one of ours, or ``module:Class``), and out of a pickle."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pixaris.exceptions import ConfigurationError, nearest

_FRAMES = 6
"""Callers that `half_unpickled` looks at: every ``__init_subclass__`` that calls its parent's is one."""


def half_unpickled() -> bool:
    """Whether the class that is being defined comes out of a pickle: what it has of its own is filled in only
    after this.

    So a class of the user's script comes to processes that cannot import the script. To be asked in
    ``__init_subclass__``, which cannot tell such a class from an empty one but by its caller, cloudpickle.
    """
    frame = sys._getframe(1)
    for _ in range(_FRAMES):
        if frame.f_back is None:
            return False
        frame = frame.f_back
        if frame.f_code.co_name == "_make_skeleton_class":
            return True
    return False


def resolve(name: str, known: Mapping[str, str], base: type) -> type:
    """Find a component's class.

    Args:
        name: A name of `known`, or ``module:Class``.
        known: Short name to ``module:Class``.
        base: What the class must inherit from.

    Raises:
        ConfigurationError: There is no such name, module or class, or the class is none of the kind.
    """
    if name not in known and ":" not in name:
        raise ConfigurationError(
            f"{name!r} is not known{nearest(name, known)}; known are {', '.join(known)}, or module:Class"
        )
    module_name, _, class_name = known.get(name, name).partition(":")
    try:
        found = getattr(import_module(module_name), class_name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{name!r}: no module {error.name!r} can be imported; is it on the Python path?"
        ) from None
    except AttributeError:
        raise ConfigurationError(f"{name!r}: module {module_name!r} has no {class_name!r}") from None
    except Exception as error:
        # the import runs a user's module
        reason = f"{type(error).__name__}: {error}"
        raise ConfigurationError(f"{name!r}: module {module_name!r} cannot be imported: {reason}") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ConfigurationError(
            f"{name!r} is no {base.__name__}; inherit from {base.__module__}.{base.__name__}"
        )
    return found


def make(cls: type, options: Mapping[str, Any]) -> Any:  # noqa: ANN401  (whatever the class is)
    """Make a component; an option that it does not take is told with those it does.

    Raises:
        ConfigurationError: An option is unknown, missing or wrong.
    """
    try:
        inspect.signature(cls).bind(**options)
    except TypeError as error:
        takes = [name for name in inspect.signature(cls).parameters if name != "self"]
        hint = next((nearest(str(name), takes) for name in options if name not in takes), "")
        raise ConfigurationError(
            f"{cls.__name__}: {error}{hint}; it takes {', '.join(takes) or 'no options'}"
        ) from None
    try:
        return cls(**options)
    except ConfigurationError:
        raise
    except Exception as error:
        # a user's own __init__ runs here
        raise ConfigurationError(f"{cls.__name__} cannot be made: {type(error).__name__}: {error}") from error
