"""Operations: created, given to somebody, worked on, removed. A report's counters and updatedAt move with them."""

from dataclasses import replace
from typing import Any

from tocsin.domain.activities import LogAction, LogEntry, changed
from tocsin.domain.changes import counted, operation_given_to, operation_in
from tocsin.domain.errors import Forbidden, Invalid, NotFound, Violation
from tocsin.domain.events import Event
from tocsin.domain.guards import assigned_state, enter_operation_state, named, require_open_to_operations
from tocsin.domain.mails import Notice, NoticeKind
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
from tocsin.storage import activities, images, mails, organizations
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
            branches = await operations_of(tx, organization_id, wanted)
            return await stored.operations_page(tx, branches, paging)

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
            await _log(tx, caller, LogAction.CREATE, None, operation)
            await _count(tx, report, None, OperationState.NEW, now)
            await self._tell(tx, Event.OPERATION_CREATED, operation, report)
            return operation

        return await self._context.storage.write(insert)

    async def _report_for(self, tx: Writing, caller: Caller, report_id: str) -> Report:
        try:
            report = await reports.seen(tx, caller, report_id, lock=True)
        except NotFound:
            raise Invalid(Violation("report", "There is no such report.")) from None
        caller.require(Permission.MANAGE_OPERATIONS, *report.holders)
        return report

    async def change(self, caller: Caller, operation_id: str, members: dict[str, Any]) -> Operation:
        """Members other than the state; no event tells of them, but the report's updatedAt moves."""

        async def change(tx: Writing) -> Operation:
            operation, report = await worked_on(tx, caller, operation_id, lock=True)
            if not members:
                return operation
            changed = replace(operation, updated_at=self._context.clock.now(), **members)
            await save_edited(tx, caller, LogAction.UPDATE, operation, changed, report)
            return changed

        return await self._context.storage.write(change)

    async def remove(self, caller: Caller, operation_id: str) -> None:
        """The event carries the operation as it was last."""

        async def remove(tx: Writing) -> None:
            operation, report = await _seen(tx, caller, operation_id, lock=True)
            caller.require(Permission.MANAGE_OPERATIONS, *report.holders)
            await stored.remove_operation(tx, operation.id)
            await _remove_what_is_of(tx, operation.id)
            await _count(tx, report, operation.state, None, self._context.clock.now())
            await self._tell(tx, Event.OPERATION_REMOVED, operation, report)

        await self._context.storage.write(remove)

    async def assign(self, caller: Caller, operation_id: str, member_id: str) -> Operation:
        """Give the operation to a member with a role for it; an unchanged state is no event."""

        async def change(tx: Writing) -> Operation:
            operation, report = await _seen(tx, caller, operation_id, lock=True)
            caller.require(Permission.MANAGE_OPERATIONS, *report.holders)
            person_id = await _assignable(tx, member_id, report)
            state = assigned_state(operation)
            assigned = operation_given_to(operation, person_id, state, self._context.clock.now())
            if person_id != operation.operator_id:
                await self._tell_operator(tx, caller, assigned, report)
            await self._save(tx, caller, LogAction.ASSIGN, operation, assigned, report)
            return assigned

        return await self._context.storage.write(change)

    async def _tell_operator(self, tx: Writing, caller: Caller, operation: Operation, report: Report) -> None:
        """By mail, to whom the operation is given."""
        kind, to = NoticeKind.OPERATION_ASSIGNED, operation.operator_id
        notice = Notice(kind, report.organization_id, to, operation.id, caller.person_id)
        await mails.tell(tx, notice, operation.updated_at)

    async def transition(self, caller: Caller, operation_id: str, name: str) -> Operation:
        """Raises Invalid for an unknown transition, Conflict for one that may not be taken now."""
        transition = named(OperationTransition, name)

        async def change(tx: Writing) -> Operation:
            operation, report = await _seen(tx, caller, operation_id, lock=True)
            if transition in (OperationTransition.RESET, OperationTransition.ASSIGN):
                caller.require(Permission.MANAGE_OPERATIONS, *report.holders)
            else:
                _require_work(caller, operation, report)
            state = enter_operation_state(operation, transition)
            if transition is OperationTransition.ASSIGN:
                raise Invalid(Violation("member", "An operation is assigned to a member: POST …/assign."))
            entered = operation_in(operation, state, self._context.clock.now(), transition=transition)
            await self._save(tx, caller, LogAction(transition), operation, entered, report)
            return entered

        return await self._context.storage.write(change)

    async def logs(self, caller: Caller, operation_id: str, paging: Paging) -> Page[LogEntry]:
        """What was done to it, as long as it is there."""
        async with self._context.storage.read() as tx:
            await seen(tx, caller, operation_id)
            return await activities.log_page(tx, operation_id, paging)

    async def _save(
        self, tx: Writing, caller: Caller, action: LogAction, before: Operation, after: Operation, report: Report
    ) -> None:
        await stored.save_operation(tx, after)
        await _log(tx, caller, action, before, after)
        await _count(tx, report, before.state, after.state, after.updated_at)
        if after.state is not before.state:
            await self._tell(tx, Event.OPERATION_STATE_CHANGED, after, report)

    async def _tell(self, tx: Writing, event: Event, operation: Operation, report: Report) -> None:
        changes = Changes(self._context)
        representation = encode(self._context.hal.operation(operation))
        changes.add(event, operation.id, representation, report.holders)
        await changes.append(tx)


async def _seen(tx: Reading, caller: Caller, operation_id: str, *, lock: bool = False) -> tuple[Operation, Report]:
    """The operation and its report, locked in the order of locks. Raises NotFound where the caller may not know."""
    operation = await stored.find_operation(tx, operation_id)
    report = None if operation is None else await stored.find_report(tx, operation.report_id, lock=lock)
    if lock and report is not None:
        operation = await stored.find_operation(tx, operation_id, lock=True)
    if operation is None or report is None or not caller.belongs(*report.holders):
        raise NotFound("There is no such operation.")
    return operation, report


async def seen(tx: Reading, caller: Caller, operation_id: str) -> Operation:
    """Raises NotFound where the caller may not know of it."""
    operation, _ = await _seen(tx, caller, operation_id)
    return operation


async def worked_on(tx: Reading, caller: Caller, operation_id: str, *, lock: bool = False) -> tuple[Operation, Report]:
    """The operation and its report, for those who may work on it. Raises NotFound, Forbidden."""
    operation, report = await _seen(tx, caller, operation_id, lock=lock)
    _require_work(caller, operation, report)
    return operation, report


async def save_edited(
    tx: Writing, caller: Caller, action: LogAction, before: Operation, after: Operation, report: Report
) -> None:
    """Members other than the state; the report's updatedAt moves along."""
    await stored.save_operation(tx, after)
    await stored.save_report(tx, replace(report, updated_at=after.updated_at))
    await _log(tx, caller, action, before, after)


async def _log(tx: Writing, caller: Caller, action: LogAction, before: Operation | None, after: Operation) -> None:
    await activities.log(tx, after.id, action, caller.actor, changed(before, after), after.updated_at)


async def _remove_what_is_of(tx: Writing, operation_id: str) -> None:
    """Nobody can read it any more."""
    await images.remove_of(tx, operation_id)
    await activities.remove_comments(tx, operation_id)
    await activities.remove_log(tx, operation_id)


def _require_work(caller: Caller, operation: Operation, report: Report) -> None:
    """Admins, and the operator to whom the operation is given."""
    if caller.may(Permission.MANAGE_OPERATIONS, *report.holders):
        return
    own = caller.person_id is not None and caller.person_id == operation.operator_id
    if not (own and caller.may(Permission.WORK_ON_OPERATIONS, *report.holders)):
        raise Forbidden("Only an admin or the operation's own operator does this.")


async def _assignable(tx: Reading, member_id: str, report: Report) -> str:
    """The person of a member to whom the report's operations may be given. Raises Invalid, path `member`."""
    member = await organizations.find_member(tx, member_id)
    if member is None or member.organization_id not in report.holders:
        raise Invalid(Violation("member", "There is no such member in the report's organization."))
    if not assignable(member.roles):
        raise Invalid(Violation("member", "Operations are given to members with the role OPERATOR or ADMIN."))
    return member.person_id


async def _count(
    tx: Writing, report: Report, before: OperationState | None, after: OperationState | None, now: int
) -> None:
    progression = counted(report.progression, before, after)
    await stored.save_report(tx, replace(report, progression=progression, updated_at=now))
