"""Passwords: argon2id in threads of its own, so that hashing stops nobody else (RFC 9106, second recommendation)."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

PASSWORD_MIN_CHARACTERS: Final = 8
PASSWORD_MAX_CHARACTERS: Final = 1024
THREADS: Final = 2

RFC_9106_LOW_MEMORY: Final = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)


class Passwords:
    def __init__(self, hasher: PasswordHasher = RFC_9106_LOW_MEMORY) -> None:
        self._hasher = hasher
        self._executor = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="passwords")
        self._nobody = hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._hasher.hash, password)

    async def matches(self, known: str | None, password: str) -> bool:
        """Whether it is the password; takes as long where there is none to compare with."""
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(self._executor, self._verify, known or self._nobody, password)
        return right and known is not None

    def _verify(self, known: str, password: str) -> bool:
        try:
            return self._hasher.verify(known, password)
        except (VerificationError, InvalidHashError):
            return False
