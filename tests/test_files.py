"""Atomic files, JSON lines that several processes write, safe names."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pixaris import files
from pixaris.files import (
    append_json_line,
    plain,
    read_json_lines,
    safe_name,
    write_bytes,
    write_json,
    write_json_lines,
)


def test_writing_leaves_the_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "run.json"
    for text in ("{}", '{"a": 1}'):
        files.write_text(path, text)
        assert path.read_text() == text
    assert os.listdir(path.parent) == ["run.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_write_that_fails_leaves_the_old_file_and_no_part_of_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(OSError):
        write_bytes(tmp_path / "taken", b"a folder cannot be replaced by a file")
    assert os.listdir(tmp_path) == ["taken"]


def test_a_reader_sees_the_old_file_or_the_new_one_never_half_of_one(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    old, new = b"a" * 300_000, b"b" * 200_000
    write_bytes(path, old)
    seen = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(60):
        write_bytes(path, old if number % 2 else new)
    done.set()
    reader.join()
    assert seen <= {old, new}


def test_json_has_no_nan_and_no_infinity(tmp_path: Path) -> None:
    write_json(
        tmp_path / "a.json",
        {"nan": float("nan"), "inf": [float("inf")], "np": np.float32("nan"), "one": np.int64(1)},
    )
    assert json.loads((tmp_path / "a.json").read_text()) == {"nan": None, "inf": [None], "np": None, "one": 1}


def test_plain_knows_what_results_hold() -> None:
    value = {
        1: (np.float32(0.5), np.bool_(True)),
        "array": np.arange(4).reshape(2, 2),
        "path": Path("a/b"),
        "set": {"b", "a"},
    }
    assert plain(value) == {"1": [0.5, True], "array": [[0, 1], [2, 3]], "path": "a/b", "set": ["a", "b"]}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(rows=st.lists(st.dictionaries(st.text(), json_values, max_size=4), max_size=5))
@example(rows=[{"separators": "a\u2028b\u2029c\x85d\x0be\x1ff\r\n"}])
@example(rows=[{"a file name that is no UTF-8": "\udcff"}])
def test_json_lines_come_back_as_they_were_written(
    rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("lines") / "rows.jsonl"
    write_json_lines(path, rows)
    assert read_json_lines(path) == rows
    for row in rows:
        append_json_line(path, row)
    assert read_json_lines(path) == rows * 2


def test_torn_and_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        b'{"a": 1}\nnot json\n[1, 2]\n\n\xff\xfe\n' + b"[" * 100_000 + b'\n{"a": 2}\n{"a": 3, "b": "to'
    )
    assert read_json_lines(path) == [{"a": 1}, {"a": 2}]


def test_a_torn_last_line_spoils_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": 2, "b": "the writer was kil')
    append_json_line(path, {"a": 3})
    append_json_line(path, {"a": 4})
    assert read_json_lines(path) == [{"a": 1}, {"a": 3}, {"a": 4}]


def test_a_missing_file_has_no_rows(tmp_path: Path) -> None:
    assert read_json_lines(tmp_path / "none.jsonl") == []


def test_lines_of_several_processes_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "shared.jsonl"
    program = (
        "import sys, pathlib\nfrom pixaris.files import append_json_line\nfor number in range(60):\n   "
        " append_json_line(pathlib.Path(sys.argv[1]), {'writer': sys.argv[2], 'number': number, 'text': 'x' *"
        " 20_000})\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(path), str(writer)]) for writer in range(4)
    ]
    assert [writer.wait(30) for writer in writers] == [0, 0, 0, 0]
    rows = read_json_lines(path)
    assert len(rows) == 240
    for writer in "0123":
        assert [row["number"] for row in rows if row["writer"] == writer] == list(range(60))
    assert all(len(row["text"]) == 20_000 for row in rows)


@given(st.text())
@example("..")
@example("a/../b")
@example("C:\\x")
@example("名" * 200)
@example("\udcff")
def test_a_safe_name_is_one_path_component_that_file_systems_take(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert not set(safe) & set('/\\:*?"<>|\0\n\r\t')
    assert safe[0] not in ". "
    assert safe[-1] not in ". "
    assert len(safe.encode()) <= 120
    assert safe_name(safe) == safe
    assert Path("root", safe).parent == Path("root")


@given(st.lists(st.text(alphabet="aA/.\\ :é_-", max_size=8), unique=True, max_size=40))
def test_different_texts_keep_different_names(names: list[str]) -> None:
    assert len({safe_name(name) for name in names}) == len(names)


def test_long_names_that_differ_at_the_end_stay_different_and_can_be_written(tmp_path: Path) -> None:
    for end in "ab":
        write_bytes(tmp_path / f"{safe_name('日' * 300 + end)}.png", b"x")
    assert len(os.listdir(tmp_path)) == 2


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("photo 1", "cfg=7.1, steps=20", "Ünïcode_[2]", "a+b(1)"):
        assert safe_name(name) == name
