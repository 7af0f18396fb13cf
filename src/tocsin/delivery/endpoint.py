"""One leased endpoint in a worker's hands: what to send next, and what to write of what became of it. Pure.

The rules:

* Two events of one resource are never in flight together, and the later one waits until the earlier one is delivered
  or given up, whichever of the endpoint's webhooks they belong to.
* A replay is a series by itself, in order like the live one and beside it: neither waits for the other, live events
  are started first, and replays together hold at most half of what the endpoint allows in flight.
* Webhooks are read together, of one snapshot, and merged by sequence: nothing is admitted beyond the place up to which
  every one of them has been read.
* A failed delivery is *parked* in `retries`, its resource *blocked*: later events of it are parked too, as held, until
  storage says that nothing of it is parked any more. A parked delivery no longer holds its webhook's cursor back.
* A cursor moves over what is settled or parked without a gap. What is delivered beyond a gap makes the release
  `uncertain`: whoever leases next asks which those were.
* While the breaker is open only probes are sent, one at a time, each of another resource than the last; nothing is
  parked, so an endpoint that is down costs no rows. Opening and closing end the lease: the next one starts clean.
"""

from collections.abc import Iterable, Sequence
from typing import Final, assert_never

from tocsin.delivery.outcome import Outcome, OutcomeKind
from tocsin.delivery.policy import SECOND, Delivered, GiveUp, Policy, Retry, Unspent, Verdict, judge
from tocsin.delivery.series import Series
from tocsin.delivery.source import READ_LIMIT, Delivery, Source
from tocsin.storage.records import (
    AttemptRecord,
    CursorMove,
    DueRetry,
    LeasedEndpoint,
    LoggedEvent,
    Parked,
    ReadAnswer,
    ReadRequest,
    Settled,
    Settlement,
    Subscription,
)

QUEUED_MAX: Final = 2 * READ_LIMIT
"""Deliveries of one series read and not yet started or parked; then nothing more of it is read."""

RETRIES_LIMIT: Final = 50
"""Due retries, or candidates for a probe, read at a time."""

UNPROVEN_IN_FLIGHT: Final = 2
"""POSTs in flight until the first success in a lease."""

RATE_MIN_PER_SECOND: Final = 0.001
"""A smaller ratePerSecond counts as this: its next moment could be past all moments."""

RATE_BURST: Final = SECOND // 20
"""How early ratePerSecond lets a POST start, in microseconds: the grain of the worker's turns."""

REPLAY_SHARE: Final = 4
"""While live events wait, too, one start of so many goes to a replay."""

HELD_REASON: Final = "Waits for an earlier event of the same resource."


class Lane:
    """The endpoint while this worker holds its lease. Every method is told the time; none waits."""

    def __init__(self, leased: LeasedEndpoint, policy: Policy) -> None:
        self.id = leased.id
        self.token = leased.token
        self.health = leased.health
        self.in_flight = 0
        self.proven = False
        self.draining = False
        """Nothing new is started; released as soon as nothing is in flight."""
        self.lost = False
        self._policy = policy
        self._sources: dict[tuple[str, str], Source] = {}
        self._limit = 0
        self._interval = 0
        """Microseconds between two POSTs, by ratePerSecond; 0: as they come."""
        self._live = Series("")
        self._replays: dict[str, Series] = {}
        for one in leased.subscriptions:
            self._subscribe(one)
        self.revisions = {(one.webhook_id, one.replay_id): one.revision for one in leased.subscriptions}
        self._starts = 0
        self._asked: list[Source] = []
        self._blocked: dict[tuple[str, str], int] = {}
        """(replay_id, resource_id) with something parked: the generation that parked it last."""
        self._retrying: dict[tuple[str, str, int], int | None] = {}
        """Retries taken from storage: None while on their way, then the generation that writes what came of them."""
        self._has_retries = leased.has_retries
        self._retries_exhausted = not leased.has_retries
        self._generation = 0
        self._written_health = leased.health
        self._settlement = Settlement(self.id, self.token)
        self.dirty = False
        """Something has happened since the last settlement was taken."""
        self._read_to_the_end = False
        """Nothing is to be read until something happens."""
        if not leased.subscriptions:
            self.draining = True

    def _subscribe(self, one: Subscription) -> None:
        """The endpoint's limits are the smallest of its webhooks'."""
        self._sources[one.webhook_id, one.replay_id] = Source(one)
        self._limit = min(self._limit or one.max_in_flight, one.max_in_flight)
        if one.rate_per_second is not None:
            self._interval = max(self._interval, round(SECOND / max(one.rate_per_second, RATE_MIN_PER_SECOND)))
        if one.replay_id:
            self._replays[one.replay_id] = Series(one.replay_id)

    # What to read

    def wants(self) -> ReadRequest | None:
        """What to fetch, or None while there is enough to do."""
        if self.draining or self.lost or self._read_to_the_end:
            return None
        self._asked = self._reading()
        stretches = tuple([source.stretch() for source in self._asked])
        retries = 0 if self._retries_exhausted or self._full(self._live) else RETRIES_LIMIT
        if not stretches and not retries:
            self._read_to_the_end = True
            return None
        probe_after = None if self.health.opened_at is None else self.health.probed_sequence
        return ReadRequest(self.id, stretches, retries, probe_after, check_blocked=self._has_retries)

    def _reading(self) -> list[Source]:
        """Webhooks are read all or none, of one snapshot: merging parts read at different times would reorder."""
        live = [source for source in self._sources.values() if not source.subscription.replay_id]
        asked = live if any(not source.exhausted for source in live) and not self._full(self._live) else []
        for replay_id, series in self._replays.items():
            source = next(one for one in self._sources.values() if one.subscription.replay_id == replay_id)
            if not source.exhausted and not source.finished and not self._full(series):
                asked.append(source)
        return asked

    def _full(self, series: Series) -> bool:
        """Whether there is enough of it to do."""
        return len(series.ready) > self._limit or series.queued >= QUEUED_MAX

    def look_again(self) -> None:
        """Something may have come since the log was read to its end."""
        self._read_to_the_end = False
        for source in self._sources.values():
            source.exhausted = False
        self._retries_exhausted = not self._has_retries

    def admit(self, request: ReadRequest, answer: ReadAnswer) -> None:
        """Take in what was fetched for `request`. Where a webhook has changed, it is left to the next lease: nothing
        that was appended after the change goes by what was before it."""
        self.dirty, self._read_to_the_end = True, False
        if answer.revisions != self.revisions:
            self.draining = True
            return
        if request.retries_limit:
            self._admit_retries(answer.retries)
            self._retries_exhausted = True
        for key in answer.blocked:
            self._blocked.setdefault(key, self._generation)
        read = list(zip(self._asked, answer.events, strict=True))
        for source, events in read:
            if source.subscription.replay_id:
                self._admit_replayed(source, events)
        self._admit_live([pair for pair in read if not pair[0].subscription.replay_id])

    def _admit_replayed(self, source: Source, events: Sequence[LoggedEvent]) -> None:
        """A series by itself, up to its end."""
        last = source.subscription.last_ordinal
        assert last is not None, "a replay ends somewhere"
        taken = [(source, event) for event in events if event.ordinal <= last]
        source.exhausted = len(taken) < READ_LIMIT
        source.read_to = taken[-1][1].ordinal if taken else source.read_to
        self._admit_events(taken)

    def _admit_live(self, read: Sequence[tuple[Source, Sequence[LoggedEvent]]]) -> None:
        """Merge by sequence, no further than every webhook has been read."""
        horizon = min((events[-1].sequence for _, events in read if len(events) == READ_LIMIT), default=None)
        merged = []
        for source, events in read:
            taken = [(source, event) for event in events if horizon is None or event.sequence <= horizon]
            source.exhausted = len(events) < READ_LIMIT and len(taken) == len(events)
            source.read_to = taken[-1][1].ordinal if taken else source.read_to
            merged += taken
        if len(read) > 1:
            merged.sort(key=_by_sequence)
        self._admit_events(merged)

    def _admit_events(self, merged: Iterable[tuple[Source, LoggedEvent]]) -> None:
        for source, event in merged:
            source.order.append(event.ordinal)
            if event.ordinal in source.subscription.settled:
                source.settle(event.ordinal)
            elif (source.subscription.replay_id, event.resource_id) in self._blocked:
                self._hold(source, event)
            else:
                self._series(source).queue(Delivery(source, event, failures=0, is_retry=False))

    def _admit_retries(self, retries: Iterable[DueRetry]) -> None:
        for retry in retries:
            source = self._sources.get((retry.webhook_id, retry.replay_id))
            if source is None:
                continue
            key = (retry.webhook_id, retry.replay_id, retry.event.sequence)
            series, resource_id = self._series(source), retry.event.resource_id
            if key in self._retrying or resource_id in series.waiting:
                continue
            self._blocked.setdefault((series.replay_id, resource_id), self._generation)
            self._retrying[key] = None
            series.queue(Delivery(source, retry.event, failures=retry.attempts, is_retry=True))

    def _series(self, source: Source) -> Series:
        replay_id = source.subscription.replay_id
        return self._replays[replay_id] if replay_id else self._live

    def _hold(self, source: Source, event: LoggedEvent) -> None:
        """Behind a parked one: parked too, unless the endpoint is down. Then the cursor stays before it."""
        if self.health.opened_at is None:
            self._park(source, event, state="held", attempts=0, at=None, reason=HELD_REASON)
            source.settle(event.ordinal)

    # What to send

    def next(self, now: int) -> Delivery | None:
        """The delivery to start now, counted as in flight; None: nothing may start now."""
        health = self.health
        if self.draining or self.lost or now < health.not_before:
            return None
        if health.opened_at is not None:
            return self._probe(now) if self.in_flight == 0 else None
        allowed = min(health.window, self._limit)
        if self.in_flight >= (allowed if self.proven else min(allowed, UNPROVEN_IN_FLIGHT)):
            return None
        series = self._next_series(allowed)
        if series is None or (self._interval and not self._on_time(now)):
            return None
        return self._start(series, series.ready.popleft(), now)

    def _next_series(self, allowed: int) -> Series | None:
        """Live events first; now and then, and when there are none, the replays in turn."""
        live = self._live if self._live.ready else None
        if not self._replays or (live is not None and self._starts % REPLAY_SHARE):
            return live
        replays = [one for one in self._replays.values() if one.ready]
        if not replays or sum(one.in_flight for one in self._replays.values()) >= max(1, allowed // 2):
            return live
        return replays[self._starts // REPLAY_SHARE % len(replays)]

    def _probe(self, now: int) -> Delivery | None:
        """The oldest event after the last probe's, in turn: no poisonous resource can keep the breaker open."""
        probed = self.health.probed_sequence
        ready = [(series, one) for series in (self._live, *self._replays.values()) for one in series.ready]
        if not ready:
            return None
        series, chosen = min(ready, key=lambda pair: (pair[1].event.sequence <= probed, pair[1].event.sequence))
        series.ready.remove(chosen)
        chosen.is_probe = True
        self.health = self.health._replace(probed_sequence=chosen.event.sequence)
        return self._start(series, chosen, now)

    def _on_time(self, now: int) -> bool:
        """ratePerSecond, as a schedule of when POSTs are on time (the generic cell rate algorithm)."""
        rate_at = self.health.rate_at
        if now < rate_at - RATE_BURST:
            return False
        self.health = self.health._replace(rate_at=max(rate_at, now) + self._interval)
        return True

    def _start(self, series: Series, delivery: Delivery, now: int) -> Delivery:
        delivery.started_at = now
        self.in_flight += 1
        self._starts += 1
        self.dirty |= self.health is not self._written_health
        series.started()
        return delivery

    # What became of it

    def finish(self, delivery: Delivery, outcome: Outcome, now: int, jitter: float) -> Verdict:
        """Judge an outcome and note what is to be written. `jitter`: from -1 to 1."""
        self.in_flight -= 1
        self._series(delivery.source).in_flight -= 1
        self.dirty, self._read_to_the_end = True, False
        event = delivery.event
        verdict = judge(
            self._policy,
            self.health,
            outcome,
            resource_id=event.resource_id,
            failures=delivery.failures,
            probe=delivery.is_probe,
            limit=self._limit,
            now=now,
            jitter=jitter,
        )
        self._settlement.attempts.append(_attempt(delivery, outcome, verdict))
        if (verdict.health.opened_at is None) != (self.health.opened_at is None):
            self.draining = True
        self.health = verdict.health
        match verdict.decision:
            case Delivered():
                self.proven = True
                self._settle(delivery)
            case Retry(at):
                self._fail(delivery, "retrying", at, verdict.reason or "")
            case GiveUp():
                self._fail(delivery, "failed", None, verdict.reason or "")
            case Unspent():
                self.draining = True
            case _:
                assert_never(verdict.decision)
        if verdict.disable_reason is not None:
            self._settlement.disable_reason = verdict.disable_reason
            self.draining = True
        return verdict

    def _settle(self, delivery: Delivery) -> None:
        event, source = delivery.event, delivery.source
        if delivery.is_retry:
            key = (*source.key, event.sequence)
            self._retrying[key] = self._generation
            self._settlement.settled_retries.append((*key, event.resource_id))
            self._retries_exhausted = False
        else:
            source.settle(event.ordinal)
        self._series(source).go_on(event.resource_id)

    def _fail(self, delivery: Delivery, state: str, at: int | None, reason: str) -> None:
        event, source = delivery.event, delivery.source
        self._park(source, event, state=state, attempts=delivery.failures + 1, at=at, reason=reason)
        if delivery.is_retry:
            self._retrying[*source.key, event.sequence] = self._generation
            self._retries_exhausted = False
        else:
            source.settle(event.ordinal)
        for later in self._series(source).give_way(event.resource_id):
            self._park(later.source, later.event, state="held", attempts=0, at=None, reason=HELD_REASON)
            later.source.settle(later.event.ordinal)

    def _park(
        self, source: Source, event: LoggedEvent, *, state: str, attempts: int, at: int | None, reason: str
    ) -> None:
        one = source.subscription
        self._has_retries = True
        self._blocked[one.replay_id, event.resource_id] = self._generation
        self._settlement.parked.append(
            Parked(
                webhook_id=one.webhook_id,
                replay_id=one.replay_id,
                epoch=one.epoch,
                organization_id=event.organization_id,
                sequence=event.sequence,
                ordinal=event.ordinal,
                resource_id=event.resource_id,
                state=state,
                attempts=attempts,
                next_attempt_at=at,
                reason=reason,
            )
        )

    # What to write

    def idle(self, now: int) -> bool:
        """Whether the lease is of no more use for now: nothing in flight, and nothing that may start soon."""
        if self.in_flight:
            return False
        if self.draining or self.lost or now < self.health.not_before:
            return True
        return not self._any_ready() and self.wants() is None

    def _any_ready(self) -> bool:
        return bool(self._live.ready) or any(one.ready for one in self._replays.values())

    def settlement(self, now: int, *, release: bool) -> Settlement | None:
        """What is to be written since the last call; None: nothing. `release` gives the lease back with it."""
        self.dirty = False
        settlement = self._settlement
        settlement.cursors = [self._move(source) for source in self._sources.values() if source.moved or source.ending]
        if self.health is not self._written_health:
            settlement.health = self._written_health = self.health
        if release:
            assert self.in_flight == 0, "a lease is not given back under a delivery"
            settlement.release = True
            settlement.due_at = self._due_at(now)
            settlement.uncertain = any(source.uncertain for source in self._sources.values())
        if not (release or settlement.attempts or settlement.cursors or settlement.parked or settlement.health):
            return None
        self._settlement = Settlement(self.id, self.token)
        self._generation += 1
        return settlement

    def _move(self, source: Source) -> CursorMove:
        one = source.subscription
        source.moved = False
        if source.ending:
            assert one.last_ordinal is not None
            source.cursor = one.last_ordinal
            source.told_end = True
        return CursorMove(one.webhook_id, one.replay_id, one.epoch, source.cursor)

    def _due_at(self, now: int) -> int | None:
        """When to lease it again, besides what storage knows: retries, and what came meanwhile."""
        unfinished = self._any_ready() or any(
            source.order or not source.exhausted for source in self._sources.values() if not source.finished
        )
        if not unfinished and self.health.opened_at is None:
            return None
        rate_at = self.health.rate_at - RATE_BURST if self._interval else 0
        return max(now, self.health.not_before, rate_at)

    def settled(self, result: Settled, generation: int) -> None:
        """What writing the settlement of `generation` found."""
        if result.lost:
            self.lost = True
        written = [key for key, by in self._retrying.items() if by is not None and by <= generation]
        for key in written:
            del self._retrying[key]
        for replay_id, resource_id in result.unblocked:
            series = self._replays[replay_id] if replay_id else self._live
            by = self._blocked.get((replay_id, resource_id), generation + 1)
            if by <= generation and resource_id not in series.waiting:
                del self._blocked[replay_id, resource_id]

    @property
    def generation(self) -> int:
        """Of the settlement that is being collected."""
        return self._generation


def _by_sequence(pair: tuple[Source, LoggedEvent]) -> tuple[int, str]:
    return pair[1].sequence, pair[0].subscription.webhook_id


def _attempt(delivery: Delivery, outcome: Outcome, verdict: Verdict) -> AttemptRecord:
    durations, event, one = outcome.durations, delivery.event, delivery.source.subscription
    delivered = isinstance(verdict.decision, Delivered)
    is_response = outcome.kind is OutcomeKind.RESPONSE
    return AttemptRecord(
        one.webhook_id,
        event.sequence,
        event.ordinal,
        one.replay_id,
        delivered,
        delivery.started_at,
        outcome.kind.value,
        outcome.status if is_response else None,
        verdict.reason,
        outcome.address,
        durations.resolve,
        durations.connect,
        durations.tls,
        durations.first_byte,
        durations.total,
        None if delivered else outcome.response_body,
    )
