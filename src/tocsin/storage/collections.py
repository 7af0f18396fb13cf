"""Pages of a table: one way to count, order, limit and search (CONTRACT, section 2, "Collection envelope").

A list is one branch or several that have no row in common, such as an organization's own reports and those delegated to
it. Each branch is narrow enough to be counted from one index alone, and that index has its rows in the list's order
(createdAt, then id): so a page costs no more than its place in the list, and a total no more than the list's length,
whatever the rows hold. Only the rows of the page itself are read whole. A page beyond the middle is read from the other
end.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, FromClause, Select, Subquery, Table, func, select, union_all

from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import Checkpoint
from tocsin.storage.interface import Reading, Row
from tocsin.storage.searching import Contains, contains

T = TypeVar("T")
Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Branch:
    """A part of a list: the ids of its rows and when these were created, which need not be columns of the table itself.

    `source`: what they are selected from, where their columns don't tell.
    """

    id: ColumnElement[str]
    created_at: ColumnElement[int]
    conditions: Sequence[Condition]
    source: FromClause | None = None
    dear: bool = False
    """To find its rows costs more than to count them."""

    @property
    def searched(self) -> bool:
        """Whether its rows are looked at one by one: no index has their text."""
        return any(isinstance(one, Contains) for one in self.conditions)

    @property
    def at_once(self) -> bool:
        """Whether its rows are counted when they are found."""
        return self.dear or self.searched

    def select(self, *columns: ColumnElement[Any]) -> Select[Any]:
        source = self.source if self.source is not None else self.id.table
        return select(*columns).select_from(source).where(*self.conditions)


@dataclass(frozen=True, slots=True)
class _Window:
    """Where a page lies, counted from the end that is nearer to it."""

    offset: int
    limit: int
    descending: bool

    @property
    def until(self) -> int:
        return self.offset + self.limit


async def page(
    tx: Reading, table: Table, conditions: Sequence[Condition], paging: Paging, read: Callable[[Row], T]
) -> Page[T]:
    """The page of the rows that meet every condition, by createdAt."""
    return await page_of(tx, table, [Branch(table.c.id, table.c.created_at, conditions)], paging, read)


async def page_of(
    tx: Reading, table: Table, branches: Sequence[Branch], paging: Paging, read: Callable[[Row], T]
) -> Page[T]:
    """The page of the rows of every branch, by createdAt."""
    if not branches:
        return Page([], 0, paging)
    await tx.prepare_to_list()
    within = [_between(branch, paging) for branch in branches]
    if any(branch.at_once for branch in within):
        rows, total = await _at_once(tx, table, within, paging)
    else:
        counts = await _counts(tx, within)
        some = [branch for branch, count in zip(within, counts, strict=True) if count]
        total = sum(counts)
        rows = await _rows(tx, table, some, paging, total)
    return Page([read(row) for row in rows], total, paging)


def _between(branch: Branch, paging: Paging) -> Branch:
    conditions = list(branch.conditions)
    if paging.after is not None:
        conditions.append(branch.created_at >= paging.after)
    elif (
        branch.searched
    ):  # of all indexes of whose rows they are, the one in this order finds them as the table has them
        conditions.append(branch.created_at >= 0)
    if paging.before is not None:
        conditions.append(branch.created_at <= paging.before)
    return replace(branch, conditions=conditions)


async def _counts(tx: Reading, branches: Sequence[Branch]) -> list[int]:
    counts = [branch.select(func.count()).scalar_subquery().label(f"n{n}") for n, branch in enumerate(branches)]
    row = await tx.row(select(*counts))
    assert row is not None, "a count is a row"
    return [int(row[f"n{n}"]) for n in range(len(branches))]


async def _rows(tx: Reading, table: Table, branches: Sequence[Branch], paging: Paging, total: int) -> Sequence[Row]:
    window = _window(paging, total)
    if window.limit <= 0:
        return []
    ids = _ids(branches, window).subquery("page")
    statement = select(table).join(ids, table.c.id == ids.c.id)
    rows = await tx.rows(statement.order_by(*_order(table.c.created_at, table.c.id, window.descending)))
    return rows if window.descending == paging.descending else rows[::-1]


def _window(paging: Paging, total: int) -> _Window:
    limit = min(paging.limit, total - paging.offset)
    if paging.offset <= total // 2:
        return _Window(paging.offset, limit, paging.descending)
    return _Window(total - paging.offset - limit, limit, not paging.descending)


def _ids(branches: Sequence[Branch], window: _Window) -> Select[Any]:
    """The ids of a page: of each branch as many as could be on it, merged."""
    if len(branches) == 1:
        return _first(branches[0], window).limit(window.limit).offset(window.offset)
    parts = [_first(branch, window).limit(window.until).subquery() for branch in branches]
    merged: Subquery = union_all(*(select(part.c.id, part.c.created_at) for part in parts)).subquery()
    order = _order(merged.c.created_at, merged.c.id, window.descending)
    return select(merged.c.id).order_by(*order).limit(window.limit).offset(window.offset)


def _first(branch: Branch, window: _Window) -> Select[Any]:
    columns = branch.id.label("id"), branch.created_at.label("created_at")
    return branch.select(*columns).order_by(*_order(branch.created_at, branch.id, window.descending))


def _order(created_at: ColumnElement[int], the_id: ColumnElement[str], descending: bool) -> list[ColumnElement[Any]]:
    return [column.desc() if descending else column.asc() for column in (created_at, the_id)]


async def _at_once(tx: Reading, table: Table, branches: Sequence[Branch], paging: Paging) -> tuple[Sequence[Row], int]:
    """As `_counts` and `_rows`, but what has to be looked at row by row is looked at once."""
    parts = [branch.select(branch.id.label("id"), branch.created_at.label("created_at")) for branch in branches]
    found = (parts[0] if len(parts) == 1 else union_all(*parts)).subquery("found")
    order = _order(found.c.created_at, found.c.id, paging.descending)
    counted = select(found.c.id, func.count().over().label("total")).order_by(*order)
    ids = counted.limit(paging.limit).offset(paging.offset).subquery("page")
    statement = select(table, ids.c.total).join(ids, table.c.id == ids.c.id)
    rows = await tx.rows(statement.order_by(*_order(table.c.created_at, table.c.id, paging.descending)))
    if rows or not paging.offset:
        return rows, int(rows[0]["total"]) if rows else 0
    return rows, sum(await _counts(tx, branches))


def search(table: Table, wanted: Mapping[str, str | None]) -> list[Condition]:
    """Case-insensitive substrings, by column; None is not asked for."""
    return [contains(table.c[column], text) for column, text in wanted.items() if text]


def checkpoints_text(checkpoints: Iterable[Checkpoint]) -> str:
    return json.dumps([[one.state, one.created_at, one.organization_id] for one in checkpoints])


def checkpoints(text: str) -> tuple[Checkpoint, ...]:
    return tuple(Checkpoint(*one) for one in json.loads(text))


def given(values: dict[str, Any], columns: dict[str, str]) -> dict[str, Any]:
    """The changes of a PATCH by column: `columns` maps the names of members to those of columns."""
    return {columns[name]: value for name, value in values.items() if name in columns}
