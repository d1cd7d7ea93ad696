"""A search that is killed goes on as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

import pytest
import resume_kit
from resume_kit import facts, killed, made

from pixaris.exceptions import ConfigurationError
from pixaris.files import read_json, write_json
from pixaris.search import SearchResult

pytestmark = pytest.mark.usefixtures("ray_session")


def test_a_killed_search_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    whole, hurt = tmp_path / "whole", tmp_path / "hurt"
    hurt.mkdir()
    expected = resume_kit.search(whole, 0.0).run()
    assert {trial.status for trial in expected.trials} == {"finished", "stopped"}
    assert killed(hurt, images=17)
    left = SearchResult.load(hurt / "tests" / "gray")
    assert (left.status, left.reason) == ("interrupted", "its process was killed")
    over = [fact for fact in facts(left) if fact[1] != "interrupted"]
    assert 0 < len(over) < 12
    assert over == facts(expected)[: len(over)]

    result = resume_kit.search(hurt, 0.0).run(resume=True)
    assert result.folder == left.folder
    assert result.status == "finished"
    assert facts(result) == facts(expected)
    assert [t.number for t in result.ranking()] == [t.number for t in expected.ranking()]
    assert facts(SearchResult.load(result.folder)) == facts(expected)
    told = {
        f"{dict(trial.values)} {item}"
        for trial in expected.trials
        for item, score in zip(expected.items, trial.item_scores, strict=False)
        if score is not None
    }
    assert len(told) > 40
    assert made(hurt).keys() >= told, "what was made ahead for a set that is stopped then may differ"
    assert sum(count > 1 for count in made(hurt).values()) <= 1, (
        "only the image that was being made is made again"
    )
    assert (result.cached, [trial.cached for trial in result.trials]) == (0, [0] * 12), (
        "its own images come from no cache"
    )
    assert result.images == expected.images

    before = made(hurt)
    assert facts(resume_kit.search(hurt, 0.0).run(resume=True)) == facts(expected), "nothing is left to do"
    assert made(hurt) == before

    # killed, or interrupted, after its last trial and before it had written down its end
    head = result.folder / "search.json"
    write_json(head, {**read_json(head), "status": "running"})
    assert SearchResult.load(result.folder).status == "interrupted"
    ended = resume_kit.search(hurt, 0.0).run(resume=True)
    assert (ended.status, facts(ended), ended.images) == ("finished", facts(expected), expected.images)
    assert SearchResult.load(result.folder).status == "finished"
    assert made(hurt) == before

    with pytest.raises(ConfigurationError) as caught:
        resume_kit.search(hurt, 0.0, seed=6, scheduler="fifo", num_samples=20).run(resume=True)
    for words in (
        "search.seed was 5 and is 6",
        'search.scheduler was "asha" and is "fifo"',
        "leave out the resuming",
    ):
        assert words in str(caught.value)
    assert "num_samples was" not in str(caught.value)

    more = resume_kit.search(hurt, 0.0, num_samples=13).run(resume=True)
    assert facts(more)[:12] == facts(expected)
    assert len(more.trials) == 14
