"""A file that only grows, in a bucket, which cannot append: numbered objects."""

from __future__ import annotations

from pixaris.gcp.storage import Bucket, side_by_side


class Segments:
    """Numbered objects ``<prefix>/00000001.jsonl``, …, each written once, that together are a file.

    Who writes a number that somebody else has written is told so: two processes cannot both go on.

    Args:
        bucket: The bucket.
        prefix: What their names begin with.
    """

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._last: int | None = None

    def read(self) -> bytes:
        """All that is there; what is appended then follows it.

        Raises:
            BucketError: They cannot be read.
        """
        found = {one.name: one for one in self._bucket.objects(f"{self._prefix}/")}
        parts: dict[str, bytes] = {}

        def fetch(name: str) -> None:
            parts[name] = self._bucket.read(found[name])

        side_by_side(fetch, list(found))
        self._last = max(map(_number, found), default=0)
        # Numbers have leading zeros, so that names sort like numbers.
        return b"".join(parts[name] for name in sorted(found))

    def append(self, data: bytes) -> None:
        """Write the next one.

        Raises:
            BucketChangedError: Somebody else has written it.
            BucketError: It cannot be written.
        """
        if self._last is None:
            names = [one.name for one in self._bucket.objects(f"{self._prefix}/")]
            self._last = max(map(_number, names), default=0)
        # `replacing=0`: only if there is none of that name.
        self._bucket.write(data, f"{self._prefix}/{self._last + 1:08d}.jsonl", replacing=0)
        self._last += 1


def _number(name: str) -> int:
    digits = name.rpartition("/")[2].partition(".")[0]
    if digits.isascii() and digits.isdigit():
        return int(digits)
    return 0
