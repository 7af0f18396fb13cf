"""What every benchmark shares: its arguments, its rounds, the file that they go to, and the tables that show them.

A benchmark measures *setups*, one after another, and that several times over: rounds are interleaved, so that what
disturbs the machine for a while disturbs every setup. A table shows medians over the rounds, with their range. The page
of figures and the pictures are made from the files alone (`report.py`, `pictures.py`): what is quoted is what was
measured.
"""

import argparse
import json
import os
import platform
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final, TypeVar

RESULTS: Final = Path(__file__).parent / "results"
PLACES: Final = 4
"""Decimals kept of a value in a file."""

Round = Mapping[str, float]
"""What one setup did in one round: each value by its name, with its unit last."""
Rounds = Mapping[str, Sequence[Round]]
"""By the setup's name, in the order of the tables."""
S = TypeVar("S")


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for."""

    rounds: int
    scale: float
    only: str
    directory: Path
    """Empty, and gone at the end."""

    def chosen(self, setups: Sequence[S], name: Callable[[S], str]) -> list[S]:
        return [one for one in setups if self.only in name(one)]

    def times(self, count: int) -> int:
        """`count` at this scale, at least 1."""
        return max(1, round(count * self.scale))


@dataclass(frozen=True)
class Document:
    """The file of a benchmark: its rounds, and where they were measured."""

    rounds: int
    scale: float
    seconds: float
    """How long all of it took."""
    machine: Mapping[str, str]
    setups: Rounds

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"


@dataclass(frozen=True)
class Table:
    """A title, and lines of cells; the first column names the setup. `note`: what a reader must know to read it."""

    title: str
    columns: Sequence[str]
    lines: Sequence[Sequence[str]]
    note: str = ""

    def plain(self) -> str:
        lines = [self.columns, *self.lines]
        widths = [max(len(line[n]) for line in lines) for n in range(len(self.columns))]
        rendered = [
            "  ".join(cell.ljust(width) if n == 0 else cell.rjust(width) for n, (cell, width) in enumerate(pairs))
            for pairs in (list(zip(line, widths, strict=True)) for line in lines)
        ]
        return "\n".join([self.title, *rendered, *([self.note] if self.note else [])])

    def markdown(self) -> str:
        rule = ["---", *("--:" for _ in self.columns[1:])]
        lines = ["| " + " | ".join(line) + " |" for line in (self.columns, rule, *self.lines)]
        return "\n".join([f"**{self.title}**", "", *lines, *(["", self.note] if self.note else [])])


def middle(rounds: Sequence[Round], name: str) -> float:
    return median(one[name] for one in rounds)


def spread(rounds: Sequence[Round], name: str, form: str = ",.0f") -> str:
    """The median, and the range of the rounds."""
    values = [one[name] for one in rounds]
    if len(values) == 1:
        return format(values[0], form)
    return f"{median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def interleaved(rounds: int, setups: Sequence[S], name: Callable[[S], str], one: Callable[[S, int], Round]) -> Rounds:
    """Every setup once, then every setup again; `one` gets the number of the round."""
    found: dict[str, list[Round]] = {name(setup): [] for setup in setups}
    for number in range(rounds):
        for setup in setups:
            measured = one(setup, number)
            found[name(setup)].append({key: round(value, PLACES) for key, value in measured.items()})
            print(f"round {number + 1}, {name(setup)}: {_brief(measured)}", flush=True)
    return found


def _brief(measured: Round) -> str:
    return ", ".join(f"{name} {value:,.4g}" for name, value in measured.items())


def machine() -> dict[str, str]:
    """Where something is measured; the load average tells whether the machine was busy with something else."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    assert memory is not None
    return {
        "processor": "unknown" if model is None else model[1],
        "cores": str(os.cpu_count()),
        "memory_gib": f"{int(memory[1]) / 2**20:.0f}",
        "python": platform.python_version(),
        "load_average_before": f"{os.getloadavg()[0]:.1f}",
    }


def main(
    doc: str | None,
    measure: Callable[[Wanted], Rounds],
    tables: Callable[[Document], Sequence[Table]],
    rounds: int = 3,
) -> None:
    """A benchmark's command: measure, print the tables, write the file."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--scale", type=float, default=1, help="times as much of everything that grows")
    parser.add_argument("--only", default="", help="setups whose name has this in it")
    parser.add_argument("--json", type=Path, help="write the rounds there, too")
    given = parser.parse_args()
    where, began = machine(), time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        found = measure(Wanted(given.rounds, given.scale, given.only, Path(directory)))
    document = Document(given.rounds, given.scale, round(time.monotonic() - began, 1), where, found)
    print("\n\n".join(table.plain() for table in tables(document)))
    print(
        f"{given.rounds} rounds, interleaved, in {document.seconds:.0f} s; load before: {where['load_average_before']}"
    )
    if given.json:
        given.json.parent.mkdir(exist_ok=True)
        given.json.write_text(document.text(), encoding="utf-8")


def load(path: Path) -> Document:
    return Document(**json.loads(path.read_text(encoding="utf-8")))
