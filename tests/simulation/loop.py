"""An event loop whose time is virtual: when nothing is ready, it jumps to the next timer."""

import asyncio
import selectors
from typing import Any, Final

START: Final = 1_700_000_000_000_000
"""Microseconds since the epoch at the loop's time 0."""


class Deadlock(BaseException):
    """Nothing is ready and no timer is set: nothing would ever happen."""


class _Selector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise Deadlock
        self.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


class VirtualClock:
    """`clock.Clock` over a virtual loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> int:
        return START + round(self._loop.time() * 1_000_000)

    def monotonic(self) -> float:
        return self._loop.time()
