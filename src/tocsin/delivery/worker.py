"""The worker: leases due endpoints, lets `endpoint` and `policy` decide, the `sender` send, and writes what came of it.

Two loops talk to storage, each at its own pace. One *takes*: it notices what was appended, leases what is due, and
reads what that has to send, again and again while there is something to take and room for it. The other takes *turns*:
it settles what came of deliveries, and then reads what else the leased endpoints have, of which everything is settled
by then. Between them, outcomes arrive as callbacks and start the next deliveries from what was read already.

Turns follow each other every `TURN_SECONDS` while anything is held, at once after `FLUSH_RESULTS` outcomes. A hint
wakes the taker, and so does a lease that ended; without either it looks every `POLL_SECONDS`: a missed hint costs a
second, never an event.

The database is the truth: an error of it ends a turn, what was to be written is kept and written with the next one.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar, get_args

import structlog

from tocsin.clock import Clock
from tocsin.delivery import recipient
from tocsin.delivery.connection import Limits
from tocsin.delivery.endpoint import Lane
from tocsin.delivery.outcome import Durations, Outcome, OutcomeKind
from tocsin.delivery.policy import Decision, Policy, Standing, Verdict, standing
from tocsin.delivery.request import Recipient, head
from tocsin.delivery.source import Delivery
from tocsin.delivery.target import RefusedUrl, Target
from tocsin.metrics import Metrics
from tocsin.storage.interface import Storage
from tocsin.storage.records import ReadRequest, Settled, Settlement, Subscription

LEASE_SECONDS: Final = 30.0
RENEW_SECONDS: Final = 5.0
SLICE_SECONDS: Final = 1.0
"""After about this a busy endpoint is let go of, so that work spreads."""
SLICE_SPREAD: Final = 0.5
"""A slice is longer or shorter by up to this part of it."""
PAUSE_SECONDS: Final = 0.25
"""How long the end of a slice waits for what is in flight before the lease is simply kept."""
SLOW_SECONDS: Final = 0.5
"""An endpoint with a POST in flight for longer than this is slow."""
TURN_SECONDS: Final = 0.02
GATHER_SECONDS: Final = 0.02
"""From the end of a lease until something is taken in its place: what is leased together shares its reads."""
POLL_SECONDS: Final = 1.0
RELOAD_SECONDS: Final = 0.5
"""How often webhooks of held leases are compared with what storage has."""
FLUSH_RESULTS: Final = 100
LEASES_AT_A_TIME: Final = 500
FAILING_AT_A_TIME: Final = 20
GRACE_SECONDS: Final = 8.0
"""At the end: how long what is in flight may still take."""
RECIPIENTS_MAX: Final = 10_000
DATABASE_PAUSE_SECONDS: Final = 0.5
DECISIONS: Final = {one: one.__name__.lower() for one in get_args(Decision)}
"""As metrics name them."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Interruptible(Protocol):
    """An attempt on its way."""

    def interrupt(self) -> None:
        """End it now, as interrupted, if it has not ended."""
        ...


class Poster(Protocol):
    """What POSTs: `sender.Sender`, or anything that keeps its promises."""

    @property
    def limits(self) -> Limits: ...

    def post(self, target: Target, head: bytes, body: bytes, done: Callable[[Outcome], None]) -> Interruptible:
        """Start an attempt; `done` is told its outcome once, from the event loop, never inside this call."""
        ...


@dataclass(slots=True)
class Held:
    """A lease in this worker's hands. Times are monotonic seconds."""

    lane: Lane
    leased_at: float
    slice_until: float
    start_until: float
    """No POST starts later: it could outlive the lease."""
    paused_at: float = 0.0
    slow: bool = False
    suspect: bool = False
    """Failing or slow: such endpoints hold together at most half of the worker's concurrency."""
    oldest_started_at: float = 0.0
    is_new: bool = True
    """Its first events are still on their way from storage."""

    def __post_init__(self) -> None:
        self.judge()

    def judge(self) -> None:
        """Whether it is suspect now."""
        self.suspect = self.slow or self.lane.health.consecutive_failures > 0


class Worker:
    """`chance` gives numbers from -1 to 1 for jitter; `owner` names this process in leases."""

    def __init__(
        self,
        storage: Storage,
        sender: Poster,
        vault: recipient.Opener,
        *,
        policy: Policy,
        clock: Clock,
        owner: str,
        concurrency: int,
        chance: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._storage = storage
        self._sender = sender
        self._vault = vault
        self._policy = policy
        self._clock = clock
        self._owner = owner
        self._concurrency = concurrency
        self._chance = chance
        self._metrics = metrics
        self._margin = sender.limits.attempt_timeout_seconds + 1.0
        self._lease_seconds = max(LEASE_SECONDS, self._margin + 10.0)
        self._held: dict[str, Held] = {}
        self._posts: dict[Delivery, Interruptible] = {}
        self._hungry: deque[Held] = deque()
        self._in_flight = 0
        self._suspect_in_flight = 0
        self._results = 0
        self._unwritten: list[Settlement] = []
        self._generations: dict[str, tuple[Held, int]] = {}
        """Of the lanes that are in it."""
        self._recipients: OrderedDict[tuple[str, str, int], Recipient] = OrderedDict()
        self._wake = asyncio.Event()
        """There is something to write or to read."""
        self._look = asyncio.Event()
        """There may be something to take, or room for it."""
        self._stopping = False
        self._renew_at = 0.0
        self._reload_at = 0.0
        storage.on_append(self.hint)

    def hint(self) -> None:
        """Something was appended: look now."""
        self._look.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set; then finish what is in flight, write it, and give every lease back."""
        stopper = asyncio.ensure_future(self._stop_on(stop))
        taker = asyncio.ensure_future(self._take_on())
        try:
            while not self._stopping:
                await self._guarded(self._turn)
                await _either(self._wake, TURN_SECONDS if self._held or self._unwritten else POLL_SECONDS)
            await self._drain(taker)
        finally:
            stopper.cancel()
            taker.cancel()

    async def _stop_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._stopping = True
        self._wake.set()
        self._look.set()

    async def _drain(self, taker: "asyncio.Future[None]") -> None:
        """Start nothing more; what is unfinished after the grace ends as interrupted, spending no schedule."""
        give_up_at = self._clock.monotonic() + GRACE_SECONDS
        while (self._in_flight or not taker.done()) and self._clock.monotonic() < give_up_at:
            await self._guarded(self._turn)
            await _either(self._wake, TURN_SECONDS)
        for post in list(self._posts.values()):
            post.interrupt()
        await self._guarded(self._turn)

    async def _guarded(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """What the work returns; None where it failed, after a pause."""
        try:
            return await work()
        except Exception as error:
            log.exception("worker_turn_failed", error=type(error).__name__)
            await asyncio.sleep(DATABASE_PAUSE_SECONDS)
            return None

    # Taking

    async def _take_on(self) -> None:
        while not self._stopping:
            if not await self._guarded(self._take):
                await _either(self._look, POLL_SECONDS)

    async def _take(self) -> bool:
        """Whether there may be more."""
        self._look.clear()
        room = max(0, min(LEASES_AT_A_TIME, 2 * self._concurrency - len(self._held)))
        failing = max(0, min(FAILING_AT_A_TIME, self._concurrency // 2 - self._suspect_in_flight))
        now = self._clock.monotonic()
        noticed, leased = await self._storage.take(self._owner, room, failing, self._lease_seconds)
        if noticed:
            for held in self._held.values():
                held.lane.look_again()
        if noticed or leased:
            self._wake.set()
        until = now + self._lease_seconds - self._margin
        taken = [Held(Lane(one, self._policy), now, self._slice_until(now), until) for one in leased]
        self._held.update({held.lane.id: held for held in taken})
        try:
            await self._read(taken)
        finally:
            for held in taken:
                held.is_new = False
        for held in taken:
            self._pump(held, self._clock.monotonic(), self._clock.now())
        return bool(noticed or leased)

    # A turn

    async def _turn(self) -> None:
        now = self._clock.monotonic()
        self._look_after(now)
        await self._write()
        if self._held and not self._stopping:
            await self._keep(now)
            await self._read([held for held in self._held.values() if not held.is_new])
        self._pump_all()

    def _look_after(self, now: float) -> None:
        """Who is slow, and whose slice is over."""
        suspect = 0
        for held in self._held.values():
            lane = held.lane
            held.slow = lane.in_flight > 0 and now - held.oldest_started_at > SLOW_SECONDS
            held.judge()
            if held.suspect:
                suspect += lane.in_flight
            if self._stopping:
                lane.draining = True
            elif now > held.slice_until:
                self._end_slice(held, now)
        self._suspect_in_flight = suspect

    def _end_slice(self, held: Held, now: float) -> None:
        """Pause, so that the lease can be given back; keep it where something in flight takes too long for that."""
        if not held.paused_at:
            held.paused_at = now
        elif now - held.paused_at > PAUSE_SECONDS:
            held.slice_until = now + SLICE_SECONDS
            held.paused_at = 0.0
            held.lane.look_again()

    async def _write(self) -> None:
        if self._unwritten:
            await self._settle()  # left by a turn that failed: no endpoint is in one settling twice
        self._collect()
        if self._unwritten:
            await self._settle()

    def _collect(self) -> None:
        """What is to be written of each endpoint; and end leases that are of no more use."""
        now = self._clock.now()
        for held in list(self._held.values()):
            lane = held.lane
            if held.is_new or (lane.in_flight and not lane.dirty):
                continue
            release = self._releasable(held, now)
            generation = lane.generation
            settlement = lane.settlement(now, release=release)
            if settlement is not None:
                self._unwritten.append(settlement)
                self._generations[lane.id] = (held, generation)
            if release:
                lane.draining = True  # whoever still knows it starts nothing more
                del self._held[lane.id]
        self._results = 0

    async def _settle(self) -> None:
        settlements = self._unwritten
        written = await self._storage.settle(settlements)
        generations, self._unwritten, self._generations = self._generations, [], {}
        self._take_in(written, generations)
        if any(one.release for one in settlements):
            # there is room; and perhaps it was given back only to be leased again
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self._look.set)

    def _releasable(self, held: Held, now: int) -> bool:
        lane = held.lane
        if lane.in_flight:
            return False
        return bool(held.paused_at) or lane.idle(now)

    def _take_in(self, written: Sequence[Settled], generations: Mapping[str, tuple[Held, int]]) -> None:
        for result in written:
            held, generation = generations.get(result.endpoint_id, (None, 0))
            if held is not None:
                held.lane.settled(result, generation)
            if result.lost:
                self._metrics.leases_lost.inc()
                log.warning("lease_lost", endpoint=result.endpoint_id)

    def _slice_until(self, now: float) -> float:
        """Not the same for all that are leased together: while some change hands, others go on."""
        return now + SLICE_SECONDS * (1 + SLICE_SPREAD * self._chance())

    async def _keep(self, now: float) -> None:
        """Renew leases, and compare their webhooks with what storage has now."""
        if now >= self._renew_at:
            self._renew_at = now + RENEW_SECONDS
            tokens = {held.lane.id: held.lane.token for held in self._held.values()}
            started = self._clock.monotonic()
            lost = await self._storage.renew(tokens, self._lease_seconds)
            for held in self._held.values():
                held.lane.lost |= held.lane.id in lost
                if held.lane.id in tokens and not held.lane.lost:
                    held.start_until = started + self._lease_seconds - self._margin
        if now >= self._reload_at:
            self._reload_at = now + RELOAD_SECONDS
            old = [held for held in self._held.values() if now - held.leased_at > RELOAD_SECONDS or held.slow]
            await self._reload(old)

    async def _reload(self, old: Sequence[Held]) -> None:
        """A lane whose webhooks changed starts nothing more: it is released, and leased anew as they are now."""
        if not old:
            return
        current = await self._storage.revisions([held.lane.id for held in old])
        for held in old:
            if current[held.lane.id] != held.lane.revisions:
                held.lane.draining = True

    async def _read(self, some: Sequence[Held]) -> None:
        wanted: list[tuple[Held, ReadRequest]] = []
        for held in some:
            request = None if held.paused_at else held.lane.wants()
            if request is not None:
                wanted.append((held, request))
        if not wanted:
            return
        answers = await self._storage.fetch([request for _, request in wanted])
        for (held, request), answer in zip(wanted, answers, strict=True):
            held.lane.admit(request, answer)

    # Between turns

    def _pump_all(self) -> None:
        self._hungry.clear()
        moment, now = self._clock.monotonic(), self._clock.now()
        for held in list(self._held.values()):
            self._pump(held, moment, now)

    def _pump(self, held: Held, moment: float, now: int) -> None:
        """Start what may start now (`moment`: monotonic seconds) at one endpoint."""
        if self._stopping or held.paused_at or moment > held.start_until:
            return
        while self._room(held):
            delivery = held.lane.next(now)
            if delivery is None:
                return
            self._send(held, delivery, moment, now)
        self._hungry.append(held)

    def _room(self, held: Held) -> bool:
        """Suspects have half of the concurrency; what they hold beyond it is not charged to the others."""
        half = self._concurrency // 2
        if held.suspect:
            return self._suspect_in_flight < half
        return self._in_flight - self._suspect_in_flight < self._concurrency - min(self._suspect_in_flight, half)

    def _send(self, held: Held, delivery: Delivery, moment: float, now: int) -> None:
        if held.lane.in_flight == 1:
            held.oldest_started_at = moment
        self._in_flight += 1
        self._suspect_in_flight += held.suspect
        try:
            ready = self._recipient(delivery.source.subscription)
        except (ValueError, RefusedUrl) as error:
            outcome = Outcome(OutcomeKind.UNREADY, f"The notification could not be made: {error}.", Durations(0))
            asyncio.get_running_loop().call_soon(self._done, held, delivery, outcome)
            return
        event = delivery.event
        done = partial(self._done, held, delivery)
        self._posts[delivery] = self._sender.post(ready.target, head(ready, event, now), event.body, done)

    def _done(self, held: Held, delivery: Delivery, outcome: Outcome) -> None:
        self._posts.pop(delivery, None)
        moment, now = self._clock.monotonic(), self._clock.now()
        lane, before = held.lane, held.lane.health
        self._in_flight -= 1
        if held.suspect:
            self._suspect_in_flight = max(0, self._suspect_in_flight - 1)
        held.oldest_started_at = moment
        verdict = lane.finish(delivery, outcome, now, self._chance())
        self._count(delivery, outcome, verdict, now)
        if lane.health is not before:
            held.judge()
            _log_standing(delivery, outcome, standing(before), standing(lane.health))
        if verdict.reason is not None:
            _log_failure(delivery, outcome, verdict)
        self._results += 1
        if self._results >= FLUSH_RESULTS or self._stopping:
            self._wake.set()
        if self._hungry:
            self._hungry.append(held)
            held = self._hungry.popleft()
        self._pump(held, moment, now)

    def _count(self, delivery: Delivery, outcome: Outcome, verdict: Verdict, now: int) -> None:
        metrics = self._metrics
        metrics.attempts.count(outcome.kind)
        metrics.deliveries.count(DECISIONS[type(verdict.decision)])
        metrics.attempt_seconds.observe(outcome.durations.total / 1e6)
        if verdict.reason is None:
            metrics.delivery_latency_seconds.observe((now - delivery.event.occurred_at) / 1e6)
        if outcome.refusal is not None:
            metrics.refused_addresses.labels(outcome.refusal).inc()

    def _recipient(self, one: Subscription) -> Recipient:
        """The webhook made ready; kept until its next revision."""
        key = (one.webhook_id, one.replay_id, one.revision)
        found = self._recipients.get(key)
        if found is None:
            found = self._recipients[key] = recipient.ready(_sealed(one), self._vault)
            if len(self._recipients) > RECIPIENTS_MAX:
                self._recipients.popitem(last=False)
        return found


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set, but not longer; and clear it."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
    event.clear()


def _sealed(one: Subscription) -> recipient.Sealed:
    return recipient.Sealed(
        one.webhook_id,
        one.url,
        one.signature,
        one.headers,
        one.secret,
        one.previous_secret,
        one.previous_secret_until,
        one.replay_id,
    )


def _log_standing(delivery: Delivery, outcome: Outcome, before: Standing, after: Standing) -> None:
    if before is after:
        return
    one = delivery.source.subscription
    log.warning(
        "endpoint_state_changed",
        organization=one.organization_id,
        endpoint=one.endpoint_id,
        before=before.value,
        after=after.value,
        reason=outcome.reason,
    )


def _log_failure(delivery: Delivery, outcome: Outcome, verdict: Verdict) -> None:
    one, event = delivery.source.subscription, delivery.event
    log.info(
        "attempt_failed",
        organization=one.organization_id,
        endpoint=one.endpoint_id,
        webhook=one.webhook_id,
        notification=event.id,
        sequence=event.sequence,
        outcome=outcome.kind.value,
        status=outcome.status if outcome.kind is OutcomeKind.RESPONSE else None,
        reason=verdict.reason,
    )
    if verdict.disable_reason is not None:
        log.warning("webhooks_disabled", endpoint=one.endpoint_id, reason=verdict.disable_reason)
