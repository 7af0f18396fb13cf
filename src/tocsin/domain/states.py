"""The states of a report, an operation and a feedback, as tables. Nothing else in tocsin knows an edge.

Each table reads STATE -> {transition: state entered}. A transition that is not a key is refused; whether a key
that is there may be taken now is a guard's word (`guards.py`). The diagrams in the docs, the `stateTransitions`
of the representation, the enums of the API description and the CHECKs of the database come from here.
The order of a row's keys is the order in which `stateTransitions` lists them. Source: CONTRACT, section 6.
"""

from enum import StrEnum
from typing import Final


class ReportState(StrEnum):
    NEW = "NEW"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    ON_HOLD = "ON_HOLD"
    IN_PROGRESS = "IN_PROGRESS"
    CLOSED = "CLOSED"


class ReportTransition(StrEnum):
    ACCEPT = "accept"
    REFUSE = "refuse"
    HOLD = "hold"
    PROGRESS = "progress"
    CLOSE = "close"


REPORT: Final[dict[ReportState, dict[ReportTransition, ReportState]]] = {
    ReportState.NEW: {
        ReportTransition.ACCEPT: ReportState.ACCEPTED,
        ReportTransition.REFUSE: ReportState.REFUSED,
    },
    ReportState.ACCEPTED: {
        ReportTransition.REFUSE: ReportState.REFUSED,
        ReportTransition.HOLD: ReportState.ON_HOLD,
        ReportTransition.PROGRESS: ReportState.IN_PROGRESS,
    },
    ReportState.ON_HOLD: {ReportTransition.PROGRESS: ReportState.IN_PROGRESS},
    ReportState.IN_PROGRESS: {ReportTransition.CLOSE: ReportState.CLOSED},
    ReportState.REFUSED: {},
    ReportState.CLOSED: {},
}


class OperationState(StrEnum):
    NEW = "NEW"
    ASSIGNED = "ASSIGNED"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    IN_PROGRESS = "IN_PROGRESS"
    RESOLVED = "RESOLVED"


class OperationTransition(StrEnum):
    RESET = "reset"
    ASSIGN = "assign"
    ACCEPT = "accept"
    REFUSE = "refuse"
    PROGRESS = "progress"
    RESOLVE = "resolve"


OPERATION: Final[dict[OperationState, dict[OperationTransition, OperationState]]] = {
    OperationState.NEW: {OperationTransition.ASSIGN: OperationState.ASSIGNED},
    OperationState.ASSIGNED: {
        OperationTransition.RESET: OperationState.NEW,
        OperationTransition.ACCEPT: OperationState.ACCEPTED,
        OperationTransition.REFUSE: OperationState.REFUSED,
        OperationTransition.PROGRESS: OperationState.IN_PROGRESS,
    },
    OperationState.ACCEPTED: {
        OperationTransition.RESET: OperationState.NEW,
        OperationTransition.PROGRESS: OperationState.IN_PROGRESS,
    },
    OperationState.REFUSED: {
        OperationTransition.RESET: OperationState.NEW,
        OperationTransition.ASSIGN: OperationState.ASSIGNED,
    },
    OperationState.IN_PROGRESS: {
        OperationTransition.RESET: OperationState.NEW,
        OperationTransition.RESOLVE: OperationState.RESOLVED,
    },
    OperationState.RESOLVED: {},
}

REASSIGN: Final[dict[OperationState, OperationState]] = {
    OperationState.ASSIGNED: OperationState.ASSIGNED,
    OperationState.ACCEPTED: OperationState.ASSIGNED,
    OperationState.IN_PROGRESS: OperationState.IN_PROGRESS,
}
"""What another operator makes of an operation that has one; an unchanged state fires no event."""


class FeedbackState(StrEnum):
    NEW = "NEW"
    PUBLISHED = "PUBLISHED"
    PENDING_MATCHING = "PENDING_MATCHING"
    FAILED = "FAILED"
    SUCCEED = "SUCCEED"
    OUT_FOR_DELIVERY = "OUT_FOR_DELIVERY"
    DELIVERED = "DELIVERED"


class FeedbackTransition(StrEnum):
    PUBLISH = "publish"
    PROCESS = "process"
    FAIL = "fail"
    SUCCESS = "success"
    DISPATCH = "dispatch"
    DELIVER = "deliver"


FEEDBACK: Final[dict[FeedbackState, dict[FeedbackTransition, FeedbackState]]] = {
    FeedbackState.NEW: {FeedbackTransition.PUBLISH: FeedbackState.PUBLISHED},
    FeedbackState.PUBLISHED: {FeedbackTransition.PROCESS: FeedbackState.PENDING_MATCHING},
    FeedbackState.PENDING_MATCHING: {
        FeedbackTransition.FAIL: FeedbackState.FAILED,
        FeedbackTransition.SUCCESS: FeedbackState.SUCCEED,
    },
    FeedbackState.FAILED: {FeedbackTransition.PROCESS: FeedbackState.PENDING_MATCHING},
    FeedbackState.SUCCEED: {FeedbackTransition.DISPATCH: FeedbackState.OUT_FOR_DELIVERY},
    FeedbackState.OUT_FOR_DELIVERY: {FeedbackTransition.DELIVER: FeedbackState.DELIVERED},
    FeedbackState.DELIVERED: {},
}
