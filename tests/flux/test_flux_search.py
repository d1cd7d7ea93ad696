"""Flux the whole way: search files, a run without Ray, a search on Ray, and what is kept of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from flux_kit import KEY, standing_in

from pixaris.cli import main
from pixaris.components import assemble
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.exceptions import ConfigurationError, Problem
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.flux.server.app import Server
from pixaris.generation.flux import FluxFillGenerator
from pixaris.images import encode_png
from pixaris.metrics.similarity import SSIMMetric
from pixaris.orchestration.base import generate_images_based_on_dataset
from pixaris.results.records import SearchResult
from pixaris.search.check import check
from pixaris.search.file.spec import read_search_file
from pixaris.testing import samples

FILE: dict[str, Any] = {
    "name": "fill",
    "project": "tests",
    "dataset": {"path": "./holes", "references": ["Original"]},
    "generator": "flux_fill",
    "generation_params": {"prompt": "a picture"},
    "parameters": {"guidance": {"grid_search": [20, 60]}, "steps": {"choice": [15, 50]}},
    "metrics": [{"type": "ssim", "reference": "Original"}],
    "objective": "ssim",
    "search": {"algorithm": "grid", "scheduler": "fifo"},
    "results": "./results",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        picture = samples.picture(number)
        for name, image in (("Input", picture), ("Mask", samples.mask(number)), ("Original", picture)):
            (tmp_path / "holes" / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / "holes" / name / f"{number}.png").write_bytes(encode_png(image))
    return tmp_path


def written(folder: Path, **changes: Any) -> str:
    path = folder / "fill.yaml"
    path.write_text(yaml.safe_dump({**FILE, **changes}))
    return str(path)


def at(server: Server, monkeypatch: pytest.MonkeyPatch, key: str = KEY) -> None:
    monkeypatch.setenv("PIXARIS_FLUX_BASE_URL", server.places.api)
    monkeypatch.setenv("PIXARIS_FLUX_API_KEY", key)


def nothing_has_the_key(folder: Path) -> None:
    assert not [path for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


# Search files


def test_a_search_file_is_checked_and_priced_before_anything_is_sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with standing_in() as server:
        at(server, monkeypatch)
        assert main(["check", written(folder)]) == 0
        assert {asked.path for asked in server.account.asked} == {"/v1/credits"}
    out = capsys.readouterr().out
    assert f"endpoints   Flux at {server.places.api}" in out
    assert "guidance: grid_search [20, 60] (default: 60.0)" in out
    assert "price       about 5 credits an image, 20 a trial, at most 80 in all (4 trials)" in out


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"parameters": {"guidance": {"uniform": [1, 101]}}},
            [
                (
                    "`guidance` of flux-pro-1.0-fill must be at least 1.5 (got 1.0), drawn by uniform [1.0,"
                    " 101.0]"
                ),
                (
                    "must be at most 100 (got 101.0), drawn by uniform [1.0, 101.0]; change"
                    " parameters.guidance.uniform"
                ),
            ],
        ),
        (
            {"parameters": {"steps": {"uniform": [15, 50]}}},
            ["`steps` of flux-pro-1.0-fill must be a whole number", "use randint"],
        ),
        (
            {"parameters": {"guidence": {"uniform": [2, 3]}}},
            ["has no field 'guidence' (did you mean 'guidance'?)"],
        ),
        (
            {"parameters": {"g": {"node_name": "KSampler", "input": "steps", "randint": [15, 20]}}},
            ["'KSampler'"],
        ),
        ({"parameters": {"steps": 20}}, ["for example guidance: {uniform: [20, 80]}"]),
        (
            {
                "parameters": {
                    "a": {"input": "steps", "randint": [15, 20]},
                    "b": {"input": "steps", "randint": [15, 20]},
                }
            },
            ["is also set by parameter 'a'"],
        ),
        (
            {"generation_params": {"prompt": 5}},
            ["generation_params.0.value (line ", "`prompt` of flux-pro-1.0-fill must be text (got 5)"],
        ),
        (
            {"generation_params": [{"input": "seed", "value": 1.5}]},
            ["`seed` of flux-pro-1.0-fill must be a whole number"],
        ),
        ({"generator": "flux_filll"}, ["did you mean 'flux_fill'?"]),
        (
            {"generator": {"type": "flux_fill", "workflow": "x.json"}},
            ["flux_fill takes no options (got workflow)"],
        ),
        (
            {"generator": {"type": "flux_fill", "api_key": "secret-key"}},
            ["(got api_key)", "the account under endpoints"],
        ),
        ({"generator": {"type": "flux_fill", "prompt": "a boat"}}, ["(got prompt)", "generation_params"]),
        (
            {"dataset": {"path": "./holes", "references": ["Original", "Mask"]}},
            ["needs a mask: a folder 'Mask'"],
        ),
        (
            {"dataset": "./holes", "metrics": [{"type": "ssim", "reference": "Input"}]},
            ["feeds the node 'Load Original Image'"],
        ),
        (
            {
                "generator": "flux_kontext_pro",
                "generation_params": {},
                "parameters": {"seed": {"choice": [1, 2]}},
            },
            ["`prompt` of flux-kontext-pro is missing"],
        ),
        ({"endpoints": {"embedded": 1}}, ["the generator needs the Flux API; write endpoints: {flux: {}}"]),
        ({"endpoints": [{"flux": {}}, {"flux": {"depth": 2}}]}, ["a Flux account is listed twice"]),
        (
            {"endpoints": {"flux": {"key": "secret-key"}}},
            ["must name an environment variable (its value is not shown)"],
        ),
        ({"endpoints": {"flux": {"key": {"env": "NOT_SET_ANYWHERE"}}}}, ["export NOT_SET_ANYWHERE=..."]),
        (
            {"endpoints": {"flux": {"url": "bfl.ai", "depth": 0}}},
            ["must be like https://api.bfl.ai", "must be at least 1"],
        ),
    ],
)
def test_what_is_wrong_with_a_search_file_is_told(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    told: list[str],
) -> None:
    with standing_in() as server:
        at(server, monkeypatch)
        assert main(["check", written(folder, **changes)]) == 2
        assert server.account.submitted == 0
    err = capsys.readouterr().err
    for words in told:
        assert words in err
    assert "secret-key" not in err


def test_a_missing_and_a_refused_key_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PIXARIS_FLUX_API_KEY", raising=False)
    monkeypatch.delenv("BFL_API_KEY", raising=False)
    assert main(["check", written(folder)]) == 2
    assert "export PIXARIS_FLUX_API_KEY=..." in capsys.readouterr().err
    with standing_in() as server:
        at(server, monkeypatch, "another-key")
        assert main(["check", written(folder)]) == 3
    err = capsys.readouterr().err
    assert "refuses the key" in err
    assert "another-key" not in err


def test_the_balance_is_among_the_endpoints(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with standing_in(credits=321.5) as server:
        at(server, monkeypatch)
        for target in ("flux", written(folder)):
            assert main(["endpoints", "--once", target]) == 0
            out = capsys.readouterr().out
            assert "credits" in out.splitlines()[0]
            assert "321.5" in out.splitlines()[1]
        at(server, monkeypatch, "another-key")
        assert main(["endpoints", "--once", "flux"]) == 3
    out = capsys.readouterr().out
    assert "refuses the key" in out
    assert "does not answer" not in out
    assert "another-key" not in out


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({}, 24),
        ({"endpoints": {"flux": {}}}, 24),
        ({"endpoints": {"flux": {"depth": 60}}}, 60),  # an account that may have more
        ({"generator": "flux_kontext_max"}, 6),
        ({"generator": "flux_kontext_max", "endpoints": {"flux": {"depth": 9}}}, 9),
    ],
)
def test_an_account_has_the_places_that_the_file_or_the_model_gives_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], places: int
) -> None:
    monkeypatch.setenv("PIXARIS_FLUX_API_KEY", KEY)
    problems: list[Problem] = []
    spec, problems = read_search_file(written(folder, **changes))
    settings = assemble(spec, problems)
    assert settings is not None
    assert [source.slots for source in check(settings, probing=False).sources] == [places]


def test_an_endpoint_of_the_command_line_is_another_address_of_the_api(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIXARIS_FLUX_API_KEY", KEY)
    with standing_in() as server:
        assert main(["run", written(folder), "--endpoint", server.places.api, "--param", "steps=15"]) == 0
        assert {asked.body["steps"] for asked in server.account.asked if asked.body} == {15}
    assert "charged      20 credits" in capsys.readouterr().out


# Without Ray


def test_a_run_of_plain_functions_keeps_what_every_item_cost(folder: Path) -> None:
    rules = [{"fault": "content", "after": 1}, {"fault": "lose", "after": 3}]
    with standing_in(*rules) as server:
        run = generate_images_based_on_dataset(
            data_loader=LocalDatasetLoader.at(folder / "holes", references=["Original"]),
            image_generator=FluxFillGenerator(api_key=KEY, base_url=server.places.api),
            experiment_handler=LocalExperimentHandler(folder / "results"),
            metrics=[SSIMMetric(reference="Original")],
            args={
                "project": "tests",
                "experiment_run_name": "beach",
                "generation_params": [
                    {"node_name": "prompt", "input": "prompt", "value": "A beautiful woman on a beach"}
                ],
                "max_parallel_jobs": 2,
            },
        )
        assert {asked.body["prompt"] for asked in server.account.asked if asked.body} == {
            "A beautiful woman on a beach"
        }
        assert server.account.most_active <= 2
    assert [item.name for item in run.items] == ["0", "1", "2", "3"]  # those that failed keep their place
    assert sorted(type(item.error).__name__ for item in run.items) == [
        "ChargedError",
        "ModeratedError",
        "NoneType",
        "NoneType",
    ]
    assert (run.cost, run.unaccounted, run.metrics["ssim"].count) == (10.0, 1, 2)
    own = folder / "results" / "tests" / "holes" / "beach"
    stored = json.loads((own / "run.json").read_text())
    assert (stored["cost"], stored["unaccounted"]) == (10.0, 1)
    rows = [json.loads(line) for line in (own / "items.jsonl").read_text().splitlines()]
    assert [row["cost"] for row in rows] == [
        5.0 if item.generated else 0.0 if "withheld" in str(item.error) else None for item in run.items
    ]
    nothing_has_the_key(folder / "results")


def test_all_that_is_wrong_with_a_plain_run_is_told_at_once(folder: Path) -> None:
    with standing_in() as server:
        with pytest.raises(ConfigurationError) as raised:
            generate_images_based_on_dataset(
                data_loader=LocalDatasetLoader.at(folder / "holes"),
                image_generator=FluxFillGenerator(api_key=KEY, base_url=server.places.api),
                experiment_handler=LocalExperimentHandler(folder / "results"),
                metrics=[],
                args={"generation_params": [{"node_name": "steps", "input": "steps", "value": 5}]},
            )
        assert not server.account.asked
    assert [problem.message.split()[0] for problem in raised.value.problems] == ["`steps`", "feeds"]


# On Ray


@pytest.mark.usefixtures("ray_session")
def test_a_search_sums_what_it_cost_and_a_moderated_item_is_no_failure_of_the_search(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with standing_in({"fault": "request", "after": 2}) as server:
        at(server, monkeypatch)
        assert main(["search", written(folder)]) == 0
        assert (server.account.submitted, server.account.credits) == (
            16,
            1000 - 15 * 5,
        )  # the baseline is in the grid
        assert server.account.most_active <= 24
    out = capsys.readouterr().out
    assert "75 credits" in out
    result = SearchResult.load(folder / "results" / "tests" / "fill")
    assert (result.status, result.cost, result.unaccounted) == ("finished", 75.0, 0)
    assert sum(trial.cost or 0 for trial in result.trials) == 75.0
    assert [trial.failures for trial in result.trials].count(1) == 1
    assert result.baseline is not None
    assert dict(result.baseline.values) == {"guidance": 60, "steps": 50}
    nothing_has_the_key(folder / "results")


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("at_once", [1, 2])
def test_what_is_under_way_when_the_credits_run_out_is_kept_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    search = {"algorithm": "grid", "scheduler": "fifo", "max_concurrent": at_once, "step": 1}
    file = {"endpoints": {"flux": {"depth": 8}}, "search": search, "cache": False}
    with standing_in({"fault": "no_credits", "after": 7, "times": None}, seconds=3.0) as server:
        at(server, monkeypatch)
        assert main(["search", written(folder, **file)]) == 3
        assert server.account.credits == 1000 - 7 * 5
    result = SearchResult.load(folder / "results" / "tests" / "fill")
    assert (result.status, result.cost, result.images) == ("interrupted", 35.0, 7)
    assert len(list((folder / "results").rglob("generated_images/*.png"))) == 7
    with standing_in() as server:
        at(server, monkeypatch)
        assert main(["search", written(folder, **file), "--resume"]) == 0
        assert server.account.submitted == 16 - 7, "what was paid for is not bought again"


@pytest.mark.usefixtures("ray_session")
def test_a_search_whose_credits_run_out_stops_with_code_3_and_keeps_everything(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with standing_in(credits=42.0) as server:
        at(server, monkeypatch)
        assert (
            main(
                [
                    "search",
                    written(
                        folder,
                        endpoints={"flux": {"depth": 2}},
                        search={"algorithm": "grid", "scheduler": "fifo", "max_concurrent": 1},
                    ),
                ]
            )
            == 3
        )
        assert server.account.submitted == 8
    assert "no credits left" in capsys.readouterr().err
    result = SearchResult.load(folder / "results" / "tests" / "fill")
    assert result.status == "interrupted"
    assert result.cost == 40.0
    assert len(list((folder / "results").rglob("generated_images/*.png"))) >= 4
    assert result.baseline is not None
    assert result.baseline.objective is not None
