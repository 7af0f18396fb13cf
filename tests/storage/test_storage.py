"""The log and its deliveries, through the storage interface."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from tests.api.client import City, city, person
from tests.conftest import ManualClock, Service, both_engines
from tocsin.clock import SECOND
from tocsin.domain.errors import NotFound
from tocsin.storage.interface import Storage, Writing
from tocsin.storage.postgres import PostgresWriting
from tocsin.storage.records import (
    NOTHING_TAKEN,
    AttemptRecord,
    CursorMove,
    EndpointHealth,
    Parked,
    ReadRequest,
    Settlement,
    Stretch,
)
from tocsin.storage.schema import attempts, endpoints, events, reports, retries, webhooks
from tocsin.storage.sqlite import SqliteWriting

pytestmark = [pytest.mark.anyio, both_engines]

URL = "https://cmms.example.org/hook"


@pytest.fixture
async def bordeaux(service: Service) -> City:
    return await city(await person(service.http))


@pytest.fixture
def storage(service: Service) -> Storage:
    return service.use_cases.context.storage


async def rows(storage: Storage, table: Any) -> list[dict[str, Any]]:
    async with storage.read() as tx:
        return [dict(row) for row in await tx.rows(select(table))]


def attempt(webhook_id: str, sequence: int, *, delivered: bool = True) -> AttemptRecord:
    return AttemptRecord(
        webhook_id, sequence, sequence, "", delivered, 1, "response", 200, None, None, None, None, None, None, 5, None
    )


async def test_a_change_and_its_event_commit_together_or_not_at_all(
    storage: Storage, bordeaux: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = await bordeaux.report()

    async def fails(*_: Any) -> None:
        raise RuntimeError("the log could not be appended to")

    with monkeypatch.context() as broken:
        for writing in (SqliteWriting, PostgresWriting):
            broken.setattr(writing, "append", fails)
        answer = await bordeaux.admin.call(
            "POST", f"/reports/{report['id']}/workflow/transition", {"transition": "accept"}
        )
        assert answer.status_code == 500
    assert (await bordeaux.admin.get(f"/reports/{report['id']}"))["state"] == "NEW"
    assert len(await rows(storage, events)) == 1


async def test_a_failed_transaction_leaves_nothing(storage: Storage, bordeaux: City) -> None:
    report = await bordeaux.report()

    async def change(tx: Writing) -> None:
        await tx.update(reports, report["id"], {"priority": 99})
        raise NotFound("no")

    with pytest.raises(NotFound):
        await storage.write(change)
    assert (await bordeaux.admin.get(f"/reports/{report['id']}"))["priority"] == 1


async def test_sequences_and_ordinals_have_no_gaps_under_concurrent_writers(storage: Storage, bordeaux: City) -> None:
    made = [await bordeaux.report() for _ in range(8)]
    await asyncio.gather(*(bordeaux.move(report, "accept", "hold", "progress") for report in made))
    log = await rows(storage, events)
    assert sorted(row["sequence"] for row in log) == list(range(1, 8 + 24 + 1))
    for event in ("reportCreated", "reportStateChanged"):
        ordinals = [row["ordinal"] for row in sorted(log, key=lambda row: row["sequence"]) if row["event"] == event]
        assert ordinals == list(range(1, len(ordinals) + 1))


async def test_an_idle_endpoint_is_noticed_leased_and_released(storage: Storage, bordeaux: City) -> None:
    webhook = await bordeaux.webhook("reportCreated", URL)
    assert await storage.take("me", 10, 10, 30) == NOTHING_TAKEN
    await bordeaux.report()
    noticed, (leased,) = await storage.take("me", 10, 10, 30)
    assert noticed == 1
    assert [one.webhook_id for one in leased.subscriptions] == [webhook["id"]]
    assert await storage.take("other", 10, 10, 30) == NOTHING_TAKEN
    stretch = Stretch(leased.organization_id, "reportCreated", 0, 10)
    (answer,) = await storage.fetch([ReadRequest(leased.id, (stretch,), 0)])
    assert [event.ordinal for event in answer.events[0]] == [1]
    move = CursorMove(webhook["id"], "", leased.subscriptions[0].epoch, 1)
    done = Settlement(leased.id, leased.token, [attempt(webhook["id"], 1)], [move], release=True)
    (settled,) = await storage.settle([done])
    assert not settled.lost
    assert await storage.next_due_at() is None
    assert (await rows(storage, webhooks))[0]["cursor"] == 1


async def test_what_comes_while_an_endpoint_is_leased_makes_it_due_again(storage: Storage, bordeaux: City) -> None:
    await bordeaux.webhook("reportCreated", URL)
    await bordeaux.report()
    _, (leased,) = await storage.take("me", 10, 10, 30)
    await bordeaux.report()
    assert await storage.take("me", 10, 10, 30) == (1, ())
    await storage.settle([Settlement(leased.id, leased.token, release=True)])
    assert len((await storage.take("me", 10, 10, 30)).leased) == 1


async def test_what_there_is_no_room_for_is_due(storage: Storage, bordeaux: City) -> None:
    for number in range(3):
        await bordeaux.webhook("reportCreated", f"{URL}/{number}")
    await bordeaux.report()
    noticed, leased = await storage.take("me", 1, 10, 30)
    assert (noticed, len(leased)) == (1, 1)
    noticed, rest = await storage.take("other", 10, 10, 30)
    assert (noticed, len(rest)) == (0, 2)
    assert await storage.take("other", 10, 10, 30) == NOTHING_TAKEN


async def test_a_failing_endpoint_is_noticed_and_has_a_limit_of_its_own(
    clock: ManualClock, storage: Storage, bordeaux: City
) -> None:
    await bordeaux.webhook("reportCreated", URL)
    await bordeaux.report()
    _, (leased,) = await storage.take("me", 10, 10, 30)
    health = EndpointHealth(consecutive_failures=3, not_before=clock.now() + SECOND)
    await storage.settle([Settlement(leased.id, leased.token, health=health, release=True)])
    await bordeaux.report()
    assert await storage.take("me", 10, 10, 30) == (1, ()), "not before its time"
    clock.advance(1)
    assert await storage.take("me", 10, 0, 30) == NOTHING_TAKEN
    _, (again,) = await storage.take("me", 0, 1, 30)
    assert again.health == health


async def test_a_lost_lease_writes_attempts_and_nothing_else(
    clock: ManualClock, storage: Storage, bordeaux: City
) -> None:
    webhook = await bordeaux.webhook("reportCreated", URL)
    await bordeaux.report()
    _, (first,) = await storage.take("dead", 10, 10, 30)
    clock.advance(30)
    _, (second,) = await storage.take("alive", 10, 10, 30)
    assert first.token != second.token
    assert await storage.renew({first.id: first.token}, 30) == {first.id}
    assert await storage.renew({second.id: second.token}, 30) == frozenset()
    move = CursorMove(webhook["id"], "", first.subscriptions[0].epoch, 1)
    parked = Parked(webhook["id"], "", 0, first.organization_id, 1, 1, "r", "retrying", 1, 5, "x")
    late = Settlement(first.id, first.token, [attempt(webhook["id"], 1)], [move], [parked], release=True)
    (settled,) = await storage.settle([late])
    assert settled.lost
    assert (await rows(storage, webhooks))[0]["cursor"] == 0
    assert await rows(storage, retries) == []
    assert len(await rows(storage, attempts)) == 1
    assert (await rows(storage, endpoints))[0]["lease_token"] == second.token


async def test_who_takes_over_skips_what_was_delivered_beyond_the_cursor(
    clock: ManualClock, storage: Storage, bordeaux: City
) -> None:
    webhook = await bordeaux.webhook("reportCreated", URL)
    for _ in range(3):
        await bordeaux.report()
    _, (first,) = await storage.take("dead", 10, 10, 30)
    await storage.settle([Settlement(first.id, first.token, [attempt(webhook["id"], 2)])])
    clock.advance(31)
    _, (second,) = await storage.take("alive", 10, 10, 30)
    assert second.subscriptions[0].settled == {2}


async def test_what_was_parked_of_another_event_type_settles_nothing_of_this_one(
    storage: Storage, bordeaux: City
) -> None:
    webhook = await bordeaux.webhook("reportCreated", URL)
    report, *_ = [await bordeaux.report() for _ in range(3)]
    _, (leased,) = await storage.take("me", 10, 10, 30)
    parked = Parked(webhook["id"], "", 0, leased.organization_id, 3, 3, "r", "retrying", 1, 2**60, "x")
    await storage.settle([Settlement(leased.id, leased.token, parked=[parked], release=True, uncertain=True)])
    await bordeaux.admin.patch(f"/webhooks/{webhook['id']}", {"event": "reportStateChanged"})
    await bordeaux.move(report, "accept", "hold", "progress")
    _, (leased,) = await storage.take("me", 10, 10, 30)
    assert (leased.subscriptions[0].cursor, leased.subscriptions[0].settled) == (0, frozenset())


async def test_what_a_worker_parks_for_a_webhook_that_changed_meanwhile_is_dropped(
    storage: Storage, bordeaux: City
) -> None:
    webhook = await bordeaux.webhook("reportCreated", URL)
    await bordeaux.report()
    _, (leased,) = await storage.take("me", 10, 10, 30)
    await bordeaux.admin.patch(f"/webhooks/{webhook['id']}", {"enabled": False})
    parked = Parked(webhook["id"], "", 0, leased.organization_id, 1, 1, "r", "retrying", 1, 5, "x")
    move = CursorMove(webhook["id"], "", leased.subscriptions[0].epoch, 1)
    done = [attempt(webhook["id"], 1, delivered=False)]
    await storage.settle([Settlement(leased.id, leased.token, done, [move], [parked], release=True)])
    assert await rows(storage, retries) == []
    (endpoint,) = await rows(storage, endpoints)
    assert (endpoint["due_at"], endpoint["uncertain"]) == (None, 1)


async def test_results_for_a_webhook_that_changed_meanwhile_are_dropped(storage: Storage, bordeaux: City) -> None:
    webhook = await bordeaux.webhook("reportCreated", URL)
    await bordeaux.report()
    _, (leased,) = await storage.take("me", 10, 10, 30)
    await bordeaux.admin.patch(f"/webhooks/{webhook['id']}", {"enabled": False})
    await bordeaux.admin.patch(f"/webhooks/{webhook['id']}", {"enabled": True})
    move = CursorMove(webhook["id"], "", leased.subscriptions[0].epoch, 1)
    await storage.settle([Settlement(leased.id, leased.token, cursors=[move], release=True)])
    assert (await rows(storage, webhooks))[0]["cursor"] == 0
    assert len((await storage.take("me", 10, 10, 30)).leased) == 1


async def test_results_count_for_a_webhook_of_which_only_the_way_of_sending_changed(
    storage: Storage, bordeaux: City
) -> None:
    webhook = await bordeaux.webhook("reportCreated", URL)
    await bordeaux.report()
    _, (leased,) = await storage.take("me", 10, 10, 30)
    (before,) = leased.subscriptions
    await bordeaux.admin.patch(f"/webhooks/{webhook['id']}", {"maxInFlight": 3, "headers": {"X-A": "b"}})
    await bordeaux.admin.post(f"/webhooks/{webhook['id']}/secret")
    revisions = (await storage.revisions([leased.id]))[leased.id]
    assert revisions == {(webhook["id"], ""): before.revision + 2}
    assert (await rows(storage, webhooks))[0]["epoch"] == before.epoch
    move = CursorMove(webhook["id"], "", before.epoch, 1)
    await storage.settle([Settlement(leased.id, leased.token, cursors=[move], release=True)])
    assert (await rows(storage, webhooks))[0]["cursor"] == 1


async def test_a_held_delivery_becomes_due_when_nothing_is_before_it(storage: Storage, bordeaux: City) -> None:
    webhook = await bordeaux.webhook("reportCreated", URL)
    for _ in range(2):
        await bordeaux.report()
    _, (leased,) = await storage.take("me", 10, 10, 30)

    def parked(sequence: int, state: str, at: int | None) -> Parked:
        return Parked(webhook["id"], "", 0, leased.organization_id, sequence, sequence, "r", state, 1, at, "x")

    both = Settlement(leased.id, leased.token, parked=[parked(1, "retrying", 2**60), parked(2, "held", None)])
    await storage.settle([both])
    assert {row["sequence"]: row["state"] for row in await rows(storage, retries)} == {1: "retrying", 2: "held"}
    freed = Settlement(leased.id, leased.token, settled_retries=[(webhook["id"], "", 1, "r")])
    (settled,) = await storage.settle([freed])
    assert settled.unblocked == frozenset()
    assert {row["sequence"]: row["state"] for row in await rows(storage, retries)} == {2: "retrying"}
    (answer,) = await storage.fetch([ReadRequest(leased.id, (), 5)])
    assert [one.event.sequence for one in answer.retries] == [2]
