"""The tutorial on judge and votes, walked: a search that a model judges (a stand-in of Gemini's server
answers), votes on the page that `pixaris ui` serves, and the export at its end.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from page_kit import command, new_iteration, visitor
from voting_kit import originals_of, vote

from pixaris.search import SearchResult

sys.path.append(str(Path(__file__).parents[1] / "metrics"))
from gemini_kit import KEY, MODEL, Asked, Response, StandIn, says

pytest.importorskip("google.genai")
PAGE = (Path(__file__).parents[2] / "docs" / "tutorials" / "judge-and-votes.md").read_text(encoding="utf-8")
VOTES = 10
"""Of one person, who is asked about two sets at least: a pair for each of twelve photographs."""
TRUST = r"llm_similarity prefers what people prefer</t[dh]><td[^>]*>(\d+)</td><td[^>]*>(\d+)%"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, flags=re.M | re.S)


def answered(asked: Asked) -> Response:
    """As a good judge would: how near the image is to its reference, and no errors seen."""
    if "errors" in asked.schema["properties"]:
        return says({"reason": "clean", "errors": 0})
    image, reference = (np.asarray(one.convert("RGB"), dtype=float) for one in asked.images)
    distance = float(np.abs(image - reference).mean())
    return says({"reason": f"{distance:.1f} levels away", "similarity": round(1 / (1 + distance / 20), 4)})


def called(line: str, folder: Path, environment: Mapping[str, str]) -> str:
    """What a command of the page prints."""
    program, *words = shlex.split(line)
    assert program == "pixaris", line
    argv = [sys.executable, "-m", "pixaris", *words]
    done = subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_a_model_judges_people_vote_and_the_page_tells_how_far_they_agree(tmp_path: Path) -> None:
    account, demonstrate, look, serve, export = blocks("sh")
    judged, _ = blocks("yaml")
    values = {"PIXARIS_GEMINI_API_KEY": KEY, "PIXARIS_GEMINI_MODEL": MODEL}
    assert re.findall(r"^export (\w+)=\.\.\.$", account, flags=re.M) == list(values)
    assert serve.splitlines()[1:] == ["pixaris ui"]
    make, enter = demonstrate.splitlines()
    folder = tmp_path / enter.removeprefix("cd ")
    with StandIn(answered) as model:
        environment = {**os.environ, **values, "PIXARIS_GEMINI_BASE_URL": model.url}
        called(make, tmp_path, environment)
        (folder / "judged.yaml").write_text(judged, encoding="utf-8")
        check, search = look.splitlines()
        called(check, folder, environment)
        assert model.looked_up, "key and model are asked about"
        assert not model.asked, "before an image is made nothing is judged"
        said = called(search, folder, environment)
        assert 0 < len(model.asked) <= 192
        assert {asked.key for asked in model.asked} == {KEY}
    result = SearchResult.load(folder / "local_results" / "demo" / "judged")
    assert result.verdict().sentence in " ".join(said.split())
    whole = [trial.number for trial in result.trials if trial.status == "finished"]
    assert len(whole) > 1
    photos = folder / "local_experiment_inputs" / "demo" / "photos"
    with command(folder / "local_results") as root:
        ann = visitor(root)
        iteration = new_iteration(ann, whole, "which is better")
        vote(ann, iteration, originals_of(photos / "Original"), VOTES)
        standing = ann.get(f"{iteration}/standing").text
    assert f"after {VOTES} votes" in standing
    row = re.search(TRUST, standing)
    assert row is not None, standing
    assert int(row[2]) >= 75, "judge and voters look at the same"
    called(export.strip(), folder, environment)
    assert json.loads((folder / "best_apiformat.json").read_text(encoding="utf-8"))
