"""``pixaris demo [DIR]``."""

from __future__ import annotations

import argparse
import contextlib
import shutil
from pathlib import Path

from pixaris.exceptions import ConfigurationError, StorageError
from pixaris.terminal import say

FILE = "search_spaces/restore.yaml"
EVAL_SETS = "local_experiment_inputs/demo"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "folder",
        metavar="DIR",
        nargs="?",
        type=Path,
        default=Path("pixaris-demo"),
        help="default: pixaris-demo",
    )
    parser.add_argument("--files-only", action="store_true", help="write the files, and search nothing")


def main(options: argparse.Namespace) -> int:
    """Write the demo's files, and run its search."""
    from pixaris.cli import parser_of, search
    from pixaris.data_loaders.demo import prepare

    folder = options.folder
    source = shipped()
    if (folder / FILE).is_file() and (folder / FILE).read_bytes() != (source / "restore.yaml").read_bytes():
        raise ConfigurationError(f"{folder / FILE} was changed; name another folder: pixaris demo DIR")
    try:
        shutil.copytree(source, folder / "search_spaces", dirs_exist_ok=True, ignore=_ignored)
        prepare(folder / EVAL_SETS)
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(
            f"{folder} cannot be written: {reason}; name another folder: pixaris demo DIR"
        ) from None
    say(f"{folder}: search files, their workflows, and eval sets of photographs")
    say(f"  the search   cd {folder} && pixaris search {FILE}")
    if options.files_only:
        return 0
    with contextlib.chdir(folder):
        code = search.main(parser_of(["search"]).parse_args(["search", FILE]))
    say(f"\nThe commands above are meant in {folder}: cd {folder}")
    return code


def shipped() -> Path:
    """The folder of search files that came with this installation: inside the package, or in a clone beside
    it.

    Raises:
        ConfigurationError: There is none.
    """
    package = Path(__file__).parents[1]
    for place in (package / "search_spaces", package.parent / "search_spaces"):
        if (place / "restore.yaml").is_file():
            return place
    raise ConfigurationError("this installation has no search files; install Pixaris from its wheel")


def _ignored(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__"]
