"""What the commands say that look at the installation itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from bigquery_stand_in import BigQueryServer

from pixaris.cli import COMMANDS, completion, doctor, main
from pixaris.feedback_handlers.bigquery_table import FeedbackTable


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    code = main(["doctor", "--json", *arguments])
    return code, {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}


def test_it_tells_versions_extras_settings_and_room(capsys: pytest.CaptureFixture[str]) -> None:
    code, findings = found(capsys)
    assert code == 0
    for name in ("Python", "pixaris", "ray", "extra gcp", "folder of results", "memory"):
        assert findings[name]["state"] == "ok", findings[name]
    learned = findings["extra learned"]
    assert learned["state"] == "ok" or "pip install 'pixaris[learned]'" in learned["words"]
    assert findings["flux_api_key"]["state"] == "note"
    assert "PIXARIS_FLUX_API_KEY" in findings["flux_api_key"]["words"]


def test_settings_are_told_with_where_they_come_from_and_keys_never(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "config.yaml").write_text(
        "results_dir: here\ngemini_api_key: top-secret\ncache_size: 1 GB\n"
    )
    monkeypatch.setenv("PIXARIS_CACHE_SIZE", "3 GB")
    monkeypatch.setenv("BFL_API_KEY", "also-secret")
    _, findings = found(capsys)
    assert findings["results_dir"]["words"] == "here (config.yaml)"
    assert findings["cache_size"]["words"] == "3 GB (PIXARIS_CACHE_SIZE)"
    assert findings["gemini_api_key"]["words"] == "is set (config.yaml)"
    assert findings["flux_api_key"]["words"] == "is set (BFL_API_KEY)"
    assert "secret" not in json.dumps(findings)


def test_what_is_wrong_is_told_with_the_way_out_and_the_rest_all_the_same(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "config.yaml").write_text("resultsdir: here\n")
    monkeypatch.setattr(doctor, "_LEAST_DISK", 10**18)
    code, findings = found(capsys, "http://127.0.0.1:9")
    assert code == 1
    assert "did you mean 'results_dir'?" in findings["config"]["words"]
    assert "make room there" in findings["folder of results"]["words"]
    assert "none answers; see: pixaris endpoints http://127.0.0.1:9" in findings["endpoints"]["words"]
    assert main(["doctor"]) == 1
    assert "wrong  config" in capsys.readouterr().out


def test_bigquery_is_looked_at_where_it_is_configured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("google.cloud.bigquery")
    assert "BigQuery" not in found(capsys)[1]
    monkeypatch.setenv("PIXARIS_GCP_BQ_FEEDBACK_TABLE", "project.pixels.feedback")
    with BigQueryServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        code, findings = found(capsys)
        assert (code, findings["BigQuery"]["state"]) == (0, "note")
        assert "project.pixels.feedback is not there yet" in findings["BigQuery"]["words"]
        assert (server.tables, server.datasets) == ({}, set()), "looking makes nothing"
        FeedbackTable("project", "project.pixels.feedback").read_bytes()
        assert found(capsys)[1]["BigQuery"]["words"].startswith(
            "project.pixels.feedback can be read; it has "
        )
        server.denied = True
        code, findings = found(capsys)
        assert (code, findings["BigQuery"]["state"]) == (1, "wrong")
        assert "--role=roles/bigquery.dataEditor" in findings["BigQuery"]["words"]
    monkeypatch.setenv("PIXARIS_GCP_BQ_FEEDBACK_TABLE", "feedback")
    assert "must be PROJECT.DATASET.TABLE" in found(capsys)[1]["BigQuery"]["words"]


def test_the_version_names_ray_s_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert "(Ray 2." in capsys.readouterr().out


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_completion_knows_every_command_and_its_options(
    shell: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(command in script for command in COMMANDS)
    assert "resume" in script
    if shell == "bash":
        file = elsewhere / "completion.sh"
        file.write_text(script)
        subprocess.run(["bash", "-n", file], check=True)
        asked = 'COMP_WORDS=(pixaris sea); COMP_CWORD=1; _shtab_pixaris; echo "${COMPREPLY[*]}"'
        told = subprocess.run(
            ["bash", "-c", f"source {file}; {asked}"], capture_output=True, text=True, check=True
        )
        assert told.stdout.split() == ["search"]


def test_the_demo_s_files_are_a_search_that_can_run(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--files-only"]) == 0
    assert "cd pixaris-demo && pixaris search search_spaces/restore.yaml" in capsys.readouterr().out
    folder = elsewhere / "pixaris-demo"
    assert (folder / "search_spaces" / "workflows" / "restore_apiformat.json").is_file()
    assert len(list((folder / "local_experiment_inputs" / "demo" / "photos" / "Input").iterdir())) == 12
    assert main(["demo", "--files-only"]) == 0, "a second time changes nothing"
    file = folder / "search_spaces" / "restore.yaml"
    file.write_text(file.read_text().replace("images: 136", "images: 90"))
    assert main(["demo"]) == 2
    assert "was changed; name another folder: pixaris demo DIR" in capsys.readouterr().err


def test_a_demo_that_cannot_be_written_is_one_line(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "file").write_text("here")
    assert main(["demo", "file/inside", "--files-only"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: file/inside cannot be written: ")
    assert told.endswith("name another folder: pixaris demo DIR\n")
