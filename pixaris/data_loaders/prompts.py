"""Eval sets of prompts: a table whose rows are items."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixaris.data_loaders.base import DatasetLoader
from pixaris.exceptions import DatasetError, ImageError, Problem
from pixaris.images import EncodedImage, has_image_suffix
from pixaris.types import EvalItem, EvalSet, NodeInput

SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl")
"""Files that hold prompts."""
_NAME_COLUMNS = ("name", "id")
_PROMPT = "prompt"
_DELIMITERS = ",;\t"
_MOST_BYTES = 64 * 1024 * 1024
_SLUG = 40


@dataclass(frozen=True)
class _Row:
    """A row of the file.

    Attributes:
        line: The line it begins at, from 1.
        cells: Column name to text.
    """

    line: int
    cells: Mapping[str, str]


class PromptDatasetLoader(DatasetLoader):
    """Loads prompts from a file, every row an item.

    - ``.txt``: one prompt a line; the column is called ``prompt``.
    - ``.csv`` (``.tsv``): the first line names the columns. Commas, semicolons or tabs part them.
    - ``.jsonl``: one JSON object a line, of texts, numbers and truth values.

    A column ``name`` (or ``id``) names the items. Without one, an item is called by its prompt, so that it
    keeps its name, and with it its seed, when rows are added, moved or taken away. A column whose cells all
    name image files (relative to the file's folder) is a folder of images; the others are the items' texts.

    Args:
        path: The file.
        columns: Column name to the input that its texts go to, ``(node title, input)``, or a list of these.
            Of columns that are not named, a workflow's obvious place is guessed and told.
        references: Columns of images that only metrics see.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        columns: Mapping[str, NodeInput | Sequence[NodeInput]] | None = None,
        references: Sequence[str] = (),
    ) -> None:
        # Absolute at once: the loader may be used in another process, with another working directory.
        self.path = Path(os.path.abspath(path))
        self.dataset = self.path.stem
        self.columns = {name: _places(given) for name, given in (columns or {}).items()}
        self.references = (references,) if isinstance(references, str) else tuple(references)

    def load_dataset(self) -> EvalSet:
        """Return the eval set.

        Raises:
            DatasetError: The file is missing or cannot be read, a row does not fit its columns, an image is
                missing, two rows are equal; all faults are told at once.
        """
        problems: list[Problem] = []
        rows = _rows(self.path, problems)
        if not rows and not problems:
            problems.append(Problem("", "has no prompts; write one a line"))
        if problems:
            raise DatasetError(problems, str(self.path))
        names = _item_names(rows, problems)
        images = [column for column in rows[0].cells if _holds_files(column, rows)]
        for column in self.references:
            if column not in images:
                rule = f"is no column of image files; there are {', '.join(map(repr, images)) or 'none'}"
                problems.append(Problem(f"references: {column!r}", rule))
        items = tuple(
            self._item(index, names[index], row, images, problems) for index, row in enumerate(rows)
        )
        if problems:
            raise DatasetError(problems, str(self.path))
        return EvalSet(self.dataset, items, feeds=self.columns)

    def _item(
        self, index: int, name: str, row: _Row, images: Sequence[str], problems: list[Problem]
    ) -> EvalItem:
        inputs: dict[str, EncodedImage] = {}
        references: dict[str, EncodedImage] = {}
        texts = {}
        for column, cell in row.cells.items():
            if column in images:
                image = self._image(column, cell, row, problems)
                if image is not None:
                    (references if column in self.references else inputs)[column] = image
            elif column not in _NAME_COLUMNS:
                texts[column] = cell
        return EvalItem(index, name, inputs, references, texts)

    def _image(self, column: str, cell: str, row: _Row, problems: list[Problem]) -> EncodedImage | None:
        file = self.path.parent / cell.strip()
        if not file.is_file():
            problems.append(Problem(f"line {row.line}, column {column!r}", f"there is no file {file}"))
            return None
        try:
            return EncodedImage.from_file(file)
        except ImageError as error:
            problems.append(Problem(f"line {row.line}, column {column!r}", str(error)))
            return None


def prompt_column(columns: Sequence[str]) -> str:
    """The column that a row is known by: ``prompt``, or else the first; "" of none."""
    if _PROMPT in columns:
        return _PROMPT
    return next(iter(columns), "")


def _places(given: NodeInput | Sequence[NodeInput]) -> tuple[NodeInput, ...]:
    if len(given) == 2 and all(isinstance(part, str) for part in given):
        return ((str(given[0]), str(given[1])),)
    return tuple((str(place[0]), str(place[1])) for place in given)


def _rows(path: Path, problems: list[Problem]) -> list[_Row]:
    """The rows of a file; what is wrong with it is added to the problems.

    Raises:
        DatasetError: There is no such file, or it is not text.
    """
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise DatasetError(f"must be a file of prompts, one of {', '.join(SUFFIXES)}", str(path))
    text = _text(path)
    if kind == ".txt":
        lines = enumerate(text.splitlines(), 1)
        return [_Row(number, {_PROMPT: line.strip()}) for number, line in lines if line.strip()]
    if kind == ".jsonl":
        return _json_rows(text, problems)
    return _table_rows(text, problems)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DatasetError(f"is larger than {_MOST_BYTES // 2**20} MiB; keep fewer prompts", str(path))
        # Excel writes a byte order mark before the first column's name.
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DatasetError("no such file; give the path of a file of prompts", str(path)) from None
    except UnicodeDecodeError as error:
        raise DatasetError(f"is not UTF-8 text: {error.reason} at byte {error.start}", str(path)) from None
    except OSError as error:
        raise DatasetError(f"cannot be read: {error.strerror}", str(path)) from None


def _table_rows(text: str, problems: list[Problem]) -> list[_Row]:
    head = text.lstrip("\r\n").partition("\n")[0]
    # By the first line alone: prompts are full of commas.
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[_Row] = []
    columns: list[str] = []
    try:
        for line, cells in _numbered(reader):
            if not columns:
                columns = [cell.strip() for cell in cells]
                problems += _column_problems(columns, line)
            elif len(cells) > len(columns):
                rule = f"has {len(cells)} cells, and there are {len(columns)} columns"
                problems.append(
                    Problem(f"line {line}", f"{rule}; put a text that holds {delimiter!r} in quotes")
                )
            else:
                filled = [*cells, *[""] * (len(columns) - len(cells))]
                rows.append(_Row(line, dict(zip(columns, filled, strict=True))))
    except csv.Error as error:
        problems.append(Problem(f"line {reader.line_num}", f"is no table: {error}"))
    return rows


def _numbered(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Rows with something in them, and the line that each begins at."""
    line = 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield line, cells
        # A quoted cell may go over several lines.
        line = int(getattr(reader, "line_num", line)) + 1


def _column_problems(columns: Sequence[str], line: int) -> list[Problem]:
    counts = Counter(columns)
    found = [f"column {name!r} stands twice; rename one" for name in counts if name and counts[name] > 1]
    if "" in counts:
        found.append("a column has no name; the first line names the columns")
    return [Problem(f"line {line}", message) for message in found]


def _json_rows(text: str, problems: list[Problem]) -> list[_Row]:
    rows = []
    # Not `splitlines`, which also splits at characters that JSON texts may hold as they are.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(Problem(f"line {number}", f"is no JSON: {error}"))
            continue
        if not isinstance(value, dict) or not value:
            problems.append(Problem(f"line {number}", f'must be an object such as {{"{_PROMPT}": "…"}}'))
            continue
        rows.append(_Row(number, _json_cells(value, number, problems)))
    columns = dict.fromkeys(column for row in rows for column in row.cells)
    empty = dict.fromkeys(columns, "")
    return [_Row(row.line, {**empty, **row.cells}) for row in rows]


def _json_cells(value: Mapping[str, object], line: int, problems: list[Problem]) -> dict[str, str]:
    cells = {}
    for column, cell in value.items():
        if cell is None:
            cells[column] = ""
        # Before numbers: True is an `int` in Python.
        elif isinstance(cell, bool):
            cells[column] = str(cell).lower()
        elif isinstance(cell, str | int | float):
            cells[column] = str(cell)
        else:
            rule = f"must be text, a number or a truth value (got {type(cell).__name__})"
            problems.append(Problem(f"line {line}, {column!r}", rule))
    return cells


def _holds_files(column: str, rows: Sequence[_Row]) -> bool:
    """Whether a column's cells name image files, and not things that a prompt speaks of."""
    cells = [row.cells[column].strip() for row in rows]
    # All of them, or it is text: a prompt may well end in ".png".
    return column not in _NAME_COLUMNS and all(has_image_suffix(cell) and "\n" not in cell for cell in cells)


def _item_names(rows: Sequence[_Row], problems: list[Problem]) -> list[str]:
    columns = list(rows[0].cells)
    given = next((column for column in _NAME_COLUMNS if column in columns), "")
    if given:
        names = [row.cells[given].strip() for row in rows]
    else:
        names = _names_by_prompt(rows, prompt_column(columns))
    for name, lines in _lines_by_name(names, rows).items():
        if not name:
            problems.append(Problem(f"lines {lines}", f"the column {given!r} is empty; name every item"))
        elif "," in lines:
            way = "give each a name of its own" if given else "keep one, or add a column 'name'"
            problems.append(Problem(f"lines {lines}", f"are one item, {name!r}; {way}"))
    if not given:
        column = prompt_column(columns)
        problems += [
            Problem(f"line {row.line}, column {column!r}", "is empty; every row needs a prompt")
            for row in rows
            if not row.cells[column].strip()
        ]
    return names


def _lines_by_name(names: Sequence[str], rows: Sequence[_Row]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for name, row in zip(names, rows, strict=True):
        found.setdefault(name, []).append(str(row.line))
    return {name: ", ".join(lines) for name, lines in found.items()}


def _names_by_prompt(rows: Sequence[_Row], column: str) -> list[str]:
    """Names made of the prompts; of rows that share one, of the whole row."""
    counts = Counter(row.cells[column] for row in rows)
    names = []
    for row in rows:
        prompt = row.cells[column]
        slug = re.sub(r"\W+", "-", prompt.casefold()).strip("-")[:_SLUG].rstrip("-")
        # By content, not by line: a prompt that is moved keeps its name, and its images.
        identity = prompt if counts[prompt] == 1 else json.dumps(row.cells, sort_keys=True)
        sha = hashlib.sha256(identity.encode("utf-8", "backslashreplace")).hexdigest()[:6]
        names.append(f"{slug}-{sha}" if slug else sha)
    return names
