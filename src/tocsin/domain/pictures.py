"""Pictures that people send: told by their bytes, bounded before they are decoded, and written anew.

Nothing that a file claims is believed. Its type is told by its first bytes, whatever the data URI calls it. Its size is
bounded before anything is allocated for a pixel. What is kept is an encoding of our own of its pixels and of nothing
else: no EXIF with the place where it was taken, no comment, no profile, nothing behind its end. Colours are taken as
sRGB.
"""

import base64
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from tocsin.domain.picture_files import Malformed, MediaType, PictureFile, parsed, sniffed

PICTURE_MAX_BYTES: Final = 16 * 1024 * 1024
"""Of a picture as it is kept. What is sent is bounded by the request's body before."""
PICTURE_MAX_PIXELS: Final = 25_000_000
"""Width by height: what a telephone takes unless asked for more. Decoding and encoding so many takes up to 400 MB."""
SCANS_MAX: Final = 100
"""Passes of a progressive JPEG over its pixels: encoders write about ten; each costs as much as the whole picture."""
SIDE_MAX_PIXELS: Final = 2048
"""Of a smaller version that is asked for."""
JPEG_QUALITY: Final = 85
WEBP_QUALITY: Final = 85
WEBP_EFFORT: Final = 2
"""0 to 6: for a picture of 25 million pixels 2 takes about a second, 4 takes seven for the same size."""


class Refusal(StrEnum):
    """Why a picture is not taken, in words for whoever sent it."""

    NO_DATA_URI = "An image is sent as a data URI: data:image/png;base64,…"
    NOT_BASE64 = "What follows ;base64, is not base64."
    UNKNOWN_TYPE = "The image is none of PNG, JPEG and WebP."
    BROKEN = "The image is damaged, cut short or empty."
    ANIMATED = "The image moves; send a still one."
    TOO_MANY_SCANS = f"The image has more than {SCANS_MAX} scans."
    TOO_MANY_PIXELS = f"The image has more than {PICTURE_MAX_PIXELS} pixels."
    TOO_MANY_BYTES = f"The image takes more than {PICTURE_MAX_BYTES} bytes."


TOO_LARGE: Final = frozenset({Refusal.TOO_MANY_PIXELS, Refusal.TOO_MANY_BYTES})
"""Refused for their size; the others for what they are."""


@dataclass(frozen=True, slots=True)
class Picture:
    """`content` is a whole file of the type; sides are in pixels."""

    media_type: MediaType
    content: bytes
    width: int
    height: int


_OPEN: Final[dict[MediaType, Callable[[io.BytesIO], ImageFile]]] = {
    MediaType.PNG: PngImageFile,
    MediaType.JPEG: JpegImageFile,
    MediaType.WEBP: WebPImageFile,
}
_MODES: Final = {
    MediaType.PNG: ("L", "LA", "P", "RGB", "RGBA"),
    MediaType.JPEG: ("L", "RGB"),
    MediaType.WEBP: ("RGB", "RGBA"),
}
"""What is written of each type, as Pillow calls it."""
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by its EXIF orientation (EXIF 2.3, section 4.6.4)."""
_DAMAGE: Final = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises over hostile bytes, depending on which of them are wrong."""


def read(uri: str) -> Picture | Refusal:
    """The picture in a data URI (RFC 2397), written anew."""
    data = _data(uri)
    return data if isinstance(data, Refusal) else _redrawn(data)


def scaled(picture: Picture, width: int, height: int) -> Picture:
    """The picture made to fit into `width` by `height` pixels, in its own proportions, and never larger than it is."""
    assert 1 <= width <= SIDE_MAX_PIXELS
    assert 1 <= height <= SIDE_MAX_PIXELS
    if picture.width <= width and picture.height <= height:
        return picture
    image: Image.Image = _OPEN[picture.media_type](io.BytesIO(picture.content))
    if image.mode == "P":
        image = image.convert("RGB")  # between colours of a palette there is nothing
    image.thumbnail((width, height), Image.Resampling.LANCZOS)
    return _written(image, picture.media_type, lossless=parsed(picture.media_type, picture.content).lossless)


def _data(uri: str) -> bytes | Refusal:
    head, comma, payload = uri.partition(",")
    head = head.lower()
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        return Refusal.NO_DATA_URI
    try:
        return base64.b64decode(payload, validate=True)
    except ValueError:  # also what text beyond ASCII raises
        return Refusal.NOT_BASE64


def _redrawn(data: bytes) -> Picture | Refusal:
    media_type = sniffed(data)
    if media_type is None:
        return Refusal.UNKNOWN_TYPE
    try:
        file = parsed(media_type, data)
    except Malformed:
        return Refusal.BROKEN
    image = _refusal(file) or _upright(file)
    if isinstance(image, Refusal):
        return image
    picture = _written(image, media_type, lossless=file.lossless)
    return picture if len(picture.content) <= PICTURE_MAX_BYTES else Refusal.TOO_MANY_BYTES


def _refusal(file: PictureFile) -> Refusal | None:
    """Why a file is not decoded at all."""
    if file.width * file.height > PICTURE_MAX_PIXELS:
        return Refusal.TOO_MANY_PIXELS
    if file.width * file.height == 0:
        return Refusal.BROKEN
    if file.animated:
        return Refusal.ANIMATED
    return Refusal.TOO_MANY_SCANS if file.scans > SCANS_MAX else None


def _upright(file: PictureFile) -> Image.Image | Refusal:
    """The pixels as they are meant to be seen, without their decoder: it is as large as they are, and larger."""
    turn = _UPRIGHT.get(file.orientation)
    try:
        image = _OPEN[file.media_type](io.BytesIO(file.pixels))
        if image.size != (file.width, file.height):
            return Refusal.BROKEN
        image.load()
    except _DAMAGE:
        return Refusal.BROKEN
    return image.copy() if turn is None else image.transpose(turn)


def _written(image: Image.Image, media_type: MediaType, *, lossless: bool) -> Picture:
    drawn = _in_mode(image, media_type)
    drawn.info = {}  # what is in there, an encoder may write: comments, profiles
    written = io.BytesIO()
    options: dict[MediaType, dict[str, Any]] = {
        MediaType.PNG: {},
        MediaType.JPEG: {"quality": JPEG_QUALITY},
        MediaType.WEBP: {"quality": WEBP_QUALITY, "method": 0 if lossless else WEBP_EFFORT, "lossless": lossless},
    }
    drawn.save(written, media_type.name, **options[media_type])
    return Picture(media_type, written.getvalue(), *drawn.size)


def _in_mode(image: Image.Image, media_type: MediaType) -> Image.Image:
    """8 bits for each band; transparency that is a note beside the pixels becomes a band of them."""
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value / 256).convert("L")  # a plain convert clips at 255
    if "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in _MODES[media_type]:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")
