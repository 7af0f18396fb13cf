"""Passwords: argon2id in threads of its own, so that hashing stops nobody else (RFC 9106, second recommendation)."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
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

    async def hash(self, password: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._hasher.hash, password)

    async def matches(self, known: str | None, password: str) -> bool:
        """Whether it is the password; takes as long where there is none to compare with."""
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(self._executor, self._verify, known, password)
        return right and known is not None

    @cached_property
    def _nobody(self) -> str:
        """Made when it is first needed, which takes much memory: who only delivers does without."""
        return self._hasher.hash("nobody has this password")

    def _verify(self, known: str | None, password: str) -> bool:
        nobody = self._nobody
        try:
            return self._hasher.verify(known or nobody, password)
        except (VerificationError, InvalidHashError):
            return False
