"""config.yaml and PIXARIS_* variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from pixaris.config import Config
from pixaris.exceptions import ConfigurationError


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert Config.load({}, tmp_path) == Config()
    assert Config().eval_dir_local == Path("local_experiment_inputs")


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, "# nothing yet\n")
    assert Config.load({}, tmp_path) == Config()


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    write(tmp_path, "results_dir: from_file\neval_dir_local: inputs\n")
    config = Config.load({"PIXARIS_RESULTS_DIR": "from_variable"}, tmp_path)
    assert (config.results_dir, config.eval_dir_local) == (Path("from_variable"), Path("inputs"))


def test_an_empty_variable_is_as_good_as_none(tmp_path: Path) -> None:
    write(tmp_path, "results_dir: from_file\n")
    assert Config.load({"PIXARIS_RESULTS_DIR": ""}, tmp_path).results_dir == Path("from_file")


def test_the_file_may_lie_elsewhere_and_must_exist_then(tmp_path: Path) -> None:
    path = write(tmp_path, "results_dir: elsewhere\n").rename(tmp_path / "other.yaml")
    assert Config.load({"PIXARIS_CONFIG": str(path)}, tmp_path).results_dir == Path("elsewhere")
    with pytest.raises(ConfigurationError, match=r"PIXARIS_CONFIG names .*gone\.yaml, which does not exist"):
        Config.load({"PIXARIS_CONFIG": str(tmp_path / "gone.yaml")}, tmp_path)


def test_all_faults_are_told_at_once_with_the_nearest_name(tmp_path: Path) -> None:
    write(tmp_path, "result_dir: x\neval_dir_local: 12\nresults_dir:\n")
    with pytest.raises(ConfigurationError) as caught:
        Config.load({}, tmp_path)
    text = str(caught.value)
    assert "3 problems" in text
    assert "did you mean 'results_dir'?" in text
    assert "eval_dir_local: must be text, in quotes if it looks like a number (got 12)" in text


def test_a_key_is_shown_neither_in_repr_nor_in_errors(tmp_path: Path) -> None:
    write(tmp_path, "flux_api_key: 12345678\n")
    with pytest.raises(ConfigurationError, match=r"flux_api_key: must be text.*got int") as caught:
        Config.load({}, tmp_path)
    assert "12345678" not in str(caught.value)
    assert "s3cret" not in repr(Config.load({"PIXARIS_FLUX_API_KEY": "s3cret"}, tmp_path / "none"))


@pytest.mark.parametrize(
    "text",
    ["- a\n- b\n", "a: [1\n", "a: 2020-99-99\n", "a: !!python/object:os.system x\n", "[" * 3000, "a: \x00\n"],
    ids=["list", "broken", "no date", "object", "deep", "nul"],
)
def test_what_is_no_mapping_of_settings_is_refused_with_the_path(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        Config.load({}, tmp_path)
    assert str(path) in str(caught.value)


def test_a_file_that_unfolds_to_millions_of_values_is_refused_in_a_short_message(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    write(tmp_path, "\n".join([*lines, "results_dir: *a8"]))
    with pytest.raises(ConfigurationError) as caught:
        Config.load({}, tmp_path)
    assert len(str(caught.value)) < 3000


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"results_dir: \xff\xfe\n")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Config.load({}, tmp_path)
