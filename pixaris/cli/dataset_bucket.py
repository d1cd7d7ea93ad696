"""``pixaris dataset upload|create|download|list``: eval sets in a bucket of Google Cloud Storage."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pixaris.cli.transfers import project_argument
from pixaris.config import Config
from pixaris.exceptions import ConfigurationError
from pixaris.terminal import counting, say

_ADDRESS = "gs://BUCKET/experiment_inputs/PROJECT/DATASET"

KINDS = {
    "create": "store a folder's eval set in a bucket, under a name that is free there",
    "upload": "bring an eval set in a bucket to what a folder has",
    "download": "bring a folder to what an eval set in a bucket has",
    "list": "list the eval sets in a bucket",
}


def arguments(kinds: Any) -> None:  # noqa: ANN401  (argparse gives the type no name)
    """Add the commands' arguments."""
    for kind, text in KINDS.items():
        parser = kinds.add_parser(kind, help=text)
        if kind in ("create", "upload"):
            parser.add_argument("folder", metavar="DIR", type=Path, help="DIR/Input/<name>.png, …")
            parser.add_argument("place", metavar=_ADDRESS, help="where it goes")
        elif kind == "download":
            parser.add_argument("place", metavar=_ADDRESS, help="where it is")
            parser.add_argument(
                "folder",
                metavar="DIR",
                type=Path,
                nargs="?",
                help="where it goes (default: PROJECT/DATASET in the folder of eval sets)",
            )
            parser.add_argument("--force", action="store_true", help="download all files anew")
        else:
            parser.add_argument("place", metavar="gs://BUCKET", nargs="?", help="default: the configured one")
        project_argument(parser)


def main(options: argparse.Namespace) -> int:
    """Copy, or list."""
    config = Config.load()
    project = options.gcp_project or config.gcp_project_id
    if options.kind == "list":
        return _list(options.place, config, project)
    if options.kind == "download":
        return _download(options, config, project)
    return _upload(options, project)


def _list(place: str | None, config: Config, project: str) -> int:
    from pixaris.data_loaders.gcp import datasets

    if place is None and not config.gcp_pixaris_bucket_name:
        raise ConfigurationError(
            "name a bucket: pixaris dataset list gs://BUCKET; or set gcp_pixaris_bucket_name in config.yaml"
        )
    for url in datasets(place or f"gs://{config.gcp_pixaris_bucket_name}", project):
        say(url)
    return 0


def _download(options: argparse.Namespace, config: Config, project: str) -> int:
    from pixaris.data_loaders.gcp import BucketDatasetLoader, folder_of

    loader = BucketDatasetLoader(
        options.place,
        options.folder or folder_of(options.place, config.eval_dir_local),
        gcp_project_id=project,
        force_download=options.force,
        progress=counting("received"),
    )
    done = loader.download()
    say(f"{loader.path}: {len(done.moved)} files received, {done.kept} were there")
    return 0


def _upload(options: argparse.Namespace, project: str) -> int:
    from pixaris.data_loaders.gcp import BucketDatasetLoader

    loader = BucketDatasetLoader(
        options.place, options.folder, gcp_project_id=project, progress=counting("sent")
    )
    sent = loader.create_dataset(options.folder, new=options.kind == "create")
    say(f"{loader.place}: {len(sent.moved)} files sent, {sent.kept} were there")
    if sent.beside:
        say(f"  {len(sent.beside)} files are only there, such as {sent.beside[0]}; they belong to it too")
    return 0
