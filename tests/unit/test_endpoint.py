"""One leased endpoint: what it is sent, in which order, and what is written of it; against a model of storage."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.delivery import endpoint, source
from tocsin.delivery.endpoint import Lane
from tocsin.delivery.outcome import Durations, Outcome, OutcomeKind
from tocsin.delivery.policy import SECOND, Policy
from tocsin.delivery.source import Delivery
from tocsin.storage.records import (
    DueRetry,
    EndpointHealth,
    LeasedEndpoint,
    LoggedEvent,
    Parked,
    ReadAnswer,
    Settled,
    Settlement,
    Subscription,
)

POLICY = Policy(retry_schedule_seconds=(5.0, 300.0))
EVENTS = ("reportCreated", "reportStateChanged")


def subscription(webhook: str, event: str, *, limit: int = 10, cursor: int = 0) -> Subscription:
    return Subscription(
        webhook_id=webhook,
        replay_id="",
        organization_id="o",
        endpoint_id="e",
        event=event,
        url="http://x/",
        revision=0,
        epoch=0,
        cursor=cursor,
        last_ordinal=None,
        only_failed=False,
        max_in_flight=limit,
        rate_per_second=None,
        signature="v1",
        headers=b"",
        secret=b"",
        previous_secret=None,
        previous_secret_until=None,
    )


@dataclass
class Store:
    """What the storage interface promises, in a few lines: a log, cursors, what is parked."""

    log: list[LoggedEvent] = field(default_factory=list)
    webhooks: dict[str, Subscription] = field(default_factory=dict)
    parked: dict[tuple[str, int], Parked] = field(default_factory=dict)
    delivered: set[tuple[str, int]] = field(default_factory=set)
    health: EndpointHealth = field(default_factory=EndpointHealth)
    uncertain: bool = False
    due_at: int | None = None

    def append(self, resource: str, event: str) -> None:
        ordinal = 1 + sum(one.event == event for one in self.log)
        sequence = len(self.log) + 1
        self.log.append(LoggedEvent("o", sequence, event, ordinal, f"id{sequence}", resource, 0, b""))

    def lease(self) -> Lane:
        subscriptions = tuple(
            one._replace(settled=frozenset(self._beyond(one))) if self.uncertain else one
            for one in self.webhooks.values()
        )
        active = any(one.state in ("retrying", "held") for one in self.parked.values())
        return Lane(LeasedEndpoint("e", "o", "token", self.health, active, subscriptions), POLICY)

    def _beyond(self, one: Subscription) -> set[int]:
        """Ordinals beyond the cursor that attempts and retries know of."""
        mine = {sequence for webhook, sequence in {*self.delivered, *self.parked} if webhook == one.webhook_id}
        return {event.ordinal for event in self.log if event.sequence in mine and event.event == one.event}

    @property
    def revisions(self) -> dict[tuple[str, str], int]:
        return {(one.webhook_id, one.replay_id): one.revision for one in self.webhooks.values()}

    def feed(self, lane: Lane, now: int) -> bool:
        request = lane.wants()
        if request is None:
            return False
        events = tuple(
            tuple(e for e in self.log if e.event == stretch.event and e.ordinal > stretch.after)[: stretch.limit]
            for stretch in request.stretches
        )
        waiting = sorted(self.parked.values(), key=lambda one: one.sequence)
        retries = tuple(
            DueRetry(one.webhook_id, "", one.attempts, self.log[one.sequence - 1])
            for one in waiting
            if one.state == "retrying" and (request.probe_after is not None or (one.next_attempt_at or 0) <= now)
        )
        blocked = {("", one.resource_id) for one in waiting if one.state in ("retrying", "held")}
        answer = ReadAnswer("e", events, retries if request.retries_limit else (), frozenset(blocked), self.revisions)
        lane.admit(request, answer)
        return True

    def settle(self, settlement: Settlement, now: int) -> Settled:
        for attempt in settlement.attempts:
            if attempt.delivered:
                self.delivered.add((attempt.webhook_id, attempt.sequence))
        for move in settlement.cursors:
            known = self.webhooks[move.webhook_id]
            self.webhooks[move.webhook_id] = known._replace(cursor=max(known.cursor, move.cursor))
        touched = set()
        for webhook, _, sequence, resource in settlement.settled_retries:
            del self.parked[webhook, sequence]
            touched.add(resource)
        for parked in settlement.parked:
            self.parked[parked.webhook_id, parked.sequence] = parked
            touched.add(parked.resource_id)
        for resource in touched:
            self._promote(resource, now)
        if settlement.health is not None:
            self.health = settlement.health
        if settlement.release:
            self.uncertain, self.due_at = settlement.uncertain, settlement.due_at
        active = {one.resource_id for one in self.parked.values() if one.state in ("retrying", "held")}
        return Settled("e", lost=False, unblocked=frozenset(("", one) for one in touched - active))

    def _promote(self, resource: str, now: int) -> None:
        active = [one for one in self.parked.values() if one.resource_id == resource and one.state != "failed"]
        if active:
            first = min(active, key=lambda one: (one.sequence, one.webhook_id))
            if first.state == "held":
                self.parked[first.webhook_id, first.sequence] = first._replace(state="retrying", next_attempt_at=now)


def outcome(status: int) -> Outcome:
    return Outcome(OutcomeKind.RESPONSE, f"The receiver answered {status}.", Durations(1), status)


@dataclass
class Run:
    """Leases, sends and settles until nothing is left, in an order that `choose` picks; checks every step."""

    store: Store
    choose: Callable[[int], int]
    answer: Callable[[Delivery], int]
    now: int = 1000 * SECOND
    order: list[tuple[str, int]] = field(default_factory=list)
    """(webhook, sequence) as delivered."""
    ended: set[tuple[str, int]] = field(default_factory=set)
    attempts: int = 0
    coming: list[tuple[str, str]] = field(default_factory=list)
    """Events that are appended while leases last."""

    def go(self, leases: int = 400) -> None:
        for _ in range(leases):
            if self.done():
                return
            self.lease_once()
            self.now += 400 * SECOND
        raise AssertionError("it does not come to an end")

    def done(self) -> bool:
        heads = {event: sum(one.event == event for one in self.store.log) for event in EVENTS}
        behind = any(one.cursor < heads[one.event] for one in self.store.webhooks.values())
        return not self.coming and not behind and not any(one.state != "failed" for one in self.store.parked.values())

    def lease_once(self) -> None:
        lane, flying = self.store.lease(), list[Delivery]()
        for _ in range(500):
            if self.coming and self.choose(2):
                self.store.append(*self.coming.pop(0))
                if self.choose(2):
                    lane.look_again()
            if self.choose(2):
                self.store.feed(lane, self.now)
            while (delivery := lane.next(self.now)) is not None:
                self.check_start(delivery, flying)
                flying.append(delivery)
            if flying and (self.choose(3) or len(flying) > 5):
                self.finish(lane, flying.pop(self.choose(len(flying))))
            if self.choose(4) == 0 or not flying:
                self.write(lane, release=False)
            if not flying and lane.idle(self.now) and self.choose(2):
                break
            if self.choose(40) == 0:
                lane.draining = True
        while flying:
            self.finish(lane, flying.pop())
        self.write(lane, release=True)

    def check_start(self, delivery: Delivery, flying: list[Delivery]) -> None:
        event, mine = delivery.event, delivery.source.subscription.webhook_id
        assert all(one.event.resource_id != event.resource_id for one in flying), "two of one resource in flight"
        for webhook in self.store.webhooks.values():
            for earlier in self.store.log[: event.sequence - 1]:
                if earlier.resource_id == event.resource_id and earlier.event == webhook.event:
                    assert (webhook.webhook_id, earlier.sequence) in self.ended, "one overtakes another"
        assert delivery.is_probe or (mine, event.sequence) not in self.ended, "it was settled already"
        if self.store.health.opened_at is not None:
            assert delivery.is_probe
            assert not flying

    def finish(self, lane: Lane, delivery: Delivery) -> None:
        self.attempts += 1
        status = self.answer(delivery)
        key = (delivery.source.subscription.webhook_id, delivery.event.sequence)
        lane.finish(delivery, outcome(status), self.now, 0.0)
        if status == 200:
            assert key not in self.order, "delivered twice"
            self.order.append(key)
            self.ended.add(key)
        elif not delivery.is_probe and delivery.failures >= len(POLICY.retry_schedule_seconds):
            self.ended.add(key)

    def write(self, lane: Lane, *, release: bool) -> None:
        generation = lane.generation
        settlement = lane.settlement(self.now, release=release)
        if settlement is not None:
            lane.settled(self.store.settle(settlement, self.now), generation)


EVENT_LISTS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(EVENTS)), min_size=1, max_size=40)


@settings(max_examples=1000, deadline=None)
@given(EVENT_LISTS, st.sampled_from([1, 2, 10]), st.sampled_from([0, 20, 60, 95]), st.integers(0, 2**32))
def test_everything_arrives_once_and_in_order_or_is_given_up(
    events: list[tuple[str, str]], limit: int, failing: int, seed: int
) -> None:
    chance = Random(seed)
    store = Store()
    for webhook, event in (("w1", EVENTS[0]), ("w2", EVENTS[1]), ("w3", EVENTS[0])):
        store.webhooks[webhook] = subscription(webhook, event, limit=limit)
    run = Run(store, choose=chance.randrange, answer=lambda _: 500 if chance.randrange(100) < failing else 200)
    run.coming = events
    with pytest.MonkeyPatch.context() as small:
        limit_of_reads = 1 + chance.randrange(4)
        for module in (endpoint, source):
            small.setattr(module, "READ_LIMIT", limit_of_reads)
        run.go()
    owed = {(w.webhook_id, e.sequence) for w in store.webhooks.values() for e in store.log if e.event == w.event}
    given_up = {key for key, one in store.parked.items() if one.state == "failed"}
    assert set(run.order) | given_up == owed
    assert set(run.order).isdisjoint(given_up)


def test_an_endpoint_that_is_down_costs_no_rows() -> None:
    store = Store()
    store.webhooks["w1"] = subscription("w1", EVENTS[0])
    for number in range(300):
        store.append(f"r{number}", EVENTS[0])
    run = Run(store, choose=lambda n: n - 1, answer=lambda _: 500)
    for _ in range(5):
        run.lease_once()
        run.now += 400 * SECOND
    opened_after = run.attempts
    assert store.health.opened_at is not None
    rows = len(store.parked)
    assert rows <= 20
    for _ in range(20):
        run.lease_once()
        run.now += 400 * SECOND
    assert run.attempts == opened_after + 20
    assert len(store.parked) == rows


def test_poison_does_not_keep_the_breaker_open() -> None:
    store = Store()
    store.webhooks["w1"] = subscription("w1", EVENTS[0])
    for number in range(30):
        store.append(f"r{number}", EVENTS[0])
    down = [True]
    poison = {"r0", "r1"}
    run = Run(
        store,
        choose=lambda n: n - 1,
        answer=lambda one: 500 if down[0] or one.event.resource_id in poison else 200,
    )
    for _ in range(6):
        run.lease_once()
        run.now += 400 * SECOND
    assert store.health.opened_at is not None
    down[0] = False
    run.go()
    assert store.health.opened_at is None
    assert {key[1] for key in store.parked} == {1, 2}


def lane_of(store: Store, *subscriptions: Subscription) -> Lane:
    for one in subscriptions:
        store.webhooks[one.webhook_id] = one
    lane = store.lease()
    store.feed(lane, 1000 * SECOND)
    return lane


def startable(lane: Lane, now: int) -> list[Delivery]:
    found = []
    while (delivery := lane.next(now)) is not None:
        found.append(delivery)
    return found


def test_what_is_read_after_a_change_of_a_webhook_is_left_to_the_next_lease() -> None:
    store = Store()
    store.append("r1", EVENTS[0])
    lane = lane_of(store, subscription("w1", EVENTS[0]))
    store.append("r2", EVENTS[0])
    store.webhooks["w1"] = store.webhooks["w1"]._replace(revision=7)
    lane.look_again()
    store.feed(lane, 1000 * SECOND)
    assert startable(lane, 1000 * SECOND) == []
    assert lane.idle(1000 * SECOND)
    settlement = lane.settlement(1000 * SECOND, release=True)
    assert settlement is not None
    assert settlement.due_at == 1000 * SECOND


def test_a_rate_of_almost_nothing_is_one_in_a_thousand_seconds() -> None:
    store = Store()
    for number in range(2):
        store.append(f"r{number}", EVENTS[0])
    lane = lane_of(store, subscription("w1", EVENTS[0])._replace(rate_per_second=5e-324))
    assert len(startable(lane, 1000 * SECOND)) == 1
    assert lane.health.rate_at == 2000 * SECOND


def test_an_endpoint_begins_with_one_in_flight_and_doubles_up_to_the_smallest_limit() -> None:
    store = Store()
    for number in range(60):
        store.append(f"r{number}", EVENTS[0])
    lane = lane_of(store, subscription("w1", EVENTS[0], limit=5), subscription("w2", EVENTS[1], limit=9))
    now, counts = 1000 * SECOND, []
    for _ in range(5):
        started = startable(lane, now)
        counts.append(lane.in_flight)
        for delivery in started:
            lane.finish(delivery, outcome(200), now, 0.0)
    assert counts == [1, 2, 5, 5, 5]


def test_a_lease_is_unproven_until_its_first_success() -> None:
    store = Store(health=EndpointHealth(window=10))
    for number in range(20):
        store.append(f"r{number}", EVENTS[0])
    lane = lane_of(store, subscription("w1", EVENTS[0]))
    first = startable(lane, 0)
    assert len(first) == 2
    lane.finish(first[0], outcome(200), 0, 0.0)
    startable(lane, 0)
    assert lane.in_flight == 10


def test_rate_per_second_is_kept_over_leases() -> None:
    store = Store(health=EndpointHealth(window=10))
    for number in range(50):
        store.append(f"r{number}", EVENTS[0])
    limited = subscription("w1", EVENTS[0])._replace(rate_per_second=10.0)
    sent, now = 0, 1000 * SECOND
    for _ in range(4):
        lane = lane_of(store, store.webhooks.get("w1", limited))
        for _ in range(25):
            for delivery in startable(lane, now):
                sent += 1
                lane.finish(delivery, outcome(200), now, 0.0)
            now += SECOND // 50
        settlement = lane.settlement(now, release=True)
        assert settlement is not None
        store.settle(settlement, now)
    assert 19 <= sent <= 21


def test_nothing_is_sent_before_retry_after_is_over() -> None:
    store = Store(health=EndpointHealth(not_before=2000 * SECOND))
    store.append("r", EVENTS[0])
    lane = lane_of(store, subscription("w1", EVENTS[0]))
    assert lane.next(2000 * SECOND - 1) is None
    assert lane.idle(1000 * SECOND)
    settlement = lane.settlement(1000 * SECOND, release=True)
    assert settlement is not None
    assert settlement.due_at == 2000 * SECOND


def test_a_replay_goes_through_its_range_and_ends() -> None:
    store = Store()
    for number in range(10):
        store.append(f"r{number}", EVENTS[0])
    replay = subscription("w1", EVENTS[0], cursor=2)._replace(replay_id="replay", last_ordinal=6)
    store.webhooks["w1"] = replay
    lane = Lane(LeasedEndpoint("e", "o", "token", EndpointHealth(window=10), False, (replay,)), POLICY)
    store.feed(lane, 0)
    sent = []
    while started := startable(lane, 0):
        for delivery in started:
            sent.append(delivery.event.ordinal)
            lane.finish(delivery, outcome(200), 0, 0.0)
    settlement = lane.settlement(0, release=True)
    assert settlement is not None
    (move,) = settlement.cursors
    assert (sent, move.cursor) == ([3, 4, 5, 6], 6)
