"""What people send as pictures: taken for what its bytes are, refused with a reason, written anew without the rest."""

import time
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.pictures import bomb, chunk, data_uri, encoded, halves, noisy, plain, png_of, where_it_was
from tocsin.domain import pictures
from tocsin.domain.picture_files import MediaType, parsed
from tocsin.domain.pictures import Picture, Refusal, read, scaled

GOOD: dict[str, bytes] = {
    "png": encoded(noisy(), "PNG"),
    "png with a palette": encoded(noisy().convert("P"), "PNG"),
    "png with a clear color in its palette": encoded(noisy().convert("P"), "PNG", transparency=3),
    "png with EXIF": encoded(noisy(), "PNG", exif=where_it_was()),
    "png of 16 bits": encoded(plain(20, 30, 40_000, "I;16"), "PNG"),
    "jpeg": encoded(noisy(), "JPEG", exif=where_it_was(), comment=b"Found by Ada"),
    "progressive jpeg": encoded(noisy(), "JPEG", progressive=True),
    "jpeg of CMYK": encoded(noisy().convert("CMYK"), "JPEG"),
    "webp": encoded(noisy(), "WEBP", exif=where_it_was()),
    "lossless webp": encoded(noisy().convert("RGBA"), "WEBP", lossless=True, icc_profile=b"x" * 99),
}


def taken(content: bytes) -> Picture:
    found = read(data_uri(content))
    assert isinstance(found, Picture), found
    return found


def opened(picture: Picture) -> Image.Image:
    return Image.open(BytesIO(picture.content))


@pytest.mark.parametrize("name", GOOD)
def test_a_good_picture_keeps_its_type_and_its_pixels(name: str) -> None:
    picture = taken(GOOD[name])
    with opened(picture) as image, Image.open(BytesIO(GOOD[name])) as original:
        assert Image.MIME[image.format or ""] == picture.media_type
        assert image.size == (picture.width, picture.height)
        assert sorted(image.size) == sorted(original.size)


@pytest.mark.parametrize("name", ["png", "lossless webp"])
def test_what_was_without_loss_stays_so(name: str) -> None:
    with opened(taken(GOOD[name])) as image, Image.open(BytesIO(GOOD[name])) as original:
        assert image.convert("RGB").tobytes() == original.convert("RGB").tobytes()


@pytest.mark.parametrize("name", GOOD)
def test_nothing_but_pixels_is_kept(name: str) -> None:
    content = taken(GOOD[name] + b"hidden behind the end").content
    for secret in (b"Exif", b"Ada", b"eXIf", b"tEXt", b"ICCP", b"EXIF", b"hidden"):
        assert secret not in content
    with Image.open(BytesIO(content)) as image:
        assert not image.getexif()
        assert not {"exif", "comment", "icc_profile", "xmp"} & set(image.info)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_turned_upright_before_its_exif_goes(kind: str) -> None:
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    with opened(taken(encoded(halves(), kind, exif=where_it_was(), **options))) as image:
        assert image.size == (20, 40)
        top, bottom = (image.convert("RGB").getpixel((10, y)) for y in (5, 35))
        assert isinstance(top, tuple)
        assert isinstance(bottom, tuple)
        assert top[0] > 150 > top[2]
        assert bottom[2] > 150 > bottom[0]


def test_transparency_stays_in_png_and_webp() -> None:
    clear = plain(9, 9, (10, 20, 30, 77), "RGBA")
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        with opened(taken(encoded(clear, kind, **options))) as image:
            assert image.getpixel((4, 4)) == (10, 20, 30, 77)
    for mode, color in (("P", 0), ("L", 7), ("1", 0), ("RGB", (1, 2, 3))):
        with opened(taken(encoded(plain(4, 4, color, mode), "PNG", transparency=color))) as image:
            assert image.convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index] # RGBA has four bands


def test_sixteen_bits_become_eight_in_proportion() -> None:
    with opened(taken(GOOD["png of 16 bits"])) as image:
        assert (image.mode, image.getpixel((0, 0))) == ("L", 40_000 // 256)


def test_black_and_white_and_cmyk_become_what_browsers_show() -> None:
    with opened(taken(encoded(plain(9, 9, 1, "1"), "PNG"))) as image:
        assert (image.mode, image.getpixel((0, 0))) == ("L", 255)
    with opened(taken(GOOD["jpeg of CMYK"])) as image:
        assert image.mode == "RGB"


def frames(kind: str) -> bytes:
    more = [plain(9, 9, (0, 250 * n, 0)) for n in range(2)]
    return encoded(plain(9, 9), kind, save_all=True, append_images=more)


def many_scans() -> bytes:
    good = GOOD["progressive jpeg"]
    at = good.index(b"\xff\xda")
    length = int.from_bytes(good[at + 2 : at + 4], "big")
    return good[:-2] + good[at : at + 2 + length] * pictures.SCANS_MAX + good[-2:]


BAD: dict[str, tuple[bytes, Refusal]] = {
    "nothing": (b"", Refusal.UNKNOWN_TYPE),
    "a gif called png": (encoded(plain(), "GIF"), Refusal.UNKNOWN_TYPE),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', Refusal.UNKNOWN_TYPE),
    "html behind a signature": (b"\x89PNG\r\n\x1a\n<script>alert(1)</script>", Refusal.BROKEN),
    "a png cut short": (GOOD["png"][:-200], Refusal.BROKEN),
    "a jpeg cut short": (GOOD["jpeg"][:-200], Refusal.BROKEN),
    "a webp cut short": (GOOD["webp"][:-200], Refusal.BROKEN),
    "only a png's signature": (GOOD["png"][:8], Refusal.BROKEN),
    "only a jpeg's head": (GOOD["jpeg"][:40], Refusal.BROKEN),
    "only a webp's head": (GOOD["webp"][:20], Refusal.BROKEN),
    "a webp that begins with no pixels": (b"RIFF\x00\x00\x00\x00WEBPEXIF" + bytes(40), Refusal.BROKEN),
    "a segment without a marker": (b"\xff\xd8\xff\xe0\x00\x04ab\x00\x00\x00\x00", Refusal.BROKEN),
    "a wrong checksum": (GOOD["png"].replace(b"IDAT", b"IDAT\x00", 1), Refusal.BROKEN),
    "0 by 0": (png_of(0, 0), Refusal.BROKEN),
    "0 high": (png_of(9, 0), Refusal.BROKEN),
    "a pixel bomb": (bomb(), Refusal.TOO_MANY_PIXELS),
    "a jpeg bomb": (GOOD["jpeg"].replace(b"\x08\x00\x1e\x00\x28", b"\x08\xff\xff\xff\xff", 1), Refusal.TOO_MANY_PIXELS),
    "a webp bomb": (b"RIFF\x00\x00\x00\x00WEBPVP8X" + bytes(8) + b"\xff" * 6 + bytes(40), Refusal.TOO_MANY_PIXELS),
    "a lossless webp bomb": (b"RIFF....WEBPVP8L....\x2f\xff\xff\xff\x0f" + bytes(40), Refusal.TOO_MANY_PIXELS),
    "an animated png": (frames("PNG"), Refusal.ANIMATED),
    "an animated webp": (frames("WEBP"), Refusal.ANIMATED),
    "a jpeg of many scans": (many_scans(), Refusal.TOO_MANY_SCANS),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_is_refused_with_its_reason_at_once(name: str) -> None:
    content, reason = BAD[name]
    begun = time.perf_counter()
    assert read(data_uri(content)) is reason
    assert time.perf_counter() - begun < 1


def test_two_sizes_in_one_file_are_damage() -> None:
    jpeg = GOOD["jpeg"]
    at = jpeg.index(b"\xff\xc0")
    second = jpeg[at : at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")]
    assert read(data_uri(jpeg[:at] + second.replace(b"\x00\x1e", b"\x00\x0e", 1) + jpeg[at:])) is Refusal.BROKEN


def test_a_second_header_does_not_smuggle_a_bomb_in() -> None:
    bomb_header = chunk(b"IHDR", b"\0\0\xc3\x50\0\0\xc3\x50\x08\0\0\0\0")
    assert read(data_uri(png_of(1, 1, b"\0\0", bomb_header))) is Refusal.BROKEN


def test_a_png_of_zeroes_unpacks_no_further_than_its_size() -> None:
    picture = taken(png_of(10, 10, bytes(50_000_000)))
    assert (picture.width, picture.height) == (10, 10)


def test_a_picture_that_grows_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "PICTURE_MAX_BYTES", 100)
    assert read(data_uri(GOOD["png"])) is Refusal.TOO_MANY_BYTES


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("", Refusal.NO_DATA_URI),
        ("https://example.org/lamp.png", Refusal.NO_DATA_URI),
        ("data:image/png;base64", Refusal.NO_DATA_URI),
        ("data:image/png,%89PNG", Refusal.NO_DATA_URI),
        ("data:image/png;base64,iVBO", Refusal.UNKNOWN_TYPE),
        ("data:image/png;base64,é", Refusal.NOT_BASE64),
        ("data:image/png;base64,abc", Refusal.NOT_BASE64),
        ("data:image/png;base64,a b=", Refusal.NOT_BASE64),
        ("data:image/png;base64,\ud800", Refusal.NOT_BASE64),
        ("data:" * 20_000, Refusal.NO_DATA_URI),
    ],
)
def test_what_is_no_data_uri_is_refused(uri: str, reason: Refusal) -> None:
    assert read(uri) is reason


def test_the_type_that_is_declared_does_not_matter() -> None:
    for head in ("data:;base64,", "DATA:image/gif;BASE64,", "data:text/html;charset=utf-8;base64,"):
        found = read(head + data_uri(GOOD["png"]).partition(",")[2])
        assert isinstance(found, Picture)
        assert found.media_type is MediaType.PNG


@pytest.mark.parametrize("name", GOOD)
def test_a_smaller_version_fits_and_keeps_its_proportions(name: str) -> None:
    picture = taken(GOOD[name])
    small = scaled(picture, 10, 1000)
    assert small.media_type is picture.media_type
    assert small.width == 10
    assert small.height == round(10 * picture.height / picture.width)
    with opened(small) as image:
        assert image.size == (small.width, small.height)
    assert scaled(picture, 2048, 2048) is picture
    assert parsed(small.media_type, small.content).lossless is parsed(picture.media_type, picture.content).lossless


def test_a_thin_picture_keeps_a_pixel() -> None:
    small = scaled(taken(encoded(plain(3000, 1), "PNG")), 10, 10)
    assert (small.width, small.height) == (10, 1)


def test_metadata_reaches_no_decoder() -> None:
    text = chunk(b"zTXt", b"Comment\0\0" + b"x" * 100)
    png = parsed(MediaType.PNG, png_of(1, 1, b"\0\0", text, chunk(b"eXIf", b"x"))).pixels
    jpeg = parsed(MediaType.JPEG, GOOD["jpeg"]).pixels
    assert b"zTXt" not in png
    assert b"eXIf" not in png
    assert b"Exif" not in jpeg
    assert b"Ada" not in jpeg


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted(GOOD)),
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.binary(max_size=4)), min_size=1, max_size=6),
)
def test_damaged_bytes_are_a_picture_or_a_refusal_and_nothing_else(
    name: str, edits: list[tuple[int, int, bytes]]
) -> None:
    content = bytearray(GOOD[name])
    for at, removed, put in edits:
        content[at : at + removed] = put
    found = read(data_uri(bytes(content)))
    if isinstance(found, Picture):
        with opened(found) as image:
            image.load()
            assert image.size == (found.width, found.height)
