"""Writes docs/performance.md and the pictures in docs/figures from the files in benchmarks/results, and nothing else:
no figure of the page is typed. A test compares what is committed with what this makes.

    python -m benchmarks.report
"""

from pathlib import Path
from typing import Final

from benchmarks import changes, growth, isolation, latency, peer, throughput
from benchmarks.pictures import PICTURES
from benchmarks.results import RESULTS, Document, load

DOCS: Final = Path(__file__).parents[1] / "docs"
PAGE: Final = DOCS / "performance.md"
FIGURES: Final = DOCS / "figures"
TABLES: Final = {
    "throughput": throughput.tables,
    "latency": latency.tables,
    "isolation": isolation.tables,
    "changes": changes.tables,
    "growth": growth.tables,
    "peer": peer.tables,
}
"""In the order of the page; each is the name of a benchmark and of its file."""
HEAD: Final = """\
# Performance

Every figure here was measured by a script in `benchmarks`; `make bench` measures all of them again and writes this
page. Setups take turns, several rounds each: a cell is the median of the rounds, with the range in brackets. Load is
spread over 100 organizations unless a row says otherwise. The databases have their default durability: every commit
reaches the disk, and every attempt is recorded. CPU is that of whole processes, as the kernel counts it. Figures of one
machine compare with each other, not with those of another one; and where the load before was more than a few tenths,
something else was running.
"""
WHY: Final = {
    "throughput": "What workers deliver from a full log to nginx, against what `wrk` posts to the same nginx.",
    "latency": "How soon a notification comes, at 10, 100 and 500 changes a second.",
    "isolation": "What broken receivers cost the others.",
    "changes": "What it costs to accept a change: HTTP, authentication, the transition, its event, the commit.",
    "growth": "Whether that stays so with many webhooks, a long log, and much that waits.",
    "peer": "One job for each delivery, as a team would build it from `procrastinate` and `aiohttp`.",
}


def page(documents: dict[str, Document]) -> str:
    parts = [HEAD]
    for name in TABLES:
        document = documents[name]
        tables = "\n\n".join(table.markdown() for table in TABLES[name](document))
        pictures = "\n".join(f"![{shown(picture)}](figures/{picture}.svg)" for picture in PICTURES.get(name, {}))
        shown_parts = (f"## {shown(name)}", WHY[name], pictures, tables, where(name, document))
        parts.append("\n\n".join(part for part in shown_parts if part) + "\n")
    return "\n".join(parts)


def shown(name: str) -> str:
    return name.capitalize()


def where(name: str, document: Document) -> str:
    machine = document.machine
    return (
        f"`python -m benchmarks.{name} --rounds {document.rounds} --scale {document.scale:g}`: "
        f"{document.seconds:.0f} s, {machine['cores']} cores ({machine['processor']}), {machine['memory_gib']} GiB, "
        f"Python {machine['python']}, load before {machine['load_average_before']}."
    )


def drawn(documents: dict[str, Document]) -> dict[str, str]:
    """SVG by the picture's name."""
    return {
        picture: draw(documents[name]).svg()
        for name, pictures in PICTURES.items()
        for picture, draw in pictures.items()
    }


def documents_in(directory: Path = RESULTS) -> dict[str, Document]:
    return {name: load(directory / f"{name}.json") for name in TABLES}


def main() -> None:
    documents = documents_in()
    FIGURES.mkdir(exist_ok=True)
    PAGE.write_text(page(documents), encoding="utf-8")
    for name, text in drawn(documents).items():
        (FIGURES / f"{name}.svg").write_text(text, encoding="utf-8")
    print(f"{PAGE.relative_to(DOCS.parent)} and {len(drawn(documents))} pictures are written")


if __name__ == "__main__":
    main()
