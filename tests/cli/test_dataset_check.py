"""``pixaris dataset check``: what would be used for what."""

from __future__ import annotations

from pathlib import Path

import pytest
from prompts_kit import write_prompts

from pixaris.cli import main
from pixaris.testing import samples


def test_a_folder_of_photographs_beside_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "shoot" / "Mask").mkdir(parents=True)
    for number, size in enumerate(((48, 32), (64, 48))):
        samples.picture(number, size).save(tmp_path / "shoot" / f"{number}.png")
        samples.mask(number, (48, 32)).save(tmp_path / "shoot" / "Mask" / f"{number}.png")
    (tmp_path / "shoot" / "Mask" / "old.gif").write_bytes(b"x")
    assert main(["dataset", "check", str(tmp_path / "shoot")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "eval set    shoot: 2 items, 0 to 1",
        "images      Input: 2 from 48×32 to 64×48",
        "            feeds the node titled 'Load Input Image', or a metric as its reference",
        "images      Mask: 2 of 48×32",
        "            feeds the node titled 'Load Mask Image', or a metric as its reference",
        "note        the 2 images in shoot itself are its folder 'Input'",
        "not used    1 file (Mask/old.gif): in a format that is not read; save them as PNG",
    ]


def test_a_file_of_prompts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "check", str(write_prompts(tmp_path))]) == 0
    told = capsys.readouterr().out
    assert "eval set    prompts: 4 items, red to grey" in told
    assert "texts       prompt: 4 of 4, up to 14 characters" in told
    assert "images      Wanted: 4 of 16×16" in told


def test_what_is_no_eval_set_exits_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dataset", "check", str(tmp_path / "gone")]) == 2
    assert "no such eval set" in capsys.readouterr().err
    assert main(["dataset", "check", str(tmp_path / "gone.csv")]) == 2
    assert "no such file" in capsys.readouterr().err
