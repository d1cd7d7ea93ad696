"""``pixaris completion bash|zsh|tcsh``."""

from __future__ import annotations

import argparse

SHELLS = ("bash", "zsh", "tcsh")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "shell", choices=SHELLS, help='the shell; for bash: eval "$(pixaris completion bash)" in ~/.bashrc'
    )


def main(options: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from pixaris.cli import parser_of

    print(shtab.complete(parser_of([], whole=True), options.shell))
    return 0
