"""What a decided change makes of a resource: new values, the old ones untouched. `at` is microseconds."""

from dataclasses import replace
from typing import Final

from tocsin.domain.resources import Checkpoint, Operation, Progression, Report
from tocsin.domain.states import (
    FEEDBACK,
    FeedbackState,
    FeedbackTransition,
    OperationState,
    OperationTransition,
    ReportState,
)

DELIVERY_WALK: Final = (
    FeedbackTransition.PUBLISH,
    FeedbackTransition.PROCESS,
    FeedbackTransition.SUCCESS,
    FeedbackTransition.DISPATCH,
    FeedbackTransition.DELIVER,
)
"""What a feedback goes through inside the call that posts it."""

COUNTED: Final[dict[OperationState, tuple[int, int]]] = {
    state: (int(state is OperationState.RESOLVED), int(state is not OperationState.REFUSED)) for state in OperationState
}
"""(resolved, total) that an operation in a state adds to its report's progression."""


def report_in(report: Report, state: ReportState, at: int) -> Report:
    checkpoint = Checkpoint(state, at, report.organization_id)
    return replace(report, state=state, updated_at=at, checkpoints=(*report.checkpoints, checkpoint))


def report_delegated(report: Report, delegated_from: str, delegated_to: str, at: int) -> Report:
    """Held by one organization more; what it shows is the latest hop."""
    delegates = (*report.delegates, delegated_to)
    return replace(report, delegated_from=delegated_from, delegated_to=delegated_to, delegates=delegates, updated_at=at)


def operation_in(
    operation: Operation, state: OperationState, at: int, *, transition: OperationTransition | None = None
) -> Operation:
    """`transition` reset clears the operator."""
    checkpoint = Checkpoint(state, at, operation.organization_id)
    operator_id = None if transition is OperationTransition.RESET else operation.operator_id
    checkpoints = (*operation.checkpoints, checkpoint)
    return replace(operation, state=state, updated_at=at, checkpoints=checkpoints, operator_id=operator_id)


def operation_given_to(operation: Operation, person_id: str, state: OperationState, at: int) -> Operation:
    """Assigned to a person; an unchanged state adds no checkpoint."""
    given = replace(operation, operator_id=person_id, updated_at=at)
    return given if state is operation.state else operation_in(given, state, at)


def counted(progression: Progression, before: OperationState | None, after: OperationState | None) -> Progression:
    """A report's progression when one operation changes its state; None: it does not exist."""
    resolved_before, total_before = COUNTED[before] if before is not None else (0, 0)
    resolved_after, total_after = COUNTED[after] if after is not None else (0, 0)
    return Progression(
        progression.resolved + resolved_after - resolved_before, progression.total + total_after - total_before
    )


def delivered_feedback(organization_id: str, at: int) -> tuple[FeedbackState, tuple[Checkpoint, ...]]:
    """The last state and the checkpoints of a feedback that was matched and delivered in one go."""
    state = FeedbackState.NEW
    checkpoints = [Checkpoint(state, at, organization_id)]
    for transition in DELIVERY_WALK:
        state = FEEDBACK[state][transition]
        checkpoints.append(Checkpoint(state, at, organization_id))
    return state, tuple(checkpoints)


def siblings_to_refuse(accepted: Report, siblings: tuple[Report, ...]) -> tuple[Report, ...]:
    """First to accept wins: the other reports of the same feedback that nobody has accepted or refused yet."""
    return tuple(
        report
        for report in siblings
        if report.id != accepted.id and report.feedback_id == accepted.feedback_id and report.state is ReportState.NEW
    )
