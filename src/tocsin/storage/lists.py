"""Lists of reports and operations as branches, each with an index of its own (`schema.listing`)."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, select

from tocsin.domain.areas import Area
from tocsin.domain.cells import Span
from tocsin.domain.wanted import OperationsWanted, ReportsWanted
from tocsin.storage.collections import Branch, search
from tocsin.storage.interface import Reading
from tocsin.storage.schema import feedbacks, operations, reports
from tocsin.storage.spans import spans_of, walk

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
    holding = (
        [reports.c.organization_id == organization_id],
        [reports.c.delegated_to == organization_id, reports.c.organization_id != organization_id],
    )
    return [await _narrowed(tx, [*held, *_wanted_reports(wanted)], area) for held in holding]


async def _narrowed(tx: Reading, conditions: list[Condition], area: Area | None) -> Branch:
    """`conditions`: the first says whose reports."""
    branch = Branch(reports.c.id, reports.c.created_at, conditions)
    return branch if area is None else replace(branch, source=await reports_in(tx, conditions[0], area))


async def reports_in(tx: Reading, holding: Condition, area: Area) -> FromClause:
    """The reports of somebody that lie in an area."""
    spans = await spans_of(tx, area, partial(_points_of, holding))
    return walk(reports, holding, spans)


def _points_of(holding: Condition, spans: Sequence[Span]) -> Select[Any]:
    rows = walk(reports, holding, spans).join(feedbacks, feedbacks.c.id == reports.c.feedback_id)
    return select(reports.c.cell, feedbacks.c.latitude, feedbacks.c.longitude).select_from(rows)


def operations_of(organization_id: str, wanted: OperationsWanted) -> list[Branch]:
    """Those of its own reports, and of the ones delegated to it."""
    delegated = select(reports.c.id).where(reports.c.delegated_to == organization_id)
    holding = (
        [operations.c.organization_id == organization_id],
        [operations.c.organization_id != organization_id, operations.c.report_id.in_(delegated)],
    )
    return [_operations([*held, *_wanted_operations(wanted)]) for held in holding]


def operations_of_report(report_id: str, wanted: OperationsWanted) -> list[Branch]:
    return [_operations([operations.c.report_id == report_id, *_wanted_operations(wanted)])]


def _operations(conditions: list[Condition]) -> Branch:
    return Branch(operations.c.id, operations.c.created_at, conditions)
