"""`python -m tests.crash.jumping DIRECTORY serve …`: tocsin with a wall clock that jumps while it runs.

The clock is as far ahead as the file `<command>.clock` in the directory says, in seconds; without the file it is right.
"""

import contextlib
import sys
from functools import partial
from pathlib import Path

from tocsin import app
from tocsin.cli import app as commands
from tocsin.clock import SECOND, SystemClock


class JumpingClock(SystemClock):
    """The system's clock, set wrong. Its monotonic part goes on as ever: nobody can set that."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> int:
        return super().now() + self._ahead()

    def _ahead(self) -> int:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int(self._file.read_text()) * SECOND
        return 0


def main() -> None:
    directory, command = Path(sys.argv.pop(1)), sys.argv[1]
    clock = JumpingClock(directory / f"{command}.clock")
    app.open_use_cases = partial(app.open_use_cases, clock=clock)
    commands()


if __name__ == "__main__":
    main()
