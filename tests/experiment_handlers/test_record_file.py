"""TFRecord files against TensorBoard's own checksum and reader."""

from __future__ import annotations

import doctest
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New, crc32c

from pixaris.experiment_handlers import records
from pixaris.experiment_handlers.records import BLOCK, RecordFile


@given(st.binary(max_size=3 * BLOCK))
def test_the_checksum_is_tensorboards(data: bytes) -> None:
    assert records.crc32c(data) == crc32c(data)


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, BLOCK + 1, 10 * BLOCK, 100_003])
def test_the_checksum_is_tensorboards_around_block_borders(size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert records.crc32c(data) == crc32c(data)


def test_tensorboard_reads_the_records_back(tmp_path: Path) -> None:
    written = [b"", b"short", random.Random(1).randbytes(5000)]
    file = RecordFile(tmp_path / "events.out.tfevents.0")
    for record in written:
        file.write(record)
    file.flush()
    reader = PyRecordReader_New(str(tmp_path / "events.out.tfevents.0"))
    read = []
    for _ in written:
        reader.GetNext()
        read.append(reader.record())
    file.close()
    assert read == written


def test_an_existing_file_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(FileExistsError):
        RecordFile(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "mine"


def test_the_example_in_the_docstring_is_right() -> None:
    tried = doctest.testmod(records)
    assert (tried.failed, tried.attempted) == (0, 1)
