"""The log and its deliveries on SQLite: `interface.Storage`'s part that workers use.

Each function below runs whole in the thread of one connection, inside one transaction; the statements are in
`sqlite.sql`. One writer at a time makes every order of locks the right one here.
"""

import asyncio
import json
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final, Protocol, TypeVar

from tocsin.clock import SECOND, Clock
from tocsin.domain.audit import SERVICE, Action
from tocsin.storage.records import (
    NOTHING_TAKEN,
    AttemptRecord,
    DueRetry,
    EndpointHealth,
    LeasedEndpoint,
    LoggedEvent,
    NewEvent,
    ReadAnswer,
    ReadRequest,
    Revisions,
    Settled,
    Settlement,
    Stretch,
    Subscription,
    Taken,
)
from tocsin.storage.statements import load

T = TypeVar("T")

SQL: Final = load("sqlite")
PAGE: Final = 500
"""Attempts looked at in one transaction, when old ones are removed."""
ATTEMPTS_AT_A_TIME: Final = 50
"""Recorded by one statement."""
BREATH_SECONDS: Final = 0.01
"""Between two of those, so that others write, too."""


class _Calls(Protocol):
    """What the log needs of its engine."""

    _clock: Clock

    async def write_call(self, work: Callable[..., T], *arguments: Any) -> T: ...

    async def read_call(self, work: Callable[..., T], *arguments: Any) -> T: ...


class SqliteLog:
    """The methods of `interface.Storage` about events, endpoints, cursors and attempts."""

    async def take(self: _Calls, owner: str, limit: int, failing_limit: int, seconds: float) -> Taken:
        now = self._clock.now()
        if not await self.read_call(_exists, "anything_to_take", {"now": now}):
            return NOTHING_TAKEN
        return await self.write_call(_take, owner, (limit, failing_limit), now, now + int(seconds * SECOND))

    async def fetch(self: _Calls, requests: Sequence[ReadRequest]) -> Sequence[ReadAnswer]:
        return await self.read_call(_fetch, requests, self._clock.now())

    async def settle(self: _Calls, settlements: Sequence[Settlement]) -> Sequence[Settled]:
        return await self.write_call(_settle, settlements, self._clock.now())

    async def renew(self: _Calls, tokens: Mapping[str, str], seconds: float) -> frozenset[str]:
        return await self.write_call(_renew, tokens, self._clock.now() + int(seconds * SECOND))

    async def revisions(self: _Calls, endpoint_ids: Sequence[str]) -> Mapping[str, Revisions]:
        return await self.read_call(_revisions, endpoint_ids)

    async def next_due_at(self: _Calls) -> int | None:
        return await self.read_call(_next_due_at)

    async def tidy_attempts(self: _Calls, before: int) -> None:
        """Page by page, from the oldest on, until the attempts are younger than that."""
        after: int | None = 0
        while after is not None:
            after = await self.write_call(_remove_attempts, after, before)
            await asyncio.sleep(BREATH_SECONDS)

    async def end_leases(self: _Calls, owners: Iterable[str]) -> None:
        """End the leases of local processes that are dead, so that nobody waits for them to run out."""
        await self.write_call(_end_leases, tuple(owners), self._clock.now())


def append_events(connection: sqlite3.Connection, now: int, events: Sequence[NewEvent]) -> None:
    """In the order given: each organization's next sequence, each type's next ordinal."""
    for event in events:
        log = connection.execute(SQL["advance_log"], {"organization_id": event.organization_id, "now": now}).fetchone()
        assert log is not None, "every organization has a log"
        key = {"organization_id": event.organization_id, "event": event.event.value}
        head = connection.execute(SQL["advance_head"], key).fetchone()
        row = {
            **key,
            "sequence": log["sequence"],
            "occurred_at": log["occurred_at"],
            "ordinal": head["ordinal"],
            "id": event.id,
            "resource_id": event.resource_id,
            "body": event.body,
        }
        connection.execute(SQL["append"], row)


def _exists(connection: sqlite3.Connection, name: str, parameters: Mapping[str, Any]) -> bool:
    return bool(connection.execute(SQL[name], parameters).fetchone()["found"])


def any_ahead(connection: sqlite3.Connection) -> bool:
    """Whether something was appended that no worker has noticed."""
    return _exists(connection, "any_ahead", {})


def _take(connection: sqlite3.Connection, owner: str, limits: tuple[int, int], now: int, until: int) -> Taken:
    """What is noticed is due at once, behind what was due before."""
    connection.execute(SQL["notice"], {"now": now})
    noticed = connection.execute(SQL["noticed"]).rowcount
    due = []
    for failing, limit in enumerate(limits):
        parameters = {"now": now, "failing": failing, "limit": limit}
        due += connection.execute(SQL["due_endpoints"], parameters).fetchall()
    ids, token = [row["id"] for row in due], uuid.uuid4().hex
    connection.execute(SQL["take"], {"ids": json.dumps(ids), "owner": owner, "token": token, "until": until})
    subscriptions = _subscriptions(connection, ids)
    return Taken(noticed, tuple([_leased(connection, row, token, subscriptions[row["id"]]) for row in due]))


def _leased(
    connection: sqlite3.Connection, row: sqlite3.Row, token: str, subscriptions: tuple[Subscription, ...]
) -> LeasedEndpoint:
    if row["abandoned"] or row["uncertain"]:
        subscriptions = tuple(one._replace(settled=_settled_beyond(connection, one)) for one in subscriptions)
    return LeasedEndpoint(
        id=row["id"],
        organization_id=row["organization_id"],
        token=token,
        health=_health(row),
        has_retries=bool(row["has_retries"]),
        subscriptions=subscriptions,
    )


def _health(row: sqlite3.Row) -> EndpointHealth:
    return EndpointHealth(
        consecutive_failures=row["consecutive_failures"],
        failing_resources=tuple(json.loads(row["failing_resources"])),
        failing_since=row["failing_since"],
        opened_at=row["opened_at"],
        probes=row["probes"],
        probed_sequence=row["probed_sequence"],
        not_before=row["not_before"],
        window=row["window"],
        rate_at=row["rate_at"],
    )


def _settled_beyond(connection: sqlite3.Connection, subscription: Subscription) -> frozenset[int]:
    parameters = {
        "organization_id": subscription.organization_id,
        "webhook_id": subscription.webhook_id,
        "replay_id": subscription.replay_id,
        "event": subscription.event,
        "cursor": subscription.cursor,
    }
    return frozenset(row["ordinal"] for row in connection.execute(SQL["settled_beyond"], parameters))


def _subscriptions(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, tuple[Subscription, ...]]:
    found: dict[str, list[Subscription]] = {one: [] for one in ids}
    for row in connection.execute(SQL["live_subscriptions"], {"endpoint_ids": json.dumps(ids)}):
        one = Subscription(*row)
        found[one.endpoint_id].append(one)
    return {endpoint_id: tuple(ones) for endpoint_id, ones in found.items()}


def _revisions(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, dict[tuple[str, str], int]]:
    found: dict[str, dict[tuple[str, str], int]] = {one: {} for one in ids}
    for endpoint_id, webhook_id, replay_id, revision in connection.execute(
        SQL["revisions"], {"endpoint_ids": json.dumps(ids)}
    ):
        found[endpoint_id][webhook_id, replay_id] = revision
    return found


def _fetch(connection: sqlite3.Connection, requests: Sequence[ReadRequest], now: int) -> list[ReadAnswer]:
    shared: dict[Stretch, tuple[LoggedEvent, ...]] = {}
    revisions = _revisions(connection, [request.endpoint_id for request in requests])
    return [_answer(connection, request, shared, revisions[request.endpoint_id], now) for request in requests]


def _answer(
    connection: sqlite3.Connection,
    request: ReadRequest,
    shared: dict[Stretch, tuple[LoggedEvent, ...]],
    revisions: Revisions,
    now: int,
) -> ReadAnswer:
    events = tuple(_stretch(connection, stretch, shared) for stretch in request.stretches)
    retries = _retries(connection, request, now) if request.retries_limit else ()
    blocked = _blocked(connection, request.endpoint_id, events) if request.check_blocked else frozenset()
    return ReadAnswer(request.endpoint_id, events, retries, blocked, revisions)


def _stretch(
    connection: sqlite3.Connection, stretch: Stretch, shared: dict[Stretch, tuple[LoggedEvent, ...]]
) -> tuple[LoggedEvent, ...]:
    """Endpoints at the same place of the same log share one read, and the bytes."""
    found = shared.get(stretch)
    if found is None:
        name = "stretch" if stretch.failed_of is None else "failed_stretch"
        rows = connection.execute(SQL[name], stretch._asdict()).fetchall()
        found = shared[stretch] = tuple(LoggedEvent(stretch.organization_id, *row) for row in rows)
    return found


def _retries(connection: sqlite3.Connection, request: ReadRequest, now: int) -> tuple[DueRetry, ...]:
    parameters: dict[str, Any] = {"endpoint_id": request.endpoint_id, "limit": request.retries_limit}
    if request.probe_after is None:
        rows = connection.execute(SQL["due_retries"], {**parameters, "now": now}).fetchall()
    else:
        rows = connection.execute(SQL["probe_candidates"], {**parameters, "after": request.probe_after}).fetchall()
    return tuple(DueRetry(row[0], row[1], row[2], LoggedEvent(*row[3:])) for row in rows)


def _blocked(
    connection: sqlite3.Connection, endpoint_id: str, events: Iterable[Iterable[LoggedEvent]]
) -> frozenset[tuple[str, str]]:
    resources = json.dumps(sorted({event.resource_id for stretch in events for event in stretch}))
    rows = connection.execute(SQL["blocked"], {"endpoint_id": endpoint_id, "resources": resources})
    return frozenset((row["replay_id"], row["resource_id"]) for row in rows)


def _settle(connection: sqlite3.Connection, settlements: Sequence[Settlement], now: int) -> list[Settled]:
    """Few statements for many endpoints: each one is a chance for another thread to keep this one waiting."""
    _record(connection, [attempt for settlement in settlements for attempt in settlement.attempts])
    tokens = json.dumps({one.endpoint_id: one.token for one in settlements})
    held = {row["id"] for row in connection.execute(SQL["held"], {"tokens": tokens})}
    kept = [one for one in settlements if one.endpoint_id in held]
    _move_cursors(connection, kept, now)
    unblocked = {one.endpoint_id: _write_parked(connection, one, now) for one in kept}
    changed = [one for one in kept if one.health is not None]
    connection.executemany(SQL["write_health"], [_health_columns(one) for one in changed])
    for one in kept:
        if one.disable_reason is not None:
            _disable(connection, one.endpoint_id, one.disable_reason, now)
    releases = [(one.endpoint_id, one.due_at, one.uncertain) for one in kept if one.release]
    if releases:
        connection.execute(SQL["release"], {"releases": json.dumps(releases), "now": now})
    none: frozenset[tuple[str, str]] = frozenset()
    return [
        Settled(one.endpoint_id, lost=one.endpoint_id not in held, unblocked=unblocked.get(one.endpoint_id, none))
        for one in settlements
    ]


def _record(connection: sqlite3.Connection, attempts: Sequence[AttemptRecord]) -> None:
    for begin in range(0, len(attempts), ATTEMPTS_AT_A_TIME):
        some = attempts[begin : begin + ATTEMPTS_AT_A_TIME]
        connection.execute(_record_statement(len(some)), tuple(chain.from_iterable(some)))


@lru_cache(ATTEMPTS_AT_A_TIME)
def _record_statement(count: int) -> str:
    """For so many attempts."""
    head, places = SQL["record_attempts"].split("VALUES ")
    return f"{head}VALUES {', '.join([places] * count)}"


def _health_columns(settlement: Settlement) -> dict[str, Any]:
    assert settlement.health is not None
    columns = settlement.health._asdict()
    columns["failing_resources"] = json.dumps(settlement.health.failing_resources)
    return {**columns, "endpoint_id": settlement.endpoint_id}


def _disable(connection: sqlite3.Connection, endpoint_id: str, reason: str, now: int) -> None:
    """Every webhook of the endpoint, as the audit and a notice tell."""
    key = {"endpoint_id": endpoint_id}
    disabled = connection.execute(SQL["disable"], {**key, "reason": reason, "now": now}).fetchall()
    connection.execute(SQL["pause_parked"], key)
    entry = {"now": now, "actor": SERVICE, "action": Action.WEBHOOK_DISABLED, "details": json.dumps({"reason": reason})}
    subjects = [
        {**entry, "organization_id": row["organization_id"], "subject": f"webhook:{row['id']}"} for row in disabled
    ]
    connection.executemany(SQL["record_disabled"], subjects)
    for row in disabled[:1]:
        notice = {"organization_id": row["organization_id"], "webhook_id": row["id"], "details": entry["details"]}
        connection.execute(SQL["notice_disabled"], {**notice, "now": now})


def _move_cursors(connection: sqlite3.Connection, settlements: Sequence[Settlement], now: int) -> None:
    moves = [(one.endpoint_id, move) for one in settlements for move in one.cursors]
    live = [
        (move.webhook_id, move.epoch, endpoint_id, move.cursor) for endpoint_id, move in moves if not move.replay_id
    ]
    moved = {row["id"] for row in connection.execute(SQL["move_cursors"], {"moves": json.dumps(live)})} if live else ()
    for endpoint_id, move in moves:
        if move.replay_id:
            done = connection.execute(SQL["move_replay"], {**move._asdict(), "now": now}).rowcount > 0
        else:
            done = move.webhook_id in moved
        if not done:
            connection.execute(SQL["make_uncertain"], {"endpoint_id": endpoint_id})


def _write_parked(connection: sqlite3.Connection, settlement: Settlement, now: int) -> frozenset[tuple[str, str]]:
    """Park and unpark; then no resource's first delivery is held. Returns those with nothing parked any more."""
    if not (settlement.parked or settlement.settled_retries or settlement.cursors):
        return frozenset()
    here = {"endpoint_id": settlement.endpoint_id, "now": now}
    for webhook_id, replay_id, sequence, _ in settlement.settled_retries:
        key = {"webhook_id": webhook_id, "replay_id": replay_id, "sequence": sequence}
        connection.execute(SQL["unpark"], key)
    for parked in settlement.parked:
        connection.execute(SQL["park"], {**here, **parked._asdict()})
    touched = {(replay_id, resource_id) for _, replay_id, _, resource_id in settlement.settled_retries}
    touched |= {(parked.replay_id, parked.resource_id) for parked in settlement.parked}
    blocked = set()
    for replay_id, resource_id in sorted(touched):
        resource = {**here, "replay_id": replay_id, "resource_id": resource_id}
        connection.execute(SQL["promote"], resource)
        if connection.execute(SQL["still_blocked"], resource).fetchone() is not None:
            blocked.add((replay_id, resource_id))
    if any(replay_id for replay_id, _ in touched) or any(move.replay_id for move in settlement.cursors):
        connection.execute(SQL["end_replays"], here)
    return frozenset(touched - blocked)


def _renew(connection: sqlite3.Connection, tokens: Mapping[str, str], until: int) -> frozenset[str]:
    lost = set()
    for endpoint_id, token in tokens.items():
        parameters = {"endpoint_id": endpoint_id, "token": token, "until": until}
        if connection.execute(SQL["renew"], parameters).rowcount == 0:
            lost.add(endpoint_id)
    return frozenset(lost)


def _next_due_at(connection: sqlite3.Connection) -> int | None:
    due_at: int | None = connection.execute(SQL["next_due_at"]).fetchone()["due_at"]
    return due_at


def _remove_attempts(connection: sqlite3.Connection, after: int, before: int) -> int | None:
    """Of the next page beyond the id `after`; returns the last id looked at, None at the end."""
    last: int | None = connection.execute(SQL["last_of_page"], {"after": after, "limit": PAGE}).fetchone()["last"]
    if last is None:
        return None
    page = {"after": after, "last": last, "before": before}
    connection.execute(SQL["remove_attempts"], page)
    return None if connection.execute(SQL["any_younger"], page).fetchone() is not None else last


def _end_leases(connection: sqlite3.Connection, owners: Sequence[str], now: int) -> None:
    connection.executemany(SQL["end_leases"], [{"owner": owner, "now": now} for owner in owners])
