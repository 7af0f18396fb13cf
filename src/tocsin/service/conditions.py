"""What a request demands of the transaction in which it is done: a version of the resource, a key used once.

Neither is known to the use cases: both take part in their transaction (`storage.units`). Answers are kept sealed, since
some show a secret, and with what the request was, since that may hold a password. Only answers to changes that happened
are kept: a refusal has changed nothing, and the same request may be fine later.
"""

import hashlib
import json
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from tocsin.clock import SECOND
from tocsin.domain.errors import Conflict, KeyReused, PreconditionFailed
from tocsin.service.context import Context
from tocsin.storage import answers, locks
from tocsin.storage.interface import Row, Writing
from tocsin.storage.units import Around, Change, Kept, Unit, current

KEPT_SECONDS: Final = 24 * 60 * 60
"""How long an answer is given again."""
FINGERPRINT_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """Of HTTP, whole. `headers` in their order, in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """An Idempotency-Key. `caller`: whose it is; `fingerprint`: of the request that it stands for."""

    caller: str
    key: str
    fingerprint: bytes

    @property
    def hash(self) -> bytes:
        return hashlib.sha256(f"{self.caller}\0{self.key}".encode()).digest()


@dataclass(frozen=True, slots=True)
class Precondition:
    """`fits` tells, in the transaction, whether the resource of this kind and id is in the version that is demanded."""

    kind: str
    id: str
    fits: Callable[[], Awaitable[bool]]


class Again(Exception):
    """The answer was given before."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("answered before")
        self.answer = answer


class Conditions:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def meet(
        self, handle: Callable[[], Awaitable[Answer]], key: Key | None, precondition: Precondition | None
    ) -> tuple[Answer, bool]:
        """What `handle` answers, and whether that was so before.

        Raises PreconditionFailed where the resource is in another version; KeyReused where the key is of another
        request; what `handle` raises, with nothing changed and nothing kept.
        """
        around = _unconditional if precondition is None else _conditional(precondition)
        if key is None:
            with current(Unit(around)):
                return await handle(), False
        try:
            await self._look(key)
            return await self._once(handle, key, around), False
        except Again as again:
            return again.answer, True

    async def forget(self) -> None:
        """Remove the answers that are too old to be given again. A chore."""
        while await self._context.storage.write(partial(answers.remove_old, before=self._oldest())):
            pass  # whoever waits to write comes between

    async def _look(self, key: Key) -> None:
        """Before anything is done: the claim in the transaction decides, this one saves work."""
        async with self._context.storage.read() as tx:
            self._refuse(key, await answers.find(tx, key.hash))

    async def _once(self, handle: Callable[[], Awaitable[Answer]], key: Key, around: Around) -> Answer:
        async def claim(tx: Writing) -> None:
            self._refuse(key, await answers.find(tx, key.hash))
            await answers.claim(tx, key.hash, key.caller, self._context.clock.now(), self._oldest())

        async def keep(tx: Writing, answer: Answer) -> None:
            await answers.keep(tx, key.hash, self._seal(key, answer))

        unit: Kept[Answer] = Kept(claim, keep, around)
        with current(unit):
            try:
                answer = await handle()
            except BaseException:
                await unit.abandon()
                raise
        await unit.finish(answer)
        return answer

    def _refuse(self, key: Key, row: Row | None) -> None:
        """Raises Again or KeyReused for a key that was used; an answer that is too old is none."""
        if row is None or row["created_at"] < self._oldest():
            return
        plain = self._context.vault.open(row["answer"], _purpose(key))
        if plain[:FINGERPRINT_BYTES] != key.fingerprint:
            raise KeyReused("This Idempotency-Key was used for another request.")
        raise Again(_unpacked(plain[FINGERPRINT_BYTES:]))

    def _oldest(self) -> int:
        """What was answered before this moment is forgotten."""
        return self._context.clock.now() - KEPT_SECONDS * SECOND

    def _seal(self, key: Key, answer: Answer) -> bytes:
        return self._context.vault.seal(key.fingerprint + _packed(answer), _purpose(key))


def _purpose(key: Key) -> str:
    return f"answer:{key.hash.hex()}"


def _packed(answer: Answer) -> bytes:
    head = json.dumps([answer.status, answer.headers]).encode()
    return struct.pack(">I", len(head)) + head + answer.body


def _unpacked(packed: bytes) -> Answer:
    (length,) = struct.unpack_from(">I", packed)
    status, headers = json.loads(packed[4 : 4 + length])
    return Answer(status, tuple((name, value) for name, value in headers), packed[4 + length :])


async def _unconditional(tx: Writing, change: Change[Any]) -> Any:
    return await change(tx)


def _conditional(precondition: Precondition) -> Around:
    """A change that may not be done at all is refused for that; a version is asked for where all else is right."""

    async def around(tx: Writing, change: Change[Any]) -> Any:
        await locks.lock(tx, precondition.kind, precondition.id)
        fits = await precondition.fits()
        try:
            result = await change(tx)
        except Conflict:
            if fits:
                raise
        else:
            if fits:
                return result
        raise PreconditionFailed("This is not the present version: read it again, and decide anew.")

    return around
