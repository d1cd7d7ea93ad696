"""Starting the review page."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pixaris.exceptions import ConfigurationError
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.feedback_handlers.base import FeedbackHandler
from pixaris.frontend.review import Review
from pixaris.frontend.settings import PageSettings
from pixaris.words import pip

_SECONDS_TO_END = 2
_KEPT_ALIVE = 60
"""Seconds that a connection waits for the next vote."""


def launch_ui(
    feedback_handler: FeedbackHandler,
    experiment_handler: ExperimentHandler,
    settings: PageSettings | None = None,
) -> None:
    """Serve the review page until Ctrl-C.

    Args:
        feedback_handler: Keeps what people say.
        experiment_handler: Its results are shown; it must keep them in a folder.
        settings: How the page is served: to this machine alone, unless said otherwise.

    Raises:
        ConfigurationError: It cannot be served so, the port is taken, or the extra ``ui`` is not installed.
    """
    if experiment_handler.results_dir is None:
        kind = type(experiment_handler).__name__
        raise ConfigurationError(f"the review page shows a folder of results, and {kind} keeps none")
    serve(feedback_handler, experiment_handler.results_dir, settings or PageSettings())


def serve(
    feedback: FeedbackHandler,
    results: Path,
    settings: PageSettings,
    say: Callable[[str], object] = print,
) -> None:
    """Serve the review page until Ctrl-C.

    Args:
        feedback: Keeps what people say.
        results: The results folder.
        settings: How the page is served.
        say: Is told where it is.

    Raises:
        ConfigurationError: As `launch_ui`.
    """
    settings.check()
    try:
        import uvicorn

        from pixaris.frontend.server.app import make_app
    except ImportError as error:
        raise ConfigurationError(
            f"the review page needs {error.name}, which is not installed: {pip()} install 'pixaris[ui]'"
        ) from None
    feedback.iterations()  # what is wrong with the store is told here, not to the first visitor
    listening = _listen(settings)
    settings = replace(settings, port=listening.getsockname()[1])
    app = make_app(Review(feedback, results, settings))
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        # Anybody can send these headers; what a proxy puts before the path is a setting.
        proxy_headers=False,
        timeout_keep_alive=_KEPT_ALIVE,
        timeout_graceful_shutdown=_SECONDS_TO_END,
    )
    say(f"review page: {address(settings)} (Ctrl-C ends it)")
    with listening:
        uvicorn.Server(config).run(sockets=[listening])
    feedback.close()


def address(settings: PageSettings) -> str:
    """Where the page is opened."""
    if ":" in settings.host:
        host = f"[{settings.host}]"
    else:
        host = settings.host
    return f"http://{host}:{settings.port}{settings.root_path}/"


def _listen(settings: PageSettings) -> socket.socket:
    """Take the port, so that it is told at once where it is taken.

    Raises:
        ConfigurationError: It is.
    """
    try:
        families = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, _, _, _, place = families[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigurationError(f"host {settings.host!r} cannot be listened on: {error.strerror}") from None
    try:
        # Else the port stays taken for a minute after the last page was ended.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen(128)
    except OSError as error:
        listening.close()
        words = f"port {settings.port} of {settings.host} cannot be listened on: {error.strerror}"
        raise ConfigurationError(
            f"{words}; name another one with --port, or 0 for any that is free"
        ) from None
    return listening
