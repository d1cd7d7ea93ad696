"""Writes reports."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from pixaris.exceptions import ConfigurationError
from pixaris.files import safe_name, write_bytes
from pixaris.report.data import Originals
from pixaris.report.gallery import gallery
from pixaris.report.model import Report, read_report
from pixaris.report.page import Written, page
from pixaris.report.thumbnails import Thumbnails
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult

_FILE = "report.html"


def write(
    results: SearchResult | Sequence[SearchResult],
    output: str | Path | None = None,
    *,
    with_originals: str | Path | None = None,
) -> Path:
    """Write the report of a search, or one of several, as a single HTML file.

    Args:
        results: The searches.
        output: The file; by default ``report.html`` in the search's folder, of several searches beside the
            first one's folder.
        with_originals: Also write this ZIP file, with the report and the images in their full size.

    Returns:
        The file.

    Raises:
        ConfigurationError: It cannot be written.
    """
    if isinstance(results, SearchResult):
        each = [results]
    else:
        each = list(results)
    if not each:
        raise ConfigurationError("a report needs a search; name one")
    if output is None:
        file = default_file(each)
    else:
        file = Path(output)
    with Thumbnails(SearchPaths(each[0].folder).thumbnails, os.cpu_count() or 1) as thumbnails:
        report = read_report(each)
        pictures = gallery(report, thumbnails)
        written = Written(time.time())
        try:
            write_bytes(file, page(report, pictures, Originals.beside(report, file), written))
            if with_originals is not None:
                bundled = Originals(tuple(f"{part.title}/" for part in report.parts))
                # Made anew, because the addresses of the originals are others inside the ZIP file.
                text = b"".join(page(report, pictures, bundled, written))
                _bundle(Path(with_originals), text, report)
        except OSError as error:
            where = error.filename or file
            reason = error.strerror or str(error)
            raise ConfigurationError(
                f"the report cannot be written to {where}: {reason}; name another file (-o FILE)"
            ) from None
    return file


def default_file(results: Sequence[SearchResult]) -> Path:
    """Where a report lies unless told otherwise."""
    first = results[0]
    if len(results) == 1:
        return SearchPaths(first.folder).report
    names = "_".join(result.folder.name for result in results)
    return first.folder.parent / safe_name(f"report_{names}.html")


def _bundle(file: Path, text: bytes, report: Report) -> None:
    """A ZIP file with a report and the images that it leads to; images are not packed any further."""
    beside = file.with_name(f".{file.name}.part")
    try:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as bundle:
            bundle.writestr(_FILE, text, zipfile.ZIP_DEFLATED)
            for row in report.sets:
                part = report.parts[row.search]
                for cell in row.cells.values():
                    for image in cell.source.files if cell.source is not None else ():
                        name = image.relative_to(part.result.folder).as_posix()
                        bundle.write(image, f"{part.title}/{name}")
        # Whole or not at all: whoever opens it never finds half a file.
        os.replace(beside, file)
    finally:
        beside.unlink(missing_ok=True)
