"""Operations: created, given to somebody, worked on, removed. A report's counters and updatedAt move with them."""

from dataclasses import replace
from typing import Any

from tocsin.domain.changes import counted, operation_given_to, operation_in
from tocsin.domain.errors import Forbidden, Invalid, NotFound, Violation
from tocsin.domain.events import Event
from tocsin.domain.guards import assigned_state, enter_operation_state, named, require_open_to_operations
from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import Checkpoint, Operation, Report
from tocsin.domain.roles import Permission, assignable
from tocsin.domain.states import OperationState, OperationTransition
from tocsin.domain.wanted import OperationsWanted
from tocsin.hal.encoding import encode
from tocsin.service import reports
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.service.events import Changes
from tocsin.storage import organizations
from tocsin.storage import reports as stored
from tocsin.storage.interface import Reading, Writing
from tocsin.storage.lists import operations_of, operations_of_report


class Operations:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def get(self, caller: Caller, operation_id: str) -> Operation:
        async with self._context.storage.read() as tx:
            operation, _ = await _seen(tx, caller, operation_id)
            return operation

    async def of_report(
        self, caller: Caller, report_id: str, wanted: OperationsWanted, paging: Paging
    ) -> Page[Operation]:
        async with self._context.storage.read() as tx:
            await reports.seen(tx, caller, report_id)
            return await stored.operations_page(tx, operations_of_report(report_id, wanted), paging)

    async def of_organization(
        self, caller: Caller, organization_id: str, wanted: OperationsWanted, paging: Paging
    ) -> Page[Operation]:
        """Those of the organization's own reports, and of the ones delegated to it."""
        caller.require_sight(organization_id)
        async with self._context.storage.read() as tx:
            return await stored.operations_page(tx, operations_of(organization_id, wanted), paging)

    async def create(self, caller: Caller, report_id: str, members: dict[str, Any]) -> Operation:
        """Raises Invalid, path `report`, for a report unknown to the caller; Conflict for one that is settled."""

        async def insert(tx: Writing) -> Operation:
            report = await self._report_for(tx, caller, report_id)
            require_open_to_operations(report)
            now = self._context.clock.now()
            operation = Operation(
                id=self._context.new_id(),
                report_id=report.id,
                feedback_id=report.feedback_id,
                organization_id=report.organization_id,
                state=OperationState.NEW,
                created_at=now,
                updated_at=now,
                checkpoints=(Checkpoint(OperationState.NEW, now, report.organization_id),),
                **members,
            )
            await stored.insert_operation(tx, operation)
            await _count(tx, report, None, OperationState.NEW, now)
            await self._tell(tx, Event.OPERATION_CREATED, operation, report)
            return operation

        return await self._context.storage.write(insert)

    async def _report_for(self, tx: Writing, caller: Caller, report_id: str) -> Report:
        try:
            report = await reports.seen(tx, caller, report_id, lock=True)
        except NotFound:
            raise Invalid(Violation("report", "There is no such report.")) from None
        caller.require(Permission.MANAGE_OPERATIONS, *reports.parties(report))
        return report

    async def change(self, caller: Caller, operation_id: str, members: dict[str, Any]) -> Operation:
        """Members other than the state; no event tells of them, but the report's updatedAt moves."""

        async def change(tx: Writing) -> Operation:
            operation, report = await _seen(tx, caller, operation_id, lock=True)
            _require_work(caller, operation, report)
            now = self._context.clock.now()
            changed = replace(operation, updated_at=now, **members)
            await stored.save_operation(tx, changed)
            await stored.save_report(tx, replace(report, updated_at=now))
            return changed

        return await self._context.storage.write(change)

    async def remove(self, caller: Caller, operation_id: str) -> None:
        """The event carries the operation as it was last."""

        async def remove(tx: Writing) -> None:
            operation, report = await _seen(tx, caller, operation_id, lock=True)
            caller.require(Permission.MANAGE_OPERATIONS, *reports.parties(report))
            await stored.remove_operation(tx, operation.id)
            await _count(tx, report, operation.state, None, self._context.clock.now())
            await self._tell(tx, Event.OPERATION_REMOVED, operation, report)

        await self._context.storage.write(remove)

    async def assign(self, caller: Caller, operation_id: str, member_id: str) -> Operation:
        """Give the operation to a member with a role for it; an unchanged state is no event."""

        async def change(tx: Writing) -> Operation:
            operation, report = await _seen(tx, caller, operation_id, lock=True)
            caller.require(Permission.MANAGE_OPERATIONS, *reports.parties(report))
            person_id = await _assignable(tx, member_id, report)
            state = assigned_state(operation)
            assigned = operation_given_to(operation, person_id, state, self._context.clock.now())
            await self._save(tx, operation, assigned, report)
            return assigned

        return await self._context.storage.write(change)

    async def transition(self, caller: Caller, operation_id: str, name: str) -> Operation:
        """Raises Invalid for an unknown transition, Conflict for one that may not be taken now."""
        transition = named(OperationTransition, name)

        async def change(tx: Writing) -> Operation:
            operation, report = await _seen(tx, caller, operation_id, lock=True)
            if transition in (OperationTransition.RESET, OperationTransition.ASSIGN):
                caller.require(Permission.MANAGE_OPERATIONS, *reports.parties(report))
            else:
                _require_work(caller, operation, report)
            state = enter_operation_state(operation, transition)
            if transition is OperationTransition.ASSIGN:
                raise Invalid(Violation("member", "An operation is assigned to a member: POST …/assign."))
            entered = operation_in(operation, state, self._context.clock.now(), transition=transition)
            await self._save(tx, operation, entered, report)
            return entered

        return await self._context.storage.write(change)

    async def _save(self, tx: Writing, before: Operation, after: Operation, report: Report) -> None:
        await stored.save_operation(tx, after)
        await _count(tx, report, before.state, after.state, after.updated_at)
        if after.state is not before.state:
            await self._tell(tx, Event.OPERATION_STATE_CHANGED, after, report)

    async def _tell(self, tx: Writing, event: Event, operation: Operation, report: Report) -> None:
        changes = Changes(self._context)
        representation = encode(self._context.hal.operation(operation))
        changes.add(event, operation.id, representation, reports.parties(report))
        await changes.append(tx)


async def _seen(tx: Reading, caller: Caller, operation_id: str, *, lock: bool = False) -> tuple[Operation, Report]:
    """The operation and its report, locked in the order of locks. Raises NotFound where the caller may not know."""
    operation = await stored.find_operation(tx, operation_id)
    report = None if operation is None else await stored.find_report(tx, operation.report_id, lock=lock)
    if lock and report is not None:
        operation = await stored.find_operation(tx, operation_id, lock=True)
    if operation is None or report is None or not caller.belongs(*reports.parties(report)):
        raise NotFound("There is no such operation.")
    return operation, report


def _require_work(caller: Caller, operation: Operation, report: Report) -> None:
    """Admins, and the operator to whom the operation is given."""
    parties = reports.parties(report)
    if caller.may(Permission.MANAGE_OPERATIONS, *parties):
        return
    own = caller.person_id is not None and caller.person_id == operation.operator_id
    if not (own and caller.may(Permission.WORK_ON_OPERATIONS, *parties)):
        raise Forbidden("Only an admin or the operation's own operator does this.")


async def _assignable(tx: Reading, member_id: str, report: Report) -> str:
    """The person of a member to whom the report's operations may be given. Raises Invalid, path `member`."""
    member = await organizations.find_member(tx, member_id)
    if member is None or member.organization_id not in reports.parties(report):
        raise Invalid(Violation("member", "There is no such member in the report's organization."))
    if not assignable(member.roles):
        raise Invalid(Violation("member", "Operations are given to members with the role OPERATOR or ADMIN."))
    return member.person_id


async def _count(
    tx: Writing, report: Report, before: OperationState | None, after: OperationState | None, now: int
) -> None:
    progression = counted(report.progression, before, after)
    await stored.save_report(tx, replace(report, progression=progression, updated_at=now))
