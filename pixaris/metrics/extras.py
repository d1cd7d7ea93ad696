"""What metrics need beyond the base install, told before anything runs."""

from __future__ import annotations

from importlib.util import find_spec

from pixaris.exceptions import ConfigurationError
from pixaris.words import pip


def require(what: str, extra: str, *modules: str) -> None:
    """Make sure that an extra is installed.

    Args:
        what: Who needs it, as the subject of a sentence.
        extra: Name of the extra.
        modules: What must be importable.

    Raises:
        ConfigurationError: Something is not installed.
    """
    missing = [module for module in modules if not _there(module)]
    if missing:
        raise ConfigurationError(
            f"{what} needs {', '.join(missing)}, which is not installed: {pip()} install 'pixaris[{extra}]'"
        )


def _there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):  # its package is missing, or import of it is blocked
        return False
