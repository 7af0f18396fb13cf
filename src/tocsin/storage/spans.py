"""Rows in an area: their cells lie in spans (`domain/cells.py`), which go to the database as one JSON value.

The statement is the same for one span and for a thousand; each span is a stretch of an index of cells.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, column, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from tocsin.domain.areas import Area, settled
from tocsin.domain.cells import Span
from tocsin.domain.resources import Point
from tocsin.storage.interface import Reading

_FIRST: Final = column("first_cell", BigInteger)
_LAST: Final = column("last_cell", BigInteger)


class _Spans(FunctionElement[Any]):
    """A table of spans: (JSON of [[first, last], …])"""

    inherit_cache = True


@compiles(_Spans, "sqlite")
def _on_sqlite(element: _Spans, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    first, last = (f"json_extract(value, '$[{index}]') AS {name.name}" for index, name in enumerate((_FIRST, _LAST)))
    return f"(SELECT {first}, {last} FROM json_each({text}))"  # noqa: S608 # names of ours, and a bound value


@compiles(_Spans, "postgresql")
def _on_postgresql(element: _Spans, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    first, last = (f"(value ->> {index})::bigint AS {name.name}" for index, name in enumerate((_FIRST, _LAST)))
    return f"(SELECT {first}, {last} FROM json_array_elements(CAST({text} AS json)))"  # noqa: S608 # as above


def within(cells: ColumnElement[int | None], rows: FromClause, spans: Sequence[Span]) -> FromClause:
    """The rows whose cell is in one of the spans, which are merged: each row once."""
    table = _Spans(literal(json.dumps(spans))).table_valued(_FIRST, _LAST, name="spans")
    return table.join(rows, cells.between(table.c.first_cell, table.c.last_cell))


async def spans_of(
    tx: Reading, area: Area, points: Select[Any], rows: FromClause, cells: ColumnElement[int | None]
) -> tuple[Span, ...]:
    """The area as spans alone, as far as the rows of a list are concerned, in this snapshot.

    `points`: selects `cell`, `latitude` and `longitude` of `rows`; those on the area's border are asked.
    """
    cover = area.cover()
    if not cover.border:
        return cover.inside
    found = await tx.rows(points.select_from(within(cells, rows, cover.border)))
    held = area.holds([Point(row["latitude"], row["longitude"]) for row in found])
    return settled(cover, zip((row["cell"] for row in found), held, strict=True))
