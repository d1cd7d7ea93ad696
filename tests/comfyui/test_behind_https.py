"""docs/behind-https.md: a run by its search file, on an embedded server behind https, a path and a key."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from comfy_kit import Server
from gateway import Gateway, gateway

from pixaris.cli import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "behind-https.md").read_text(encoding="utf-8")
TLS = ROOT / "tests" / "data" / "tls"
KEY = "k3y-of-the-page"

FILE = """\
project: tests
dataset: {path: CELLS, references: [Mask]}
generator: {type: comfyui, workflow: WORKFLOW}
parameters: {grow: {node_name: Grow, input: expand, choice: [0, 2]}}
metrics: [{type: iou, reference: Mask}]
objective: iou
cache: false
results: results
"""


@pytest.fixture
def hosted(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """Hosted ComfyUI as the page has it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(TLS / "cert.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
    with gateway(server.url, prefix="/team/api", headers={"X-API-Key": KEY}, context=context) as front:
        yield front


@pytest.fixture
def file(hosted: Gateway, cells: Path, tmp_path: Path) -> Path:
    (endpoints,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.M | re.S)
    address = "https://comfy.example.com/team/api"
    assert address in endpoints
    workflow = ROOT / "tests" / "data" / "comfyui" / "workflows" / "02_seg_threshold_grow.json"
    text = FILE.replace("CELLS", str(cells)).replace("WORKFLOW", str(workflow))
    path = tmp_path / "search.yaml"
    path.write_text(endpoints.replace(address, hosted.url) + text)
    return path


@pytest.mark.parametrize("websockets", [True, False])
def test_a_run_goes_through_with_the_key_and_never_shows_it(
    hosted: Gateway,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    websockets: bool,
) -> None:
    hosted.websockets = websockets
    monkeypatch.setenv("COMFY_KEY", KEY)
    assert main(["endpoints", str(file), "--once"]) == 0
    assert main(["check", str(file)]) == 0
    assert main(["run", str(file), "--name", "hosted"]) == 0
    said = "".join(capsys.readouterr())
    assert "iou" in said
    assert KEY not in said
    run = file.parent / "results" / "tests" / "cells" / "hosted"
    assert len(list((run / "generated_images").iterdir())) == 6
    kept = [one.read_bytes() for one in (file.parent / "results").rglob("*") if one.is_file()]
    assert not any(KEY.encode() in data for data in kept)
    assert bool(hosted.opened) is websockets


def test_without_the_variable_the_file_is_wrong_and_with_another_key_nothing_answers(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COMFY_KEY", raising=False)
    assert main(["check", str(file)]) == 2
    assert "COMFY_KEY" in capsys.readouterr().err
    monkeypatch.setenv("COMFY_KEY", "wrong-k3y")
    assert main(["run", str(file)]) == 3
    said = capsys.readouterr().err
    assert "refused the credentials (HTTP 401)" in said
    assert "wrong-k3y" not in said
