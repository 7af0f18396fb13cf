"""What an outcome means: for the delivery, and for the endpoint that gave it. Pure: time and chance are arguments.

The rules (DESIGN, "Judging an outcome"):

* 2xx is delivered. 410 disables the endpoint's webhooks. Everything else is a failure, spends one step of the retry
  schedule, and after its last step the delivery is given up.
* 429 and 503 with Retry-After make the whole endpoint wait, at most `retry_after_max_seconds`.
* The breaker opens after `breaker_failures` consecutive failures over `breaker_resources` resources: then the endpoint
  is down, not the event. While it is open only probes are sent, and a failed probe spends nothing of its delivery's
  schedule. One success closes it.
* Slow start: `window` POSTs in flight, from 1, doubled by each success up to the endpoint's limit; back to 1 when the
  breaker opens and when the receiver asks us to wait.
* Open for `disable_after_seconds`: the endpoint's webhooks are disabled.
"""

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from tocsin.delivery.outcome import Outcome, OutcomeKind
from tocsin.storage.records import EndpointHealth

SECOND: Final = 1_000_000
"""Microseconds."""

RETRY_SCHEDULE_SECONDS: Final = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""Standard Webhooks' example: about 75 h in all."""


class Standing(StrEnum):
    """What an endpoint's health amounts to."""

    HEALTHY = "healthy"
    FAILING = "failing"
    DOWN = "down"


def standing(health: EndpointHealth) -> Standing:
    if health.opened_at is not None:
        return Standing.DOWN
    return Standing.FAILING if health.consecutive_failures else Standing.HEALTHY


@dataclass(frozen=True, slots=True)
class Policy:
    retry_schedule_seconds: tuple[float, ...] = RETRY_SCHEDULE_SECONDS
    retry_jitter: float = 0.2
    """Each wait is longer or shorter by up to this part of it."""
    retry_after_max_seconds: float = 3600.0
    breaker_failures: int = 10
    breaker_resources: int = 3
    probe_interval_max_seconds: float = 300.0
    disable_after_seconds: float = 5 * 86400.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Failed; due again at `at` (microseconds)."""

    at: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Failed, and the schedule is spent."""


@dataclass(frozen=True, slots=True)
class Unspent:
    """Failed without spending the schedule: the delivery stays where it was."""


DELIVERED: Final = Delivered()

Decision: TypeAlias = Delivered | Retry | GiveUp | Unspent


class Verdict(NamedTuple):
    """`reason` is in plain words, None for a delivery that needs none; `disable_reason`: every webhook of the endpoint
    is to be disabled."""

    decision: Decision
    health: EndpointHealth
    reason: str | None
    disable_reason: str | None = None


def judge(
    policy: Policy,
    health: EndpointHealth,
    outcome: Outcome,
    *,
    resource_id: str,
    failures: int,
    probe: bool,
    limit: int,
    now: int,
    jitter: float,
) -> Verdict:
    """What follows from an outcome.

    `failures`: attempts of this delivery that spent the schedule before; `probe`: sent while the breaker was open;
    `limit`: POSTs in flight that the endpoint allows at most; `now`: microseconds; `jitter`: from -1 to 1.
    """
    assert -1 <= jitter <= 1
    if outcome.kind is OutcomeKind.INTERRUPTED:
        return Verdict(Unspent(), health, outcome.reason)
    status = outcome.status if outcome.kind is OutcomeKind.RESPONSE else None
    if status is not None and 200 <= status < 300:
        return Verdict(DELIVERED, _succeeded(health, limit), None)
    if status == 410:
        reason = "The receiver answered 410 Gone: it wants no more notifications."
        return Verdict(Unspent(), health, reason, disable_reason=reason)
    wait = _retry_after(policy, outcome, now)
    after = _failed(policy, health, resource_id, wait=wait, probe=probe, now=now, jitter=jitter)
    disable_reason = _down_too_long(policy, after, now)
    decision: Decision = Unspent() if probe else _next(policy, failures, wait=wait, now=now, jitter=jitter)
    return Verdict(decision, after, _explain(outcome, decision, after, failures, now), disable_reason)


def backoff(policy: Policy, failures: int, *, jitter: float) -> int | None:
    """Microseconds to wait after a failed attempt that `failures` others came before; None: the schedule is spent."""
    if failures >= len(policy.retry_schedule_seconds):
        return None
    return round(policy.retry_schedule_seconds[failures] * (1 + policy.retry_jitter * jitter) * SECOND)


def retry_after(value: str, *, now: int, most_seconds: float) -> int | None:
    """Microseconds that a Retry-After header asks for, bounded; None where it is nonsense (RFC 9110, 10.2.3)."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:12]), int(most_seconds)) * SECOND
    try:
        date = parsedate_to_datetime(text)
        moment = round((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * SECOND)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(moment - now, 0), round(most_seconds * SECOND))


def _succeeded(health: EndpointHealth, limit: int) -> EndpointHealth:
    if health.opened_at is not None:
        return EndpointHealth(window=1, rate_at=health.rate_at)
    window = min(health.window * 2, limit)
    if window == health.window and not health.consecutive_failures and not health.not_before:
        return health
    return EndpointHealth(window=window, rate_at=health.rate_at)


def _failed(
    policy: Policy, health: EndpointHealth, resource_id: str, *, wait: int | None, probe: bool, now: int, jitter: float
) -> EndpointHealth:
    resources = health.failing_resources
    if resource_id not in resources and len(resources) < policy.breaker_resources:
        resources = (*resources, resource_id)
    after = health._replace(
        consecutive_failures=health.consecutive_failures + 1,
        failing_resources=resources,
        failing_since=now if health.failing_since is None else health.failing_since,
    )
    if probe:
        after = after._replace(probes=health.probes + 1)
        after = after._replace(not_before=now + _probe_interval(policy, after.probes, jitter))
    elif health.opened_at is None and _opens(policy, after):
        after = after._replace(opened_at=now, probes=0, window=1, not_before=now + _probe_interval(policy, 0, jitter))
    if wait is not None:
        after = after._replace(window=1, not_before=max(after.not_before, now + wait))
    return after


def _opens(policy: Policy, health: EndpointHealth) -> bool:
    enough = health.consecutive_failures >= policy.breaker_failures
    return enough and len(health.failing_resources) >= policy.breaker_resources


def _probe_interval(policy: Policy, probes: int, jitter: float) -> int:
    schedule = policy.retry_schedule_seconds
    seconds = min(schedule[min(probes, len(schedule) - 1)], policy.probe_interval_max_seconds)
    return round(seconds * (1 + policy.retry_jitter * jitter) * SECOND)


def _down_too_long(policy: Policy, health: EndpointHealth, now: int) -> str | None:
    if health.opened_at is None or now - health.opened_at < policy.disable_after_seconds * SECOND:
        return None
    days = policy.disable_after_seconds / 86400
    return f"The endpoint was down for {days:g} days."


def _next(policy: Policy, failures: int, *, wait: int | None, now: int, jitter: float) -> Decision:
    delay = backoff(policy, failures, jitter=jitter)
    if delay is None:
        return GiveUp()
    return Retry(at=now + max(delay, wait or 0))


def _retry_after(policy: Policy, outcome: Outcome, now: int) -> int | None:
    if outcome.status not in (429, 503) or outcome.retry_after is None:
        return None
    return retry_after(outcome.retry_after, now=now, most_seconds=policy.retry_after_max_seconds)


def _explain(outcome: Outcome, decision: Decision, health: EndpointHealth, failures: int, now: int) -> str:
    """One or two sentences: what happened, and what it leads to."""
    match decision:
        case Retry(at):
            then = f"Attempt {failures + 1} failed; the next is due in {_span(at - now)}."
        case GiveUp():
            then = f"Attempt {failures + 1} failed and was the last: given up."
        case Unspent():
            then = f"The endpoint is still down; the next probe is due in {_span(health.not_before - now)}."
        case Delivered():
            raise AssertionError("a delivery needs no explanation")
    return f"{outcome.reason} {then}"


def _span(microseconds: int) -> str:
    seconds = max(microseconds, 0) / SECOND
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
