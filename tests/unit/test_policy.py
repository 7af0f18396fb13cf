"""What outcomes mean: for the delivery and for its endpoint."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.delivery.outcome import Durations, Outcome, OutcomeKind
from tocsin.delivery.policy import (
    SECOND,
    Decision,
    Delivered,
    GiveUp,
    Policy,
    Retry,
    Unspent,
    Verdict,
    backoff,
    judge,
    retry_after,
)
from tocsin.storage.records import EndpointHealth

POLICY = Policy()
NOW = 1_700_000_000 * SECOND
HEALTHY = EndpointHealth()
DOWN = EndpointHealth(
    consecutive_failures=10, failing_resources=("a", "b", "c"), failing_since=NOW - SECOND, opened_at=NOW - SECOND
)


def response(status: int, retry: str | None = None) -> Outcome:
    return Outcome(OutcomeKind.RESPONSE, f"The receiver answered {status}.", Durations(1), status, retry)


def failure(kind: OutcomeKind = OutcomeKind.CONNECT_FAILED) -> Outcome:
    return Outcome(kind, "No connection.", Durations(1))


def verdict(
    outcome: Outcome,
    health: EndpointHealth = HEALTHY,
    *,
    resource: str = "a",
    failures: int = 0,
    probe: bool = False,
    now: int = NOW,
    jitter: float = 0.0,
) -> Verdict:
    return judge(
        POLICY,
        health,
        outcome,
        resource_id=resource,
        failures=failures,
        probe=probe,
        limit=10,
        now=now,
        jitter=jitter,
    )


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_2xx_is_delivered(status: int) -> None:
    assert verdict(response(status)).decision == Delivered()


@pytest.mark.parametrize("status", [100, 300, 301, 308, 400, 404, 422, 429, 500, 503, 599])
def test_any_other_answer_is_a_failure(status: int) -> None:
    found = verdict(response(status))
    assert found.decision == Retry(NOW + 5 * SECOND)
    assert found.health.consecutive_failures == 1
    assert str(status) in (found.reason or "")


@pytest.mark.parametrize("kind", sorted(set(OutcomeKind) - {OutcomeKind.RESPONSE, OutcomeKind.INTERRUPTED}))
def test_no_answer_is_a_failure(kind: OutcomeKind) -> None:
    assert isinstance(verdict(failure(kind)).decision, Retry)


def test_an_answer_that_was_cut_short_is_no_success() -> None:
    cut = failure(OutcomeKind.CONNECTION_LOST)._replace(status=200)
    assert isinstance(verdict(cut).decision, Retry)


def test_an_interrupted_attempt_spends_nothing() -> None:
    found = verdict(failure(OutcomeKind.INTERRUPTED))
    assert (found.decision, found.health) == (Unspent(), HEALTHY)


def test_a_gone_endpoint_is_disabled() -> None:
    found = verdict(response(410))
    assert found.decision == Unspent()
    assert "410 Gone" in (found.disable_reason or "")


def test_the_schedule_is_walked_and_then_given_up() -> None:
    waits = [backoff(POLICY, failures, jitter=0) for failures in range(9)]
    assert waits == [seconds * SECOND for seconds in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)]
    assert backoff(POLICY, 9, jitter=0) is None
    last = verdict(failure(), failures=9)
    assert last.decision == GiveUp()
    assert "given up" in (last.reason or "")


@given(st.integers(0, 8), st.floats(-1, 1))
def test_a_wait_is_within_a_fifth_of_the_schedule(failures: int, jitter: float) -> None:
    wait, planned = backoff(POLICY, failures, jitter=jitter), POLICY.retry_schedule_seconds[failures] * SECOND
    assert wait is not None
    assert 0.8 * planned - 1 <= wait <= 1.2 * planned + 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("999999999999999999999", 3600),
        (formatdate(NOW / SECOND + 60, usegmt=True), 60),
        (formatdate(NOW / SECOND - 60, usegmt=True), 0),
        (formatdate(NOW / SECOND + 86400, usegmt=True), 3600),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1.5", None),
        ("٣", None),
        ("Tue, 99 Foo 2023 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_bounded_and_nonsense_is_none(value: str, seconds: int | None) -> None:
    expected = None if seconds is None else seconds * SECOND
    assert retry_after(value, now=NOW, most_seconds=3600) == expected


@given(st.text(max_size=60))
def test_any_retry_after_is_bounded(value: str) -> None:
    wait = retry_after(value, now=NOW, most_seconds=3600)
    assert wait is None or 0 <= wait <= 3600 * SECOND


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_makes_the_endpoint_wait(status: int) -> None:
    found = verdict(response(status, "60"), HEALTHY._replace(window=8))
    assert found.health.not_before == NOW + 60 * SECOND
    assert found.health.window == 1
    assert found.decision == Retry(NOW + 60 * SECOND)


def test_retry_after_of_another_status_means_nothing() -> None:
    assert verdict(response(500, "60")).health.not_before == 0


def failed(health: EndpointHealth, *resources: str) -> EndpointHealth:
    for resource in resources:
        health = verdict(failure(), health, resource=resource).health
    return health


def test_the_breaker_opens_after_ten_failures_over_three_resources() -> None:
    assert failed(HEALTHY, *"abcabcabc").opened_at is None
    opened = failed(HEALTHY, *"abcabcabca")
    assert (opened.opened_at, opened.window) == (NOW, 1)
    assert opened.not_before == NOW + 5 * SECOND


def test_poison_alone_never_opens_the_breaker() -> None:
    assert failed(HEALTHY, *"ab" * 50).opened_at is None


def test_a_success_between_them_keeps_it_shut() -> None:
    health = failed(HEALTHY, *"abcabcabc")
    health = verdict(response(200), health).health
    assert failed(health, *"abc").opened_at is None


def test_a_failed_probe_spends_nothing_and_the_next_is_later() -> None:
    first = verdict(failure(), DOWN, probe=True)
    assert (first.decision, first.health.probes) == (Unspent(), 1)
    assert first.health.not_before == NOW + 300 * SECOND
    second = verdict(failure(), first.health, probe=True)
    assert second.health.not_before == NOW + 300 * SECOND


def test_a_success_closes_the_breaker_and_begins_slowly() -> None:
    found = verdict(response(200), DOWN, probe=True)
    assert (found.decision, found.health) == (Delivered(), EndpointHealth(window=1))


def test_each_success_doubles_what_may_be_in_flight_up_to_the_limit() -> None:
    health, windows = HEALTHY, []
    for _ in range(5):
        health = verdict(response(200), health).health
        windows.append(health.window)
    assert windows == [2, 4, 8, 10, 10]


def test_down_for_five_days_it_is_disabled() -> None:
    later = DOWN.opened_at or 0
    almost = verdict(failure(), DOWN, probe=True, now=later + 5 * 86400 * SECOND - 1)
    assert almost.disable_reason is None
    enough = verdict(failure(), DOWN, probe=True, now=later + 5 * 86400 * SECOND)
    assert enough.disable_reason == "The endpoint was down for 5 days."


@given(
    st.lists(
        st.tuples(st.sampled_from(OutcomeKind), st.integers(100, 599), st.sampled_from("abcd"), st.booleans()),
        max_size=60,
    )
)
def test_health_stays_within_its_bounds(history: list[tuple[OutcomeKind, int, str, bool]]) -> None:
    health = HEALTHY
    for kind, status, resource, probe in history:
        outcome = Outcome(kind, "x", Durations(1), status if kind is OutcomeKind.RESPONSE else None)
        found = verdict(outcome, health, resource=resource, probe=probe and health.opened_at is not None)
        decision: Decision = found.decision
        assert isinstance(decision, Delivered) == (kind is OutcomeKind.RESPONSE and 200 <= status < 300)
        health = found.health
        assert 1 <= health.window <= 10
        assert len(health.failing_resources) <= 3
        assert (health.failing_since is None) == (health.consecutive_failures == 0)
        assert health.opened_at is None or health.consecutive_failures >= 10
