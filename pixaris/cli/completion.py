"""``pixaris completion bash|zsh|fish|tcsh``."""

from __future__ import annotations

import argparse

SHELLS = ("bash", "zsh", "fish", "tcsh")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "shell",
        choices=SHELLS,
        help=(
            'the shell; for bash: eval "$(pixaris completion bash)" in ~/.bashrc, for fish:'
            " pixaris completion fish | source in ~/.config/fish/config.fish"
        ),
    )


def main(options: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from pixaris.cli import parser_of

    print(shtab.complete(parser_of([], whole=True), options.shell))
    return 0
