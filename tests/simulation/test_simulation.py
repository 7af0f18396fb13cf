"""Histories keep every promise; and for each promise, a planted bug that breaks it is caught."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.simulation.observer import Invariant
from tests.simulation.receivers import Mode
from tests.simulation.world import Plan, Report, simulate
from tocsin.delivery import endpoint, policy, request, worker
from tocsin.delivery.endpoint import Lane
from tocsin.delivery.series import Series
from tocsin.delivery.source import Delivery
from tocsin.storage import sqlite_log

SHORT = replace(Plan(), hours=0.15)
BUSY = SHORT.stormy()
DELIVERIES_MIN = 20_000


def test_histories_keep_every_promise() -> None:
    reports = [simulate(SHORT, 1), simulate(BUSY, 2), simulate(SHORT.calm(), 3), simulate(BUSY, 4)]
    assert [violation for one in reports for violation in one.violations] == []
    assert sum(one.deliveries for one in reports) > DELIVERIES_MIN
    assert all(one.faults > 10 for one in (reports[1], reports[3]))
    assert reports[2].faults == 0


def test_one_seed_is_one_history() -> None:
    plan = replace(BUSY, hours=0.05, changes=2000.0)
    first, second, other = simulate(plan, 7), simulate(plan, 7), simulate(plan, 8)
    assert first == second
    assert first.digest != other.digest


Plant = Callable[[pytest.MonkeyPatch], None]


def _statement(name: str, old: str, new: str) -> Plant:
    """A bug in one of the named statements."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        text = sqlite_log.SQL[name]
        assert old in text
        monkeypatch.setitem(sqlite_log.SQL, name, text.replace(old, new))

    return plant


def _forget_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed delivery is let go of instead of parked."""

    def settle(lane: Any, delivery: Delivery, *_: Any) -> None:
        lane._settle(delivery)

    monkeypatch.setattr(Lane, "_fail", settle)


class _Careless(Series):
    """Claims nothing: whatever is read may start."""

    def queue(self, delivery: Delivery) -> None:
        self.queued += 1
        self.waiting.setdefault(delivery.event.resource_id, None)
        self.ready.append(delivery)

    def go_on(self, resource_id: str) -> None:
        self.waiting.pop(resource_id, None)

    def give_way(self, resource_id: str) -> Sequence[Delivery]:
        return self.waiting.pop(resource_id, None) or ()


def _claim_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "Series", _Careless)


def _retry_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "backoff", lambda *_, **__: 1000)


def _probe_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "_probe_interval", lambda *_: 1000)


def _start_whatever_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """The margin between the last start and the lease's end is forgotten."""
    original = worker.Worker.__init__

    def init(self: Any, *arguments: Any, **more: Any) -> None:
        original(self, *arguments, **more)
        self._margin = -3600.0

    monkeypatch.setattr(worker.Worker, "__init__", init)


def _let_suspects_take_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.Held, "judge", lambda _: None)


def _serve_the_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("live_subscriptions", "revisions"):
        _statement(name, "json_each(:endpoint_ids)) AND w.enabled = 1", "json_each(:endpoint_ids))")(monkeypatch)


def _sign_with_old_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    def always(self: Any, _: int) -> Any:
        return (*self.signers, *([self.previous_signer] if self.previous_signer else []))

    monkeypatch.setattr(request.Recipient, "signers_at", always)


def _deliver_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cursor that lags one behind."""
    original = Lane._move

    def lag(self: Any, source: Any) -> Any:
        move = original(self, source)
        return move._replace(cursor=move.cursor - 1)

    monkeypatch.setattr(Lane, "_move", lag)


SMALL = replace(Plan(), hours=0.1, changes=2000.0)
OWNED = replace(SMALL, owners=600.0)
PAUSED = replace(SMALL, hours=0.3, changes=1000.0, pauses=120.0)
DOWN = replace(SMALL, hours=0.5, changes=600.0)
SINGLE = replace(SMALL.calm(), resources=10**9)
"""Hardly any resource occurs twice: nothing is overtaken where something is lost."""
HANGING = replace(
    DOWN.calm(), processes=1, concurrency=6, receivers=10, webhooks=40, troubled=0.7, troubles=(Mode.HANGS,)
)
CROWDED = replace(SMALL.calm(), troubled=0.2, troubles=(Mode.SLOW,), hours=0.05, changes=10_000.0)
"""Much comes to endpoints while they are leased by another than who notices it."""
AGEING = replace(SMALL, hours=3.0, retention_hours=0.5, changes=100.0)

PLANTS: dict[str, tuple[Invariant, Plan, Plant]] = {
    "a failure is forgotten": (Invariant.LOST, SINGLE, _forget_failures),
    "a cursor runs ahead": (
        Invariant.LOST,
        SINGLE,
        _statement("move_cursors", "max(webhooks.cursor, m.cursor)", "max(webhooks.cursor, m.cursor + 1)"),
    ),
    "the retention takes what waits": (
        Invariant.LOST,
        AGEING,
        lambda monkeypatch: monkeypatch.setattr("tocsin.storage.housekeeping.needed", _nothing_needed),
    ),
    "a read takes every type": (Invariant.INVENTED, SMALL, _statement("stretch", "event = :event", "1")),
    "nothing is claimed": (Invariant.OVERLAP, SMALL, _claim_nothing),
    "blocked resources are not asked for": (
        Invariant.OVERTAKEN,
        DOWN,
        _statement("blocked", "state IN ('retrying', 'held')", "0"),
    ),
    "a lost lease still writes": (
        Invariant.LEASE,
        PAUSED,
        _statement("held", "WHERE e.lease_token = h.value", ""),
    ),
    "a POST starts that outlives its lease": (Invariant.LEASE, PAUSED, _start_whatever_the_lease),
    "retries come at once": (Invariant.SCHEDULE, SMALL, _retry_at_once),
    "probes come at once": (Invariant.SCHEDULE, DOWN, _probe_at_once),
    "what came meanwhile is not seen": (
        Invariant.WAKE_UP,
        CROWDED,
        _statement("release", "WHEN again = 1", "WHEN again = 2"),
    ),
    "suspects take everything": (Invariant.STARVED, HANGING, _let_suspects_take_everything),
    "a disabled webhook is served": (
        Invariant.DISABLED,
        OWNED,
        _serve_the_disabled,
    ),
    "an old secret signs": (Invariant.SIGNATURE, OWNED, _sign_with_old_secrets),
    "a cursor lags behind": (Invariant.REPEATED, SMALL.calm(), _deliver_twice),
}


async def _nothing_needed(*_: Any) -> None:
    """Nobody waits for anything, it says."""


@pytest.mark.parametrize("bug", PLANTS)
def test_a_planted_bug_is_caught(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    invariant, plan, plant = PLANTS[bug]
    plant(monkeypatch)
    caught: set[Invariant] = set()
    for seed in (12, 8, 5, 6, 7):
        report: Report = simulate(plan, seed)
        caught |= {violation.invariant for violation in report.violations}
        if invariant in caught:
            return
    pytest.fail(f"caught {sorted(caught)} only")


@pytest.mark.parametrize("plan", {plan: None for _, plan, _ in PLANTS.values()})
def test_without_a_bug_nothing_is_caught(plan: Plan) -> None:
    assert simulate(plan, 5).violations == []


def test_every_promise_has_a_bug_that_breaks_it() -> None:
    assert {invariant for invariant, *_ in PLANTS.values()} == set(Invariant) - {Invariant.SOUND}
