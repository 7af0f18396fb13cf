"""Lists of reports and operations as branches, each with an index of its own (`schema.listing`)."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, select

from tocsin.domain.areas import Area, without
from tocsin.domain.cells import EARTH, Span
from tocsin.domain.wanted import OperationsWanted, ReportsWanted
from tocsin.storage.collections import Branch, search
from tocsin.storage.interface import Reading
from tocsin.storage.partners import delegated_to, holds_others, operations_held_by
from tocsin.storage.schema import feedbacks, operations, reports
from tocsin.storage.spans import in_spans, spans_of, walk

Condition = ColumnElement[bool]


def _wanted_reports(wanted: ReportsWanted) -> list[Condition]:
    found: list[Condition] = []
    if wanted.states:
        found.append(reports.c.state.in_(wanted.states))
    if wanted.category_id is not None:
        found.append(reports.c.category_id == wanted.category_id)
    if wanted.updated_after is not None:
        found.append(reports.c.updated_at >= wanted.updated_after)
    return [*found, *search(reports, wanted.search)]


def _wanted_operations(wanted: OperationsWanted) -> list[Condition]:
    found: list[Condition] = []
    if wanted.states:
        found.append(operations.c.state.in_(wanted.states))
    if wanted.updated_after is not None:
        found.append(operations.c.updated_at >= wanted.updated_after)
    return [*found, *search(operations, wanted.search)]


async def reports_of(tx: Reading, organization_id: str, wanted: ReportsWanted, area: Area | None) -> list[Branch]:
    """Those that it owns, and those delegated to it; `area`: where the feedback of it lies."""
    own = reports.c.organization_id == organization_id
    branches = [Branch(reports.c.id, reports.c.created_at, [own, *_wanted_reports(wanted)])]
    if area is not None:
        branches = [replace(branches[0], source=await reports_in(tx, own, area))]
    if await holds_others(tx, organization_id):
        branches.append(await _delegated(tx, organization_id, wanted, area))
    return branches


async def _delegated(tx: Reading, organization_id: str, wanted: ReportsWanted, area: Area | None) -> Branch:
    """They have no index of their cells: they are found by their ids."""
    conditions = [reports.c.id.in_(delegated_to([organization_id])), reports.c.organization_id != organization_id]
    if area is not None:
        rows = reports.join(feedbacks, feedbacks.c.id == reports.c.feedback_id)
        points = select(reports.c.cell, feedbacks.c.latitude, feedbacks.c.longitude).select_from(rows)
        some = points.where(*conditions)
        spans = await spans_of(tx, area, lambda border: some.where(in_spans(reports.c.cell, border)))
        conditions.append(in_spans(reports.c.cell, spans))
    return Branch(reports.c.id, reports.c.created_at, [*conditions, *_wanted_reports(wanted)])


async def reports_in(tx: Reading, holding: Condition, area: Area) -> FromClause:
    """The reports of somebody that lie in an area. One that holds all of them, as a city's own place does, narrows
    nothing: they are the whole table then, and the list's own index has them in order."""
    spans = await spans_of(tx, area, partial(_points_of, holding))
    if await _any_outside(tx, holding, spans):
        return walk(reports, holding, spans)
    return reports


async def _any_outside(tx: Reading, holding: Condition, spans: Sequence[Span]) -> bool:
    elsewhere = select(reports.c.id).select_from(walk(reports, holding, without([EARTH], spans))).limit(1)
    nowhere = select(reports.c.id).where(holding, reports.c.cell.is_(None)).limit(1)
    return bool(await tx.rows(nowhere) or await tx.rows(elsewhere))


def _points_of(holding: Condition, spans: Sequence[Span]) -> Select[Any]:
    rows = walk(reports, holding, spans).join(feedbacks, feedbacks.c.id == reports.c.feedback_id)
    return select(reports.c.cell, feedbacks.c.latitude, feedbacks.c.longitude).select_from(rows)


async def operations_of(tx: Reading, organization_id: str, wanted: OperationsWanted) -> list[Branch]:
    """Those of its own reports, and of the ones delegated to it."""
    holding = [[operations.c.organization_id == organization_id]]
    if await holds_others(tx, organization_id):
        delegated = operations.c.report_id.in_(delegated_to([organization_id]))
        holding.append([operations.c.organization_id != organization_id, delegated])
    return [_operations([*held, *_wanted_operations(wanted)]) for held in holding]


def operations_given(person_id: str, organization_ids: Sequence[str], wanted: OperationsWanted) -> list[Branch]:
    """Those given to a person, as far as one of the organizations holds the report."""
    given = [operations.c.operator_id == person_id, operations_held_by(organization_ids)]
    return [_operations([*given, *_wanted_operations(wanted)])]


def operations_of_report(report_id: str, wanted: OperationsWanted) -> list[Branch]:
    return [_operations([operations.c.report_id == report_id, *_wanted_operations(wanted)])]


def _operations(conditions: list[Condition]) -> Branch:
    return Branch(operations.c.id, operations.c.created_at, conditions)
