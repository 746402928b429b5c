"""Headers of image files: scans of a JPEG, orientation, and metadata that can be left out."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from latentsearch.data.heic import brand

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_PNG_WANTED = (b"tRNS", b"eXIf")  # transparency and orientation, where they are whole
_BLOCK = 2**20  # bytes


class Jpeg(NamedTuple):
    """The layout of a JPEG.

    Args:
        num_scans: Number of passes over the image.
        buffer: Size in bytes of the coefficients that are kept from scan to scan; 0 if there is one scan.
    """

    num_scans: int
    buffer: int


def begins_as_image(start: bytes) -> bool:
    """Tell whether these first 64 bytes begin a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC file."""
    known = (b"\xff\xd8\xff", _PNG, b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    return start.startswith(known) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP") or brand(start) != ""


def jpeg_layout(stream: BinaryIO) -> Jpeg:
    """Count the scans of a JPEG, and the coefficients that are kept from one to the next.

    Args:
        stream: The file; its position afterwards is undefined.
    """
    blocks, num_parts, progressive = 0, 0, False
    for marker, body in _jpeg_segments(stream):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(body) >= 6:
            height, width, num_parts = struct.unpack(">HHB", body[1:6])
            progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
            factors = [(part >> 4 or 1, part & 15 or 1) for part in body[7::3][:num_parts]]
            most = [max(sides, default=1) for sides in zip(*factors, strict=True)] or [1, 1]
            blocks = sum(-(-width * x // (8 * most[0])) * -(-height * y // (8 * most[1])) for x, y in factors)
        elif marker == 0xDA:
            if not progressive and body[:1] and body[0] >= num_parts:
                break
            return Jpeg(1 + _count(stream, b"\xff\xda"), 128 * blocks)
    return Jpeg(1, 0)


def _jpeg_segments(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield markers and their content up to the first scan; the stream is then at the data of that."""
    stream.seek(2)
    while len(head := stream.read(2)) == 2:
        while head[1] == 0xFF and (more := stream.read(1)):  # fill bytes
            head = head[1:] + more
        if head[0] != 0xFF or len(size := stream.read(2)) < 2:
            return
        body = stream.read(max(0, int.from_bytes(size) - 2))
        yield head[1], body
        if head[1] == 0xDA:
            return


def _count(stream: BinaryIO, word: bytes) -> int:
    """Count a word of two bytes in the rest of a stream."""
    count, last = 0, b""
    while block := stream.read(_BLOCK):
        count += (last + block).count(word)
        last = block[-1:]
    return count


def is_jpeg(stream: BinaryIO) -> bool:
    """Tell whether a file begins as a JPEG does."""
    stream.seek(0)
    return stream.read(2) == b"\xff\xd8"


def without_metadata(stream: BinaryIO) -> io.BytesIO | None:
    """Leave out the metadata of a PNG or JPEG, except its orientation; None for other files.

    Args:
        stream: The file.
    """
    stream.seek(0)
    start = stream.read(len(_PNG))
    if start == _PNG:
        return io.BytesIO(b"".join([_PNG, *_png_pixels(stream)]))
    if start[:2] == b"\xff\xd8":
        kept = [b"\xff\xd8"]
        for marker, body in _jpeg_segments(stream):
            orientation = exif_orientation(body[6:]) if marker == 0xE1 and body[:6] == b"Exif\0\0" else 1
            if orientation != 1:
                bare = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
                kept.append(_jpeg_segment(marker, bare))
            elif not 0xE0 <= marker <= 0xEF or (marker == 0xEE and len(body) >= 12):  # which tells the colours
                kept.append(_jpeg_segment(marker, body))
        return io.BytesIO(b"".join([*kept, stream.read()]))
    return None


def ended(jpeg: io.BytesIO) -> Iterator[io.BytesIO]:
    """End a JPEG that lacks its end in two ways, one after the other.

    Where pixels are missing, a decoder makes them up from what follows, and the two differ.
    """
    content = jpeg.getvalue()
    for filler in (b"", b"\x5a\xa5" * 2048):
        yield io.BytesIO(content + filler + b"\xff\xd9")


def _jpeg_segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def _png_pixels(stream: BinaryIO) -> Iterator[bytes]:
    while len(head := stream.read(8)) == 8:
        size, kind = int.from_bytes(head[:4]), head[4:]
        if kind not in _PNG_PIXELS + _PNG_WANTED:
            stream.seek(size + 4, 1)
            continue
        body = stream.read(size)
        check = stream.read(4)
        if kind in _PNG_PIXELS or check == struct.pack(">I", zlib.crc32(kind + body)):
            yield head + body + check
        if kind == b"IEND":
            return


def exif_orientation(exif: bytes) -> int:
    """Read the orientation of EXIF data that begin with the TIFF header, 1 to 8; 1 where they have none.

    See section 4.6.4 of the EXIF standard, tag 0x0112. Other tags may hold anything.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, offset)
        for number in range(count):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, offset + 2 + 12 * number)
            if tag == 0x0112 and kind == 3 and 1 <= value <= 8:
                return int(value)
    except struct.error:  # cut short
        pass
    return 1
