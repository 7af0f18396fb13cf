"""A history: organizations and their webhooks, events, owners who change their minds, faults; all from one seed."""

import asyncio
import contextlib
import traceback
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from random import Random
from typing import Any, Final, cast

import structlog

from tests.simulation.loop import VirtualClock, VirtualLoop
from tests.simulation.observer import Invariant, Known, Observer, Secret, Violation
from tests.simulation.process import HINT_SECONDS, Database, DatabaseLost, Process, VirtualStorage
from tests.simulation.receivers import TROUBLES, Mode, Receiver, VirtualPoster
from tocsin.delivery.address import Address
from tocsin.delivery.policy import Policy
from tocsin.delivery.signing import parse_secret
from tocsin.delivery.worker import Worker
from tocsin.domain.errors import Conflict
from tocsin.domain.events import Event
from tocsin.domain.resources import Organization
from tocsin.hal import Hal
from tocsin.metrics import Metrics
from tocsin.service.caller import OPERATOR
from tocsin.service.context import Context
from tocsin.service.deliveries import Deliveries
from tocsin.service.housekeeping import Housekeeping, Retention
from tocsin.service.replays import Place, Replays
from tocsin.service.vault import Vault
from tocsin.service.webhooks import Webhooks
from tocsin.storage import organizations
from tocsin.storage.interface import Storage
from tocsin.storage.records import LoggedEvent, NewEvent
from tocsin.storage.sqlite_log import append_events

HOUR: Final = 3600.0
QUIET_HOURS: Final = 200.0
"""How long, at most, everything may take to arrive when all is well again."""
CHECK_EVERY: Final = 50
"""Transactions between two checks of wake-ups."""


@dataclass(frozen=True)
class Plan:
    """What a history is made of. Rates are for each virtual hour."""

    hours: float = 2.0
    organizations: int = 2
    receivers: int = 8
    troubled: float = 0.5
    """Part of the receivers that misbehave."""
    webhooks: int = 16
    resources: int = 40
    changes: float = 6000.0
    processes: int = 3
    concurrency: int = 60
    crashes: float = 4.0
    pauses: float = 3.0
    losses: float = 4.0
    """Times that a process loses the database."""
    owners: float = 30.0
    """Changes of webhooks, redeliveries, replays."""
    retention_hours: float = 1.0
    troubles: tuple[Mode, ...] = TROUBLES
    """What the troubled receivers do, now and then."""
    poison: int = 2
    """Resources that a troubled receiver never takes."""

    def calm(self) -> "Plan":
        """The same without faults and owners."""
        return replace(self, crashes=0.0, pauses=0.0, losses=0.0, owners=0.0)

    def stormy(self) -> "Plan":
        """The same with a fault every minute or so."""
        return replace(self, crashes=30.0, pauses=20.0, losses=30.0, owners=200.0)


@dataclass
class Report:
    """What a history came to."""

    seed: int
    hours: float
    posts: int
    deliveries: int
    repeats: int
    failures: int
    probes: int
    faults: int
    slowest: float
    digest: str
    """Of every POST, in order: the same for the same seed."""
    violations: list[Violation] = field(default_factory=list)


class _NoNames:
    """Names are of no matter here: receivers are virtual."""

    async def resolve(self, _: str) -> list[Address]:
        return []


@dataclass
class _Running:
    process: Process
    storage: VirtualStorage
    poster: VirtualPoster
    stop: asyncio.Event
    task: asyncio.Task[None]


class World:
    def __init__(self, plan: Plan, seed: int, loop: VirtualLoop) -> None:
        self.plan = plan
        self.seed = seed
        self.chance = Random(seed)
        self.loop = loop
        self.clock = VirtualClock(loop)
        self.database = Database()
        self.policy = Policy()
        self.observer = Observer(loop, self.database, self.policy.retry_schedule_seconds)
        self.receivers: dict[str, Receiver] = {}
        self.running: list[_Running] = []
        self.organization_ids: list[str] = []
        self._digest = sha256()
        self._starts = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._bytes = Random(seed + 1)
        api = Process("api", loop, self.chance)
        self.storage = VirtualStorage(self.database, api, self.clock)
        self.storage.on_commit = self.hint
        context = Context(
            storage=self.storage,
            hal=Hal("https://tocsin.example.org"),
            clock=self.clock,
            entropy=self._bytes.randbytes,
            vault=Vault(b"k" * 32, self._bytes.randbytes),
            open_organizations=False,
        )
        self.context = context
        self.webhooks = Webhooks(context, _NoNames())
        self.deliveries = Deliveries(context)
        self.replays = Replays(context)
        retention = Retention(plan.retention_hours / 24, 90.0)
        self.housekeeping = Housekeeping(context, Metrics(), retention)

    # What there is

    async def found(self) -> None:
        """Organizations, receivers, webhooks, workers."""
        for number in range(self.plan.organizations):
            now = self.clock.now()
            one = Organization(self.context.new_id(), f"City {number}", now, now)
            await self.storage.write(partial(organizations.insert, one=one))
            self.organization_ids.append(one.id)
        for number in range(self.plan.receivers):
            troubled = number < self.plan.receivers * self.plan.troubled
            self.receive(f"https://r{number}.example.org/hook", troubled=troubled)
        for number in range(self.plan.webhooks):
            url = list(self.receivers)[number % len(self.receivers)]
            await self.subscribe(self.organization_ids[number % len(self.organization_ids)], url)
        for _ in range(self.plan.processes):
            self.start()

    def receive(self, url: str, *, troubled: bool) -> None:
        made = self.receivers[url] = Receiver(url, self.chance, self.plan.troubles if troubled else ())
        if troubled:
            made.poison = {f"resource-{self.chance.randrange(self.plan.resources)}" for _ in range(self.plan.poison)}
        else:
            self.observer.well.add(url)

    async def subscribe(self, organization_id: str, url: str) -> None:
        members: dict[str, Any] = {
            "event": self.chance.choice(list(Event)),
            "payload_url": url,
            "max_in_flight": self.chance.choice((1, 3, 10)),
        }
        if self.chance.random() < 0.1:
            members["rate_per_second"] = 50.0
        created = await self.webhooks.create(OPERATOR, organization_id, members)
        row = self.database.rows("SELECT since FROM webhooks WHERE id = ?", created.webhook.id)[0]
        event = created.webhook.event.value
        self.observer.webhooks[created.webhook.id] = Known(
            created.webhook.id,
            organization_id,
            url,
            event,
            row["since"],
            [Secret(parse_secret(created.secret), 1e18)],
            changed_at=self.loop.time(),
            events={event},
        )

    def overhear(self, _: Any, __: str, event: Any) -> Any:
        """A worker's log: but for a lost database there is no failure of its own to tell of."""
        if event["event"] in {"worker_turn_failed", "housekeeping_failed"} and event["error"] != DatabaseLost.__name__:
            self.observer.violated(Invariant.SOUND, traceback.format_exc())
        raise structlog.DropEvent

    def overhear_loop(self, context: dict[str, Any]) -> None:
        """What a callback raised."""
        self.observer.violated(Invariant.SOUND, f"{context.get('message')} {context.get('exception')!r}")

    # Processes

    def start(self) -> None:
        self._starts += 1
        process = Process(f"p{self._starts}", self.loop, self.chance)
        storage = VirtualStorage(self.database, process, self.clock)
        poster = VirtualPoster(process, self.receivers, self.observer, self.loop, self.chance)
        worker = Worker(
            storage,
            poster,
            self.context.vault,
            policy=self.policy,
            clock=self.clock,
            owner=process.name,
            concurrency=self.plan.concurrency,
            chance=lambda: self.chance.uniform(-1, 1),
            metrics=Metrics(),
        )
        stop = asyncio.Event()
        task = asyncio.create_task(worker.run(stop))
        self.running.append(_Running(process, storage, poster, stop, task))

    def hint(self) -> None:
        """Something was appended: most processes hear of it soon."""
        for one in self.running:
            if self.chance.random() < 0.9:
                self.loop.call_later(self.chance.random() * HINT_SECONDS, self._tell, one)

    def _tell(self, one: _Running) -> None:
        if one.process.alive and one.process.paused_until <= self.loop.time():
            for hint in one.storage.hints:
                hint()

    async def crash(self, one: _Running) -> None:
        """kill -9, and a new process a while later."""
        self.observer.fault(one.process)
        self.running.remove(one)
        one.process.alive = False
        one.poster.die()
        one.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await one.task
        await asyncio.sleep(self.chance.choice((0.1, 5.0, 45.0)) * self.chance.random())
        if self.chance.random() < 0.5:
            await cast(Storage, self.storage).end_leases([one.process.name])
        self.start()
        self.observer.fault()

    async def end(self, one: _Running) -> None:
        """SIGTERM, and a new process."""
        self.observer.fault(one.process)
        self.running.remove(one)
        one.stop.set()
        await one.task
        self.start()

    def pause(self, one: _Running) -> None:
        """SIGSTOP, and SIGCONT after a while."""
        seconds = self.chance.choice((1.0, 20.0, 60.0, 3600.0)) * self.chance.random()
        self.observer.fault(one.process)
        one.process.paused_until = max(one.process.paused_until, self.loop.time() + seconds)
        self.loop.call_at(one.process.paused_until, self.observer.fault, one.process)

    def lose(self, one: _Running) -> None:
        """The process can't reach the database for a while."""
        seconds = self.chance.choice((0.1, 5.0, 60.0)) * self.chance.random()
        self.observer.fault(one.process)
        one.process.lost_until = max(one.process.lost_until, self.loop.time() + seconds)
        self.loop.call_at(one.process.lost_until, self.observer.fault, one.process)

    # What happens

    def change(self) -> None:
        """Some resource of some organization changed, perhaps several at once."""
        organization_id = self.chance.choice(self.organization_ids)
        new = []
        for _ in range(self.chance.choice((1, 1, 1, 2, 30))):
            event = self.chance.choice(list(Event))
            resource_id = f"resource-{self.chance.randrange(self.plan.resources)}"
            body = b'{"event":"%s","payload":{"id":"%s","n":%d}}' % (
                event.encode(),
                resource_id.encode(),
                self.chance.randrange(10**9),
            )
            new.append(NewEvent(organization_id, event, self.context.new_id(), resource_id, body))
        self.database.transaction(append_events, self.clock.now(), new)
        rows = self.database.rows(
            "SELECT * FROM events WHERE organization_id = ? ORDER BY sequence DESC LIMIT ?", organization_id, len(new)
        )
        for row in reversed(rows):
            self.observer.appended(LoggedEvent(**dict(row)))
        self.hint()

    async def owner(self) -> None:
        """An owner does something with a webhook."""
        known = [one for one in self.observer.webhooks.values() if not one.removed]
        one = self.chance.choice(known)
        acts = (
            (self._toggle, 6),
            (self._rotate, 4),
            (self._redeliver, 4),
            (self._replay, 3),
            (self._limit, 2),
            (self._move, 2),
            (self._retype, 1),
            (self._remove, 0.5),
            (self._subscribe_more, 1),
        )
        act = self.chance.choices([act for act, _ in acts], [weight for _, weight in acts])[0]
        await act(one)

    async def _toggle(self, one: Known) -> None:
        await self._switch(one, enabled=not one.enabled)

    async def _switch(self, one: Known, *, enabled: bool, resume: str | None = None) -> None:
        members: dict[str, Any] = {"enabled": enabled}
        if enabled:
            members["resume"] = resume or self.chance.choice(("continue", "continue", "skip"))
        await self.webhooks.change(OPERATOR, one.id, members)
        one.enabled, one.changed_at, one.joined = enabled, self.loop.time(), self._newest(one)
        if not enabled:
            one.disabled_at = self.loop.time()

    async def _rotate(self, one: Known) -> None:
        overlap = self.chance.choice((0, 30, 3600))
        rotated = await self.webhooks.rotate(OPERATOR, one.id, overlap)
        now = self.loop.time()
        for secret in one.secrets[:-1]:
            secret.until = min(secret.until, now)
        one.secrets[-1].until = now + overlap
        one.secrets = [*one.secrets[-3:], Secret(parse_secret(rotated.secret), 1e18)]
        one.changed_at = now

    async def _redeliver(self, one: Known) -> None:
        rows = self.database.rows(
            "SELECT sequence FROM events WHERE organization_id = ? AND event = ? AND ordinal > ?",
            one.organization_id,
            one.event,
            one.since,
        )
        if rows:
            sequence = self.chance.choice(rows)["sequence"]
            with contextlib.suppress(Conflict):
                self.observer.repeatable.add((one.id, sequence))
                await self.deliveries.redeliver(OPERATOR, one.id, sequence)

    async def _replay(self, one: Known) -> None:
        log = self.database.rows(
            "SELECT sequence, oldest_sequence FROM logs WHERE organization_id = ?", one.organization_id
        )
        start = Place(sequence=self.chance.randint(log[0]["oldest_sequence"], log[0]["sequence"] + 1))
        with contextlib.suppress(Conflict):
            await self.replays.start(OPERATOR, one.id, start, None, only_failed=self.chance.random() < 0.3)

    async def _limit(self, one: Known) -> None:
        await self.webhooks.change(OPERATOR, one.id, {"max_in_flight": self.chance.choice((1, 3, 10))})
        one.changed_at = self.loop.time()

    async def _move(self, one: Known) -> None:
        url = self.chance.choice(list(self.receivers))
        await self.webhooks.change(OPERATOR, one.id, {"payload_url": url})
        one.urls[one.url] = one.changed_at = self.loop.time()
        one.joined = self._newest(one)
        self.observer.burdened.add((one.organization_id, url))
        one.url = url

    def _newest(self, one: Known) -> int:
        rows = self.database.rows("SELECT sequence FROM logs WHERE organization_id = ?", one.organization_id)
        return int(rows[0]["sequence"])

    async def _retype(self, one: Known) -> None:
        event = self.chance.choice(list(Event))
        await self.webhooks.change(OPERATOR, one.id, {"event": event})
        if event.value != one.event:
            one.event = event.value
            one.events.add(event.value)
            one.owed.clear()
            one.since = self.database.rows("SELECT since FROM webhooks WHERE id = ?", one.id)[0]["since"]
        one.changed_at = self.loop.time()

    async def _remove(self, one: Known) -> None:
        await self.webhooks.remove(OPERATOR, one.id)
        one.removed, one.disabled_at = True, self.loop.time()
        await self.subscribe(one.organization_id, one.url)

    async def _subscribe_more(self, one: Known) -> None:
        if len(self.observer.webhooks) < 3 * self.plan.webhooks:
            await self.subscribe(one.organization_id, one.url)

    async def tidy(self) -> None:
        """The retention, now."""
        self.observer.sweep()
        await self.housekeeping.tidy()
        self.observer.check_pruned()

    # The course of it

    async def run(self) -> Report:
        await self.found()
        happenings = (
            (self.plan.changes, self._happen_change),
            (self.plan.owners, self.owner),
            (self.plan.crashes, self._happen_crash),
            (self.plan.crashes / 2, self._happen_end),
            (self.plan.pauses, self._happen_pause),
            (self.plan.losses, self._happen_loss),
            (1.0, self._happen_gone),
            (2.0, self.tidy),
        )
        course = asyncio.create_task(self._course([(rate, act) for rate, act in happenings if rate]))
        broken = asyncio.create_task(self.observer.broken.wait())
        await asyncio.wait({course, broken}, return_when=asyncio.FIRST_COMPLETED)
        if course.done():
            course.result()
        rest = {course, broken, *self._tasks, *(one.task for one in self.running)}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        seen = self.observer
        return Report(
            self.seed,
            self.loop.time() / HOUR,
            seen.posts,
            seen.taken,
            seen.repeats,
            seen.spent,
            seen.probes,
            seen.faults,
            seen.slowest,
            self._digest.hexdigest()[:16],
            seen.violations,
        )

    async def _course(self, happenings: list[tuple[float, Any]]) -> None:
        begun = [asyncio.create_task(self._every(rate, act)) for rate, act in happenings]
        self._tasks |= set(begun)
        await asyncio.gather(self._watch(self.plan.hours * HOUR), *begun)
        await self._quieten()

    async def _every(self, rate: float, act: Any) -> None:
        """At random, so many times an hour."""
        end = self.plan.hours * HOUR
        while True:
            await asyncio.sleep(self.chance.expovariate(rate / HOUR))
            if self.loop.time() > end:
                return
            await act()

    async def _watch(self, until: float) -> None:
        """Check what must be so at any time."""
        checked = 0
        while self.loop.time() < until:
            await asyncio.sleep(0.25)
            if self.database.transactions - checked >= CHECK_EVERY:
                checked = self.database.transactions
                self.observer.check_wake_ups()
            self._note()
            for one in self.running:
                if one.task.done() and one.process.alive:
                    one.task.result()

    def _note(self) -> None:
        seen = self.observer
        self._digest.update(b"%d %d %d %d;" % (seen.posts, seen.taken, seen.spent, self.database.transactions))

    async def _quieten(self) -> None:
        """Everything is well again: whatever is owed arrives."""
        for receiver in self.receivers.values():
            receiver.healed = True
        for one in [one for one in self.observer.webhooks.values() if not one.enabled and not one.removed]:
            await self._switch(one, enabled=True, resume="continue")
        give_up_at = self.loop.time() + QUIET_HOURS * HOUR
        while True:
            await asyncio.sleep(20.0)
            self.observer.check_wake_ups()
            left = self.database.rows(
                "SELECT w.id FROM webhooks AS w JOIN heads AS h"
                " ON h.organization_id = w.organization_id AND h.event = w.event WHERE w.cursor < h.ordinal"
                " UNION ALL SELECT webhook_id FROM retries WHERE state IN ('retrying', 'held', 'paused')"
                " UNION ALL SELECT id FROM replays WHERE state = 'running'"
            )
            if not left:
                break
            if self.loop.time() > give_up_at:
                self.observer.violated(
                    Invariant.LOST, f"{left[0]['id']} and {len(left) - 1} others never come to an end"
                )
        self.observer.check_complete()

    async def _happen_change(self) -> None:
        self.change()

    async def _happen_crash(self) -> None:
        if self.running:
            self._begin(self.crash(self.chance.choice(self.running)))

    async def _happen_end(self) -> None:
        if self.running:
            self._begin(self.end(self.chance.choice(self.running)))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _happen_pause(self) -> None:
        if self.running:
            self.pause(self.chance.choice(self.running))

    async def _happen_loss(self) -> None:
        if self.running:
            self.lose(self.chance.choice(self.running))

    async def _happen_gone(self) -> None:
        """A troubled receiver wants no more, until somebody enables its webhooks again."""
        one = self.chance.choice([one for one in self.receivers.values() if one.troubled])
        one.gone = not one.gone


def simulate(plan: Plan, seed: int) -> Report:
    """One history. The same plan and seed give the same one."""
    loop = VirtualLoop()
    world = World(plan, seed, loop)
    structlog.configure(processors=[world.overhear])
    loop.set_exception_handler(lambda _, context: world.overhear_loop(context))
    try:
        return loop.run_until_complete(world.run())
    finally:
        loop.close()
