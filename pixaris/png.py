"""The bytes of a PNG, without decoding them."""

from __future__ import annotations

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXEL_CHUNKS = {b"IHDR", b"IDAT", b"IEND"}


def bare_png(data: bytes) -> bytes | None:
    """Take everything but the pixels out of a PNG (texts, times, colour profiles), without encoding it anew.

    Encoding takes many times as long as decoding: a generated image would cost its worker more than all the
    rest.

    Returns:
        The PNG; None if it is not whole, or not of 8-bit RGB or RGBA without a transparent colour.
    """
    if data[:8] != _SIGNATURE:
        return None
    kinds: set[bytes] = set()
    kept, place = [_SIGNATURE], 8
    while b"IEND" not in kinds:
        header = data[place : place + 8]
        if len(header) < 8:
            return None
        length, kind = struct.unpack(">I4s", header)
        end = place + 12 + length
        chunk = memoryview(data)[place:end]
        if len(chunk) < 12 + length or zlib.crc32(chunk[4:-4]) != struct.unpack(">I", chunk[-4:])[0]:
            return None
        if (kind == b"IHDR") == bool(kinds) or kind == b"tRNS":
            return None
        if kind == b"IHDR" and (length != 13 or (chunk[16], chunk[17]) not in ((8, 2), (8, 6))):
            return None
        if kind in _PIXEL_CHUNKS:
            kept.append(bytes(chunk))
        kinds.add(kind)
        place = end
    if kinds >= _PIXEL_CHUNKS:
        return b"".join(kept)
    return None
