"""Picture files for tests: good ones, and ones that nobody should send."""

import base64
import struct
import zlib
from io import BytesIO
from typing import Any, Final

from PIL import Image

ORIENTATION: Final = 0x0112
GPS: Final = 0x8825


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    written = BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def data_uri(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def plain(width: int = 40, height: int = 30, color: Any = (200, 10, 10), mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (width, height), color)


def noisy(width: int = 40, height: int = 30) -> Image.Image:
    return Image.effect_noise((width, height), 80).convert("RGB")


def halves() -> Image.Image:
    """Red on the left, blue on the right: 40 by 20."""
    image = plain(40, 20)
    image.paste((10, 10, 200), (20, 0, 40, 20))
    return image


def png() -> str:
    return data_uri(encoded(plain(), "PNG"))


def chunk(kind: bytes, content: bytes) -> bytes:
    """One of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(width: int, height: int, rows: bytes = b"", *more: bytes) -> bytes:
    """A PNG of one byte for each pixel that claims this size; `rows` are its pixels, uncompressed."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bomb(side: int = 50_000) -> bytes:
    """A PNG of side by side pixels; a little of each of them would be gigabytes."""
    return png_of(side, side, bytes(4_000_000))


def where_it_was() -> Image.Exif:
    """EXIF with a place and a turn by a quarter."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[GPS] = {1: "N", 2: (44.0, 50.0, 16.0), 3: "W", 4: (0.0, 34.0, 45.0)}
    exif[0x010E] = "Found by Ada"
    return exif
