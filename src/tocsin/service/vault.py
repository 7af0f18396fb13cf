"""Secrets at rest: AES-256-GCM under `TOCSIN_SECRET_KEY`.

Each sealed value carries its own nonce and is bound to what it is for (`purpose`, such as `webhook-secret:<id>`), so
that a value copied to another row does not open there.
"""

from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES: Final = 12
FORMAT: Final = b"\x01"
"""First byte of every sealed value: this format and key."""


class VaultError(ValueError):
    """A sealed value does not open: another TOCSIN_SECRET_KEY sealed it, or it was changed."""


class Vault:
    def __init__(self, key: bytes, entropy: Callable[[int], bytes]) -> None:
        """`key` is 32 bytes; `entropy(n)` gives n random bytes."""
        self._cipher = AESGCM(key)
        self._entropy = entropy

    def seal(self, plain: bytes, purpose: str) -> bytes:
        nonce = self._entropy(NONCE_BYTES)
        return FORMAT + nonce + self._cipher.encrypt(nonce, plain, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """The plain bytes. Raises VaultError."""
        if sealed[:1] != FORMAT:
            raise VaultError(f"unknown format of a sealed value ({purpose})")
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, ciphertext, purpose.encode())
        except InvalidTag:
            raise VaultError(f"TOCSIN_SECRET_KEY does not open what is stored ({purpose})") from None
