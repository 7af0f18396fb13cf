"""Pictures of the main figures, as SVG text written here: no library draws them, and any browser shows them.

Every colour is one that can be read on white and on black; text follows the reader's light or dark mode. Axes say their
unit, and begin at nothing, save where values are powers of ten apart: such an axis says that, too. A picture is a
function of a file of results, so that a test can compare it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from benchmarks.growth import BUSY, LOG, SILENT, WAITING
from benchmarks.results import Document, middle

WIDTH: Final = 780
LABELS: Final = 340
"""Pixels for the names at the left."""
RIGHT: Final = 60
BAR: Final = 14
ROW: Final = 26
TOP: Final = 64
BOTTOM: Final = 44
TICKS: Final = 4
COLOURS: Final = ("#2f7ed8", "#e07b39", "#3a9d5d", "#a35fb5")
STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-size:14px;font-weight:600}"
    ".quiet{fill:#59636e}.axis{stroke:#8c959f;stroke-opacity:.4}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.quiet{fill:#9198a1}}"
)


@dataclass(frozen=True)
class Axis:
    """From nothing, in equal parts; or, logarithmic, from a power of ten to one."""

    begin: float
    end: float
    log: bool

    @property
    def ticks(self) -> list[float]:
        if self.log:
            return [self.begin * 10.0**power for power in range(round(math.log10(self.end / self.begin)) + 1)]
        return [self.end * number / TICKS for number in range(TICKS + 1)]

    def pixels(self, value: float) -> float:
        if not self.log:
            part = value / self.end
        else:
            part = math.log10(max(value, self.begin) / self.begin) / math.log10(self.end / self.begin)
        return part * (WIDTH - LABELS - RIGHT)

    def svg(self, height: int, unit: str) -> list[str]:
        """Lines from top to bottom, each with its value, and the unit."""
        lines, bottom = [], height - BOTTOM + 4
        for value in self.ticks:
            x = LABELS + self.pixels(value)
            shown = f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
            lines.append(f'<line class="axis" x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}"/>')
            lines.append(f'<text class="quiet" x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{shown}</text>')
        middle_x = (LABELS + WIDTH - RIGHT) / 2
        said = f"{unit}, logarithmic" if self.log else unit
        lines.append(
            f'<text class="quiet" x="{middle_x:.1f}" y="{bottom + 31}" text-anchor="middle">{escape(said)}</text>'
        )
        return lines


def axis_of(values: Sequence[float], *, log: bool = False) -> Axis:
    """An axis that ends at a round value and holds them; `log`: one that holds every positive one from its begin on."""
    if not log:
        return Axis(0.0, rounded_up(max(values)), log=False)
    lowest, highest = (math.log10(one) for one in (min(filter(None, values)), max(values)))
    return Axis(10.0 ** math.floor(lowest), 10.0 ** max(math.ceil(highest), math.floor(lowest) + 1), log=True)


@dataclass(frozen=True)
class Bars:
    """A row for each setup. `parts` of one row are put end to end, or (`beside`) each gets a bar of its own.

    `log`: the axis is logarithmic, which only bars beside each other can be drawn on.
    """

    title: str
    unit: str
    parts: Sequence[str]
    rows: Sequence[tuple[str, Sequence[float]]]
    beside: bool = False
    log: bool = False

    def svg(self) -> str:
        height_of_row = ROW + (len(self.parts) - 1) * BAR if self.beside else ROW
        height = TOP + len(self.rows) * height_of_row + BOTTOM
        assert self.beside or not self.log
        drawn = [value for _, values in self.rows for value in (values if self.beside else [sum(values)])]
        axis = axis_of(drawn, log=self.log)
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            f'aria-label="{escape(self.title)}">',
            f"<style>{STYLE}</style>",
            f'<text class="title" x="8" y="20">{escape(self.title)}</text>',
            *(self._legend() if len(self.parts) > 1 else ()),
            *axis.svg(height, self.unit),
        ]
        for number, (name, values) in enumerate(self.rows):
            lines += self._row(name, values, TOP + number * height_of_row, axis)
        return "\n".join([*lines, "</svg>"]) + "\n"

    def _legend(self) -> list[str]:
        lines, x = [], LABELS
        for part, colour in zip(self.parts, COLOURS, strict=False):
            lines.append(f'<rect x="{x}" y="32" width="10" height="10" fill="{colour}"/>')
            lines.append(f'<text x="{x + 15}" y="41">{escape(part)}</text>')
            x += 35 + 7 * len(part)
        return lines

    def _row(self, name: str, values: Sequence[float], y: int, axis: Axis) -> list[str]:
        middle_y = y + 11 + ((len(values) - 1) * BAR // 2 if self.beside else 0)
        lines = [f'<text x="{LABELS - 8}" y="{middle_y}" text-anchor="end">{escape(name)}</text>']
        x = 0.0
        for number, value in enumerate(values):
            at = y + number * BAR if self.beside else y
            left, width = (0.0 if self.beside else x), axis.pixels(value)
            colour = COLOURS[number]
            lines.append(
                f'<rect x="{LABELS + left:.1f}" y="{at}" width="{width:.1f}" height="{BAR - 1}" fill="{colour}"/>'
            )
            if self.beside:
                lines.append(told(LABELS + width + 4, at + 11, value))
            x += width
        if not self.beside:
            lines.append(told(LABELS + x + 4, y + 11, sum(values)))
        return lines


def told(x: float, y: float, value: float) -> str:
    shown = f"{value:,.0f}" if value >= 20 else f"{value:.3g}"
    return f'<text class="quiet" x="{x:.1f}" y="{y:.0f}">{shown}</text>'


def rounded_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 8 times a power of ten: so that ticks are round."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value > 0:
        power /= 10
    return next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= value)


def of_each(document: Document, *names: str, only: str = "") -> list[tuple[str, list[float]]]:
    """Rows with medians."""
    return [
        (setup, [middle(rounds, name) for name in names]) for setup, rounds in document.setups.items() if only in setup
    ]


def throughput(document: Document) -> Bars:
    rows = of_each(document, "worker_us", "database_us")
    short = [(name.replace("5,000 endpoints, an event each", "an event each"), values) for name, values in rows]
    return Bars("CPU of a delivery", "µs of CPU for each delivery", ("worker", "database"), short)


def latency(document: Document) -> Bars:
    rows = of_each(document, "p50_ms", "p99_ms")
    short = [(name.replace(", backlog behind a dead endpoint", ", backlog"), values) for name, values in rows]
    return Bars("From the 2xx to the receipt", "milliseconds", ("p50", "p99"), short, beside=True, log=True)


def changes(document: Document) -> Bars:
    rows = of_each(document, "api_us", "database_us")
    return Bars("CPU of an accepted change", "µs of CPU for each change", ("API", "database"), rows)


def growth(document: Document) -> Bars:
    rows = of_each(document, "worker_us", "database_us")
    grown = [row for row in rows if any(kind in row[0] for kind in (BUSY, SILENT, LOG, WAITING))]
    title = "CPU of a delivery as an installation grows"
    return Bars(title, "µs of CPU for each delivery", ("worker", "database"), grown)


def memory(document: Document) -> Bars:
    rows = of_each(document, "resident_mib", "peak_mib")
    return Bars("Memory of a worker", "MiB", ("resident at the end", "at its most"), rows, beside=True)


def peer(document: Document) -> Bars:
    rows = of_each(document, "deliveries_per_cpu_second")
    title = "Deliveries for each second of CPU, worker and database"
    return Bars(title, "deliveries for each second of CPU", ("deliveries",), rows)


Drawn = Callable[[Document], Bars]
PICTURES: Final[Mapping[str, Mapping[str, Drawn]]] = {
    "throughput": {"throughput": throughput},
    "latency": {"latency": latency},
    "changes": {"changes": changes},
    "growth": {"growth": growth, "memory": memory},
    "peer": {"peer": peer},
}
"""By the file of results, and by the name of the picture."""
