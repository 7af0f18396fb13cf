"""Sees everything that reaches a receiver and everything that is written, and holds both against what was promised.

It keeps its own books, from what happened and never from what the worker believes; the database is asked only for what
an owner or the retention decided.
"""

import asyncio
import re
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from tests.simulation.loop import START, VirtualLoop
from tests.simulation.process import Database, Process
from tocsin.delivery.signing import HmacSigner, signatures
from tocsin.storage import sqlite_log
from tocsin.storage.records import LoggedEvent, Settled, Settlement

TOLD_SECONDS: Final = 2.0
"""A change of a webhook has reached a worker that nothing troubles after this."""
TROUBLE_SECONDS: Final = 20.0
"""How long after a fault of its process a worker may act on what it knew before."""
PROMPT_SECONDS: Final = 5.0
"""A receiver that is always well is never left waiting for longer, if nothing troubles the workers."""
SHORTEST_WAIT_SECONDS: Final = 0.8 * 5.0
"""Of the schedule's first step, with its jitter: between probes."""

_SPENT: Final = re.compile(r"Attempt (\d+) failed")


class Invariant(StrEnum):
    LOST = "nothing acknowledged is lost"
    INVENTED = "nothing is invented"
    OVERLAP = "two events of one resource are never in flight together"
    OVERTAKEN = "no event of a resource overtakes an earlier one"
    LEASE = "only the holder of a lease takes effect, and starts what ends within it"
    SCHEDULE = "attempts keep to the schedule, probes to theirs"
    WAKE_UP = "no wake-up is lost"
    STARVED = "a healthy endpoint is served promptly"
    DISABLED = "after 410 or disabling nothing is sent"
    SIGNATURE = "only valid secrets sign"
    SOUND = "a worker meets no error of its own"
    REPEATED = "without a fault or a change of its webhook nothing is sent twice"


@dataclass(frozen=True)
class Violation:
    invariant: Invariant
    at: float
    """Virtual seconds."""
    what: str

    def __str__(self) -> str:
        return f"{self.invariant} ({self.invariant.name}), after {self.at:.3f} s: {self.what}"


@dataclass
class Secret:
    key: bytes
    until: float
    """Valid as the old one until then; infinite: the newest."""


@dataclass
class Known:
    """A webhook as its owner left it."""

    id: str
    organization_id: str
    url: str
    event: str
    since: int
    secrets: list[Secret]
    enabled: bool = True
    changed_at: float = -1e9
    joined: int = 0
    """The newest sequence when it came to its URL, or was enabled: what is older is in order by itself only."""
    disabled_at: float = 1e18
    removed: bool = False
    owed: dict[str, deque[int]] = field(default_factory=lambda: defaultdict(deque))
    """By resource: sequences that no receiver has taken."""
    events: set[str] = field(default_factory=set)
    """Types that it was there for, ever."""
    urls: dict[str, float] = field(default_factory=dict)
    """URLs that it had, and when it left them."""


@dataclass
class Arrival:
    """A POST, at a receiver."""

    process: Process
    webhook: Known | None
    url: str
    sequence: int
    resource_id: str
    replay_id: str
    ended: bool = False

    @property
    def place(self) -> tuple[str, str, str]:
        """A resource at an endpoint: an organization's URL."""
        assert self.webhook is not None
        return self.webhook.organization_id, self.url, self.resource_id


class Observer:
    def __init__(self, loop: VirtualLoop, database: Database, schedule: Sequence[float]) -> None:
        self.violations: list[Violation] = []
        self.broken = asyncio.Event()
        """Set at the first violation."""
        self.webhooks: dict[str, Known] = {}
        self.events: dict[tuple[str, int], tuple[LoggedEvent, float]] = {}
        self.well: set[str] = set()
        """URLs of receivers that are always well."""
        self.burdened: set[tuple[str, str]] = set()
        """(organization, URL) to which a webhook came with retries from elsewhere: they keep to their schedule."""
        self.repeatable: set[tuple[str, int]] = set()
        """(webhook, sequence) that its owner had sent again."""
        self.faults = 0
        self.faults_at: deque[float] = deque(maxlen=10_000)
        self.posts = self.taken = self.repeats = self.probes = self.spent = 0
        self.slowest = 0.0
        """The longest that a receiver that is always well waited for what was there, without a fault; seconds."""
        self._loop = loop
        self._database = database
        self._schedule = schedule
        self._in_flight: dict[tuple[str, str, str], Arrival] = {}
        self._taken: set[tuple[str, int]] = set()
        self._untold: set[tuple[str, int]] = set()
        self._last_spent: dict[tuple[str, int, str], tuple[int, float]] = {}
        self._last_start: dict[tuple[str, str], float] = {}
        self._last_probe: dict[str, float] = {}
        self._stale: Mapping[str, tuple[Any, ...]] = {}
        database.before, database.after = self._before, self._after

    def violated(self, invariant: Invariant, what: str) -> None:
        self.violations.append(Violation(invariant, self._loop.time(), what))
        self.broken.set()

    def fault(self, process: Process | None = None) -> None:
        """Something was done to a process, or to all."""
        self.faults += 1
        self.faults_at.append(self._loop.time())
        if process is not None:
            process.troubled_at = self._loop.time()

    # What happens

    def appended(self, event: LoggedEvent) -> None:
        self.events[event.organization_id, event.sequence] = (event, self._loop.time())
        for one in self.webhooks.values():
            mine = one.organization_id == event.organization_id and one.event == event.event and not one.removed
            if mine and event.ordinal > one.since:
                one.owed[event.resource_id].append(event.sequence)

    def started(self, process: Process, url: str, head: bytes, body: bytes) -> Arrival:
        """A POST sets out."""
        self.posts += 1
        lines = (line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if line)
        headers = {name.lower(): value for name, value in lines}
        webhook = self.webhooks.get(headers["tocsin-webhook"])
        sequence, replay_id = int(headers["tocsin-sequence"]), headers.get("tocsin-replay", "")
        found = None if webhook is None else self.events.get((webhook.organization_id, sequence))
        if webhook is None or found is None:
            self.violated(Invariant.INVENTED, f"sequence {sequence} of webhook {headers['tocsin-webhook']} to {url}")
            return Arrival(process, None, url, sequence, "", replay_id)
        event, appended_at = found
        arrival = Arrival(process, webhook, url, sequence, event.resource_id, replay_id)
        self._check_identity(arrival, event, headers, body)
        self._check_signature(arrival, headers, body)
        self._check_standing(arrival)
        self._check_lease(arrival)
        if not replay_id:
            self._check_order(arrival)
            self._check_promptness(arrival, appended_at)
            self._in_flight[arrival.place] = arrival
        return arrival

    def ended(self, arrival: Arrival, *, taken: bool, told: bool) -> None:
        """The receiver is done with it, and has `taken` it or not; `told`: it could say so in time."""
        arrival.ended = True
        if arrival.webhook is None:
            return
        if self._in_flight.get(arrival.place) is arrival:
            del self._in_flight[arrival.place]
        if not taken:
            return
        self.taken += 1
        one = (arrival.webhook.id, arrival.sequence)
        if not told:
            self._untold.add(one)
        if one in self._taken and not arrival.replay_id and not self._may_repeat(one):
            self.repeats += 1
            if not self.faults and arrival.webhook.changed_at <= 0:
                self.violated(Invariant.REPEATED, f"sequence {arrival.sequence} at {arrival.url}")
        if not arrival.replay_id:
            self._taken.add(one)  # a replay is the owner's wish, and changes nothing of what is owed
        waiting = arrival.webhook.owed.get(arrival.resource_id)
        if waiting and arrival.sequence in waiting:
            waiting.remove(arrival.sequence)

    def _may_repeat(self, one: tuple[str, int]) -> bool:
        """Sent again at its owner's wish, or because its receiver could not say that it has it."""
        return one in self.repeatable or one in self._untold

    # What must be so when a POST sets out

    def _excused(self, process: Process, since: float) -> bool:
        """Whether the process may not know yet what was decided at `since`."""
        now = self._loop.time()
        return now - since < TOLD_SECONDS or now - process.troubled_at < TROUBLE_SECONDS

    def _check_identity(self, one: Arrival, event: LoggedEvent, headers: Mapping[str, str], body: bytes) -> None:
        webhook = one.webhook
        assert webhook is not None
        same = (headers["webhook-id"], headers["tocsin-ordinal"], headers["tocsin-event"], body) == (
            event.id,
            str(event.ordinal),
            event.event,
            event.body,
        )
        mine = event.event == webhook.event or (
            event.event in webhook.events and self._excused(one.process, webhook.changed_at)
        )
        owed = one.replay_id or event.ordinal > webhook.since or (webhook.id, one.sequence) in self.repeatable
        if not (same and mine and (owed or self._excused(one.process, webhook.changed_at))):
            self.violated(Invariant.INVENTED, f"{event.event} {one.sequence} for a webhook of {webhook.event}")

    def _check_signature(self, one: Arrival, headers: Mapping[str, str], body: bytes) -> None:
        webhook, now = one.webhook, self._loop.time()
        assert webhook is not None
        timestamp = int(headers["webhook-timestamp"])
        given = set(headers["webhook-signature"].split(" "))
        valid = set()
        for number, secret in enumerate(reversed(webhook.secrets)):
            if number == 0 or now < secret.until or self._excused(one.process, webhook.changed_at):
                valid.add(signatures([HmacSigner(secret.key)], headers["webhook-id"], timestamp, body))
            newest = signatures([HmacSigner(webhook.secrets[-1].key)], headers["webhook-id"], timestamp, body)
        told = newest in given or self._excused(one.process, webhook.changed_at)
        if not given <= valid or not told:
            self.violated(Invariant.SIGNATURE, f"sequence {one.sequence} at {one.url}")

    def _check_standing(self, one: Arrival) -> None:
        webhook = one.webhook
        assert webhook is not None
        off = webhook.removed or not webhook.enabled
        if off and not self._excused(one.process, webhook.disabled_at):
            self.violated(Invariant.DISABLED, f"sequence {one.sequence} to {one.url}")
        left_at = webhook.urls.get(one.url)
        if one.url != webhook.url and (left_at is None or not self._excused(one.process, left_at)):
            self.violated(Invariant.INVENTED, f"sequence {one.sequence} to {one.url}, which is not the webhook's")

    def _check_lease(self, one: Arrival) -> None:
        webhook, now = one.webhook, self._loop.time()
        assert webhook is not None
        rows = self._database.rows(
            "SELECT lease_owner, due_at FROM endpoints WHERE organization_id = ? AND url = ?",
            webhook.organization_id,
            one.url,
        )
        holds = rows and rows[0]["lease_owner"] == one.process.name
        if not holds or (rows[0]["due_at"] - START) / 1e6 < now + 15.0:
            self.violated(Invariant.LEASE, f"{one.process.name} starts sequence {one.sequence} at {one.url}")

    def _check_order(self, one: Arrival) -> None:
        other = self._in_flight.get(one.place)
        if other is not None and not other.ended:
            self.violated(Invariant.OVERLAP, f"sequences {other.sequence} and {one.sequence} at {one.url}")
        assert one.webhook is not None
        if (one.webhook.id, one.sequence) in self.repeatable:
            return
        for webhook in self.webhooks.values():
            here = (webhook.organization_id, webhook.url) == (one.webhook.organization_id, one.url)
            if not here or not webhook.enabled or webhook.removed:
                continue
            if webhook is not one.webhook and one.sequence <= one.webhook.joined:
                continue
            joined = 0 if webhook is one.webhook else webhook.joined
            earlier = [each for each in webhook.owed.get(one.resource_id, ()) if joined < each < one.sequence]
            for sequence in earlier:
                if self._settled(webhook, sequence):
                    webhook.owed[one.resource_id].remove(sequence)
                elif not self._excused(one.process, webhook.changed_at):
                    self.violated(Invariant.OVERTAKEN, f"sequence {one.sequence} before {sequence} at {one.url}")

    def _settled(self, webhook: Known, sequence: int) -> bool:
        """Whether an event was given up, skipped, lost, or is not the webhook's any more."""
        event, _ = self.events[webhook.organization_id, sequence]
        if event.event != webhook.event or event.ordinal <= webhook.since:
            return True
        given_up = self._database.rows(
            "SELECT 1 FROM retries WHERE webhook_id = ? AND sequence = ? AND replay_id = ''"
            " AND state IN ('failed', 'skipped')"
            " UNION ALL SELECT 1 FROM skips WHERE webhook_id = ? AND event = ?"
            " AND ? BETWEEN first_ordinal AND last_ordinal",
            webhook.id,
            sequence,
            webhook.id,
            event.event,
            event.ordinal,
        )
        return bool(given_up)

    def _check_promptness(self, one: Arrival, appended_at: float) -> None:
        webhook, now = one.webhook, self._loop.time()
        assert webhook is not None
        here = (webhook.organization_id, one.url)
        if one.url not in self.well or here in self.burdened or (webhook.id, one.sequence) in self.repeatable:
            return
        begin = max(appended_at, webhook.changed_at, self._last_start.get(here, 0.0))
        self._last_start[here] = now
        faults = sum(1 for at in self.faults_at if at > begin - TROUBLE_SECONDS)
        waited = now - begin
        if not faults:
            self.slowest = max(self.slowest, waited)
        if not faults and waited > PROMPT_SECONDS:
            self.violated(Invariant.STARVED, f"{one.url} waits {waited:.1f} s for sequence {one.sequence}")

    # What must be so when something is written

    def _before(self, work: Any, arguments: Any) -> None:
        if work is not sqlite_log._settle:
            return
        settlements: Sequence[Settlement] = arguments[0]
        self._stale = {
            one.endpoint_id: self._effects(one.endpoint_id)
            for one in settlements
            if self._token(one.endpoint_id) != one.token
        }

    def _after(self, work: Any, arguments: Any, result: Any) -> None:
        if work is not sqlite_log._settle:
            return
        settlements: Sequence[Settlement] = arguments[0]
        settled: Sequence[Settled] = result
        for one, found in zip(settlements, settled, strict=True):
            stale = self._stale.get(one.endpoint_id)
            if stale is not None and (not found.lost or self._effects(one.endpoint_id) != stale):
                self.violated(Invariant.LEASE, f"a lost lease of {one.endpoint_id} takes effect")
            self._check_schedule(one, lost=found.lost)
            if one.disable_reason is not None and not found.lost:
                self._disabled(one.endpoint_id)

    def _token(self, endpoint_id: str) -> Any:
        rows = self._database.rows("SELECT lease_token FROM endpoints WHERE id = ?", endpoint_id)
        return rows[0]["lease_token"] if rows else None

    def _effects(self, endpoint_id: str) -> tuple[Any, ...]:
        """Everything of an endpoint that a settlement may change."""
        found: list[Any] = []
        for text in (
            "SELECT * FROM endpoints WHERE id = ?",
            "SELECT * FROM webhooks WHERE endpoint_id = ? ORDER BY id",
            "SELECT * FROM retries WHERE endpoint_id = ? ORDER BY webhook_id, sequence, replay_id",
        ):
            found += [tuple(row) for row in self._database.rows(text, endpoint_id)]
        return tuple(found)

    def _disabled(self, endpoint_id: str) -> None:
        url = self._database.rows("SELECT url FROM endpoints WHERE id = ?", endpoint_id)[0]["url"]
        rows = self._database.rows("SELECT id, enabled FROM webhooks WHERE endpoint_id = ?", endpoint_id)
        for row in rows:
            one = self.webhooks[row["id"]]
            assert one.url == url
            if one.enabled and not row["enabled"]:
                one.enabled, one.disabled_at, one.changed_at = False, self._loop.time(), self._loop.time()

    def _check_schedule(self, settlement: Settlement, *, lost: bool) -> None:
        """By the reasons that are kept with attempts: each failure spends the next step, and waits it out."""
        for attempt in settlement.attempts:
            key = (attempt.webhook_id, attempt.sequence, attempt.replay_id)
            if attempt.delivered:
                self._last_spent.pop(key, None)
                continue
            reason, ended_at = attempt.reason or "", attempt.started_at + attempt.total_us
            spent = _SPENT.search(reason)
            if spent is not None:
                self.spent += 1
                self._check_step(key, int(spent[1]), attempt.started_at, ended_at, lost=lost)
            elif "next probe" in reason:
                self.probes += 1
                last = self._last_probe.get(settlement.endpoint_id, -1e18)
                if (attempt.started_at - last) / 1e6 < SHORTEST_WAIT_SECONDS and not lost:
                    self.violated(Invariant.SCHEDULE, f"probes follow each other too soon at {settlement.endpoint_id}")
                self._last_probe[settlement.endpoint_id] = attempt.started_at

    def _check_step(self, key: tuple[str, int, str], step: int, started_at: int, ended_at: int, *, lost: bool) -> None:
        if step > len(self._schedule) + 1:
            self.violated(Invariant.SCHEDULE, f"attempt {step} of {key}")
        before = self._last_spent.get(key)
        if before is not None and step == before[0] + 1:
            waited = (started_at - before[1]) / 1e6
            if waited < 0.8 * self._schedule[step - 2] - 0.01:
                self.violated(Invariant.SCHEDULE, f"attempt {step} of {key} after {waited:.1f} s")
        elif before is None and step > 1 and not self.faults and not self.webhooks[key[0]].urls:
            self.violated(Invariant.SCHEDULE, f"attempt {step} of {key} is its first")
        if not lost:
            self._last_spent[key] = (step, ended_at)

    def check_wake_ups(self) -> None:
        """Every webhook that is behind is due, leased, or about to be noticed."""
        asleep = self._database.rows(
            "SELECT w.id FROM webhooks AS w JOIN endpoints AS e ON e.id = w.endpoint_id"
            " JOIN heads AS h ON h.organization_id = w.organization_id AND h.event = w.event"
            " WHERE w.enabled = 1 AND w.cursor < h.ordinal AND h.ahead = 0 AND e.due_at IS NULL"
        )
        waiting = self._database.rows(
            "SELECT r.webhook_id AS id FROM retries AS r JOIN endpoints AS e ON e.id = r.endpoint_id"
            " WHERE r.state = 'retrying' AND e.due_at IS NULL"
        )
        for row in (*asleep, *waiting):
            self.violated(Invariant.WAKE_UP, f"webhook {row['id']} has something to deliver, and nothing wakes it")

    def check_complete(self) -> None:
        """At the end, when nothing waits: everything owed was taken, or ended as its owner can see."""
        for webhook in self.webhooks.values():
            if webhook.removed:
                continue
            for resource_id, waiting in webhook.owed.items():
                for sequence in waiting:
                    if not self._settled(webhook, sequence):
                        what = f"sequence {sequence} of {resource_id} for {webhook.id} at {webhook.url}"
                        self.violated(Invariant.LOST, what)

    def sweep(self) -> None:
        """Strike off what was given up or skipped, while the database still tells."""
        for webhook in self.webhooks.values():
            for waiting in webhook.owed.values():
                for sequence in [one for one in waiting if self._settled(webhook, one)]:
                    waiting.remove(sequence)

    def check_pruned(self) -> None:
        """After a sweep and the retention: nothing that somebody waits for has gone."""
        for log in self._database.rows("SELECT organization_id, oldest_sequence FROM logs"):
            for webhook in self.webhooks.values():
                if webhook.organization_id == log["organization_id"] and not webhook.removed:
                    for waiting in webhook.owed.values():
                        if waiting and waiting[0] < log["oldest_sequence"]:
                            self.violated(Invariant.LOST, f"sequence {waiting[0]} for {webhook.id} was pruned")
