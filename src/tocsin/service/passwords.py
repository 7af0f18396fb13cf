"""Passwords: argon2id in threads of its own, so that hashing stops nobody else (RFC 9106, second recommendation)."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tocsin.domain.errors import Unavailable

T = TypeVar("T")

PASSWORD_MIN_CHARACTERS: Final = 8
PASSWORD_MAX_CHARACTERS: Final = 1024
THREADS: Final = 2
WAITING_MAX: Final = 64
"""Passwords that are hashed or wait for it at one time; it is slow on purpose."""

RFC_9106_LOW_MEMORY: Final = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)


class Passwords:
    def __init__(self, hasher: PasswordHasher = RFC_9106_LOW_MEMORY) -> None:
        self._hasher = hasher
        self._executor = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="passwords")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        return await self._run(self._hasher.hash, password)

    async def matches(self, known: str | None, password: str) -> bool:
        """Whether it is the password; takes as long where there is none to compare with."""
        right = await self._run(self._verify, known, password)
        return right and known is not None

    async def _run(self, work: Callable[..., T], *arguments: str | None) -> T:
        """Raises Unavailable where too many wait already."""
        if self._waiting >= WAITING_MAX:
            raise Unavailable("Too many passwords are being checked.", retry_after_seconds=1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
        finally:
            self._waiting -= 1

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
