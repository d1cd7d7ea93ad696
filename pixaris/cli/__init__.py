"""The command line: one module per command, imported when it is called."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib import import_module
from io import TextIOWrapper
from types import FrameType

from pixaris import __version__
from pixaris.cli.examples import EXAMPLES
from pixaris.exceptions import PixarisError, nearest
from pixaris.terminal import safe_streams

COMMANDS = {
    "demo": "a first search: writes files to start from, and runs one on two embedded endpoints",
    "search": "search parameters: run a search file",
    "submit": "search on a Ray cluster: check a search file, send it there as a job, follow it",
    "run": "one experiment run of a search file, with the workflow's own values",
    "runs": "list the searches and single runs that were made",
    "show": "show a search: its trials, winner, scores, failures; or one of its trials",
    "recheck": "run a search's best sets and its baseline once more, with seeds it has not used",
    "compare": "compare runs, trials or searches item by item: what differs, and is it luck",
    "gate": "for CI: run a search file once, and fail if a score became worse than a baseline's",
    "report": "write what a search found as one file for any browser",
    "ui": "the review page: look at experiments together, give feedback, vote blind",
    "tensorboard": "show a search in TensorBoard, with all of its images",
    "export": "write the winner of a search as a workflow ready to load",
    "check": "find everything wrong with a search file without generating",
    "space": "write a search file from a workflow, or from a PNG that ComfyUI saved",
    "schema": "print the search file's JSON Schema, by which editors complete and check it",
    "endpoints": "show endpoints: whether they answer, what runs on them, what a search made there",
    "pool": "endpoints that several searches on a Ray cluster share: start a pool of them, list, end one",
    "metrics": "list the metrics: what is better, the range, what each needs",
    "score": "score images that exist already",
    "cache": "the images that later runs need not generate again: how many, and make room",
    "dataset": "eval sets: make the demo's, look at one, copy them to and from a bucket",
    "results": "copy searches to and from a bucket",
    "doctor": "look at this installation: versions, extras, settings, disk; what is missing and the way out",
    "completion": "print a shell's script that completes commands and options",
    "serve": "run an embedded, ComfyUI-compatible endpoint",
}
"""Command to what it does; the module of the same name has ``arguments(parser)`` and ``main(options) ->
int``.
"""

EXIT_CODES = (
    "exit codes: 0 done · 1 failed · 2 the input is wrong · "
    "3 stopped: no endpoint, or account refused · 4 undecided (gate) · 130 interrupted"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments, ``sys.argv[1:]`` by default.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show "…" must not end a search
    if "" not in sys.path and os.getcwd() not in sys.path:
        # module:Class in a search file finds the user's modules, as python -m would
        sys.path.insert(0, os.getcwd())
    with safe_streams():
        return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    options = parser_of(arguments).parse_args(arguments)
    command = import_module(f"pixaris.cli.{options.command}")
    try:
        with _terminating_in_order():
            code: int = command.main(options)
            # Inside of the `try`: a pipe that is closed shows itself with the last write.
            sys.stdout.flush()
    except PixarisError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Python writes about the broken pipe when it ends; nobody is there to read it.
        sys.stderr.close()
        return 141
    return code


@contextlib.contextmanager
def _terminating_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP (a terminal that is closed) end a command as Ctrl-C does."""
    # Python lets only the main thread set handlers; tests call commands from others.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Put back afterwards: whoever calls this from Python keeps their own.
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


_EXAMPLES = "examples:"


class _Help(argparse.HelpFormatter):
    """Help whose examples stand as they are, a line for each; everything else is filled."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = []
        for paragraph in text.split("\n\n"):
            examples = paragraph.startswith(_EXAMPLES)
            # Examples are pasted as they stand; a line that is broken is another command.
            paragraphs.append(paragraph if examples else super()._fill_text(paragraph, width, indent))
        return "\n\n".join(paragraphs)


def _epilog(command: str) -> str:
    """What a command's help ends with."""
    calls = "\n".join(f"  {call}" for call in EXAMPLES[command])
    return f"{_EXAMPLES}\n{calls}\n\n{EXIT_CODES}"


class _Version(argparse.Action):
    """Prints the version, and Ray's, which is only read and not imported."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show the versions of Pixaris, Ray and Python")

    def __call__(self, parser: argparse.ArgumentParser, *given: object) -> None:
        from importlib.metadata import version

        python = ".".join(map(str, sys.version_info[:3]))
        print(f"pixaris {__version__} (Ray {version('ray')}, Python {python})")
        parser.exit()


def parser_of(arguments: Sequence[str], *, whole: bool = False) -> argparse.ArgumentParser:
    """The parser.

    Args:
        arguments: What is to be parsed: only the command that is asked for is imported.
        whole: Import every command.
    """
    parser = argparse.ArgumentParser(
        prog="pixaris",
        description="Find the parameters that make an image pipeline best, with evidence.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    # Importing every command takes a second, and only one of them is called.
    asked = next((word for word in arguments if not word.startswith("-")), None)
    if asked is not None and asked not in COMMANDS:
        # Before argparse's own words, which list all commands and name no nearest one.
        parser.error(f"there is no command {asked!r}{nearest(asked, COMMANDS)}; pixaris --help lists them")
    for name, text in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=_epilog(name),
            formatter_class=_Help,
        )
        if whole or name == asked:
            import_module(f"pixaris.cli.{name}").arguments(command)
    return parser
