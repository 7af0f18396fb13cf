"""The structure of picture files: what is read of EXIF, and that reading it ends, whatever the bytes are."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.domain.picture_files import Malformed, MediaType, orientation, parsed, sniffed

HEADS = {
    MediaType.PNG: b"\x89PNG\r\n\x1a\n",
    MediaType.JPEG: b"\xff\xd8\xff",
    MediaType.WEBP: b"RIFF\x10\x00\x00\x00WEBP",
}


def exif(order: str, *entries: tuple[int, int], offset: int = 8) -> bytes:
    mark = {"<": b"II", ">": b"MM"}[order]
    listed = b"".join(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in entries)
    return mark + struct.pack(f"{order}HI", 42, offset) + struct.pack(f"{order}H", len(entries)) + listed


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_orientation_is_found_in_either_order_of_bytes(order: str) -> None:
    assert orientation(exif(order, (0x010F, 9), (0x0112, 6))) == 6


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"II",
        b"XX*\0\x08\0\0\0",
        exif("<", (0x010F, 9)),
        exif("<", (0x0112, 6))[:-4],
        exif("<", (0x0112, 6), offset=2**32 - 1),
    ],
)
def test_exif_that_can_not_be_read_turns_nothing(content: bytes) -> None:
    assert orientation(content) == 1


def test_fill_bytes_before_a_marker_are_passed_over() -> None:
    frame = struct.pack(">BBHBHH", 0xFF, 0xC0, 7, 8, 3, 5)
    scan = b"\xff\xda\x00\x02pixels"
    file = parsed(MediaType.JPEG, b"\xff\xd8" + b"\xff" * 1000 + frame[1:] + scan)
    assert (file.width, file.height, file.scans) == (5, 3, 1)


@given(kind=st.sampled_from(MediaType), content=st.binary(max_size=300))
def test_any_bytes_are_a_file_or_malformed(kind: MediaType, content: bytes) -> None:
    data = HEADS[kind] + content
    assert sniffed(data) is kind
    try:
        file = parsed(kind, data)
    except Malformed:
        return
    assert len(file.pixels) <= len(data)
