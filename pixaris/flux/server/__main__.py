"""``python -m pixaris.flux.server``: try a search with Flux without an account."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys

from pixaris.flux.server.account import Options
from pixaris.flux.server.app import Server
from pixaris.flux.server.faults import Faults, Rule, parse_rules
from pixaris.flux.server.running import listen, stop


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    options = _parser().parse_args(arguments)
    return asyncio.run(_serve(options))


async def _serve(options: argparse.Namespace) -> int:
    server = Server(
        Options(
            key=options.key,
            credits=options.credits,
            seconds=options.seconds,
            active_tasks=options.active_tasks,
            faults=Faults(options.faults),
        )
    )
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        runners = await listen(server, options.listen, options.port)
    except OSError as error:
        sys.stderr.write(f"cannot listen on {options.listen}:{options.port}: {error.strerror or error}\n")
        return 2
    sys.stdout.write(
        f"A stand-in for the Flux API, without a model. In the process that searches:\n"
        f"  export PIXARIS_FLUX_BASE_URL={server.places.api} PIXARIS_FLUX_API_KEY={options.key or 'any'}\n"
    )
    sys.stdout.flush()
    await ended.wait()
    await stop(runners)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pixaris.flux.server", description=__doc__.partition(": ")[2]
    )
    add = parser.add_argument
    add("--port", type=int, default=8189, help="port of the API; 0 takes a free one (default: 8189)")
    add("--listen", default="127.0.0.1", metavar="HOST", help="address to listen on (default: 127.0.0.1)")
    add("--key", default="", help="the only key to take (default: any)")
    add("--credits", type=float, default=1000.0, help="the account's balance (default: 1000)")
    add("--seconds", type=float, default=0.3, help="how long an image takes (default: 0.3)")
    add("--active-tasks", type=int, default=24, metavar="N", help="tasks at once (default: 24)")
    add(
        "--faults",
        type=_rules,
        default=[],
        metavar="JSON",
        help="rules of faults; see pixaris.flux.server.faults",
    )
    return parser


def _rules(text: str) -> list[Rule]:
    try:
        return parse_rules(json.loads(text))
    except (ValueError, TypeError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
