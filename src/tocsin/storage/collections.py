"""Pages of a table: one way to count, order, limit and search (CONTRACT, section 2, "Collection envelope")."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Table, func, select

from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import Checkpoint
from tocsin.storage.interface import Reading, Row

T = TypeVar("T")
Condition = ColumnElement[bool]


async def page(
    tx: Reading, table: Table, conditions: Sequence[Condition], paging: Paging, read: Callable[[Row], T]
) -> Page[T]:
    """The page of the rows that meet every condition, by createdAt."""
    where = [*conditions, *_between(table.c.created_at, paging)]
    counted = await tx.row(select(func.count().label("total")).select_from(table).where(*where))
    assert counted is not None, "a count is a row"
    columns = (table.c.created_at, table.c.id)
    order = [column.desc() if paging.descending else column.asc() for column in columns]
    statement = select(table).where(*where).order_by(*order).limit(paging.limit).offset(paging.offset)
    return Page([read(row) for row in await tx.rows(statement)], counted["total"], paging)


def _between(created_at: Column[int], paging: Paging) -> list[Condition]:
    conditions = []
    if paging.after is not None:
        conditions.append(created_at >= paging.after)
    if paging.before is not None:
        conditions.append(created_at <= paging.before)
    return conditions


def search(table: Table, wanted: dict[str, str | None]) -> list[Condition]:
    """Case-insensitive substrings, by column; None is not asked for. SQLite folds the case of ASCII letters only."""
    return [
        func.lower(table.c[column]).like(f"%{_literal(text.lower())}%", escape="\\")
        for column, text in wanted.items()
        if text
    ]


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def checkpoints_text(checkpoints: Iterable[Checkpoint]) -> str:
    return json.dumps([[one.state, one.created_at, one.organization_id] for one in checkpoints])


def checkpoints(text: str) -> tuple[Checkpoint, ...]:
    return tuple(Checkpoint(*one) for one in json.loads(text))


def given(values: dict[str, Any], columns: dict[str, str]) -> dict[str, Any]:
    """The changes of a PATCH by column: `columns` maps the names of members to those of columns."""
    return {columns[name]: value for name, value in values.items() if name in columns}
