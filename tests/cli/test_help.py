"""The command line as people expect it: help with examples at 80 columns, suggestions, JSON, no colours."""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pixaris.cli import COMMANDS, main, parser_of
from pixaris.cli.examples import EXAMPLES

COLOUR = re.compile(rb"\x1b\[[0-9;]*(?:3[0-7]|9[0-7])m")


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser, and those of its commands and their actions."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from parsers(inner)


def test_every_help_fits_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = list(parsers(parser_of([], whole=True)))
    assert len(found) > len(COMMANDS)
    for parser in found:
        assert [line for line in parser.format_help().splitlines() if len(line) > 80] == [], parser.prog


def test_every_command_has_examples_and_no_other() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_a_command_are_right(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    helped = capsys.readouterr().out
    for example in EXAMPLES[command]:
        assert f"\n  {example}\n" in helped
        call = re.sub(r'^eval "\$\((.*)\)"$', r"\1", example)
        words = shlex.split(re.split(r" [>|] ", call)[0])
        assert words[:2] == ["pixaris", command]
        assert parser_of(words[1:]).parse_args(words[1:]).command == command


def test_a_misspelt_command_is_told_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serch", "x.yaml"])
    assert ended.value.code == 2
    assert "there is no command 'serch' (did you mean 'search'?)" in capsys.readouterr().err


def test_endpoints_tell_scripts_what_the_table_tells_people(
    endpoints: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["endpoints", endpoints[0], "http://127.0.0.1:9", "--json"]) == 0
    there, gone = json.loads(capsys.readouterr().out)["endpoints"]
    assert there["endpoint"] == endpoints[0]
    assert there["answers"] is True
    assert there["error"] is None
    assert there["running"] == {"of_pixaris": 0, "of_others": 0}
    assert there["memory_free"] <= there["memory_total"]
    assert (gone["endpoint"], gone["answers"]) == ("http://127.0.0.1:9", False)
    assert gone["error"]
    assert main(["endpoints", "http://127.0.0.1:9", "--json"]) == 3


def shown(url: str, **environment: str) -> bytes:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pixaris", "endpoints", url, "--once"]
    surroundings = {**os.environ, "TERM": "xterm-256color", **environment}
    with subprocess.Popen(command, stdout=theirs, env=surroundings) as process:
        os.close(theirs)
        data = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            data += piece
    os.close(ours)
    assert process.returncode == 0
    return data


def test_no_colour_means_no_colour(endpoints: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert COLOUR.search(shown(endpoints[0]))
    assert not COLOUR.search(shown(endpoints[0], NO_COLOR="1"))


def test_fish_knows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fish"]) == 0
    script = capsys.readouterr().out
    assert "complete -c pixaris" in script
    assert all(re.search(rf"\b{command}\b", script) for command in COMMANDS)
