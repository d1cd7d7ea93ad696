"""What is kept beside the numbers: the eval set's pictures, the items' images, what happened to endpoints."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest
from PIL import Image
from results_kit import search_of, trial_of

from pixaris.files import append_json_line, write_json
from pixaris.images import EncodedImage
from pixaris.results.evidence.eval_set import read_pictures, write_pictures
from pixaris.results.evidence.events import Happened, Outage, keep_event, outages, read_events
from pixaris.results.evidence.items import read_items
from pixaris.results.paths import RunPaths, SearchPaths
from pixaris.types import EvalItem, EvalSet


def plain(level: int, side: int = 8) -> EncodedImage:
    return EncodedImage.of(Image.new("RGB", (side, side), (level, level, level)))


def test_pictures_of_the_eval_set_come_back_with_their_roles_in_order(tmp_path: Path) -> None:
    items = (
        EvalItem(0, "b", {"Input": plain(10)}, {"Original": plain(20)}),
        EvalItem(1, "a/c", {"Input": plain(30)}, {"Original": plain(20)}),
    )
    paths = SearchPaths(tmp_path)
    write_pictures(paths, EvalSet("photos", items))
    kept = read_pictures(paths)
    assert (kept.name, dict(kept.folders)) == ("photos", {"Input": "input", "Original": "reference"})
    assert [item.name for item in kept.items] == ["b", "a/c"]
    for item, given in zip(kept.items, items, strict=True):
        for folder, picture in item.pictures.items():
            file = kept.file(paths, picture)
            assert file is not None
            assert EncodedImage.from_file(file) == given.image(folder)
    same = [item.pictures["Original"].file for item in kept.items]
    assert same[0] == same[1]


def test_large_pictures_are_kept_small_and_not_written_twice(tmp_path: Path) -> None:
    paths = SearchPaths(tmp_path)
    eval_set = EvalSet("photos", (EvalItem(0, "big", {"Input": plain(10, 1600)}),))
    write_pictures(paths, eval_set)
    file = paths.eval_set / read_pictures(paths).items[0].pictures["Input"].file
    assert EncodedImage.from_file(file).size == (768, 768)
    before = file.stat().st_mtime_ns
    write_pictures(paths, eval_set)
    assert file.stat().st_mtime_ns == before


def test_a_search_s_folder_that_was_moved_away_is_not_made_anew(tmp_path: Path) -> None:
    gone = SearchPaths(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        write_pictures(gone, EvalSet("photos", (EvalItem(0, "a", {"Input": plain(1)}),)))
    assert not gone.folder.exists()


def test_a_picture_whose_path_leads_out_of_the_folder_is_none(tmp_path: Path) -> None:
    paths = SearchPaths(tmp_path / "search")
    row = {"name": "x", "pictures": {"Input": {"file": "../../secret.png", "digest": "d"}}}
    write_json(paths.eval_set / "eval_set.json", {"items": [row], "folders": {"Input": "input"}})
    kept = read_pictures(paths)
    assert kept.file(paths, kept.items[0].pictures["Input"]) is None
    assert read_pictures(SearchPaths(tmp_path)).items == ()


def test_items_are_read_with_their_seeds_and_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    sample = {"image": "generated_images/a.png", "digest": "1", "scores": {"ssim": 0.5}, "seed": 1}
    failed = {"image": None, "digest": None, "scores": {}, "error": "out of memory", "seed": 2}
    append_json_line(
        paths.items, {"index": 3, "name": "a", "scores": {"ssim": 0.5}, "samples": [sample, failed]}
    )
    append_json_line(paths.items, {"index": "three", "name": "b"})
    with paths.items.open("a") as file:
        file.write('{"index": 4, "na')
    (found,) = read_items(paths).values()
    assert (found.index, found.name, [made.error for made in found.each]) == (3, "a", [None, "out of memory"])
    assert [made.image for made in found.images] == ["generated_images/a.png"]


def test_events_come_back_in_order(tmp_path: Path) -> None:
    paths = SearchPaths(tmp_path)
    told = [Happened(1.5, "one is quarantined: it was closed"), Happened(9.0, "one is back")]
    for event in told:
        keep_event(paths, event.seconds, event.sentence)
    with paths.events.open("a") as file:
        file.write(json.dumps({"seconds": "soon"}) + "\n")
    assert read_events(paths) == told


def test_outages_begin_and_end_with_what_a_pool_says() -> None:
    said = [
        (1.0, "http://a does not answer yet: refused"),
        (2.0, "http://b is quarantined: gone"),
        (3.0, "http://b is quarantined again, for the same reason (2 times so far)"),
        (4.0, "http://b is back"),
        (5.0, "http://b is quarantined: gone"),
        (6.0, "the process of trial_0001 died"),
    ]
    found = outages([Happened(seconds, sentence) for seconds, sentence in said])
    assert found == {"http://a": [Outage(1.0)], "http://b": [Outage(2.0, 4.0), Outage(5.0)]}


def test_a_notebook_shows_verdict_and_table_and_no_foreign_markup(tmp_path: Path) -> None:
    sets = [trial_of(number, {"<b>": f"<i>{number}</i>"}, (0.1 * number,) * 6) for number in range(15)]
    shown = search_of(*sets, folder=tmp_path, items=tuple("abcdef"))._repr_html_()
    assert shown.count("<tr>") == 13
    assert "trial_0014 is better than the baseline" in shown
    assert "&lt;i&gt;14&lt;/i&gt;" in shown
    assert "<i>" not in shown
    assert "… and 3 more" in shown
    assert "report.html" not in shown, "there is none yet"


def test_a_notebook_shows_next_steps_and_where_the_report_is(tmp_path: Path) -> None:
    sets = [trial_of(number, {"x": number}, (0.1 * number,) * 6) for number in range(3)]
    SearchPaths(tmp_path).report.write_text("<html>")
    found = search_of(*sets, folder=tmp_path, items=tuple("abcdef"))
    shown = found._repr_html_()
    assert f"<code>{SearchPaths(tmp_path).report}</code>" in shown
    (step,) = found.verdict().next_steps
    assert f"<p>Next: {html.escape(step.words)}</p>" in found.verdict()._repr_html_()
    assert f"<p>Next: {html.escape(step.words)}</p>" in shown
