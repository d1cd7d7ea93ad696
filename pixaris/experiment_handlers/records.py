"""TFRecord files, the container of TensorBoard's events.

TensorBoard's own writer computes the checksum byte by byte in Python, 0.11 s per MB: with images in the
events that would be most of what storing a run costs.
"""

from __future__ import annotations

import struct
from pathlib import Path

import google_crc32c


class RecordFile:
    """A new TFRecord file: per record its length, the length's checksum, the data, the data's checksum.

    Args:
        path: Where to make it.

    Raises:
        FileExistsError: There is a file already.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")

    def write(self, data: bytes) -> None:
        """Append one record."""
        length = struct.pack("<Q", len(data))
        self._file.write(length + _checksum(length) + data + _checksum(data))

    def flush(self) -> None:
        """Hand what was written to the operating system, so that it survives the process."""
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _checksum(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)  # TFRecord's mask
