"""``pixaris serve``: an embedded endpoint."""

from __future__ import annotations

import argparse
import sys

from pixaris.comfyui.server.__main__ import add_arguments, serve


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_arguments(parser)


def main(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    return serve(options, sys.argv[1:])
