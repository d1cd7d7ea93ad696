"""The search file."""

from __future__ import annotations

import contextlib
import pickle
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pixaris.config import Config
from pixaris.endpoints.dispatch.policy import Policy
from pixaris.endpoints.sources.credentials import Variable
from pixaris.endpoints.sources.dns import DnsSource
from pixaris.endpoints.sources.managed import EmbeddedSource, ManagedSource
from pixaris.endpoints.sources.pool import PoolSource
from pixaris.endpoints.sources.static import StaticSource
from pixaris.endpoints.sources.tunnel import TunnelSource
from pixaris.exceptions import ConfigurationError
from pixaris.results.budget import Budget
from pixaris.search.algorithms.catalog import ALGORITHMS, SCHEDULERS
from pixaris.search.file.components import DatasetSpec
from pixaris.search.file.reader import ComponentSpec
from pixaris.search.file.spec import CacheSpec, SearchSpec, read_search_file
from pixaris.search.settings import ObjectiveSettings
from pixaris.search.space.domain import KINDS
from pixaris.types import GenerationParam

PAGE = Path(__file__).parents[3] / "docs" / "search-file.md"
ALGORITHMS_PAGE = PAGE.parent / "algorithms.md"
RACING_PAGE = PAGE.parent / "racing.md"

GOOD = """\
name: restore
project: demo
dataset: photos
generator: {type: comfyui, workflow: workflows/restore_apiformat.json, output_node: Save Image}
endpoints: {embedded: 2}
generation_params:
  - {node_name: KSampler, input: steps, value: 20}
parameters:
  radius:  {node_name: Blur, input: blur_radius, randint: [1, 6]}
  amount:  {node_name: Sharpen, input: alpha, loguniform: [1e-2, "1e0"]}
  mode:    {node_name: Blend, input: blend_mode, choice: [normal, screen]}
metrics: [{type: ssim, reference: Original}, psnr]
objective: {metric: ssim}
search: {algorithm: tpe, num_samples: 48, seed: 7, step: 4,
  scheduler: {type: asha, grace_period: 4, reduction_factor: 2.5}}
results: some/folder
"""


SECTIONS = {
    "name": "restore",
    "project": "demo",
    "dataset": "photos",
    "generator": "{type: comfyui, workflow: w.json}",
    "endpoints": "{embedded: 2}",
    "generation_params": "[{node_name: KSampler, input: steps, value: 20}]",
    "parameters": "{radius: {node_name: Blur, input: blur_radius, randint: [1, 6]}}",
    "metrics": "[{type: ssim, reference: Original}, psnr]",
    "objective": "{metric: ssim}",
    "search": "{algorithm: tpe, num_samples: 48}",
    "results": "out",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "spaces").mkdir()
    path = tmp_path / "spaces" / "x.yaml"
    path.write_text(GOOD)
    return path


def read(file: Path, *overrides: str, **options: Any) -> SearchSpec:
    spec, problems = read_search_file(file, overrides, **options)
    assert [str(problem) for problem in problems] == []
    return spec


def told(file: Path, *overrides: str, **options: Any) -> list[str]:
    return [str(problem) for problem in read_search_file(file, overrides, **options)[1]]


def section(file: Path, **sections: str | None) -> Path:
    """A file of one line per section, some of them others: text, or None to leave one out."""
    lines = {**SECTIONS, **sections}
    file.write_text("".join(f"{key}: {text}\n" for key, text in lines.items() if text is not None))
    return file


def test_the_cache_is_shared_through_a_bucket(file: Path) -> None:
    spec = read(section(file, cache="gs://my-bucket/images"))
    assert (spec.cache.used, str(spec.cache.shared)) == (True, "gs://my-bucket/images")
    assert read(section(file, cache="false")).cache == CacheSpec(used=False)
    (problem,) = told(section(file, cache="/images"))
    assert "must be true, false or gs://BUCKET/FOLDER (got '/images')" in problem


def test_a_search_is_kept_in_a_bucket_and_nowhere_else(file: Path) -> None:
    kept = read(section(file, storage="gs://my-bucket/some/folder/")).home.storage
    assert str(kept) == "gs://my-bucket/some/folder"
    (problem,) = told(section(file, storage="/results"))
    assert (
        problem
        == "storage (line 12): must be gs://BUCKET/FOLDER (got '/results'); a folder is named with results"
    )


def test_a_good_file_is_read_whole(file: Path) -> None:
    spec = read(file)
    assert (spec.source.path, spec.home.name, spec.home.project, spec.dataset) == (
        file,
        "restore",
        "demo",
        DatasetSpec("photos"),
    )
    assert spec.generator.type == "comfyui"
    assert spec.generator.workflow == file.parent / "workflows/restore_apiformat.json"
    assert spec.generator.options == {"output_node": "Save Image"}
    assert spec.endpoints == (EmbeddedSource(2),)
    assert spec.generation_params == (GenerationParam("KSampler", "steps", 20),)
    assert spec.space.as_dict() == {
        "radius": {"node_name": "Blur", "input": "blur_radius", "randint": [1, 6]},
        "amount": {"node_name": "Sharpen", "input": "alpha", "loguniform": [0.01, 1.0]},
        "mode": {"node_name": "Blend", "input": "blend_mode", "choice": ["normal", "screen"]},
    }
    assert spec.metrics == (
        ComponentSpec("ssim", {"reference": "Original"}, "metrics.0"),
        ComponentSpec("psnr", {}, "metrics.1"),
    )
    assert spec.objective == ObjectiveSettings(("ssim",))
    assert (spec.search.algorithm.type, spec.search.num_samples, spec.search.seed, spec.search.step) == (
        "tpe",
        48,
        7,
        4,
    )
    assert spec.search.scheduler.type == "asha"
    assert spec.search.scheduler.options == {"grace_period": 4, "reduction_factor": 2.5}
    assert spec.search.max_concurrent is None
    assert spec.home.results == file.parent / "some/folder"
    assert spec.home.storage is None
    assert spec.source.lines["parameters.radius.randint"] == 9
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_what_may_be_left_out_has_defaults(file: Path) -> None:
    spec = read(section(file, name=None, search=None, generation_params=None, results=None))
    assert (spec.home.name, spec.home.results, spec.generation_params) == ("x", Config.load().results_dir, ())
    assert (spec.search.algorithm.type, spec.search.scheduler.type, spec.search.num_samples) == (
        "auto",
        "race",
        20,
    )
    grid = read(section(file, search=None, parameters="{a: {node_name: A, input: a, grid_search: [1, 2]}}"))
    assert (grid.search.algorithm.type, grid.search.num_samples) == ("grid", 1)


def test_a_single_run_needs_no_parameters_metrics_or_objective(file: Path) -> None:
    section(file, parameters=None, metrics=None, objective=None)
    spec = read(file, need_parameters=False)
    assert (spec.space.parameters, spec.metrics, spec.objective) == ((), (), ObjectiveSettings())
    problems = told(file)
    assert [problem.split(":")[0] for problem in problems] == ["parameters", "metrics", "objective"]
    assert "parameters: is missing; name what to vary: radius: {node_name: Blur" in problems[0]
    assert told(section(file, parameters="{}"))[0].startswith(
        "parameters (line 7): is empty; name what to vary"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photos", ("photos", None, ())),
        ("{name: photos, references: [Original]}", ("photos", None, ("Original",))),
        ("../photos", ("photos", "spaces/../photos", ())),
        ("sub/photos", ("photos", "spaces/sub/photos", ())),
        (".", ("spaces", "spaces/.", ())),
        ("{path: photos, references: [A, B]}", ("photos", "spaces/photos", ("A", "B"))),
    ],
)
def test_a_dataset_is_a_name_or_a_path_from_the_files_folder(
    file: Path, text: str, expected: tuple[Any, ...]
) -> None:
    dataset = read(section(file, dataset=text)).dataset
    path = file.parents[1] / expected[1] if expected[1] else None
    assert (dataset.name, dataset.path, dataset.references) == (expected[0], path, expected[2])


def test_an_absolute_dataset_path_stays(file: Path, tmp_path: Path) -> None:
    assert read(section(file, dataset=str(tmp_path))).dataset.path == tmp_path


def test_endpoints_have_many_forms(file: Path) -> None:
    text = """
  - http://10.0.0.5:8188/
  - {url: "https://user:secret@h/comfy", depth: 4}
  - {embedded: {replicas: 3}}
  - managed: {command: "python main.py --port {port}", replicas: 2, environment: {CUDA_VISIBLE_DEVICES: 0},
              working_directory: ../comfy, start_timeout: 60, depth: 1}
  - {managed: {command: [server, -p, "{port}", 5]}, embedded: 1}"""
    assert read(section(file, endpoints=text)).endpoints == (
        StaticSource("http://10.0.0.5:8188"),
        StaticSource("https://user:secret@h/comfy", 4),
        EmbeddedSource(3),
        ManagedSource(
            ("python", "main.py", "--port", "{port}"),
            2,
            {"CUDA_VISIBLE_DEVICES": "0"},
            str(file.parent / "../comfy"),
            60.0,
            1,
        ),
        EmbeddedSource(1),
        ManagedSource(("server", "-p", "{port}", "5")),
    )
    assert read(section(file, endpoints="http://h:1")).endpoints == (StaticSource("http://h:1"),)
    assert read(section(file, endpoints="{pool: shared}")).endpoints == (PoolSource("shared"),)
    assert read(section(file, endpoints="{pool: {name: gpu-2}}")).endpoints == (PoolSource("gpu-2"),)


def test_endpoints_come_from_names_tunnels_and_graphics_cards(file: Path) -> None:
    text = """
  - dns://comfyui.batch.svc:8188
  - {dns: "gpu.example.com:443?scheme=https", depth: 4}
  - {managed: {command: "server {port}", num_gpus: 0.5}}
  - iap: {instance: gpu-1}
  - iap: {instance: [gpu-1, gpu-2], port: 9000, zone: europe-west4-a, project: "example.com:p-1", depth: 1,
          gcloud: /opt/gcloud, start_timeout: 90}
  - iap: [{instance: a1, zone: z}, {instance: a1, zone: y}]"""
    assert read(section(file, endpoints=text)).endpoints == (
        DnsSource("comfyui.batch.svc", 8188),
        DnsSource("gpu.example.com", 443, "https", 4),
        ManagedSource(("server", "{port}"), num_gpus=0.5),
        TunnelSource(("gpu-1",)),
        TunnelSource(("gpu-1", "gpu-2"), 9000, "europe-west4-a", "example.com:p-1", 1, "/opt/gcloud", 90.0),
        TunnelSource(("a1",), zone="z"),
        TunnelSource(("a1",), zone="y"),
    )
    assert read(section(file, endpoints="dns://h:1")).endpoints == (DnsSource("h", 1),)
    assert read(file, endpoints=["dns://h:2"]).endpoints == (DnsSource("h", 2),)


def test_credentials_come_from_the_environment_and_are_never_shown(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFY_TOKEN", "Bearer secret ")
    monkeypatch.setenv("COMFY_AUTH", "me:se:cret")
    text = """
  - {url: "https://a", headers: {Authorization: {env: COMFY_TOKEN}, X-Key: {env: COMFY_AUTH}}}
  - {url: "https://b", basic_auth: {env: COMFY_AUTH}, depth: 3}
  - {dns: "c:1", basic_auth: {env: COMFY_AUTH}}"""
    token, auth = Variable("COMFY_TOKEN"), Variable("COMFY_AUTH")
    basic = (("Authorization", Variable("COMFY_AUTH", basic=True)),)
    first, second, third = read(section(file, endpoints=text)).endpoints
    assert first == StaticSource("https://a", headers=(("Authorization", token), ("X-Key", auth)))
    assert second == StaticSource("https://b", 3, basic)
    assert third == DnsSource("c", 1, headers=basic)
    assert isinstance(first, StaticSource)
    assert isinstance(second, StaticSource)
    assert first.endpoints()[0].headers == (("Authorization", "Bearer secret"), ("X-Key", "me:se:cret"))
    assert second.endpoints()[0].headers == (("Authorization", "Basic bWU6c2U6Y3JldA=="),)
    assert "cret" not in f"{first} {second} {third} {first.endpoints()} {second.endpoints()}"
    monkeypatch.delenv("COMFY_TOKEN")
    monkeypatch.setenv("COMFY_AUTH", "no-secret-colon")
    unset = (
        "the environment variable COMFY_TOKEN is not set; set it where Pixaris is started: export"
        " COMFY_TOKEN=..."
    )
    wrong = (
        "the environment variable COMFY_AUTH must hold user:password (its value is not shown); set it where"
        " Pixaris is started: "
    )
    assert told(file) == [
        f"endpoints.0.headers.Authorization.env (line 6): {unset}",
        f"endpoints.1.basic_auth.env (line 7): {wrong}export COMFY_AUTH=user:password",
        f"endpoints.2.basic_auth.env (line 8): {wrong}export COMFY_AUTH=user:password",
    ]


def test_credentials_on_the_command_line_are_refused_and_not_shown(file: Path) -> None:
    way_out = (
        "and every user of the machine sees command lines; name it in the file: {url: https://h:1/x,"
        " basic_auth: {env: "
    )
    (message,) = told(file, endpoints=["https://me:secret@h:1/x"])
    assert message.startswith("--endpoint https://***@h:1/x: has credentials (got 'https://***@h:1/x'), ")
    assert way_out in message
    for override in ("endpoints=[https://me:secret@h:1/x]", "endpoints.url=https://me:secret@h:1/x"):
        section(file, endpoints="{depth: 2, url: http://h}")
        (message,) = told(file, override)
        assert way_out in message
        assert "secret" not in message
    assert told(section(file, endpoints="[https://me:secret@h:1/x]")) == []


def test_endpoints_of_the_caller_stand_in_for_the_files(file: Path) -> None:
    section(file, endpoints=None)
    assert told(file) == [
        "endpoints: is missing; write endpoints: {embedded: 2}, or endpoints: [http://10.0.0.5:8188]"
    ]
    assert read(file, endpoints=["http://h:1/", "http://h:1"]).endpoints == (StaticSource("http://h:1"),)
    section(file, endpoints="{nonsense: 1}")
    assert read(file, endpoints=["http://h:1"]).endpoints == (StaticSource("http://h:1"),)
    assert told(file, endpoints=["u:secret@h"]) == [
        "--endpoint ***@h: must start with http:// or https:// (got '***@h'); write http://***@h"
    ]


@pytest.mark.parametrize(
    ("endpoints", "problem"),
    [
        ("[]", "endpoints (line 5): needs at least one endpoint; write endpoints: {embedded: 2} or"),
        ("{x: 1}", "endpoints.x (line 5): 'x' is no known key; known are url, dns, depth, headers, "),
        (
            "5",
            (
                "endpoints (line 5): must be a list (got 5); write endpoints: {embedded: 2} or endpoints:"
                " [http://10.0.0.5:8188]"
            ),
        ),
        (
            "[10.0.0.5:8188]",
            (
                "endpoints.0 (line 5): must start with http:// or https:// (got '10.0.0.5:8188'); write"
                " http://10.0.0.5"
            ),
        ),
        (
            "['ftp://me:secret@h']",
            "endpoints.0 (line 5): must be an http:// or https:// URL (got 'ftp://***@h')",
        ),
        (
            "['http://me:secret@h:99999']",
            "is no URL: the port must be a number up to 65535 (got 'http://***@h:99999')",
        ),
        (
            "['http://me:secret@']",
            "endpoints.0 (line 5): needs a host (got 'http://***@'); write http://10.0.0.5:8188",
        ),
        (
            "['http://[me:secret@h']",
            "endpoints.0 (line 5): is no URL: a part of it is malformed (got 'http://***@h')",
        ),
        ("['http://h:0']", "needs a host and a port above 0"),
        ("['http://h/?a=b']", "must end with its path, without ? and #"),
        ("['http://h x']", "is no URL: it holds white space"),
        ("[http://h:1, http://h:1/]", "endpoints.1 (line 5): http://h:1 is listed twice; keep one of them"),
        (
            "[[http://me:secret@h]]",
            "endpoints.0 (line 5): must be a URL, or a mapping such as {embedded: 2} (got ['http://***@h'])",
        ),
        ("{embedded: 0}", "endpoints.embedded (line 5): must be at least 1 (got 0)"),
        ("{embedded: 20000}", "endpoints.embedded (line 5): must be at most 1000 (got 20000)"),
        ("{url: http://h, depth: 1001}", "endpoints.depth (line 5): must be at most 1000 (got 1001)"),
        (
            "{managed: {command: [x, '{port}'], replicas: 1001}}",
            "endpoints.managed.replicas (line 5): must be at most 1000 (got 1001)",
        ),
        ("{embedded: true}", "endpoints.embedded (line 5): must be a number (got true)"),
        ("{depth: 3}", "endpoints.depth (line 5): belongs to a url; write {url: http://..., depth: 2}"),
        ("{url: http://h, depth: 0}", "endpoints.depth (line 5): must be at least 1 (got 0)"),
        (
            "{managed: {replicas: 1}}",
            "endpoints.managed.command (line 5): is missing; it starts the server and takes {port}",
        ),
        (
            "{managed: {command: [x, '{port}'], replicas: 0}}",
            "endpoints.managed.replicas (line 5): must be at least 1 (got 0)",
        ),
        ("{managed: {command: [x]}}", "endpoints.managed.command (line 5): must contain {port}"),
        (
            "{managed: {command: []}}",
            "endpoints.managed.command (line 5): is empty; write the program and its arguments",
        ),
        (
            "{managed: {command: 'x \"{port}'}}",
            "endpoints.managed.command (line 5): cannot be split into words (no closing quot",
        ),
        (
            "{managed: {command: 5}}",
            "endpoints.managed.command (line 5): must be a list (got 5); write the words as a list",
        ),
        (
            "{managed: {command: '{port}', start_timeout: 0}}",
            "endpoints.managed.start_timeout (line 5): must be above 0 (got 0)",
        ),
        (
            "{managed: {command: '{port}', environment: {A: true}}}",
            "environment.A (line 5): must be text, but YAML reads true; put it",
        ),
        (
            "{managed: {command: '{port}', gpus: 2}}",
            "endpoints.managed.gpus (line 5): 'gpus' is no known key (did you mean 'num_gpus'?)",
        ),
        (
            "{managed: {command: '{port}', num_gpus: 1.5}}",
            "num_gpus (line 5): must be 0, a fraction below 1, or a whole number (got 1.5)",
        ),
        (
            "{managed: {command: '{port}', num_gpus: -1}}",
            "num_gpus (line 5): must be 0, a fraction below 1, or a whole number",
        ),
        (
            "{headers: {A: {env: B}}}",
            "endpoints.headers (line 5): belongs to a url; write {url: http://..., headers: ...}",
        ),
        (
            "{url: http://h, headers: secret}",
            "endpoints.headers (line 5): must be a mapping of header names (its value is not sh",
        ),
        (
            "{url: http://h, headers: {A: secret}}",
            (
                "headers.A (line 5): must name an environment variable (its value is not shown); write {env:"
                " COMFY_TOKEN}"
            ),
        ),
        (
            "{url: http://h, headers: {A: {env: 'the secret'}}}",
            "headers.A.env (line 5): must be the name of an environment variabl",
        ),
        ("{url: http://h, headers: {'A B': {env: B}}}", "is no name of an HTTP header"),
        (
            "{url: http://h, basic_auth: 'me:secret'}",
            "basic_auth (line 5): must name an environment variable (its value is not sh",
        ),
        (
            "{url: http://h, basic_auth: {}}",
            "endpoints.basic_auth.env (line 5): is missing; write {env: COMFY_AUTH}",
        ),
        (
            "['dns://h']",
            (
                "endpoints.0 (line 5): needs a port from 1 to 65535 (got 'dns://h'); write"
                " dns://comfyui.batch.svc:8188"
            ),
        ),
        (
            "['dns://me:secret@h:1']",
            "endpoints.0 (line 5): takes no credentials (got 'dns://***@h:1'); write {dns: ..., basic_au",
        ),
        ("['dns://h:1', {dns: 'h:1'}]", "endpoints.1 (line 5): dns://h:1 is listed twice; keep one of them"),
        (
            "{iap: {zone: z}}",
            "endpoints.iap.instance (line 5): is missing; write {instance: gpu-1, zone: europe-west4-a",
        ),
        ("{iap: {instance: []}}", "endpoints.iap.instance (line 5): needs at least one VM"),
        (
            "{iap: {instance: --help}}",
            "endpoints.iap.instance (line 5): must be the instance's name: lower-case letters, digits",
        ),
        ("{iap: {instance: a, zone: B}}", "endpoints.iap.zone (line 5): must be the zone's name"),
        (
            "{iap: {instance: a, port: 70000}}",
            "endpoints.iap.port (line 5): must be at most 65535 (got 70000)",
        ),
        (
            "{pool: 'two words'}",
            "endpoints.pool (line 5): must be the name of a pool: up to 40 letters",
        ),
        (
            "{pool: {}}",
            "endpoints.pool.name (line 5): is missing; it is the pool's: endpoints: {pool: sh",
        ),
        ("{iap: 5}", "endpoints.iap (line 5): must be a mapping of keys and values (got 5)"),
        (
            "[{iap: {instance: a}}, {iap: {instance: [b, a]}}]",
            "endpoints.1 (line 5): instance a with port 8188 is listed twice",
        ),
    ],
)
def test_bad_endpoints_say_what_is_wrong_and_never_show_credentials(
    file: Path, endpoints: str, problem: str
) -> None:
    (message,) = told(section(file, endpoints=endpoints))
    assert problem in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("parameter", "problem"),
    [
        ("randint: [6, 1]", "parameters.p.randint (line 7): low must be below high (got [6, 1]); swap them"),
        (
            "randint: {low: 6, high: 1}",
            "parameters.p.randint (line 7): low must be below high (got [6, 1]); swap them",
        ),
        (
            "randint: [1.5, 3]",
            "parameters.p.randint (line 7): takes whole numbers (got [1.5, 3]); for fractions use uniform",
        ),
        (
            "loguniform: [0, 1]",
            "parameters.p.loguniform (line 7): low must be above 0 on a log scale (got 0)",
        ),
        ("quniform: [0, 1, 0]", "parameters.p.quniform (line 7): the step q must be above 0 (got 0)"),
        ("quniform: [0, 1]", "parameters.p.quniform (line 7): quniform takes [low, high, q] (got [0, 1])"),
        (
            "uniform: {low: 1, hi: 2}",
            "parameters.p.uniform.hi (line 7): 'hi' is no known key (did you mean 'high'?)",
        ),
        ("uniform: 5", "parameters.p.uniform (line 7): uniform takes [low, high] (got 5)"),
        ("uniform: [true, 2]", "parameters.p.uniform.0 (line 7): must be a number (got true)"),
        ("uniform: [a, 2]", "parameters.p.uniform.0 (line 7): must be a number (got 'a')"),
        ("uniform: [0, .inf]", "parameters.p.uniform.1 (line 7): must be a finite number (got inf)"),
        (
            "uniform: [0, 1:30]",
            "parameters.p.uniform.1 (line 7): `1:30` is ambiguous: YAML reads it as 90; write 90, or",
        ),
        ("choice: []", "parameters.p.choice (line 7): needs at least one value (got an empty list)"),
        (
            "choice: a",
            "parameters.p.choice (line 7): must be a list of values (got 'a'); write choice: ['a']",
        ),
        ("choice: [a, b, a]", "parameters.p.choice (line 7): holds a twice; keep one of them"),
        (
            "choice: [a, [b]]",
            "parameters.p.choice (line 7): values are text, numbers or booleans (got [b]); remove it",
        ),
        (
            "choice: [on, x]",
            (
                "parameters.p.choice.0 (line 7): `on` is ambiguous: YAML reads it as true; write true, or"
                ' "on" in quotes'
            ),
        ),
        (
            "unifrom: [0, 1]",
            (
                "parameters.p.unifrom (line 7): 'unifrom' is no known key (did you mean 'uniform'?); known"
                " are node_name"
            ),
        ),
        (
            "randint: [1, 3], choice: [1]",
            "parameters.p (line 7): has 2 domains (choice and randint); keep one of them",
        ),
    ],
)
def test_bad_domains_say_the_rule_the_value_and_the_way_out(file: Path, parameter: str, problem: str) -> None:
    section(file, parameters=f"{{p: {{node_name: A, input: a, {parameter}}}}}")
    messages = told(file)
    assert messages[0].startswith(problem)
    assert len(messages) == (2 if "hi:" in parameter else 1)


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        (
            "{p: {node_name: A, input: a}}",
            "parameters.p (line 7): has no domain; give one of choice [value, ...], grid_search",
        ),
        (
            "{p: {node_name: A, randint: [1, 2]}}",
            "parameters.p.input (line 7): is missing; give the name of the node's input",
        ),
        (
            "{p: {node_name: 12, input: a, randint: [1, 2]}}",
            "parameters.p.node_name (line 7): must be text, but YAML reads 12; put",
        ),
        (
            "{p: [1, 2]}",
            (
                "parameters.p (line 7): must say where it is set and its domain (got [1, 2]); for example"
                " radius: {node_name"
            ),
        ),
        ("{p: }", "parameters.p (line 7): must say where it is set and its domain (got nothing)"),
        ("[1]", "parameters (line 7): must be a mapping of keys and values (got [1])"),
        (
            "{a/b: {node_name: A, input: a, randint: [1, 2]}}",
            "parameters.a/b (line 7): a parameter's name has letters, digits, _ and -",
        ),
        (
            "{p: {node_name: A, input: a, randint: [1, 2]}, q: {node_name: A, input: a, uniform: [1, 2]}}",
            "parameters.q (line 7): `a` of node 'A' is also set by parameter 'p'; keep one of them",
        ),
        (
            "{p: {node_name: KSampler, input: steps, randint: [1, 2]}}",
            (
                "parameters.p (line 7): `steps` of node 'KSampler' is also set by the fixed value; keep one"
                " of them"
            ),
        ),
        (
            "{p: {targets: [], randint: [1, 2]}}",
            "parameters.p.targets (line 7): needs at least one {node_name: ..., input: ...}",
        ),
        (
            "{p: {node_name: A, targets: [{node_name: A, input: b}], randint: [1, 2]}}",
            "parameters.p.node_name (line 7): stands beside targets; move it into the list",
        ),
    ],
)
def test_bad_parameters_say_what_is_wrong(file: Path, parameters: str, problem: str) -> None:
    (message,) = told(section(file, parameters=parameters))
    assert message.startswith(problem)


def test_one_parameter_can_set_several_inputs(file: Path) -> None:
    text = "{p: {targets: [{node_name: A, input: a}, {node_name: B, input: b}], randint: [1, 3]}}"
    space = read(section(file, parameters=text)).space
    assert space.bind({"p": 2}) == (GenerationParam("A", "a", 2), GenerationParam("B", "b", 2))


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        (
            {"generation_params": "{a: 1}"},
            "generation_params (line 6): must be a list (got {a: 1}); write - {node_name: KSampler",
        ),
        (
            {"generation_params": "[{node_name: A, input: a}]"},
            "generation_params.0.value (line 6): is missing; give the value",
        ),
        (
            {"generation_params": "[{node_name: A, input: a, value: [1]}]"},
            (
                "generation_params.0.value (line 6): must be text, a number or a boolean (got [1]); to try"
                " several, use parameters"
            ),
        ),
        (
            {"generation_params": "[{node_name: A, input: a, value: .nan}]"},
            "generation_params.0.value (line 6): must be a finite",
        ),
        (
            {"generation_params": "[{node_name: A, input: a, value: 1}, {node_name: A, input: a, value: 2}]"},
            "generation_params.1 (line 6): `a` of node 'A' is set twice; keep one of them",
        ),
        ({"project": None}, "project: is missing; write project: demo"),
        ({"project": ""}, "project (line 2): is missing; write project: demo"),
        ({"project": "a/b"}, "project (line 2): names a folder: only letters, digits, spaces"),
        ({"name": "12"}, "name (line 1): must be text, but YAML reads 12; put it in quotes if text is meant"),
        (
            {"dataset": "no"},
            'dataset (line 3): `no` is ambiguous: YAML reads it as false; write false, or "no" in quotes',
        ),
        ({"dataset": "{name: a, path: b}"}, "dataset (line 3): has a name and a path; keep one of them"),
        (
            {"dataset": "{references: [A]}"},
            "dataset.name (line 3): is missing; write name: photos, or path: ../photos",
        ),
        (
            {"dataset": "{name: a, references: A}"},
            "dataset.references (line 3): must be a list (got 'A'); write references: [Or",
        ),
        ({"dataset": "{name: a, references: [A, A]}"}, "dataset.references.1 (line 3): 'A' is listed twice"),
        ({"generator": "{worflow: x}"}, "generator.type (line 4): is missing; give its name"),
        (
            {"generator": "{type: comfyui, worflow: x}"},
            "generator.workflow (line 4): is missing (is it 'worflow'?); write workflow",
        ),
        (
            {"generator": "{type: comfyui, workflow: 3}"},
            "generator.workflow (line 4): must be text, but YAML reads 3",
        ),
        (
            {"metrics": "[]"},
            "metrics (line 8): needs at least one metric; write metrics: [{type: ssim, reference: Original}]",
        ),
        (
            {"metrics": "ssim"},
            (
                "metrics (line 8): must be a list (got 'ssim'); write metrics: [{type: ssim, reference:"
                " Original}]"
            ),
        ),
        ({"metrics": "[ssim, {reference: A}]"}, "metrics.1.type (line 8): is missing; give its name"),
        (
            {"objective": "ssmi"},
            (
                "objective (line 9): 'ssmi' is no score of the metrics (did you mean 'ssim'?); they give"
                " ssim, psnr"
            ),
        ),
        (
            {"objective": "{metric: iou}"},
            "objective.metric (line 9): 'iou' is no score of the metrics; they give ssim, psnr; name",
        ),
        (
            {"objective": "{direction: max}"},
            "objective.metric (line 9): is missing; name the score to optimise",
        ),
        (
            {"objective": "{metric: ssim, direction: maximum}"},
            "objective.direction (line 9): must be max or min (got 'maximum')",
        ),
        ({"search": "tpe"}, "search (line 10): must be a mapping of keys and values (got 'tpe')"),
        (
            {"search": "{algorithm: tpee}"},
            "search.algorithm (line 10): 'tpee' is not known (did you mean 'tpe'?); known are auto, gp",
        ),
        (
            {"search": "{scheduler: {type: hyperbnd}}"},
            (
                "search.scheduler.type (line 10): 'hyperbnd' is not known (did you mean 'hyperband'?); known"
                " are race, f"
            ),
        ),
        (
            {"search": "{scheduler: {type: fifo, grace_period: 3}}"},
            "search.scheduler.grace_period (line 10): 'grace_period' is no",
        ),
        (
            {"search": "{scheduler: {type: asha, grace_period: 0}}"},
            "search.scheduler.grace_period (line 10): must be at least 1 (got",
        ),
        (
            {"search": "{scheduler: {type: asha, reduction_factor: 1}}"},
            "search.scheduler.reduction_factor (line 10): must be above 1",
        ),
        ({"search": "{num_samples: 0}"}, "search.num_samples (line 10): must be at least 1 (got 0)"),
        ({"search": "{num_samples: true}"}, "search.num_samples (line 10): must be a number (got true)"),
        ({"search": "{num_samples: many}"}, "search.num_samples (line 10): must be a number (got 'many')"),
        (
            {"search": "{seed: 4294967296}"},
            "search.seed (line 10): must be at most 4294967295 (got 4294967296)",
        ),
        ({"search": "{step: 1.5}"}, "search.step (line 10): must be a whole number (got 1.5)"),
        (
            {"search": "{max_concurent: 2}"},
            "search.max_concurent (line 10): 'max_concurent' is no known key (did you mean 'max_con",
        ),
        (
            {"serach": "{seed: 1}"},
            "serach (line 12): 'serach' is no known key (did you mean 'search'?); known are name, project",
        ),
    ],
)
def test_bad_sections_say_what_is_wrong(file: Path, sections: dict[str, str | None], problem: str) -> None:
    (message,) = told(section(file, **sections))
    assert message.startswith(problem)


def test_an_objective_of_a_metric_that_may_have_several_scores_is_left_to_later_checks(file: Path) -> None:
    spec = read(section(file, metrics="[ssim, my.module:Mine]", objective="mine_p95"))
    assert spec.objective.names == ("mine_p95",)


def test_an_objective_may_name_seconds_without_their_being_a_metric(file: Path) -> None:
    spec = read(
        section(file, metrics="[ssim]", objective="[{metric: ssim}, seconds, {metric: cost, direction: max}]")
    )
    assert [metric.type for metric in spec.metrics] == ["ssim", "seconds", "cost"]
    assert spec.objective == ObjectiveSettings(("ssim", "seconds", "cost"), {"cost": "max"})


@pytest.mark.parametrize(
    ("objective", "problem"),
    [
        ("[]", "objective (line 9): needs at least one score; write objective: {metric: ssim}"),
        ("[ssim, {metric: ssim}]", "objective.1 (line 9): names 'ssim' twice; keep one of them"),
        (
            "[ssim, {metric: sim}]",
            "objective.1.metric (line 9): 'sim' is no score of the metrics (did you mean 'ssim'?)",
        ),
        (
            "[ssim, {metric: seconds, direction: lower}]",
            "objective.1.direction (line 9): must be max or min (got 'lower')",
        ),
        (
            "[ssim, 3]",
            "objective.1 (line 9): must be text, but YAML reads 3; put it in quotes if text is meant",
        ),
    ],
)
def test_wrong_objectives_are_told(file: Path, objective: str, problem: str) -> None:
    (message,) = told(section(file, metrics="[ssim]", objective=objective))
    assert message.startswith(problem)


def test_a_budget_is_read_and_its_faults_are_told(file: Path) -> None:
    assert read(section(file, budget="{images: 600, credits: 2.5}")).limits.budget == Budget(
        images=600, credits=2.5
    )
    (message,) = told(section(file, budget="{images: none}"))
    assert message.startswith("budget.images (line 12): must be a number (got 'none')")


def test_numbers_in_quotes_count_as_numbers_where_numbers_are_needed(file: Path) -> None:
    search = read(section(file, search="{num_samples: '1e1', seed: '7'}")).search
    assert (search.num_samples, search.seed) == (10, 7)


@pytest.mark.parametrize(
    ("search", "parameter", "problem"),
    [
        (
            "{algorithm: grid}",
            "uniform: [0, 1]",
            "parameters.p.uniform (line 7): is continuous, and algorithm grid needs a list of",
        ),
        (
            "{algorithm: tpe}",
            "grid_search: [1, 2]",
            "parameters.p.grid_search (line 7): belongs to the algorithms grid and random",
        ),
        (
            "{algorithm: grid, num_samples: 5}",
            "choice: [1, 2]",
            "search.num_samples (line 10): has no meaning with grid, which runs",
        ),
        (
            "{algorithm: grid}",
            "randint: [0, 1000000]",
            "parameters (line 7): make a grid of 1,000,000 sets (at most 100,000)",
        ),
    ],
)
def test_the_algorithm_is_held_against_the_space(
    file: Path, search: str, parameter: str, problem: str
) -> None:
    (message,) = told(
        section(file, search=search, parameters=f"{{p: {{node_name: A, input: a, {parameter}}}}}")
    )
    assert message.startswith(problem)


def test_a_grid_may_say_one_sample_and_random_may_hold_a_grid(file: Path) -> None:
    section(
        file,
        search="{algorithm: grid, num_samples: 1}",
        parameters="{p: {node_name: A, input: a, choice: [1, 2]}}",
    )
    assert read(file).search.num_samples == 1
    section(
        file, search="{algorithm: random}", parameters="{p: {node_name: A, input: a, grid_search: [1, 2]}}"
    )
    assert read(file).search.num_samples == 20


def test_all_problems_are_told_at_once_in_the_files_order(file: Path) -> None:
    file.write_text(
        "name: a/b\n"
        "dataset: no\n"
        "endpoints: [ftp://h]\n"
        "parameters:\n"
        "  a: {node_name: A, input: a, randint: [6, 1]}\n"
        "  b: {node_name: B, input: b, loguniform: [0, 1]}\n"
        "metrics: [psnr]\n"
        "search: {algorithm: x, seed: -1, seed: 2}\n"
    )
    messages = told(file)
    assert [message.partition(":")[0] for message in messages] == [
        "project",
        "generator",
        "objective",
        "name (line 1)",
        "dataset (line 2)",
        "endpoints.0 (line 3)",
        "parameters.a.randint (line 5)",
        "parameters.b.loguniform (line 6)",
        "search.seed (line 8)",
        "search.algorithm (line 8)",
    ]
    assert "key 'seed' is written twice (lines 8 and 8)" in messages[-2]
    error = ConfigurationError(read_search_file(file)[1], source=str(file))
    assert str(error).startswith(f"{file}: 10 problems\n  - project: is missing")


def test_only_what_makes_reading_impossible_is_raised(file: Path) -> None:
    for text, message in {
        "[1]": "must be a mapping, starting with name",
        "": "is empty",
        "&x [1]": "anchors are not allowed",
    }.items():
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=re.escape(message)) as caught:
            read_search_file(file)
        assert str(file) in str(caught.value)


# --set


def test_overrides_win_over_the_file(file: Path) -> None:
    spec = read(
        file,
        "search.num_samples=4",
        "dataset={path: ../other}",
        "parameters.radius.randint=[1,3]",
        "endpoints=[http://h:1]",
        "metrics.0.reference=X",
        "metrics.2={type: mae, reference: Y}",
        "parameters.mode=null",
        "generator.output_node=Save = it",
        "search.scheduler.grace_period=2",
    )
    assert spec.search.num_samples == 4
    assert spec.dataset.name == "other"
    assert spec.space.names == ("radius", "amount")
    assert spec.space.parameters[0].domain.high == 3
    assert spec.endpoints == (StaticSource("http://h:1"),)
    assert [metric.options for metric in spec.metrics] == [{"reference": "X"}, {}, {"reference": "Y"}]
    assert spec.generator.options["output_node"] == "Save = it"
    assert spec.search.scheduler.options["grace_period"] == 2
    assert spec.source.lines["parameters.radius.randint"] == 0


def test_limits_are_the_pools_policy(file: Path) -> None:
    assert read(file).limits.policy == Policy()
    limits = read(file, "limits={wait: 5, attempts: 2}").limits.policy
    assert (limits.wait_limit, limits.max_attempts) == (5.0, 2)


def test_overrides_make_sections_that_the_file_lacks(file: Path) -> None:
    assert read(section(file, search=None), "search.seed=3").search.seed == 3


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("nokey", "--set 'nokey': must be key=value, as in search.num_samples=4 (got 'nokey')"),
        ("=3", "--set : must be key=value"),
        ("a..b=3", "--set a..b: must be key=value"),
        ("search.seed=", "--set search.seed: has no value; write --set search.seed=null to remove the key"),
        (
            "search.seed=[",
            "--set search.seed: line 1, column 2: is not valid YAML: while parsing a flow node",
        ),
        ("search.seed=*x", "--set search.seed: line 1, column 1: uses the alias *x; aliases are not allowed"),
        ("search.seed=007", "search.seed (--set search.seed): `007` is ambiguous: YAML reads it as 7"),
        ("search.seed=x", "search.seed (--set search.seed): must be a number (got 'x')"),
        ("limits.wait=0", "limits.wait (--set limits.wait): must be at least 1 (got 0)"),
        ("limits.tries=3", "limits.tries (--set limits.tries): 'tries' is no known key"),
        ("serach.seed=1", "serach (--set serach): 'serach' is no known key (did you mean 'search'?)"),
        ("search.sed=1", "search.sed (--set search.sed): 'sed' is no known key (did you mean 'seed'?)"),
        (
            "parameters.radius.randint=[3,1]",
            "parameters.radius.randint (--set parameters.radius.randint): low must be below high",
        ),
        (
            "parameters.radius.uniform=[1,3]",
            "parameters.radius (line 9): has 2 domains (uniform and randint); keep one of them",
        ),
        ("metrics.9.x=1", "--set metrics.9.x: metrics is a list of 2: '9' must be a number from 0 to 2"),
        (
            "metrics.first=ssim",
            "--set metrics.first: metrics is a list of 2: 'first' must be a number from 0 to 2",
        ),
        (
            "metrics.1.x=1",
            "--set metrics.1.x: metrics.1 is 'psnr' and has no key 'x'; set it as a whole: metrics.1={...}",
        ),
        ("dataset=null", "dataset (--set dataset): is missing; write dataset: photos"),
        (
            "endpoints=['ftp://me:secret@h']",
            "endpoints.0 (--set endpoints): must be an http:// or https:// URL (got 'ftp://***@h')",
        ),
    ],
)
def test_bad_overrides_are_named(file: Path, override: str, problem: str) -> None:
    (message,) = told(file, override)
    assert message.startswith(problem)


def test_an_override_mends_a_fault_of_the_file(file: Path) -> None:
    section(file, dataset="no")
    assert len(told(file)) == 1
    assert read(file, "dataset='no'").dataset.name == "no"


# Laws

WORDS = st.sampled_from(
    [
        *(
            "name",
            "dataset",
            "generator",
            "endpoints",
            "parameters",
            "metrics",
            "objective",
            "search",
            "type",
            "workflow",
            "embedded",
        ),
        *(
            "node_name",
            "input",
            "targets",
            "command",
            "url",
            "depth",
            "algorithm",
            "scheduler",
            "asha",
            "tpe",
            "a",
            "b",
            *KINDS,
        ),
    ]
)
SCALARS = st.one_of(
    WORDS,
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=6),
    st.just("http://a:b@c:d"),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=25,
)


@given(st.dictionaries(WORDS, TREES, min_size=1, max_size=8), st.lists(st.tuples(WORDS, SCALARS), max_size=2))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_mapping_gives_a_spec_and_problems(
    file: Path, tree: dict[str, Any], overrides: list[tuple[str, Any]]
) -> None:
    file.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8", errors="replace")
    with contextlib.suppress(ConfigurationError):  # dumped keys may be tagged or longer than a line
        spec, problems = read_search_file(file, [f"{key}.x={value}" for key, value in overrides])
        assert isinstance(spec, SearchSpec)
        assert problems  # nothing random is a valid search
        assert pickle.loads(pickle.dumps(spec)).space == spec.space


@given(st.integers(0, len(GOOD) - 1), st.sampled_from("[]{}:,#&*!'\"\n\t -0x"), st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_slip_of_the_finger_is_read_or_refused(file: Path, at: int, letter: str, insert: bool) -> None:
    file.write_text(GOOD[:at] + letter + GOOD[at if insert else at + 1 :])
    with contextlib.suppress(ConfigurationError):
        read_search_file(file)


@given(st.text(max_size=30))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_override_is_applied_or_named(file: Path, override: str) -> None:
    for text in (override, f"search.seed={override}", f"{override}=1"):
        with contextlib.suppress(ConfigurationError):
            read_search_file(file, [text])


# The page


def blocks() -> list[str]:
    text = "\n".join(page.read_text(encoding="utf-8") for page in (PAGE, ALGORITHMS_PAGE, RACING_PAGE))
    return re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_every_example_of_the_page_is_valid(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFY_TOKEN", "Bearer x")
    monkeypatch.setenv("COMFY_AUTH", "user:password")
    monkeypatch.setenv("PIXARIS_FLUX_API_KEY", "key")
    examples = blocks()
    assert len(examples) > 5
    whole = yaml.safe_load(examples[0])
    (file.parent / "inspiration").mkdir()
    for name, colour in (("dawn", "orange"), ("dusk", "navy")):
        Image.new("RGB", (4, 4), colour).save(file.parent / "inspiration" / f"{name}.png")
    for example in examples:
        sections = yaml.safe_load(example)
        rest = {key: value for key, value in whole.items() if key not in sections}
        file.write_text(example + (yaml.safe_dump(rest) if rest else ""))
        assert told(file) == [], example


def test_every_override_of_the_page_is_valid(file: Path) -> None:
    file.write_text(blocks()[0])
    overrides = [
        shlex.split(line)[1]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("--set ")
    ]
    assert len(overrides) > 3
    assert told(file, *overrides) == []


def test_the_page_names_every_domain_algorithm_scheduler_and_option() -> None:
    text = PAGE.read_text(encoding="utf-8") + ALGORITHMS_PAGE.read_text(encoding="utf-8")
    strategies = {**ALGORITHMS, **SCHEDULERS}
    for word in [
        *KINDS,
        *strategies,
        *(option for strategy in strategies.values() for option in strategy.options),
    ]:
        assert f"`{word}`" in text


@pytest.mark.parametrize(
    ("guard", "words"),
    [
        ("{metric: sim}", "search.scheduler.guard.0 (line 10): needs metric and worse_by"),
        (
            "{metric: x, worse_by: -1}",
            "search.scheduler.guard.0.worse_by (line 10): must be at least 0 (got -1)",
        ),
        (
            "{metric: x, worse_by: 1, than: best}",
            "search.scheduler.guard.0.than (line 10): must be baseline (got 'best')",
        ),
    ],
)
def test_a_guard_that_is_wrong_is_told(file: Path, guard: str, words: str) -> None:
    section(file, search=f"{{scheduler: {{type: race, guard: [{guard}]}}}}")
    assert any(words in line for line in told(file)), told(file)
