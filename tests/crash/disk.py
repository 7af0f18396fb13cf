"""A disk that gets full when a test says so: a small tmpfs where we may mount one, else a limit on how large a file may
become, set on the processes that write."""

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

CHUNK_BYTES = 64 * 1024
LIMIT_BYTES = 64 * 1024
"""Less than any database's file has already: what would grow, or be written further on, is refused."""


class Disk(Protocol):
    directory: Path

    def fill(self, processes: Sequence[int]) -> None: ...

    def free(self, processes: Sequence[int]) -> None: ...


class SmallDisk:
    """A file system of its own, filled with a file to the last byte."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._filler = directory / "filler"

    def fill(self, processes: Sequence[int]) -> None:  # noqa: ARG002 # it is full for everybody
        with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as file:
            for size in (CHUNK_BYTES, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"\0" * size):
                        pass

    def free(self, processes: Sequence[int]) -> None:  # noqa: ARG002 # as above
        self._filler.unlink(missing_ok=True)


class LimitedFiles:
    """As a quota has it, for processes of our own: their files don't grow any more."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def fill(self, processes: Sequence[int]) -> None:
        self._limit(processes, LIMIT_BYTES)

    def free(self, processes: Sequence[int]) -> None:
        self._limit(processes, resource.RLIM_INFINITY)

    def _limit(self, processes: Sequence[int], size: int) -> None:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextlib.contextmanager
def disk(directory: Path, megabytes: int) -> Iterator[Disk]:
    """One at `directory`."""
    directory.mkdir()
    mounted = os.geteuid() == 0 and _run(
        "mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", directory
    )
    try:
        yield SmallDisk(directory) if mounted else LimitedFiles(directory)
    finally:
        if mounted:
            assert _run("umount", "--lazy", directory)


def _run(*command: str | Path) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
