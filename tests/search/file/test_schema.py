"""The JSON Schema of search files: it is what the reader goes by, and an editor finds with it what it can."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pixaris.cli import main
from pixaris.cli.schema import as_text, schema
from pixaris.search.file.schema import keys
from pixaris.search.file.schema.document import FILE_NAME, MODELINE
from pixaris.search.file.spec import read_search_file
from pixaris.search.file.yaml_file import parse_yaml, read_yaml

ROOT = Path(__file__).parents[3]
SPACES = ROOT / "search_spaces"
PAGES = ("search-file", "algorithms", "racing", "flux", "prompts", "metrics", "learned-metrics", "llm-judge")

GOOD = """\
project: demo
dataset: photos
generator: {type: comfyui, workflow: workflows/restore_apiformat.json}
endpoints: {embedded: 2}
parameters:
  radius: {node_name: Blur, input: blur_radius, randint: [1, 6]}
metrics: [{type: ssim, reference: Original}]
objective: {metric: ssim}
search: {algorithm: tpe, num_samples: 4}
"""

WRONG = {
    "an unknown key": ("objective:", "objectiv:", "objectiv"),
    "an unknown key of a section": ("num_samples", "num_sample", "search.num_sample"),
    "a wrong type": ("num_samples: 4", "num_samples: many", "search.num_samples"),
    "a number that is too small": ("num_samples: 4", "num_samples: 0", "search.num_samples"),
    "a wrong metric": ("type: ssim", "type: sism", "metrics.0"),
    "an unknown option of a metric": ("reference:", "referenc:", "metrics.0"),
    "a wrong algorithm": ("tpe", "tpee", "search.algorithm"),
    "an unknown option of a source": ("embedded: 2", "embedded: {replica: 2}", "endpoints.embedded.replica"),
    "a source that is none": ("embedded", "embeded", "endpoints.embeded"),
    "a misspelt domain": ("randint", "randinit", "parameters.radius.randinit"),
    "a domain with a number too few": ("[1, 6]", "[1]", "parameters.radius.randint"),
    "two domains": ("randint:", "choice: [1], randint:", "parameters.radius"),
    "a wrong generator": ("type: comfyui", "type: comfy", "generator"),
    "a missing section": ("project: demo\n", "", "project"),
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return schema()


@pytest.fixture(scope="module")
def validator(document: dict[str, Any]) -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def test_the_schema_that_is_shipped_is_the_reader_s(document: dict[str, Any]) -> None:
    shipped = (SPACES / FILE_NAME).read_text(encoding="utf-8")
    assert shipped == as_text(document), f"run: pixaris schema -o search_spaces/{FILE_NAME}"


@pytest.mark.parametrize("path", sorted(SPACES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_search_file_is_right_and_names_the_schema(
    path: Path, validator: jsonschema.Draft202012Validator
) -> None:
    assert path.read_text(encoding="utf-8").startswith(f"{MODELINE}{FILE_NAME}\n")
    assert [error.message for error in validator.iter_errors(read_yaml(path).value)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_example_of_the_pages_is_right(page: str, document: dict[str, Any]) -> None:
    """What the reader takes, the schema takes: fragments of files among it."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, flags=re.M | re.S)
    assert blocks
    fragment = jsonschema.Draft202012Validator({**document, "required": []})
    for block in blocks:
        found = [f"{error.json_path}: {error.message[:200]}" for error in fragment.iter_errors(_file(block))]
        assert found == [], block


def _file(block: str) -> Any:
    """A block as a file's content; what stands at a place of its own is no file."""
    value = parse_yaml(block).value
    return value if isinstance(value, dict) else {}


@pytest.mark.parametrize(("old", "new", "place"), WRONG.values(), ids=WRONG)
def test_what_an_editor_finds_the_reader_finds(
    old: str, new: str, place: str, validator: jsonschema.Draft202012Validator, tmp_path: Path
) -> None:
    assert list(validator.iter_errors(parse_yaml(GOOD).value)) == []
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    assert list(validator.iter_errors(parse_yaml(text).value)) != []

    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    _, problems = read_search_file(file)
    told = [problem.path.partition(" (")[0] for problem in problems]
    if not place.startswith(("metrics", "generator")):  # those are known once they are made
        assert any(path.startswith(place) for path in told), told


def test_an_empty_key_and_a_number_in_quotes_are_what_they_are_to_the_reader(
    validator: jsonschema.Draft202012Validator, tmp_path: Path
) -> None:
    text = GOOD.replace("num_samples: 4", 'num_samples: "4"') + "budget:\nseeds:\n"
    assert list(validator.iter_errors(parse_yaml(text).value)) == []
    file = tmp_path / "right.yaml"
    file.write_text(text)
    spec, problems = read_search_file(file)
    assert problems == []
    assert spec.search.num_samples == 4


def test_the_command_prints_it_and_writes_it(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == document
    assert main(["schema", "-o", str(tmp_path / "s.json")]) == 0
    assert json.loads((tmp_path / "s.json").read_text(encoding="utf-8")) == document
    assert capsys.readouterr().out.splitlines()[-1] == f"{MODELINE}s.json"


def test_a_written_search_file_names_the_schema_that_lies_beside_it(
    document: dict[str, Any],
    validator: jsonschema.Draft202012Validator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    workflow = str(SPACES / "workflows" / "restore_apiformat.json")
    assert main(["space", workflow, "-o", "without.yaml"]) == 0
    assert "$schema" not in Path("without.yaml").read_text(encoding="utf-8")
    Path(FILE_NAME).write_text(as_text(document), encoding="utf-8")
    assert main(["space", workflow, "-o", "with.yaml"]) == 0
    assert Path("with.yaml").read_text(encoding="utf-8").startswith(f"{MODELINE}{FILE_NAME}\n")
    assert list(validator.iter_errors(read_yaml(Path("with.yaml")).value)) == []


SECTIONS = {
    "": keys.FILE,
    "## search\n": keys.SEARCH,
    "## budget\n": keys.BUDGET,
    "## limits\n": keys.LIMIT,
    "## recheck, holdout\n": tuple(replace(key, name=f"recheck.{key.name}") for key in keys.RECHECK),
}


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_page_s_tables_have_the_keys_that_the_reader_knows(heading: str) -> None:
    page = (ROOT / "docs" / "search-file.md").read_text(encoding="utf-8")
    rest = page.partition(heading)[2] if heading else page
    table = rest[rest.index("| key |") :].partition("\n\n")[0]
    named = re.findall(r"^\| `([\w.]+)` \|", table, flags=re.M)
    named = [name for name in named if name != "holdout" or not heading]
    assert sorted(named) == sorted(keys.names(SECTIONS[heading]))
