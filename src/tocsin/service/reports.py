"""Reports: read, edited, and moved through their states; each entered state is an event of the same transaction."""

from dataclasses import replace
from typing import Any

from tocsin.domain.areas import Polygon
from tocsin.domain.changes import report_in, siblings_to_refuse
from tocsin.domain.errors import Invalid, NotFound, Violation
from tocsin.domain.events import Event
from tocsin.domain.guards import enter_report_state, named
from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import Report
from tocsin.domain.roles import Permission
from tocsin.domain.states import ReportTransition
from tocsin.domain.wanted import ReportsWanted
from tocsin.hal.encoding import encode
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.service.events import Changes
from tocsin.storage import places
from tocsin.storage import reports as stored
from tocsin.storage.interface import Reading, Writing
from tocsin.storage.lists import reports_of


class Reports:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def get(self, caller: Caller, report_id: str) -> Report:
        async with self._context.storage.read() as tx:
            return await seen(tx, caller, report_id)

    async def page(self, caller: Caller, organization_id: str, wanted: ReportsWanted, paging: Paging) -> Page[Report]:
        """Those that the organization owns, and those delegated to it. Raises Invalid for an unknown place."""
        caller.require_sight(organization_id)
        async with self._context.storage.read() as tx:
            area = None if wanted.place_id is None else await _place(tx, wanted.place_id)
            return await stored.reports_page(tx, await reports_of(tx, organization_id, wanted, area), paging)

    async def change(self, caller: Caller, report_id: str, members: dict[str, Any]) -> Report:
        """Members other than the state; no event tells of them. None: nothing changes, `updatedAt` neither."""

        async def change(tx: Writing) -> Report:
            report = await seen(tx, caller, report_id, lock=True)
            caller.require(Permission.EDIT_REPORTS, *report.holders)
            if not members:
                return report
            category_id = members.get("category_id")
            if category_id is not None:
                await _own_category(tx, category_id, report)
            changed = replace(report, updated_at=self._context.clock.now(), **members)
            await stored.save_report_members(tx, changed)
            return changed

        return await self._context.storage.write(change)

    async def transition(self, caller: Caller, report_id: str, name: str) -> Report:
        """Raises Invalid for an unknown transition, Conflict for one that may not be taken now."""
        transition = named(ReportTransition, name)

        async def change(tx: Writing) -> Report:
            accepting = transition is ReportTransition.ACCEPT
            family = await self._lock_family(tx, caller, report_id) if accepting else ()
            report = next((one for one in family if one.id == report_id), None)
            if report is None:
                report = await seen(tx, caller, report_id, lock=True)
            caller.require(Permission.EDIT_REPORTS, *report.holders)
            changes = Changes(self._context)
            now = self._context.clock.now()
            entered = await self._enter(tx, report, transition, now, changes)
            for sibling in siblings_to_refuse(entered, family):
                await self._enter(tx, sibling, ReportTransition.REFUSE, now, changes)
            await changes.append(tx)
            return entered

        return await self._context.storage.write(change)

    async def _lock_family(self, tx: Writing, caller: Caller, report_id: str) -> tuple[Report, ...]:
        """Every report of the feedback. First to accept wins: of two at once, the second sees what the first did."""
        report = await seen(tx, caller, report_id)
        await stored.lock_feedback(tx, report.feedback_id)
        return await stored.reports_of(tx, report.feedback_id)

    async def _enter(
        self, tx: Writing, report: Report, transition: ReportTransition, now: int, changes: Changes
    ) -> Report:
        entered = report_in(report, enter_report_state(report, transition), now)
        await stored.save_report(tx, entered)
        representation = encode(self._context.hal.report(entered))
        changes.add(Event.REPORT_STATE_CHANGED, entered.id, representation, entered.holders)
        return entered


async def seen(tx: Reading, caller: Caller, report_id: str, *, lock: bool = False) -> Report:
    """Raises NotFound where the caller may not know of it."""
    report = await stored.find_report(tx, report_id, lock=lock)
    if report is None or not caller.belongs(*report.holders):
        raise NotFound("There is no such report.")
    return report


async def _own_category(tx: Reading, category_id: str, report: Report) -> None:
    category = await places.find_category(tx, category_id)
    if category is None or category.organization_id not in report.holders:
        raise Invalid(Violation("category", "There is no such category in the report's organization."))


async def _place(tx: Reading, place_id: str) -> Polygon:
    place = await places.find_place(tx, place_id)
    if place is None:
        raise Invalid(Violation("place", "There is no such place."))
    return Polygon(place.rings)
