"""Rows in an area: their cells lie in spans (`domain/cells.py`), which go to the database as one JSON value.

The statement is the same for one span and for a thousand; each span is a stretch of an index of cells.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Join,
    Select,
    Table,
    TableValuedAlias,
    and_,
    column,
    exists,
    literal,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from tocsin.domain.areas import Area, settled
from tocsin.domain.cells import Span
from tocsin.domain.resources import Point
from tocsin.storage.interface import Reading

Condition = ColumnElement[bool]

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


class _Walk(Join):
    """Spans, and for each of them the rows in it: in this order, whatever a planner believes of their numbers."""

    inherit_cache = True


@compiles(_Walk, "sqlite")
def _walk_on_sqlite(element: _Walk, compiler: SQLCompiler, **options: Any) -> str:
    """Its planner never moves a table over a CROSS JOIN."""
    assert element.onclause is not None, "walk() gives one"
    spans, rows = (compiler.process(one, **{**options, "asfrom": True}) for one in (element.left, element.right))
    return f"{spans} CROSS JOIN {rows} ON {compiler.process(element.onclause, **options)}"


@compiles(_Walk, "postgresql")
def _walk_on_postgresql(element: _Walk, compiler: SQLCompiler, **options: Any) -> str:
    """Its planner never moves a condition, and so a table, over an OFFSET."""
    assert element.onclause is not None, "walk() gives one"
    spans, rows = (compiler.process(one, **{**options, "asfrom": True}) for one in (element.left, element.right))
    condition = compiler.process(element.onclause, **{**options, "from_linter": None})
    return f"{spans} CROSS JOIN LATERAL (SELECT {rows}.* FROM {rows} WHERE {condition} OFFSET 0) AS {rows}"  # noqa: S608 # as above


def walk(rows: Table, holding: Condition, spans: Sequence[Span]) -> FromClause:
    """The rows of a table whose cell is in one of the spans, which are merged, so that each row comes once.

    `holding`: a condition on the table that an index has before the cell, or as its own.
    """
    table = _table(spans)
    return _Walk(table, rows, and_(rows.c.cell.between(table.c.first_cell, table.c.last_cell), holding))


def in_spans(cells: ColumnElement[int | None], spans: Sequence[Span]) -> Condition:
    """The same as a condition, for rows that are few anyway."""
    table = _table(spans)
    return exists().select_from(table).where(cells.between(table.c.first_cell, table.c.last_cell))


def _table(spans: Sequence[Span]) -> TableValuedAlias:
    return _Spans(literal(json.dumps(spans))).table_valued(_FIRST, _LAST, name="spans")


async def spans_of(tx: Reading, area: Area, border: Callable[[Sequence[Span]], Select[Any]]) -> tuple[Span, ...]:
    """The area as spans alone, as far as the rows of a list are concerned, in this snapshot.

    `border`: what selects `cell`, `latitude` and `longitude` of the list's rows in some spans: those on the area's
    border are asked.
    """
    cover = area.cover()
    if not cover.border:
        return cover.inside
    found = await tx.rows(border(cover.border))
    held = area.holds([Point(row["latitude"], row["longitude"]) for row in found])
    return settled(cover, zip((row["cell"] for row in found), held, strict=True))
