"""Which transitions may be taken now: the tables of `states.py`, narrowed by the state of other things.

Every refusal is an error of `errors.py`: an unknown name is Invalid, a known one that is not to be had now a Conflict.
"""

from enum import StrEnum
from typing import Final, NoReturn, TypeVar

from tocsin.domain.errors import Conflict, Invalid, Violation
from tocsin.domain.resources import Feedback, Operation, Progression, Report
from tocsin.domain.states import (
    FEEDBACK,
    OPERATION,
    REASSIGN,
    REPORT,
    FeedbackState,
    FeedbackTransition,
    OperationState,
    OperationTransition,
    ReportState,
    ReportTransition,
)

CHECKPOINTS_MAX: Final = 1000
"""Entered states of one resource: each is a part of every representation of it."""

DELEGATES_MAX: Final = 20
"""Organizations that one report may be delegated to: each of its events goes to every one of them."""

CLOSED_TO_OPERATIONS: Final = frozenset({ReportState.REFUSED, ReportState.CLOSED})

Transition = TypeVar("Transition", bound=StrEnum)


def named(kind: type[Transition], name: str) -> Transition:
    """The transition called `name`. Raises Invalid, path `transition`."""
    try:
        return kind(name)
    except ValueError:
        known = ", ".join(kind)
        raise Invalid(Violation("transition", f"{name!r} is no transition: there are {known}.")) from None


def report_transitions(state: ReportState, progression: Progression) -> tuple[ReportTransition, ...]:
    """What a report may do now: a report closes only when each operation is RESOLVED or REFUSED."""
    open_operations = progression.resolved < progression.total
    return tuple(one for one in REPORT[state] if not (one is ReportTransition.CLOSE and open_operations))


def enter_report_state(report: Report, transition: ReportTransition) -> ReportState:
    """The state that the transition leads to. Raises Conflict where it may not be taken now."""
    available = report_transitions(report.state, report.progression)
    if transition in available:
        return _below_the_limit(REPORT[report.state][transition], len(report.checkpoints))
    if transition in REPORT[report.state]:
        missing = report.progression.total - report.progression.resolved
        raise Conflict(
            f"The report can't {transition} yet: operations not resolved or refused: {missing}.", "transition"
        )
    raise _not_available("report", transition, report.state, available)


def operation_transitions(state: OperationState) -> tuple[OperationTransition, ...]:
    return tuple(OPERATION[state])


def enter_operation_state(operation: Operation, transition: OperationTransition) -> OperationState:
    """The state that the transition leads to. Raises Conflict where it may not be taken now."""
    entered = OPERATION[operation.state].get(transition)
    if entered is None:
        raise _not_available("operation", transition, operation.state, operation_transitions(operation.state))
    return _below_the_limit(entered, len(operation.checkpoints))


def assigned_state(operation: Operation) -> OperationState:
    """The state after giving the operation to somebody, first or anew. Raises Conflict."""
    if operation.state in REASSIGN:
        return _below_the_limit(REASSIGN[operation.state], len(operation.checkpoints))
    return enter_operation_state(operation, OperationTransition.ASSIGN)


def require_open_to_operations(report: Report) -> None:
    """Raises Conflict where the report takes no operations any more."""
    if report.state in CLOSED_TO_OPERATIONS:
        raise Conflict(f"The report is {report.state}: it takes no operations.", "report")


def require_delegable(report: Report, organization_id: str) -> None:
    """Raises Conflict where the report can't be delegated to the organization as things are."""
    if not REPORT[report.state]:
        raise Conflict(f"The report is {report.state}: there is nothing left to do about it.", "report")
    if organization_id in report.holders:
        raise Conflict("The organization holds this report already.", "organization")
    if len(report.delegates) >= DELEGATES_MAX:
        raise Conflict(f"The report was delegated to {DELEGATES_MAX} organizations already.", "report")


def feedback_transitions(state: FeedbackState) -> tuple[FeedbackTransition, ...]:
    return tuple(FEEDBACK[state])


def refuse_feedback_transition(feedback: Feedback, transition: FeedbackTransition) -> NoReturn:
    """Raises Conflict: nobody but the service takes feedback through its states (CONTRACT, section 6)."""
    raise Conflict(
        f"The feedback is {feedback.state}: it can't {transition}; the service takes it through its states.",
        "transition",
    )


State = TypeVar("State", bound=StrEnum)


def _below_the_limit(entered: State, checkpoints: int) -> State:
    if checkpoints >= CHECKPOINTS_MAX:
        raise Conflict(f"Its state changed {CHECKPOINTS_MAX} times already: it can't change any more.", "transition")
    return entered


def _not_available(what: str, transition: str, state: str, available: tuple[str, ...]) -> Conflict:
    listed = ", ".join(available) if available else "nothing"
    return Conflict(f"The {what} is {state}: it can't {transition}; available: {listed}.", "transition")
