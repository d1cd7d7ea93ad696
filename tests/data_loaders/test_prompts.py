"""Eval sets of prompts: what becomes of a file's rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from pixaris.data_loaders.prompts import PromptDatasetLoader
from pixaris.exceptions import DatasetError
from pixaris.testing.contracts import check_dataset_loader
from pixaris.types import EvalSet


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def loaded(folder: Path, name: str, text: str) -> EvalSet:
    return PromptDatasetLoader(written(folder, name, text)).load_dataset()


def problems_of(folder: Path, name: str, text: str) -> str:
    with pytest.raises(DatasetError) as caught:
        loaded(folder, name, text)
    return str(caught.value)


def test_every_line_of_a_text_file_is_a_prompt(tmp_path: Path) -> None:
    found = loaded(tmp_path, "scenes.txt", "a red boat\n\n  a blue boat  \n")
    assert found.name == "scenes"
    assert [item.texts for item in found.items] == [{"prompt": "a red boat"}, {"prompt": "a blue boat"}]


def test_a_row_keeps_its_name_when_others_come_and_go_before_it(tmp_path: Path) -> None:
    before = loaded(tmp_path, "a.txt", "a red boat\na blue boat\n")
    after = loaded(tmp_path, "b.txt", "a house\na blue boat\n")
    assert before.items[1].name == after.items[1].name
    assert before.items[1].name.startswith("a-blue-boat-")
    assert before.items[1].name != loaded(tmp_path, "c.txt", "a blue boat!").items[0].name


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_s_first_line_names_its_columns(tmp_path: Path, delimiter: str) -> None:
    lines = [("name", "prompt", "expected"), ("boat", '"a boat, red"', "one boat"), ("sea", "the sea", "")]
    text = "\r\n".join(delimiter.join(line) for line in lines)
    found = loaded(tmp_path, "scenes.csv", text)
    assert [item.name for item in found.items] == ["boat", "sea"]
    assert found.items[0].texts == {"prompt": "a boat, red", "expected": "one boat"}
    assert found.columns == ("prompt", "expected")


def test_a_prompt_may_go_over_several_lines(tmp_path: Path) -> None:
    found = loaded(tmp_path, "scenes.csv", '\ufeffprompt\n"a boat\nat night"\n')
    assert found.items[0].texts["prompt"] == "a boat\nat night"


def test_json_lines_have_texts_and_numbers(tmp_path: Path) -> None:
    rows = [{"prompt": "a boat", "cfg": 7.5, "tiled": True}, {"prompt": "a sea", "cfg": 3}]
    found = loaded(tmp_path, "scenes.jsonl", "\n".join(map(json.dumps, rows)))
    assert found.items[0].texts == {"prompt": "a boat", "cfg": "7.5", "tiled": "true"}
    assert found.items[1].texts == {"prompt": "a sea", "cfg": "3", "tiled": ""}


def test_a_column_of_file_names_is_a_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "goals").mkdir()
    for colour in ("red", "blue"):
        Image.new("RGB", (8, 8), colour).save(tmp_path / "goals" / f"{colour}.png")
    file = written(tmp_path, "s.csv", "prompt,Original\na,goals/red.png\nb.png,goals/blue.png\n")
    found = PromptDatasetLoader(file, references=["Original"]).load_dataset()
    assert found.reference_folders == ("Original",)
    assert found.items[1].references["Original"].image.getpixel((0, 0)) == (0, 0, 255)
    assert found.columns == ("prompt",)  # one of its cells is called like a file, the other is not


def test_rows_that_share_a_prompt_are_told_apart_by_the_rest(tmp_path: Path) -> None:
    found = loaded(tmp_path, "s.csv", "prompt,negative\na boat,\na boat,ugly\n")
    assert len({item.name for item in found.items}) == 2


def test_all_that_is_wrong_with_a_file_is_told_at_once(tmp_path: Path) -> None:
    text = "prompt,Original\na boat,gone.png\n,also_gone.png\na boat,gone.png\n"
    told = problems_of(tmp_path, "s.csv", text)
    assert "line 2, column 'Original': there is no file" in told
    assert "line 3, column 'prompt': is empty; every row needs a prompt" in told
    assert "lines 2, 4: are one item" in told


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("s.csv", "prompt,prompt\na,b\n", "column 'prompt' stands twice"),
        ("s.csv", "prompt\na boat, red\n", "has 2 cells, and there are 1 columns; put a text that holds"),
        ("s.csv", 'prompt\n"a boat\n', "is no table"),
        ("s.csv", "name,prompt\n,a\n", "the column 'name' is empty; name every item"),
        ("s.csv", "name,prompt\nx,a\nx,b\n", "are one item, 'x'; give each a name of its own"),
        ("s.jsonl", "[1]\n", 'must be an object such as {"prompt": "…"}'),
        ("s.jsonl", '{"prompt": ["a"]}\n', "must be text, a number or a truth value (got list)"),
        ("s.jsonl", "{\n", "is no JSON"),
        ("s.txt", "\n", "has no prompts; write one a line"),
        ("s.doc", "a", "must be a file of prompts, one of .csv, .tsv, .txt, .jsonl"),
    ],
)
def test_what_is_no_file_of_prompts_is_told(tmp_path: Path, name: str, text: str, told: str) -> None:
    assert told in problems_of(tmp_path, name, text)


def test_a_missing_file_and_one_that_is_no_text_are_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file"):
        PromptDatasetLoader(tmp_path / "s.csv").load_dataset()
    (tmp_path / "s.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DatasetError, match="is not UTF-8 text"):
        PromptDatasetLoader(tmp_path / "s.txt").load_dataset()


def test_it_keeps_the_contract_of_loaders(tmp_path: Path) -> None:
    check_dataset_loader(PromptDatasetLoader(written(tmp_path, "s.txt", "a boat\nthe sea\n")))


def test_another_text_is_another_eval_set(tmp_path: Path) -> None:
    texts = ("name,prompt\nx,a boat\n", "name,prompt\nx,the sea\n")
    digests = {loaded(tmp_path, "s.csv", text).digest for text in texts}
    assert len(digests) == 2
