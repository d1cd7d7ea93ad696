"""What the review page answers."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from page_kit import Visitor, command, links, new_iteration, page, results_of, search_id, visitor
from search_kit import Made, made_search

from pixaris.feedback_handlers.base import IterationKey, votes_of
from pixaris.feedback_handlers.local import LocalFeedbackHandler
from pixaris.results.evidence.rejected import Rejected, reject
from pixaris.results.manifest import read_manifest, write_manifest
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult
from pixaris.search.file.yaml_file import parse_yaml


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return results_of(tmp_path_factory.mktemp("review") / "results")


def test_a_search_shows_all_of_its_sets_and_its_verdict(ann: Visitor) -> None:
    html = ann.get(f"/search/{search_id(ann)}").text
    assert [f"trial_{number:04d}" in html for number in range(5)] == [True] * 5
    assert 'class="sentence"' in html
    assert "stopped after 1 of 4 items" in html


def test_a_stopped_set_shows_the_items_that_it_made_which_need_not_be_the_first(tmp_path: Path) -> None:
    results = results_of(tmp_path / "results")
    log = SearchPaths(results / "demo" / "restore").trials
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    stopped = next(row for row in rows if row["status"] == "stopped")
    score = stopped["item_scores"][0]
    stopped["item_scores"] = [None, None, score, None]
    stopped["report"]["item_scores"] = {"ssim": {"2": score}}
    log.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with page(results) as root:
        bob = visitor(root, "bob")
        html = bob.get(f"/search/{search_id(bob)}").text
    assert html.count('data-items="[2]"') == 1
    assert html.count('data-items="[0, 1, 2, 3]"') == 4


def test_a_run_shows_its_images_and_gives_its_workflow(ann: Visitor) -> None:
    ref = f"{search_id(ann)}-1"
    html = ann.get(f"/run/{ref}").text
    assert html.count("<figure") == 4
    picture = ann.get(f"/image/{ref}/0/128")
    assert picture.headers["content-type"] == "image/webp"
    whole = ann.get(f"/image/{ref}/0/0")
    assert whole.headers["content-type"] == "image/png"
    workflow = ann.get(f"/run/{ref}/workflow")
    assert "attachment" in workflow.headers["content-disposition"]
    assert workflow.json()["2"]["class_type"] == "ImageSharpen"


def test_runs_are_compared_by_item(ann: Visitor) -> None:
    identity = search_id(ann)
    html = ann.get(f"/compare?run={identity}-0&run={identity}-1").text
    data = json.loads(html.split('id="data">')[1].split("</script>")[0])
    assert data["runs"] == ["restore/trial_0000", "restore/trial_0001"]
    assert [len(item["made"]) for item in data["items"]] == [2, 2, 2, 2]
    assert ann.get(data["items"][0]["given"][0]["url"]).headers["content-type"] == "image/webp"
    assert ann.get(f"/compare?run={identity}-0").status_code == 422


def test_a_run_that_was_deleted_is_told(tmp_path: Path) -> None:
    results = results_of(tmp_path / "results")
    with page(results) as root:
        bob = visitor(root, "bob")
        ref = f"{search_id(bob)}-1"
        shutil.rmtree(results / "demo" / "restore")
        for path in (f"/run/{ref}", f"/image/{ref}/0/128", f"/compare?run={ref}&run={ref}x"):
            answer = bob.get(path, Accept="text/html")
            assert answer.status_code in (404, 422)
            assert "Traceback" not in answer.text
        assert bob.get("/").status_code == 200


def test_a_damaged_image_and_a_damaged_search_hide_no_others(tmp_path: Path) -> None:
    results = results_of(tmp_path / "results")
    image = next((results / "demo" / "restore" / "trial_0001" / "generated_images").glob("*.png"))
    image.write_bytes(image.read_bytes()[:60])
    (results / "demo" / "broken").mkdir()
    (results / "demo" / "broken" / "search.json").write_text("{}")
    with page(results) as root:
        bob = visitor(root, "bob")
        html = bob.get("/").text
        assert "is damaged, or none of a search" in html
        identity = search_id(bob)
        answers = [bob.get(f"/image/{identity}-1/{index}/128").status_code for index in range(4)]
        assert sorted(answers) == [200, 200, 200, 422]


def test_feedback_is_kept_and_counted_and_seen_by_others(ann: Visitor, results: Path) -> None:
    url = new_iteration(ann, [0, 1], "counted")
    bob = visitor(ann.root, "bob")
    assert ann.post(f"{url}/say", {"id": "0a" * 10, "image": 0, "verdict": "like"}).ok
    said = {"id": "0b" * 10, "image": 0, "verdict": "dislike", "comment": "dark"}
    assert [bob.post(f"{url}/say", said).status_code for _ in range(3)] == [200, 200, 200]
    totals = LocalFeedbackHandler(results).totals(IterationKey("demo", "counted"))
    (one,) = totals.values()
    assert (one.likes, one.dislikes, one.comments) == (1, 1, (("bob", "dark"),))
    html = ann.get(url).text
    assert '"comments":[["bob","dark"]]' in html


def test_totals_of_others_come_within_half_a_second(ann: Visitor) -> None:
    url = new_iteration(ann, [0, 1], "live")
    with ann.session.get(f"{ann.root}{url}/live", stream=True, timeout=30) as stream:
        lines = stream.iter_lines()
        assert json.loads(next(lines).removeprefix(b"data: "))["images"] == {}
        began = time.monotonic()
        visitor(ann.root, "cid").post(f"{url}/say", {"id": "0c" * 10, "image": 1, "verdict": "like"})
        told = next(line for line in lines if b"likes" in line)
        assert json.loads(told.removeprefix(b"data: "))["images"]["1"]["likes"] == 1
        assert time.monotonic() - began < 10  # half a second, but for a busy machine


def test_an_iteration_s_name_is_taken_once_and_needs_runs(ann: Visitor) -> None:
    new_iteration(ann, [0, 1], "twice")
    again = ann.post("/feedback", {"name": "twice", "runs": [f"{search_id(ann)}-0"]})
    assert (again.status_code, "already" in again.json()["error"]) == (422, True)
    assert ann.post("/feedback", {"name": "none", "runs": []}).status_code == 422


def test_a_blind_pair_tells_nothing_of_what_made_it(ann: Visitor) -> None:
    url = new_iteration(ann, [0, 1, 2], "blind")
    html = ann.get(f"{url}/blind").text
    asked = ann.post(f"{url}/next").json()
    told = html + json.dumps(asked)
    for word in ("trial", "restore", "photo 0", "ssim"):
        assert word not in told
    image = ann.get(asked["pair"]["left"])
    assert image.headers["content-type"] == "image/png"
    assert b"tEXt" not in image.content
    assert visitor(ann.root, "bob").get(asked["pair"]["left"]).status_code == 404


def test_votes_are_logged_with_sides_taken_back_and_tell_who_is_first(ann: Visitor, results: Path) -> None:
    url = new_iteration(ann, [0, 1, 2], "votes")
    for number in range(4):
        pair = ann.post(f"{url}/next").json()["pair"]
        vote = {"id": f"{number:020x}", "lease": pair["lease"], "outcome": "left"}
        assert [ann.post(f"{url}/vote", vote).status_code for _ in range(2)] == [200, 200]
    taken = ann.post(f"{url}/undo").json()
    assert taken["mine"] == 3
    votes = votes_of(LocalFeedbackHandler(results).read(IterationKey("demo", "votes")).entries)
    assert [(vote.rater, vote.outcome) for vote in votes] == [("ann", "left")] * 3
    again = {"id": "f" * 20, "lease": taken["pair"]["lease"], "outcome": "right"}
    assert ann.post(f"{url}/vote", again).ok
    html = ann.get(f"{url}/standing").text
    assert "after 4 votes" in html
    assert "Wins of the row over the column" in html


def test_a_locked_store_loses_no_vote(ann: Visitor, results: Path) -> None:
    url = new_iteration(ann, [0, 1], "locked")
    other = sqlite3.connect(results / "feedback.sqlite")
    other.execute("begin immediate")
    said = {"id": "0d" * 10, "image": 0, "verdict": "like"}
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ann.post, f"{url}/say", said)
        time.sleep(0.5)
        other.execute("rollback")
        assert waiting.result(30).status_code == 200
    assert len(LocalFeedbackHandler(results).read(IterationKey("demo", "locked")).entries) == 1


@pytest.mark.slow
def test_the_command_serves_a_page_and_two_on_one_folder_see_each_other_s_votes(
    ann: Visitor, results: Path
) -> None:
    url = new_iteration(ann, [0, 1], "both")
    with command(results) as second:
        bob = visitor(second, "bob")
        assert bob.post(f"{url}/say", {"id": "0e" * 10, "image": 0, "verdict": "like"}).ok
    assert '"likes":1' in ann.get(url).text


# From a set


def test_a_search_around_a_set_is_narrower_and_begins_with_it(tmp_path: Path) -> None:
    result = made_search(tmp_path / "results" / "demo" / "restore", Made(sets=3))
    paths = SearchPaths(result.folder)
    paths.source(".yaml").write_text(
        "name: restore\n"
        "parameters:\n"
        "  amount: {node_name: Sharpen, input: alpha, loguniform: [0.01, 1.0]}\n"
        "  radius: {node_name: Blur, input: blur_radius, randint: [1, 9]}\n"
        "  mode: {node_name: Blend, input: blend_mode, choice: [normal, soft_light]}\n"
    )
    write_manifest(paths, {**read_manifest(paths), "file": str(tmp_path / "restore.yaml")})
    worst = SearchResult.load(result.folder).ranking()[-1]
    with page(tmp_path / "results") as root:
        ann = visitor(root, "ann")
        text = ann.get(f"/run/{search_id(ann)}-{worst.number}/around").text
    row = parse_yaml(text).value
    low, high = row["parameters"]["amount"]["loguniform"]
    assert 0.01 <= low <= worst.values["amount"] <= high <= 1.0
    assert high / low <= 100**0.2 * 1.01
    first, last = row["parameters"]["radius"]["randint"]
    assert first <= worst.values["radius"] < last
    assert row["parameters"]["mode"]["choice"] == ["normal", "soft_light"]
    assert row["search"]["points_to_evaluate"] == [dict(worst.values)]


def test_a_set_of_a_running_search_can_be_rejected_and_of_another_not(tmp_path: Path) -> None:
    results = results_of(tmp_path / "results")
    with page(results) as root:
        bob = visitor(root, "bob")
        refused = bob.post(f"/run/{search_id(bob)}-1/reject")
        assert (refused.status_code, "running" in refused.json()["error"]) == (404, True)


def test_rejected_trials_are_read_as_they_come(tmp_path: Path) -> None:
    paths = SearchPaths(tmp_path)
    rejected = Rejected(paths)
    assert rejected.by(3) is None
    reject(paths, 3, "ann")
    assert (rejected.by(3), rejected.by(4)) == ("ann", None)
    reject(paths, 4, "bob")
    assert rejected.by(4) == "bob"


def test_links_lead_somewhere(ann: Visitor) -> None:
    pages = ["/", "/feedback", f"/search/{search_id(ann)}"]
    found = {link for path in pages for link in links(ann.get(path).text, "/")}
    assert found
    assert {link: ann.get(link).status_code for link in found} == dict.fromkeys(found, 200)
