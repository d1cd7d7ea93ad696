"""Configuration of the installation: ``config.yaml`` and ``PIXARIS_*`` variables make one frozen `Config`.

What belongs to one search stands in its search file; what belongs to a machine or an account stands here. The
file is ``config.yaml`` in the working folder, or the one ``PIXARIS_CONFIG`` names; a variable wins over the
file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

import yaml

from pixaris.exceptions import ConfigurationError, Problem, nearest

_OF_THE_ORIGINAL = {
    "bfl_api_key": False,
    "gcp_bq_experiment_dataset": True,
    "gcp_service_account_for_appengine_deployment": True,
}
"""Further settings that the original's ``example_config.yaml`` has, to whether they may be shown: the key
counts as ``flux_api_key``, nothing reads the others.
"""


@dataclass(frozen=True)
class Config:
    """Where things lie, and the accounts.

    Attributes:
        eval_dir_local: Folder of local eval sets: ``<eval_dir_local>/<project>/<dataset>/<folder>/*.png``.
        results_dir: Folder that runs and searches are written to.
        flux_api_key: Key of the Flux account (never shown); ``BFL_API_KEY``, as its maker calls it, counts
            where it is not set.
        flux_base_url: Another address of the Flux API: a region's, a proxy's, a stand-in's.
        gemini_api_key: Key of the LLM judge's account (never shown).
        gemini_model: Name of the model that judges.
        gemini_base_url: Where Gemini's API is, if not at Google's own address.
        gemini_sdk: The SDK that asks it, ``google-genai`` or ``google-generativeai``.
        judge_cache: Folder of the judge's verdicts.
        gcp_project_id: The Google Cloud project; by default the credentials' own.
        gcp_location: Its region, such as ``europe-west4``.
        gcp_pixaris_bucket_name: The bucket of eval sets and results.
        gcp_bq_feedback_table: The table of feedback, ``project.dataset.table``; by default feedback is kept
            on this machine.
        gcp_feedback_bucket: The bucket of its images; by default that of eval sets and results.
        cache_dir: Folder of generated images that later runs take instead of generating them again.
        cache_size: How large it may grow, such as ``20 GB``; what was not used for longest goes first.
        cache_bucket_size: How large a cache in a bucket may be when a search has ended; what was stored first
            goes first. By default nothing is removed there.
    """

    eval_dir_local: Path = Path("local_experiment_inputs")
    results_dir: Path = Path("local_results")
    flux_api_key: str = field(default="", repr=False)
    flux_base_url: str = ""
    gemini_api_key: str = field(default="", repr=False)
    gemini_model: str = ""
    gemini_base_url: str = ""
    gemini_sdk: str = "google-genai"
    judge_cache: Path = Path("local_results/.verdicts")
    gcp_project_id: str = ""
    gcp_location: str = ""
    gcp_pixaris_bucket_name: str = ""
    gcp_bq_feedback_table: str = ""
    gcp_feedback_bucket: str = ""
    cache_dir: Path = Path("~/.cache/pixaris/images")
    cache_size: str = "20 GB"
    cache_bucket_size: str = ""

    @classmethod
    def sources(cls, environ: Mapping[str, str] | None = None, folder: Path | None = None) -> dict[str, str]:
        """Name of every setting that is given to where: the file's path, or the variable.

        Raises:
            ConfigurationError: As of `load`.
        """
        if environ is None:
            environ = os.environ
        sources = _found(environ, folder)[1]
        if "flux_api_key" not in sources and environ.get("BFL_API_KEY"):
            sources["flux_api_key"] = "BFL_API_KEY"
        if "bfl_api_key" in sources:
            sources.setdefault("flux_api_key", sources["bfl_api_key"])
        known = [field.name for field in fields(cls)]
        return {name: sources[name] for name in known if name in sources}

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Config:
        """Read the file and the environment.

        Args:
            environ: The environment, ``os.environ`` by default.
            folder: Where ``config.yaml`` is looked for, the working folder by default.

        Raises:
            ConfigurationError: The file is no mapping, or has unknown keys or values that are no text.
        """
        values, _ = _found(environ, folder)
        if environ is None:
            environ = os.environ
        return cls(
            eval_dir_local=Path(values.get("eval_dir_local", cls.eval_dir_local)),
            results_dir=Path(values.get("results_dir", cls.results_dir)),
            flux_api_key=values.get("flux_api_key")
            or environ.get("BFL_API_KEY", "")
            or values.get("bfl_api_key", ""),
            flux_base_url=values.get("flux_base_url", ""),
            gemini_api_key=values.get("gemini_api_key", ""),
            gemini_model=values.get("gemini_model", ""),
            gemini_base_url=values.get("gemini_base_url", ""),
            gemini_sdk=values.get("gemini_sdk", cls.gemini_sdk),
            judge_cache=Path(values.get("judge_cache", cls.judge_cache)),
            gcp_project_id=values.get("gcp_project_id", ""),
            gcp_location=values.get("gcp_location", ""),
            gcp_pixaris_bucket_name=values.get("gcp_pixaris_bucket_name", ""),
            gcp_bq_feedback_table=values.get("gcp_bq_feedback_table", ""),
            gcp_feedback_bucket=values.get("gcp_feedback_bucket", ""),
            cache_dir=Path(values.get("cache_dir", cls.cache_dir)),
            cache_size=values.get("cache_size", cls.cache_size),
            cache_bucket_size=values.get("cache_bucket_size", ""),
        )


def _found(environ: Mapping[str, str] | None, folder: Path | None) -> tuple[dict[str, str], dict[str, str]]:
    """Settings that are given, and where each is."""
    if environ is None:
        environ = os.environ
    named = environ.get("PIXARIS_CONFIG")
    if named:
        path = Path(named)
    else:
        path = (folder or Path()) / "config.yaml"
    values: dict[str, str] = {}
    if path.is_file():
        values = dict(_read(path, {**{f.name: f.repr for f in fields(Config)}, **_OF_THE_ORIGINAL}))
    elif named:
        raise ConfigurationError(f"PIXARIS_CONFIG names {named}, which does not exist")
    sources = dict.fromkeys(values, str(path))
    for name in (f.name for f in fields(Config)):
        variable = f"PIXARIS_{name.upper()}"
        if value := environ.get(variable):
            values[name], sources[name] = value, variable
    return values, sources


def _read(path: Path, known: Mapping[str, bool]) -> dict[str, str]:
    """Read the file; `known` maps a setting's name to whether its value may be shown."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"cannot be read: {error}", str(path)) from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigurationError(f"must be a mapping of settings (got {type(loaded).__name__})", str(path))
    problems = []
    ours = sorted(known.keys() - _OF_THE_ORIGINAL.keys())
    listing = f"; known are {', '.join(ours)}"
    for key, value in loaded.items():
        if key not in known:
            problems.append(Problem(str(key), f"unknown setting{nearest(str(key), ours)}{listing}"))
            listing = ""  # once is enough
        elif not isinstance(value, str) or not value:
            shown = known[key] and not isinstance(value, list | dict | set)
            if shown:
                got = repr(value)
            else:
                got = type(value).__name__
            problems.append(Problem(key, f"must be text, in quotes if it looks like a number (got {got})"))
    if problems:
        raise ConfigurationError(problems, str(path))
    return loaded
