"""``pixaris ui``."""

from __future__ import annotations

import argparse
import os
import secrets
from pathlib import Path

from pixaris.cli import searches
from pixaris.config import Config
from pixaris.exceptions import ConfigurationError
from pixaris.frontend.settings import PORT, PageSettings
from pixaris.terminal import say

PASSWORD = "PIXARIS_UI_PASSWORD"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    searches.results_argument(parser)
    parser.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}; 0 takes one that is free")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen on (default: this machine alone); others need a password or a token",
    )
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        type=Path,
        default=None,
        help=f"its first line is what everybody must know to come in; or the variable {PASSWORD}",
    )
    parser.add_argument("--token", action="store_true", help="make a random token, and show it once here")
    parser.add_argument(
        "--root-path", metavar="PATH", default="", help="where a proxy shows the page, e.g. /review"
    )
    parser.add_argument(
        "--https", action="store_true", help="people reach the page by https, through a proxy in front of it"
    )


def main(options: argparse.Namespace) -> int:
    """Serve the review page until Ctrl-C."""
    from pixaris.components import feedback_handler
    from pixaris.frontend.main import serve

    results = searches.results_of(options)
    if options.token:
        token = secrets.token_urlsafe(18)
    else:
        token = ""
    settings = PageSettings(
        options.host, options.port, _password(options), token, options.root_path, options.https
    )
    settings.check()
    if token:
        say(f"token       {token}")
    handler = feedback_handler(Config.load(), results)
    for note in handler.notes:
        say(f"note: {note}")
    serve(handler, results, settings, say)
    return 0


def _password(options: argparse.Namespace) -> str:
    """The password that is asked for, or "".

    Raises:
        ConfigurationError: Its file cannot be read, or is empty.
    """
    if options.password_file is None:
        return os.environ.get(PASSWORD, "")
    try:
        lines = options.password_file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{options.password_file} cannot be read: {error}") from None
    if not lines or not lines[0].strip():
        raise ConfigurationError(f"{options.password_file} has no password in its first line")
    return str(lines[0].strip())
