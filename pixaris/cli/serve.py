"""``pixaris serve``: an embedded endpoint."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="options of the server: see pixaris serve -- --help")


def main(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from pixaris.comfyui.server.__main__ import main as serve

    return serve([word for word in options.rest if word != "--"])
