"""Verdicts that are known already: one small file each, found by what was asked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from pixaris.files import read_json, write_json
from pixaris.images import EncodedImage
from pixaris.metrics.judges.base import Judge, Schema, Usage, Verdict


@dataclass(frozen=True)
class Question:
    """One question to a judge.

    Attributes:
        images: What it looks at.
        prompt: What it is asked.
        schema: JSON schema of the answer, as canonical JSON text.
        sample: Number of the asking: the same question may be asked several times, to see how far the answers
            spread.
        judge: Who is asked; None for the one with whom the service was opened. Metrics with judges of one
            account share a service and its limits, and each is answered by its own.
    """

    images: tuple[EncodedImage, ...]
    prompt: str
    schema: str
    sample: int = 0
    judge: Judge | None = field(default=None, compare=False)

    @classmethod
    def of(cls, images: tuple[EncodedImage, ...], prompt: str, schema: Schema, sample: int = 0) -> Question:
        """Make a question; equal schemas become equal text."""
        return cls(images, prompt, json.dumps(schema, sort_keys=False, ensure_ascii=False), sample)

    def key(self, identity: str) -> str:
        """SHA-256 of all that changes the verdict: who is asked, the images' pixels, prompt, schema, number
        of the asking.
        """
        asked = [identity, [image.digest for image in self.images], self.prompt, self.schema, self.sample]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


class Verdicts:
    """A folder of verdicts, shared by every process that has it. Failures are never kept.

    Args:
        folder: The folder; made when the first verdict is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> Verdict | None:
        """The verdict of a question, or None; it costs nothing."""
        kept = read_json(self._path(key))
        if kept is not None:
            answer = kept.get("answer")
        else:
            answer = None
        if isinstance(answer, dict):
            return Verdict(answer, Usage(cached=1))
        return None

    def put(self, key: str, identity: str, verdict: Verdict) -> None:
        """Keep a verdict."""
        write_json(self._path(key), {"judge": identity, "answer": verdict.answer})

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"
