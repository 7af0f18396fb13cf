"""The tables, the guards over them, and what changes make of resources."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.domain import changes, guards
from tocsin.domain.errors import Conflict, Invalid
from tocsin.domain.resources import Checkpoint, Operation, Progression, Report
from tocsin.domain.states import (
    FEEDBACK,
    OPERATION,
    REPORT,
    FeedbackState,
    OperationState,
    OperationTransition,
    ReportState,
    ReportTransition,
)

A_REPORT = Report(
    id="report",
    feedback_id="feedback",
    organization_id="organization",
    state=ReportState.NEW,
    created_at=0,
    updated_at=0,
    checkpoints=(Checkpoint(ReportState.NEW, 0, "organization"),),
    progression=Progression(0, 0),
)
AN_OPERATION = Operation(
    id="operation",
    report_id="report",
    feedback_id="feedback",
    organization_id="organization",
    state=OperationState.NEW,
    created_at=0,
    updated_at=0,
    checkpoints=(Checkpoint(OperationState.NEW, 0, "organization"),),
)


def test_every_state_has_its_row() -> None:
    assert set(REPORT) == set(ReportState)
    assert set(OPERATION) == set(OperationState)
    assert set(FEEDBACK) == set(FeedbackState)


@pytest.mark.parametrize(
    ("state", "listed"),
    [
        (ReportState.NEW, ["accept", "refuse"]),
        (ReportState.ACCEPTED, ["refuse", "hold", "progress"]),
        (ReportState.ON_HOLD, ["progress"]),
        (ReportState.IN_PROGRESS, ["close"]),
        (ReportState.REFUSED, []),
        (ReportState.CLOSED, []),
    ],
)
def test_a_reports_transitions_are_listed_as_the_contract_has_them(state: ReportState, listed: list[str]) -> None:
    assert list(guards.report_transitions(state, Progression(0, 0))) == listed


@pytest.mark.parametrize(
    ("state", "listed"),
    [
        (OperationState.NEW, ["assign"]),
        (OperationState.ASSIGNED, ["reset", "accept", "refuse", "progress"]),
        (OperationState.ACCEPTED, ["reset", "progress"]),
        (OperationState.REFUSED, ["reset", "assign"]),
        (OperationState.IN_PROGRESS, ["reset", "resolve"]),
        (OperationState.RESOLVED, []),
    ],
)
def test_an_operations_transitions_are_listed_as_the_contract_has_them(
    state: OperationState, listed: list[str]
) -> None:
    assert list(guards.operation_transitions(state)) == listed


def test_a_report_closes_only_when_no_operation_is_open() -> None:
    working = replace(A_REPORT, state=ReportState.IN_PROGRESS, progression=Progression(1, 2))
    assert guards.report_transitions(working.state, working.progression) == ()
    with pytest.raises(Conflict, match="not resolved or refused: 1"):
        guards.enter_report_state(working, ReportTransition.CLOSE)
    done = replace(working, progression=Progression(2, 2))
    assert guards.enter_report_state(done, ReportTransition.CLOSE) is ReportState.CLOSED


def test_a_transition_that_is_not_available_says_what_is() -> None:
    with pytest.raises(Conflict, match="is NEW: it can't close; available: accept, refuse"):
        guards.enter_report_state(A_REPORT, ReportTransition.CLOSE)
    with pytest.raises(Conflict, match="available: nothing"):
        guards.enter_operation_state(replace(AN_OPERATION, state=OperationState.RESOLVED), OperationTransition.RESET)


def test_an_unknown_transition_is_invalid() -> None:
    with pytest.raises(Invalid) as raised:
        guards.named(ReportTransition, "explode")
    assert [one.path for one in raised.value.violations] == ["transition"]


def test_a_settled_report_takes_no_operations() -> None:
    for state in (ReportState.REFUSED, ReportState.CLOSED):
        with pytest.raises(Conflict):
            guards.require_open_to_operations(replace(A_REPORT, state=state))
    guards.require_open_to_operations(A_REPORT)


def test_a_state_is_entered_a_bounded_number_of_times() -> None:
    worn = replace(A_REPORT, checkpoints=A_REPORT.checkpoints * guards.CHECKPOINTS_MAX)
    with pytest.raises(Conflict, match="any more"):
        guards.enter_report_state(worn, ReportTransition.ACCEPT)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (OperationState.NEW, OperationState.ASSIGNED),
        (OperationState.REFUSED, OperationState.ASSIGNED),
        (OperationState.ASSIGNED, OperationState.ASSIGNED),
        (OperationState.ACCEPTED, OperationState.ASSIGNED),
        (OperationState.IN_PROGRESS, OperationState.IN_PROGRESS),
    ],
)
def test_an_operation_is_given_to_somebody_or_to_somebody_else(before: OperationState, after: OperationState) -> None:
    operation = replace(AN_OPERATION, state=before)
    state = guards.assigned_state(operation)
    given_to = changes.operation_given_to(operation, "person", state, 5)
    assert (given_to.state, given_to.operator_id, given_to.updated_at) == (after, "person", 5)
    assert len(given_to.checkpoints) == len(operation.checkpoints) + (before is not after)


def test_a_resolved_operation_is_given_to_nobody() -> None:
    with pytest.raises(Conflict):
        guards.assigned_state(replace(AN_OPERATION, state=OperationState.RESOLVED))


def test_a_reset_clears_the_operator() -> None:
    assigned = replace(AN_OPERATION, state=OperationState.ASSIGNED, operator_id="person")
    reset = changes.operation_in(assigned, OperationState.NEW, 1, transition=OperationTransition.RESET)
    assert reset.operator_id is None
    kept = changes.operation_in(assigned, OperationState.ACCEPTED, 1, transition=OperationTransition.ACCEPT)
    assert kept.operator_id == "person"


def test_feedback_is_delivered_in_one_walk() -> None:
    state, checkpoints = changes.delivered_feedback("organization", 1)
    assert state is FeedbackState.DELIVERED
    assert [one.state for one in checkpoints] == [
        "NEW",
        "PUBLISHED",
        "PENDING_MATCHING",
        "SUCCEED",
        "OUT_FOR_DELIVERY",
        "DELIVERED",
    ]
    assert guards.feedback_transitions(state) == ()


def test_only_new_siblings_of_the_same_feedback_are_refused() -> None:
    accepted = replace(A_REPORT, state=ReportState.ACCEPTED)
    new, held, strange = (
        replace(A_REPORT, id="new"),
        replace(A_REPORT, id="held", state=ReportState.ON_HOLD),
        replace(A_REPORT, id="strange", feedback_id="other"),
    )
    assert changes.siblings_to_refuse(accepted, (accepted, new, held, strange)) == (new,)


@given(st.lists(st.sampled_from(OperationTransition), max_size=30))
def test_a_random_walk_keeps_to_the_table_and_the_count(transitions: list[OperationTransition]) -> None:
    operation, progression = AN_OPERATION, changes.counted(Progression(0, 0), None, OperationState.NEW)
    for transition in transitions:
        expected = OPERATION[operation.state].get(transition)
        if expected is None:
            with pytest.raises(Conflict):
                guards.enter_operation_state(operation, transition)
            continue
        state = guards.enter_operation_state(operation, transition)
        assert state is expected
        progression = changes.counted(progression, operation.state, state)
        operation = changes.operation_in(operation, state, 1, transition=transition)
    assert progression.total == int(operation.state is not OperationState.REFUSED)
    assert progression.resolved == int(operation.state is OperationState.RESOLVED)
    assert changes.counted(progression, operation.state, None) == Progression(0, 0)
