"""Identifiers: UUIDv7 (RFC 9562, section 5.7), so that what is made later sorts later."""

from typing import Final

ENTROPY_BYTES: Final = 10


def uuid7(now: int, entropy: bytes) -> str:
    """A UUIDv7 for `now` (microseconds since the epoch) out of 10 random bytes.

    The 12 bits after the version hold the microseconds' part below a millisecond (section 6.2, method 3).
    """
    assert len(entropy) == ENTROPY_BYTES, "a UUIDv7 takes 10 random bytes"
    milliseconds, rest = divmod(now, 1000)
    fraction = rest * 4096 // 1000
    tail = int.from_bytes(entropy[2:]) & 0x3FFF_FFFF_FFFF_FFFF
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | tail
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
