"""TFRecord files against TensorBoard's own reader, which holds the checksums."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

from pixaris.experiment_handlers.records import RecordFile


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
