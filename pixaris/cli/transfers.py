"""What the commands that copy to and from a bucket share."""

from __future__ import annotations

import argparse


def project_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--gcp-project``."""
    parser.add_argument(
        "--gcp-project",
        metavar="ID",
        default="",
        help="the Google Cloud project (default: the configured one, or the credentials' own)",
    )
