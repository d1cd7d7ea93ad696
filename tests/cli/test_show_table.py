"""``pixaris show`` and ``pixaris report`` on a folder: on terminals of several widths, and in pipes."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from search_kit import Made, made_search

from pixaris.cli import main
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    made_search(folder / "demo" / "restore", Made(sets=9, items=8))
    made_search(folder / "demo" / "again", Made(sets=5, items=8, seed=2))
    return folder


def shown(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def names(out: str) -> list[str]:
    return re.findall(r"^(trial_\d+) +(?:finished|stopped) ", out, re.MULTILINE)


def on_terminal(width: int, *arguments: str) -> str:
    """What a command prints on a terminal of a width."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(width), "TERM": "xterm"}
    command = [sys.executable, "-m", "pixaris", *arguments]
    process = subprocess.Popen(command, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    data = b""
    try:
        while piece := os.read(leader, 4096):
            data += piece
    except OSError:
        pass  # how Linux says that the other end is closed
    assert process.wait() == 0
    os.close(leader)
    return data.decode().replace("\r\n", "\n")


def test_it_sorts_by_scores_parameters_and_facts(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = SearchResult.load(results / "demo" / "restore")
    trials = {trial.name: trial for trial in result.trials}
    out = names(shown(capsys, "show", "restore", "--results", results, "--sort", "amount"))
    assert out == sorted(trials, key=lambda name: trials[name].values["amount"])
    out = names(shown(capsys, "show", "restore", "--results", results, "--sort", "psnr"))
    assert out == sorted(trials, key=lambda name: -trials[name].scores["psnr"])
    out = names(shown(capsys, "show", "restore", "--results", results, "--sort", "trial", "--reverse"))
    assert out == sorted(trials, reverse=True)


def test_another_score_is_shown_with_its_own_change(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = SearchResult.load(results / "demo" / "restore")
    out = shown(capsys, "show", "restore", "--results", results, "--metric", "psnr")
    trial, baseline = result.trials[1], result.trials[0]
    change = trial.scores["psnr"] - baseline.scores["psnr"]
    wanted = rf"^trial_0001 +finished +{trial.scores['psnr']:.4f} ± \S+ +{re.escape(f'{change:+.4f}')} ± "
    assert re.search(wanted, out, re.MULTILINE)


def test_csv_has_every_trial_and_value_whole(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = SearchResult.load(results / "demo" / "restore")
    out = shown(capsys, "show", "restore", "--results", results, "--csv", "--sort", "trial")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [float(row["parameters.amount"]) for row in rows] == [t.values["amount"] for t in result.trials]


def test_unknown_names_are_told_together(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["show", "restore", "--results", str(results), "--sort", "amout", "--metric", "ssm"]
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "'ssm' is no score of this search (did you mean 'ssim'?)" in told
    assert "'amout' is nothing to sort by (did you mean 'amount'?)" in told


@pytest.mark.parametrize("width", [200, 90, 40])
def test_on_a_terminal_no_value_is_cut_and_what_has_no_room_is_named(results: Path, width: int) -> None:
    result = SearchResult.load(results / "demo" / "restore")
    out = on_terminal(width, "show", "restore", "--results", str(results))
    plain = re.sub(r"\x1b\]8;;[^\x1b]*\x1b\\", "", out)
    head = next(line for line in plain.splitlines() if line.startswith("trial "))
    names = ["amount", "radius", "mode"]
    columns = [name for name in names if f" {name}" in head]
    if columns:
        assert all(len(line) <= width for line in plain.splitlines() if line.startswith("trial_"))
    left = [name for name in names if name not in columns]
    assert ("not shown for want of width: " + ", ".join(left) in plain) == bool(left)
    for trial in result.trials:
        row = next(line for line in plain.splitlines() if line.startswith(trial.name))
        assert ("amount" in columns) == (f"{trial.values['amount']:.4g}" in row.split())
        images = SearchPaths(result.folder).trial(trial.number).images
        assert f"\x1b]8;;{images.resolve().as_uri()}\x1b\\{trial.name}\x1b" in out


def test_a_search_ends_with_lines_to_paste_the_report_last(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = results / "demo" / "restore"
    shown(capsys, "report", "restore", "--results", results)
    out = shown(capsys, "show", "restore", "--results", results)
    assert out.rstrip().endswith(f"report       {folder / 'report.html'}")
    assert f"show {folder} {SearchResult.load(folder).best.number}\n" in out  # type: ignore[union-attr]
    assert f"export {folder} -o best_apiformat.json\n" in out


def test_report_names_its_file_and_bundles_the_originals(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, bundle = tmp_path / "mine.html", tmp_path / "all.zip"
    arguments = ("report", "restore", "again", "--results", results, "-o", file, "--with-originals", bundle)
    assert shown(capsys, *arguments).split() == [str(file), str(bundle)]
    assert "again" in file.read_text()
    with zipfile.ZipFile(bundle) as found:
        inside = set(found.namelist())
        text = found.read("report.html").decode()
    assert "restore/trial_0001/generated_images/photo 00.png" in inside
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])  # type: ignore[index]
    for one in data["sets"]:
        for place, number in enumerate(one["images"]):
            if number is not None:
                assert one["folder"] + data["items"][place]["file"] in inside


def test_a_folder_that_cannot_be_written_names_the_way_out(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = Path("/proc/nothing/report.html")
    assert main(["report", "restore", "--results", str(results), "-o", str(nowhere)]) == 2
    told = capsys.readouterr().err
    assert "cannot be written to" in told
    assert "-o FILE" in told
