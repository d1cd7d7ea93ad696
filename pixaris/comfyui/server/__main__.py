"""``python -m pixaris.comfyui.server --port 8188``: the embedded endpoint as a process."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from pixaris.comfyui.server.app import build_app
from pixaris.comfyui.server.faults import Rule, parse_rules
from pixaris.comfyui.server.inprocess import listen
from pixaris.comfyui.server.worker import Options


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    When it answers, it prints exactly one line to standard output: ``Listening on http://HOST:PORT``.

    Args:
        argv: Arguments without the program's name; None takes the process's.

    Returns:
        0 after a signal, 2 if it cannot listen.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    return serve(_parser().parse_args(arguments), arguments)


def serve(parsed: argparse.Namespace, argv: Sequence[str]) -> int:
    """Serve as `add_arguments` were parsed; see `main`.

    Args:
        parsed: The arguments.
        argv: The same as written, for ``/system_stats``.
    """
    sys.setswitchinterval(0.001)  # the worker computes; requests and messages shall not wait for it
    logging.basicConfig(
        level=logging.INFO if parsed.verbose else logging.WARNING, format="%(asctime)s %(message)s"
    )
    options = Options(
        base_directory=parsed.base_directory,
        cache_size=0 if parsed.cache_none else parsed.cache_lru,
        max_upload_megabytes=parsed.max_upload_size,
        keep_outputs=parsed.keep_outputs,
        faults=parsed.faults,
        argv=argv,
    )
    return asyncio.run(_serve(options, parsed.listen, parsed.port))


async def _serve(options: Options, host: str, port: int) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        runner, port = await listen(build_app(options), host, port)
    except OSError as error:
        sys.stderr.write(f"cannot listen on {host}:{port}: {error.strerror or error}\n")
        return 2
    sys.stdout.write(f"Listening on http://{f'[{host}]' if ':' in host else host}:{port}\n")
    sys.stdout.flush()
    await stop.wait()
    await runner.cleanup()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pixaris.comfyui.server",
        description=(
            "Serve ComfyUI's API with its model-free core nodes. There is no authentication, as in ComfyUI."
        ),
    )
    add_arguments(parser)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the server's arguments."""
    add = parser.add_argument
    add("--port", type=_port, default=8188, help="port to listen on; 0 takes a free one (default: 8188)")
    add("--listen", default="127.0.0.1", metavar="HOST", help="address to listen on (default: 127.0.0.1)")
    add(
        "--base-directory",
        type=Path,
        metavar="DIR",
        help="holds input/, output/ and temp/, which is emptied (default: temporary, removed at exit)",
    )
    add(
        "--max-upload-size", type=float, default=100, metavar="MB", help="largest request body (default: 100)"
    )
    add("--keep-outputs", type=_count, metavar="N", help="keep only the N images saved last (default: all)")
    cache = parser.add_mutually_exclusive_group()
    cache.add_argument(
        "--cache-lru",
        type=_count,
        metavar="N",
        help="keep the N node results used last (default: the last prompt's)",
    )
    cache.add_argument("--cache-none", action="store_true", help="keep no node results")
    add(
        "--faults",
        type=_rules,
        nargs="?",
        const=[],
        metavar="JSON",
        help="allow injected faults (POST /pixaris/faults); rules to start with",
    )
    add("--verbose", action="store_true", help="tell every prompt's end on standard error")


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535 (got {text})")
    return int(text)


def _count(text: str) -> int:
    if text.isdecimal():
        value = int(text)
    else:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1 (got {text})")
    return value


def _rules(text: str) -> list[Rule]:
    try:
        return parse_rules(json.loads(text))
    except (ValueError, TypeError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
