"""Time as an argument: everything that needs to know what time it is takes a Clock.

Only this module reads the system's clocks. `now` is for what is stored and shown, `monotonic` for how long
something takes and when it must stop.
"""

import time
from typing import Protocol

SECOND = 1_000_000
"""Microseconds."""


class Clock(Protocol):
    def now(self) -> int:
        """Whole microseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes backwards."""
        ...


class SystemClock:
    def now(self) -> int:
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        return time.monotonic()
