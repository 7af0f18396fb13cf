"""How the demo shows itself: live columns on a terminal, one plain line for each notification elsewhere."""

import sys
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

ROWS_BESIDE_TABLE: Final = 6
"""Lines of the screen that the table does not have."""


@dataclass(frozen=True, slots=True)
class Notified:
    """A notification that came; `wrong` says why it does not verify, None: it does."""

    event: str
    resource: str
    resource_id: str
    state: str
    latency_ms: float
    wrong: str | None


class LineView:
    """Time, event, resource, `verified` or the reason why not, latency."""

    def opened(self, url: str, token: str) -> None:
        print(f"# {url}/ with the token {token}", file=sys.stderr, flush=True)

    def changed(self, text: str) -> None:
        """Only notifications are printed."""

    def notified(self, one: Notified) -> None:
        verdict = "verified" if one.wrong is None else one.wrong
        print(f"{_now()} {one.event} {one.resource}/{one.resource_id} {verdict} {one.latency_ms:.0f}ms", flush=True)


class LiveView:
    """Each change, and beside it the notification as it comes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: deque[list[str]] = deque(maxlen=max(5, console.height - ROWS_BESIDE_TABLE))
        self._head = "starting …"
        self._verified = 0
        self._wrong = 0
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._live.stop()

    def opened(self, url: str, token: str) -> None:
        self._head = f"API {url}/   token {token}   Ctrl-C ends"
        self._draw()

    def changed(self, text: str) -> None:
        for row in self._rows:
            if not row[0]:
                row[0] = f"{_now()[11:19]}  {text}"
                break
        else:
            self._rows.append([f"{_now()[11:19]}  {text}", ""])
        self._draw()

    def notified(self, one: Notified) -> None:
        self._verified += one.wrong is None
        self._wrong += one.wrong is not None
        mark = "[green]✔ verified[/]" if one.wrong is None else f"[red]✘ {one.wrong}[/]"
        text = f"{one.event:<22} {one.state:<12} {mark}  {one.latency_ms:.0f} ms"
        for row in self._rows:
            if not row[1]:
                row[1] = text
                break
        else:
            self._rows.append(["", text])
        self._draw()

    def _draw(self) -> None:
        table = Table(expand=True, title="tocsin: each change, and the notification that tells of it")
        table.add_column("change", ratio=1, no_wrap=True)
        table.add_column("notification", ratio=1, no_wrap=True)
        for change, notification in self._rows:
            table.add_row(change, notification)
        foot = f"{self._verified} verified, {self._wrong} not"
        self._live.update(Group(Text(self._head, style="dim", no_wrap=True), table, Text(foot)), refresh=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
