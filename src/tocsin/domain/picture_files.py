"""PNG, JPEG and WebP files, read as far as to tell pixels from the rest, without decoding any.

A decoder is given the parts that pixels need, and no other: EXIF, profiles, comments, thumbnails and whatever lies
behind the end never reach it. Reading is bounded by the file's own length.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class MediaType(StrEnum):
    PNG = "image/png"
    JPEG = "image/jpeg"
    WEBP = "image/webp"


class Malformed(ValueError):
    """The file's own structure contradicts itself, or ends too early."""


@dataclass(frozen=True, slots=True)
class PictureFile:
    """`pixels` is a whole file of the type, with as little besides pixels as the type allows; sides are in pixels.

    `scans`: how often a JPEG goes over its pixels. `orientation`: as EXIF numbers it; 1 is upright.
    """

    media_type: MediaType
    pixels: bytes
    width: int
    height: int
    orientation: int = 1
    animated: bool = False
    lossless: bool = True
    scans: int = 1


PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
PNG_KEPT: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
JPEG_START_OF_SCAN: Final = 0xDA
JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_DROPPED: Final = frozenset({*range(0xE1, 0xF0), 0xFE}) - {0xEE}
"""Every APPn but JFIF's and Adobe's, which say how colours are coded; and comments."""
EXIF_ORIENTATION: Final = 0x0112


def sniffed(data: bytes) -> MediaType | None:
    """The type that the first bytes tell."""
    if data.startswith(PNG_SIGNATURE):
        return MediaType.PNG
    if data.startswith(b"\xff\xd8\xff"):
        return MediaType.JPEG
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return MediaType.WEBP
    return None


def parsed(media_type: MediaType, data: bytes) -> PictureFile:
    """Raises Malformed."""
    try:
        return _PARSERS[media_type](data)
    except struct.error:
        raise Malformed("a part lies beyond the end of the file") from None


def _png(data: bytes) -> PictureFile:
    """PNG, sections 5 and 11: chunks of length, type, content and checksum."""
    kept, exif, animated, at, kind = [PNG_SIGNATURE], b"", False, len(PNG_SIGNATURE), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise Malformed("a chunk is cut short")
        if kind in PNG_KEPT:
            kept.append(data[at:end])
        elif kind == b"eXIf":
            exif = data[at + 8 : end - 4]
        animated = animated or kind == b"acTL"
        at = end
    width, height = struct.unpack_from(">II", data, 16)
    return PictureFile(MediaType.PNG, b"".join(kept), width, height, orientation(exif), animated)


def _jpeg(data: bytes) -> PictureFile:
    """ITU-T T.81, annex B: segments of a marker, a length and content, up to the first scan; then the rest as it is."""
    kept, exif, width, height, at, marker = [data[:2]], b"", 0, 0, 2, 0
    while marker != JPEG_START_OF_SCAN:
        prefix, marker, length = struct.unpack_from(">BBH", data, at)
        if prefix == 0xFF and marker == 0xFF:
            at += 1
            continue
        if prefix != 0xFF or length < 2:
            raise Malformed("a segment has no marker or no length")
        content = at + 4
        if marker in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, content + 1)
        if marker == 0xE1 and data[content : content + 6] == b"Exif\0\0":
            exif = data[content + 6 : at + 2 + length]
        if marker == JPEG_START_OF_SCAN:
            kept.append(data[at:])
        elif marker not in JPEG_DROPPED:
            kept.append(data[at : at + 2 + length])
        at += 2 + length
    scans = kept[-1].count(b"\xff\xda")
    return PictureFile(MediaType.JPEG, b"".join(kept), width, height, orientation(exif), lossless=False, scans=scans)


def _webp(data: bytes) -> PictureFile:
    """RFC 9649, section 2: chunks of type, length and content. All are kept: the decoder skips what is no pixels."""
    width, height = _webp_canvas(data)
    exif, lossless, at = b"", data[12:16] == b"VP8L", 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        lossless = lossless or kind == b"VP8L"
        if kind == b"EXIF":
            exif = data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")
        at += 8 + length + length % 2
    animated = data[12:16] == b"VP8X" and bool(data[20] & 0x02)
    return PictureFile(MediaType.WEBP, data, width, height, orientation(exif), animated, lossless)


def _webp_canvas(data: bytes) -> tuple[int, int]:
    """A decoder makes the canvas before it looks further, so its size must be known before."""
    match data[12:16]:
        case b"VP8X":
            width_low, width_high, height_low, height_high = struct.unpack_from("<HBHB", data, 24)
            return (width_high << 16 | width_low) + 1, (height_high << 16 | height_low) + 1
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", data, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
        case _:
            raise Malformed("the first chunk is none of pixels")


_PARSERS: Final[dict[MediaType, Callable[[bytes], PictureFile]]] = {
    MediaType.PNG: _png,
    MediaType.JPEG: _jpeg,
    MediaType.WEBP: _webp,
}


def orientation(exif: bytes) -> int:
    """The orientation in EXIF data (TIFF 6.0, section 2; EXIF 2.3, section 4.6.4); 1 where it can't be read."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, directory)
        for entry in range(count):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, directory + 2 + 12 * entry)
            if tag == EXIF_ORIENTATION:
                return int(value)
    except struct.error:
        return 1
    return 1
