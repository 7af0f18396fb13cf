"""Which local process is which: on SQLite, a file lock tells whether the holder of a lease still lives.

Each process that runs a worker on a database file holds one numbered slot beside it, by a lock that ends with the
process however it dies. Its number is the owner's name in leases. Whoever takes a slot knows that all leases in that
slot's name, and in those of slots that nobody holds, are a dead process's.
"""

import fcntl
import os
import platform
import uuid
from pathlib import Path
from typing import Final

SLOTS: Final = 64


class Nameless:
    """A process that shares its database with other machines: nobody there can tell whether it lives, so its leases run
    out by themselves."""

    def __init__(self) -> None:
        self.name = f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"

    def dead(self) -> list[str]:
        return []

    def release(self) -> None:
        """Nothing is held."""


class Owner:
    """A slot, held until `release` or the end of the process."""

    def __init__(self, database: Path) -> None:
        """Take the first free slot. Raises OSError where there is none."""
        self._database = database
        for number in range(SLOTS):
            descriptor = _lock(_slot(database, number))
            if descriptor is not None:
                self.name = _name(number)
                self._descriptor = descriptor
                self._path = _slot(database, number)
                return
        raise OSError(f"{SLOTS} processes run workers on {database} already")

    def dead(self) -> list[str]:
        """The owners' names that no living process holds; our own is among them: what it leased, another life did."""
        names = [self.name]
        for number in range(SLOTS):
            path = _slot(self._database, number)
            if _name(number) == self.name:
                continue
            descriptor = _lock(path) if path.exists() else -1
            if descriptor is not None:
                names.append(_name(number))
                if descriptor >= 0:
                    os.close(descriptor)
        return names

    def release(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _name(number: int) -> str:
    return f"local-{number}"


def _slot(database: Path, number: int) -> Path:
    return database.with_name(f"{database.name}-worker-{number}.lock")


def _lock(path: Path) -> int | None:
    """A descriptor that holds the file's lock; None: a living process has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _still_there(path, descriptor):
            return descriptor
        os.close(descriptor)


def _still_there(path: Path, descriptor: int) -> bool:
    """Whether the file we locked is the one at the path: its holder may have removed it between our two calls."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
