"""Partners, and reports delegated to them.

That B is a partner of A is A's word alone, and lets A's admins delegate reports to B; nothing else. A delegated report
is one report that more organizations hold (CONTRACT, section 8.4): the owner stays its `organization`, whoever holds it
sees it, acts on it, hears of it and may delegate it on. What is delegated stays so when the partnership ends.
"""

from collections.abc import Mapping
from typing import Final

from tocsin.domain.audit import Action
from tocsin.domain.changes import report_delegated
from tocsin.domain.errors import Conflict, Invalid, NotFound, Violation
from tocsin.domain.events import Event
from tocsin.domain.guards import require_delegable
from tocsin.domain.mails import Notice, NoticeKind
from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import Organization, Report
from tocsin.domain.roles import Permission
from tocsin.domain.wanted import OrganizationsWanted
from tocsin.hal.encoding import encode
from tocsin.service import reports
from tocsin.service.audit import record
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.service.events import Changes
from tocsin.service.organizations import searched
from tocsin.storage import mails, organizations
from tocsin.storage import partners as stored
from tocsin.storage import reports as stored_reports
from tocsin.storage.interface import Reading, Writing

PARTNERS_MAX: Final = 1_000
"""Partners of one organization."""


class Partners:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def page(
        self,
        caller: Caller,
        organization_id: str,
        of: OrganizationsWanted,
        wanted: Mapping[str, str | None],
        paging: Paging,
    ) -> Page[Organization]:
        caller.require(Permission.MANAGE_PARTNERS, organization_id)
        async with self._context.storage.read() as tx:
            conditions = [stored.partners_of(organization_id), *await searched(tx, caller, of, wanted)]
            return await organizations.organizations_page(tx, conditions, paging)

    async def add(self, caller: Caller, organization_id: str, partner_id: str) -> Organization:
        """The partner; adding one that is there already changes nothing."""
        caller.require(Permission.MANAGE_PARTNERS, organization_id)
        if partner_id == organization_id:
            raise Invalid(Violation("organization", "An organization is no partner of itself."))

        async def insert(tx: Writing) -> Organization:
            await organizations.lock(tx, organization_id)
            partner = await _organization(tx, partner_id)
            if await stored.is_partner(tx, organization_id, partner_id):
                return partner
            if await stored.partners_count(tx, organization_id) >= PARTNERS_MAX:
                raise Conflict(f"An organization has at most {PARTNERS_MAX} partners.")
            await stored.insert_partner(tx, organization_id, partner_id, self._context.clock.now())
            await self._record(tx, caller, Action.PARTNER_ADDED, organization_id, partner_id)
            return partner

        return await self._context.storage.write(insert)

    async def remove(self, caller: Caller, organization_id: str, partner_id: str) -> None:
        """What was delegated to it stays delegated."""
        caller.require(Permission.MANAGE_PARTNERS, organization_id)

        async def remove(tx: Writing) -> None:
            if not await stored.remove_partner(tx, organization_id, partner_id):
                raise NotFound("There is no such partner.")
            await self._record(tx, caller, Action.PARTNER_REMOVED, organization_id, partner_id)

        await self._context.storage.write(remove)

    async def _record(self, tx: Writing, caller: Caller, action: Action, organization_id: str, partner_id: str) -> None:
        await record(self._context, tx, caller, action, organization_id, f"organization:{partner_id}")

    async def delegate(self, caller: Caller, organization_id: str, report_id: str, partner_id: str) -> Report:
        """The partner hears of it as of a new report; whoever held it already hears nothing, as its state is the same.

        Raises Invalid for a report that the organization does not hold, Conflict where the partner is none, is disabled
        or holds the report already, or where the report is settled.
        """
        caller.require(Permission.DELEGATE_REPORTS, organization_id)
        if partner_id == organization_id:
            raise Invalid(Violation("organization", "An organization delegates to others, not to itself."))

        async def change(tx: Writing) -> Report:
            report = await _held(tx, caller, organization_id, report_id)
            partner = await _organization(tx, partner_id)
            if not await stored.is_partner(tx, organization_id, partner_id):
                raise Conflict("The organization is not among the partners.", "organization")
            if not partner.enabled:
                raise Conflict("The organization is disabled.", "organization")
            require_delegable(report, partner_id)
            now = self._context.clock.now()
            delegated = report_delegated(report, organization_id, partner_id, now)
            await stored_reports.save_delegation(tx, delegated)
            await stored.insert_delegation(tx, report_id, partner_id, organization_id, now)
            subject, action = f"report:{report_id}", Action.REPORT_DELEGATED
            await record(self._context, tx, caller, action, organization_id, subject, organization=partner_id)
            details = {"partner": organization_id}
            notice = Notice(NoticeKind.REPORT_DELEGATED, partner_id, None, report_id, caller.person_id, details=details)
            await mails.tell(tx, notice, now)
            changes = Changes(self._context)
            representation = encode(self._context.hal.report(delegated))
            changes.add(Event.REPORT_CREATED, report_id, representation, [partner_id])
            await changes.append(tx)
            return delegated

        return await self._context.storage.write(change)


async def _held(tx: Writing, caller: Caller, organization_id: str, report_id: str) -> Report:
    """Locked: nobody else delegates it meanwhile, and who changes it next knows all who hold it."""
    try:
        report = await reports.seen(tx, caller, report_id, lock=True)
    except NotFound:
        raise Invalid(Violation("report", "There is no such report.")) from None
    if organization_id not in report.holders:
        raise Invalid(Violation("report", "There is no such report."))
    return report


async def _organization(tx: Reading, organization_id: str) -> Organization:
    """Raises Invalid, path `organization`."""
    found = await organizations.find(tx, organization_id)
    if found is None:
        raise Invalid(Violation("organization", "There is no such organization."))
    return found
