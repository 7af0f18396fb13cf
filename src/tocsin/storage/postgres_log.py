"""The log and its deliveries on PostgreSQL: `interface.Storage`'s part that workers use.

The statements are in `postgres.sql`; many endpoints go to a statement wherever there can be many. A transaction that
the database rolls back for a deadlock is run again: nothing here has an effect but on its transaction.
"""

import json
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, TypeVar

import asyncpg

from tocsin.clock import SECOND, Clock
from tocsin.domain.audit import SERVICE, Action
from tocsin.storage.records import (
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
from tocsin.storage.statements import Compiled, load, numbered

T = TypeVar("T")

Connection = Any
"""An asyncpg connection, from a pool or not: its package has no types."""

SQL: Final[dict[str, Compiled]] = {name: numbered(text) for name, text in load("postgres").items()}
HEADS_AT_A_TIME: Final = 100
"""Heads noticed by one statement, at most."""


class _Engine(Protocol):
    """What the log needs of its engine."""

    _clock: Clock
    endpoints_of_a_head: int

    def snapshot(self) -> AbstractAsyncContextManager[Connection]: ...

    def connection(self) -> AbstractAsyncContextManager[Connection]: ...

    async def transaction(self, change: Callable[[Connection], Awaitable[T]]) -> T: ...

    async def alone(self, name: str, **parameters: Any) -> Sequence[Any]: ...


class PostgresLog:
    """The methods of `interface.Storage` about events, endpoints, cursors and attempts."""

    async def take(self: _Engine, owner: str, limit: int, failing_limit: int, seconds: float) -> Taken:
        """What was due before comes first; what is noticed is leased as far as there is room."""
        now = self._clock.now()
        async with self.connection() as connection:
            something = await _one(connection, "anything_to_take", now=now)
        token = uuid.uuid4().hex
        lease = {"owner": owner, "token": token, "until": now + int(seconds * SECOND), "now": now}
        rows: list[Any] = []
        noticed = 0
        if something["due"]:
            limits = {"limit": limit, "failing_limit": failing_limit}
            rows += await self.alone("lease", **limits, **lease)
        if something["ahead"]:
            room = max(0, limit - len(rows))
            heads = _heads_for(room, self.endpoints_of_a_head)
            first, *_ = found = await self.alone("notice", heads=heads, room=room, **lease)
            noticed = first["heads"]
            self.endpoints_of_a_head = first["endpoints"] // max(noticed, 1)
            rows += [row for row in found if row["id"] is not None]
        if not rows:
            return Taken(noticed, ())
        async with self.connection() as connection:
            subscriptions = await _subscribed(connection, [row["id"] for row in rows])
            leased = [await _leased(connection, row, token, subscriptions[row["id"]]) for row in rows]
        return Taken(noticed, tuple(leased))

    async def fetch(self: _Engine, requests: Sequence[ReadRequest]) -> Sequence[ReadAnswer]:
        now = self._clock.now()
        alone = not any(one.check_blocked or one.retries_limit for one in requests)
        async with self.connection() if alone else self.snapshot() as connection:
            events = await _stretches(connection, {one for request in requests for one in request.stretches})
            read = [await _answer(connection, request, events, now) for request in requests]
            # last: where it is no snapshot, what was read is no newer than they are
            revisions = await _revisions(connection, [one.endpoint_id for one in requests])
            return [one._replace(revisions=revisions[one.endpoint_id]) for one in read]

    async def settle(self: _Engine, settlements: Sequence[Settlement]) -> Sequence[Settled]:
        now = self._clock.now()
        return await self.transaction(lambda connection: _settle(connection, settlements, now))

    async def renew(self: _Engine, tokens: Mapping[str, str], seconds: float) -> frozenset[str]:
        until = self._clock.now() + int(seconds * SECOND)
        arguments = {"ids": list(tokens), "tokens": list(tokens.values()), "until": until}

        async def renew(connection: Connection) -> frozenset[str]:
            held = {row["id"] for row in await _all(connection, "renew", **arguments)}
            return frozenset(tokens.keys() - held)

        return await self.transaction(renew)

    async def revisions(self: _Engine, endpoint_ids: Sequence[str]) -> Mapping[str, Revisions]:
        async with self.connection() as connection:
            return await _revisions(connection, endpoint_ids)

    async def next_due_at(self: _Engine) -> int | None:
        async with self.connection() as connection:
            due_at: int | None = (await _one(connection, "next_due_at"))["due_at"]
            return due_at

    async def end_leases(self: _Engine, owners: Iterable[str]) -> None:
        """End the leases of local processes that are dead, so that nobody waits for them to run out."""
        now = self._clock.now()

        async def end(connection: Connection) -> None:
            for owner in owners:
                await _run(connection, "end_leases", owner=owner, now=now)

        await self.transaction(end)


def _heads_for(room: int, endpoints_of_a_head: int) -> int:
    """How many to notice: as many as there is room for their endpoints, by how many the last ones had; all while there
    is no room, because then they only become due."""
    return min(HEADS_AT_A_TIME, max(1, room // max(endpoints_of_a_head, 1))) if room else HEADS_AT_A_TIME


async def append_events(connection: Connection, now: int, events: Sequence[NewEvent]) -> None:
    """In the order given: each organization's next sequence, each type's next ordinal."""
    for event in events:
        row = {
            "organization_id": event.organization_id,
            "event": event.event.value,
            "id": event.id,
            "resource_id": event.resource_id,
            "body": event.body,
            "now": now,
        }
        done = await _run(connection, "append", **row)
        assert done == 1, "every organization has a log, and a head for each event"


async def _all(connection: Connection, name: str, **parameters: Any) -> Sequence[Any]:
    statement = SQL[name]
    rows: Sequence[Any] = await connection.fetch(statement.text, *statement.arguments(parameters))
    return rows


async def _one(connection: Connection, name: str, **parameters: Any) -> Any:
    statement = SQL[name]
    return await connection.fetchrow(statement.text, *statement.arguments(parameters))


async def _run(connection: Connection, name: str, **parameters: Any) -> int:
    statement = SQL[name]
    return affected(await connection.execute(statement.text, *statement.arguments(parameters)))


def affected(status: str) -> int:
    """How many rows a command changed, by its tag (`UPDATE 3`, `INSERT 0 1`)."""
    return int(status.rsplit(" ", 1)[-1])


async def _leased(
    connection: Connection, row: Any, token: str, subscriptions: tuple[Subscription, ...]
) -> LeasedEndpoint:
    if row["is_uncertain"]:
        subscriptions = tuple([one._replace(settled=await _settled(connection, one)) for one in subscriptions])
    return LeasedEndpoint(
        id=row["id"],
        organization_id=row["organization_id"],
        token=token,
        health=_health(row),
        has_retries=row["has_retries"],
        subscriptions=subscriptions,
    )


def _health(row: Any) -> EndpointHealth:
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


async def _subscribed(connection: Connection, endpoint_ids: Sequence[str]) -> dict[str, tuple[Subscription, ...]]:
    found: dict[str, list[Subscription]] = {one: [] for one in endpoint_ids}
    if endpoint_ids:
        for row in await _all(connection, "live_subscriptions", endpoint_ids=list(endpoint_ids)):
            found[row["endpoint_id"]].append(Subscription(*row))
    return {endpoint_id: tuple(ones) for endpoint_id, ones in found.items()}


async def _revisions(connection: Connection, endpoint_ids: Sequence[str]) -> dict[str, dict[tuple[str, str], int]]:
    found: dict[str, dict[tuple[str, str], int]] = {one: {} for one in endpoint_ids}
    for endpoint_id, webhook_id, replay_id, revision in await _all(
        connection, "revisions", endpoint_ids=list(endpoint_ids)
    ):
        found[endpoint_id][webhook_id, replay_id] = revision
    return found


async def _settled(connection: Connection, one: Subscription) -> frozenset[int]:
    parameters = {
        "organization_id": one.organization_id,
        "webhook_id": one.webhook_id,
        "replay_id": one.replay_id,
        "event": one.event,
        "cursor": one.cursor,
    }
    return frozenset(row["ordinal"] for row in await _all(connection, "settled_beyond", **parameters))


Events = Mapping[Stretch, tuple[LoggedEvent, ...]]


async def _stretches(connection: Connection, wanted: Iterable[Stretch]) -> Events:
    """Each once: endpoints at the same place of the same log share one read, and the bytes."""
    found: dict[Stretch, list[LoggedEvent]] = {one: [] for one in wanted}
    plain = [one for one in found if one.failed_of is None]
    if plain:
        rows = await _all(
            connection,
            "stretches",
            numbers=list(range(len(plain))),
            organizations=[one.organization_id for one in plain],
            events=[one.event for one in plain],
            after=[one.after for one in plain],
            limits=[one.limit for one in plain],
        )
        for number, *event in rows:
            one = plain[number]
            found[one].append(LoggedEvent(one.organization_id, *event))
    for one in found.keys() - set(plain):
        rows = await _all(connection, "failed_stretch", **one._asdict())
        found[one] = [LoggedEvent(one.organization_id, *row) for row in rows]
    return {one: tuple(events) for one, events in found.items()}


async def _answer(connection: Connection, request: ReadRequest, events: Events, now: int) -> ReadAnswer:
    read = tuple(events[stretch] for stretch in request.stretches)
    retries = await _retries(connection, request, now) if request.retries_limit else ()
    blocked = await _blocked(connection, request.endpoint_id, read) if request.check_blocked else frozenset()
    return ReadAnswer(request.endpoint_id, read, retries, blocked, {})


async def _retries(connection: Connection, request: ReadRequest, now: int) -> tuple[DueRetry, ...]:
    parameters: dict[str, Any] = {"endpoint_id": request.endpoint_id, "limit": request.retries_limit}
    if request.probe_after is None:
        rows = await _all(connection, "due_retries", **parameters, now=now)
    else:
        rows = await _all(connection, "probe_candidates", **parameters, after=request.probe_after)
    return tuple(DueRetry(row[0], row[1], row[2], LoggedEvent(*tuple(row)[3:])) for row in rows)


async def _blocked(
    connection: Connection, endpoint_id: str, events: Iterable[Iterable[LoggedEvent]]
) -> frozenset[tuple[str, str]]:
    resources = sorted({event.resource_id for stretch in events for event in stretch})
    rows = await _all(connection, "blocked", endpoint_id=endpoint_id, resources=resources)
    return frozenset((row["replay_id"], row["resource_id"]) for row in rows)


async def _settle(connection: Connection, settlements: Sequence[Settlement], now: int) -> list[Settled]:
    attempts = [attempt for settlement in settlements for attempt in settlement.attempts]
    if attempts:
        await connection.copy_records_to_table("attempts", records=attempts, columns=AttemptRecord._fields)
    webhook_ids = {move.webhook_id for one in settlements for move in one.cursors}
    webhook_ids |= {parked.webhook_id for one in settlements for parked in one.parked}
    if webhook_ids:
        await _all(connection, "lock_webhooks", ids=sorted(webhook_ids))
    tokens = {"ids": [one.endpoint_id for one in settlements], "tokens": [one.token for one in settlements]}
    held = {row["id"] for row in await _all(connection, "lock_held", **tokens)}
    kept = [one for one in settlements if one.endpoint_id in held]
    await _move_cursors(connection, kept, now)
    touched = [one for one in kept if one.parked or one.settled_retries or any(move.replay_id for move in one.cursors)]
    unblocked = {one.endpoint_id: await _write_parked(connection, one, now) for one in touched}
    await _write_health(connection, [one for one in kept if one.health is not None and not one.release])
    for one in kept:
        if one.disable_reason is not None:
            await _disable(connection, one.endpoint_id, one.disable_reason, now)
    await _release(connection, [one for one in kept if one.release], now)
    return [
        Settled(
            one.endpoint_id, lost=one.endpoint_id not in held, unblocked=unblocked.get(one.endpoint_id, frozenset())
        )
        for one in settlements
    ]


async def _move_cursors(connection: Connection, settlements: Sequence[Settlement], now: int) -> None:
    moves = [(one.endpoint_id, move) for one in settlements for move in one.cursors]
    live = [(endpoint_id, move) for endpoint_id, move in moves if not move.replay_id]
    moved: set[str] = set()
    if live:
        rows = await _all(
            connection,
            "move_cursors",
            webhook_ids=[move.webhook_id for _, move in live],
            epochs=[move.epoch for _, move in live],
            endpoint_ids=[endpoint_id for endpoint_id, _ in live],
            cursors=[move.cursor for _, move in live],
        )
        moved = {row["id"] for row in rows}
    for endpoint_id, move in moves:
        if move.replay_id:
            arguments = {"replay_id": move.replay_id, "epoch": move.epoch, "cursor": move.cursor}
            done = await _one(connection, "move_replay", **arguments, now=now) is not None
        else:
            done = move.webhook_id in moved
        if not done:
            await _run(connection, "make_uncertain", endpoint_id=endpoint_id)


async def _write_parked(connection: Connection, settlement: Settlement, now: int) -> frozenset[tuple[str, str]]:
    """Park and unpark; then no resource's first delivery is held. Returns those with nothing parked any more."""
    here = {"endpoint_id": settlement.endpoint_id, "now": now}
    for webhook_id, replay_id, sequence, _ in settlement.settled_retries:
        await _run(connection, "unpark", webhook_id=webhook_id, replay_id=replay_id, sequence=sequence)
    for parked in settlement.parked:
        await _run(connection, "park", **here, **parked._asdict())
    touched = {(replay_id, resource_id) for _, replay_id, _, resource_id in settlement.settled_retries}
    touched |= {(parked.replay_id, parked.resource_id) for parked in settlement.parked}
    blocked = set()
    for replay_id, resource_id in sorted(touched):
        resource = {"replay_id": replay_id, "resource_id": resource_id}
        await _run(connection, "promote", **here, **resource)
        if await _one(connection, "still_blocked", endpoint_id=settlement.endpoint_id, **resource) is not None:
            blocked.add((replay_id, resource_id))
    if any(replay_id for replay_id, _ in touched) or any(move.replay_id for move in settlement.cursors):
        await _run(connection, "end_replays", **here)
    return frozenset(touched - blocked)


async def _disable(connection: Connection, endpoint_id: str, reason: str, now: int) -> None:
    """Every webhook of the endpoint, as the audit and a notice tell."""
    rows = await _all(connection, "disable", endpoint_id=endpoint_id, reason=reason, now=now)
    await _run(connection, "pause_parked", endpoint_id=endpoint_id)
    details = json.dumps({"reason": reason})
    entry = {"now": now, "actor": SERVICE, "action": Action.WEBHOOK_DISABLED.value, "details": details}
    for row in rows:
        subject = {"organization_id": row["organization_id"], "subject": f"webhook:{row['id']}"}
        await _run(connection, "record_disabled", **entry, **subject)
    for row in rows[:1]:
        notice = {"organization_id": row["organization_id"], "webhook_id": row["id"], "details": details, "now": now}
        await _run(connection, "notice_disabled", **notice)


async def _write_health(connection: Connection, settlements: Sequence[Settlement]) -> None:
    if settlements:
        ids = [one.endpoint_id for one in settlements]
        await _run(connection, "write_health", ids=ids, **_health_columns(settlements))


async def _release(connection: Connection, settlements: Sequence[Settlement], now: int) -> None:
    if settlements:
        await _run(
            connection,
            "release",
            ids=[one.endpoint_id for one in settlements],
            due=[one.due_at for one in settlements],
            uncertain=[one.uncertain for one in settlements],
            changed=[one.health is not None for one in settlements],
            now=now,
            **_health_columns(settlements),
        )


def _health_columns(settlements: Sequence[Settlement]) -> dict[str, list[Any]]:
    """Of each settlement, by column; where it has no health, of any."""
    found = [one.health or _ANY_HEALTH for one in settlements]
    columns: dict[str, list[Any]] = {name: [getattr(one, name) for one in found] for name in _HEALTH}
    columns["failing_resources"] = [json.dumps(one.failing_resources) for one in found]
    return columns


_ANY_HEALTH: Final = EndpointHealth()
_HEALTH: Final = EndpointHealth._fields

RETRYABLE: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.UniqueViolationError,
)
"""Somebody else was quicker: the same transaction, run again, sees what they did."""
