"""What is done to an installation while it works, every `EVERY_SECONDS`: each kind in turn, in an order of chance.

After each fault's end the time until the service is ready again is taken; now and then the next fault does not wait for
that, so that faults also hit what is just recovering. Whoever watches over the processes (here: we) starts again what
has ended.
"""

import asyncio
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.disk import Disk, SmallDisk
from tests.crash.load import ready
from tests.postgres import Cluster, restart, revive
from tests.processes import Installation

EVERY_SECONDS = (1.5, 4.5)
"""Between the beginnings of two faults."""
READY_SECONDS_MAX = 60.0
IMPATIENT = 0.15
"""How often the next fault does not wait until the service is ready again."""
FREEZE_SECONDS = (0.5, 2.0)
LONG_FREEZE_SECONDS = 40.0
"""Longer than a lease."""
LONG_FREEZE_FROM_SECONDS = 120.0
"""Only in runs that take so long."""
FULL_SECONDS = (0.5, 2.5)
HOURS = (3, 0, -3, 0, 5, -5, 0)
"""How wrong clocks are, one after the other."""

Harm = Callable[[], Coroutine[Any, Any, None]]


@dataclass
class Setup:
    """What is harmed: the commands that run, the disk that everything lies on, and PostgreSQL if there is one."""

    installation: Installation
    starts: tuple[tuple[str, ...], ...]
    disk: Disk
    clocks: Path
    server: Cluster | None = None


@dataclass
class Account:
    """Faults by kind, and the seconds from each fault's end until the service was ready."""

    done: Counter[str] = field(default_factory=Counter)
    ready: list[tuple[float, str]] = field(default_factory=list)

    def worst(self) -> list[tuple[float, str]]:
        """The longest three, longest first."""
        return sorted(self.ready, reverse=True)[:3]


class Harmer:
    def __init__(self, setup: Setup, seconds: float) -> None:
        self._setup = setup
        self._seconds = seconds
        self._running = [setup.installation.start(*arguments) for arguments in setup.starts]
        self._chance = random.Random(os.environ.get("TOCSIN_CRASH_SEED", "4711"))
        self._hours = iter(HOURS * 1_000)
        self._unrecovered: list[str] = []
        self.account = Account()

    async def go_on(self, stop: asyncio.Event) -> None:
        deck: list[tuple[str, Harm]] = []
        at = time.monotonic()
        while not stop.is_set():
            at += self._chance.uniform(*EVERY_SECONDS)
            await asyncio.sleep(max(0.2, at - time.monotonic()))
            if not deck:
                deck = self._kinds()
                self._chance.shuffle(deck)
            name, harm = deck.pop()
            await harm()
            self.account.done[name] += 1
            await self._recover(name)
        self._set_clocks(0)

    def _kinds(self) -> list[tuple[str, Harm]]:
        """Each once, kill -9 twice. Without a disk of its own, a full one can't be had for PostgreSQL."""
        kinds = [("killed", self._kill), ("ended", self._end), ("frozen", self._freeze), ("clock set", self._jump)]
        if self._setup.server is None or isinstance(self._setup.disk, SmallDisk):
            kinds.append(("disk full", self._fill))
        if self._setup.server is not None:
            kinds.append(("database killed", self._kill_database))
        return [*kinds, kinds[0]]

    async def _recover(self, name: str) -> None:
        """The fault is over: start again what has ended."""
        self._revive()
        self._unrecovered.append(name)
        if self._chance.random() < IMPATIENT:
            return
        took = asyncio.create_task(ready(self._setup.installation, READY_SECONDS_MAX))
        while not took.done():
            await asyncio.wait({took}, timeout=0.1)
            self._revive()
        self.account.ready.append((await took, " and ".join(self._unrecovered)))
        self._unrecovered.clear()

    def _revive(self) -> None:
        if self._setup.server is not None:
            revive(self._setup.server)
        for number, process in enumerate(self._running):
            if process.poll() is not None:
                self._running[number] = self._setup.installation.start(*self._setup.starts[number])

    def _victim(self) -> subprocess.Popen[bytes]:
        return self._chance.choice(self._running)

    async def _kill(self) -> None:
        """SIGKILL."""
        victim = self._victim()
        victim.kill()
        await asyncio.to_thread(victim.wait)

    async def _end(self) -> None:
        """SIGTERM."""
        victim = self._victim()
        victim.terminate()
        await asyncio.to_thread(victim.wait)

    async def _freeze(self) -> None:
        """SIGSTOP, and SIGCONT after a while; in a long run once also for longer than a lease."""
        victim, seconds = self._victim(), self._chance.choice(FREEZE_SECONDS)
        if self._seconds >= LONG_FREEZE_FROM_SECONDS and self.account.done["frozen"] % 8 == 1:
            seconds = LONG_FREEZE_SECONDS
        victim.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        victim.send_signal(signal.SIGCONT)

    async def _jump(self) -> None:
        """Clocks are set hours ahead or back, or right again: on one machine all of them, on several each by itself."""
        self._set_clocks(next(self._hours))

    def _set_clocks(self, hours: int) -> None:
        commands = sorted({arguments[0] for arguments in self._setup.starts})
        if self._setup.server is not None and hours:
            commands = [self._chance.choice(commands)]
        for command in commands:
            new = self._setup.clocks / f"{command}.new"
            new.write_text(str(hours * 3600))
            new.rename(self._setup.clocks / f"{command}.clock")

    async def _fill(self) -> None:
        """The disk is full for a while."""
        processes = [process.pid for process in self._running]
        await asyncio.to_thread(self._setup.disk.fill, processes)
        await asyncio.sleep(self._chance.uniform(*FULL_SECONDS))
        await asyncio.to_thread(self._setup.disk.free, processes)

    async def _kill_database(self) -> None:
        """`immediate`: as if its machine had lost power; then it recovers."""
        assert self._setup.server is not None
        await asyncio.to_thread(restart, self._setup.server)


@asynccontextmanager
async def harmed(setup: Setup, seconds: float) -> AsyncIterator[Account]:
    """Yields what was done; at the end everything runs, and every clock is right."""
    harmer, stop = Harmer(setup, seconds), asyncio.Event()
    going = asyncio.create_task(harmer.go_on(stop))
    try:
        yield harmer.account
    finally:
        stop.set()
        await going
