"""What comes from servers, files and results is shown on a terminal, never obeyed by it."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
import results_kit
import yaml
from hypothesis import given
from hypothesis import strategies as st
from test_foreign_files import made

from pixaris.cli import main
from pixaris.cli.search import report
from pixaris.exceptions import ConfigurationError, ExecutionError
from pixaris.files import write_json
from pixaris.results.manifest import write_manifest
from pixaris.results.paths import SearchPaths
from pixaris.terminal import SafeStream, safe

NASTY = "\x1b]0;owned\x07\x1b[2J\u202eevil\x9b31m"


@given(st.text())
def test_no_control_character_is_left_but_tab_and_line_feed(text: str) -> None:
    shown = safe(text)
    assert not [one for one in shown if (ord(one) < 32 or 0x7F <= ord(one) < 0xA0) and one not in "\t\n"]
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


@given(st.text(st.characters(whitelist_categories=["L", "N", "P", "S", "Zs"])))
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    into = io.StringIO()
    SafeStream(into).write(text)
    assert into.getvalue() == text


def test_an_error_message_and_a_result_set_no_window_title(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = made(tmp_path)
    assert main(["show", f"none{NASTY}", "--results", str(tmp_path)]) == 2
    write_json(paths.trials, {})
    lines = paths.trials.read_text()
    row = {"number": 3, "status": "failed", "values": {"cfg": NASTY}, "error": NASTY}
    paths.trials.write_text(lines.replace("\n", "") + "\n" + yaml.safe_dump(row, default_flow_style=True))
    main(["show", "restore", "--results", str(tmp_path)])
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert "\u202e" not in out + err
    assert r"\x1b]0;owned\x07" in err


def test_error_texts_are_bounded() -> None:
    error = ExecutionError("x" * 5_000_000, endpoint="http://h:1", node="Blur")
    assert len(str(error)) < 3_000
    assert "characters" in str(error)
    many = ConfigurationError(["y" * 100_000] * 1_000)
    assert len(str(many)) < 300_000


def test_many_unknown_keys_are_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("name: x\n" + "".join(f"key{number}: 1\n" for number in range(60_000)))
    began = time.process_time()
    assert main(["check", str(file)]) == 2
    assert time.process_time() - began < 10
    err = capsys.readouterr().err
    assert "59,990 more unknown keys" in err


def test_check_runs_no_code_that_a_file_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(trace)!r}, 'w').close()\nSEARCH = {{}}\nSPACE = {{}}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "x.yaml"
    content = {
        "name": "x",
        "project": "p",
        "dataset": "./d",
        "generator": {"type": "evil:Generator"},
        "endpoints": {"evil:Source": {}},
        "parameters": "evil.py",
        "metrics": ["evil:Metric"],
        "objective": "mine",
    }
    file.write_text(yaml.safe_dump(content))
    assert main(["check", str(file)]) == 0
    out = capsys.readouterr().out
    assert "generator: evil:Generator" in out
    assert "endpoints: evil:Source" in out
    assert "metrics.0: evil:Metric" in out
    assert "parameters: the module evil.py" in out
    assert "--trust" in out
    assert main(["check", str(tmp_path / "evil.py")]) == 2
    assert "add --trust" in capsys.readouterr().err
    assert not trace.exists()
    main(["check", str(file), "--trust"])
    assert trace.exists()


def test_a_set_with_too_few_scores_to_win_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = results_kit.trial_of(0, {"x": 1}, (0.5, 0.5, 0.5, 0.5))
    thin = results_kit.trial_of(1, {"x": 2}, (0.9, None, None, None), items=4)
    report(results_kit.search_of(whole, thin, folder=tmp_path / "restore", items=("a", "b", "c", "d")))
    out = capsys.readouterr().out
    assert "left out  trial_0001 has a score on 1 of 4 images; a winner needs one on half of them" in out


def test_the_next_search_is_told_with_what_the_last_one_was_told_beside_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "other"
    write_manifest(
        SearchPaths(folder),
        {"algorithm": "random", "file": "s.yaml", "num_samples": 1, "changes": ["--set", "name=other"]},
    )
    sets = [results_kit.trial_of(number, {}, (0.5 - 0.1 * number,) * 8) for number in (0, 1)]
    names = tuple(f"item {number}" for number in range(8))
    report(results_kit.search_of(*sets, folder=folder, items=names))
    out = capsys.readouterr().out
    assert "search s.yaml --set name=other --resume --num-samples=2\n" in out


@pytest.mark.parametrize(("asked", "meant"), [("serch", "search"), ("exprot", "export"), ("shwo", "show")])
def test_a_command_that_is_mistyped_is_guessed(
    capsys: pytest.CaptureFixture[str], asked: str, meant: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([asked, "x.yaml"])
    assert ended.value.code == 2
    assert f"there is no command {asked!r} (did you mean {meant!r}?)" in capsys.readouterr().err
