"""The worker of the peer that `peer.py` compares with: procrastinate, aiohttp, asyncpg for its own two tables.

    python -m benchmarks.peer_worker DATABASE_URL CONCURRENCY

One job for each delivery. It finds the event and the webhook (both are kept in memory once read), signs as Standard
Webhooks has it, POSTs over keep-alive, and records the attempt; a failure raises, and procrastinate retries with its
own exponential wait. Ends at SIGTERM.
"""

import asyncio
import base64
import hashlib
import hmac
import logging
import sys
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import aiohttp
import asyncpg
import procrastinate
import uvloop

ATTEMPTS_MAX: Final = 10
TIMEOUT_SECONDS: Final = 15
EVENTS_KEPT: Final = 10_000
SCHEMA: Final = """
CREATE TABLE webhooks (id bigint PRIMARY KEY, url text NOT NULL, secret bytea NOT NULL);
CREATE TABLE events (id bigint PRIMARY KEY, body bytea NOT NULL);
CREATE TABLE attempts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, webhook_id bigint NOT NULL, event_id bigint NOT NULL,
    started_at timestamptz NOT NULL, total_us integer NOT NULL, status integer, reason text);
CREATE INDEX ON attempts (webhook_id, event_id);
"""
RECORD: Final = """
INSERT INTO attempts (webhook_id, event_id, started_at, total_us, status, reason)
VALUES ($1, $2, to_timestamp($3), $4, $5, $6)
"""


@dataclass(frozen=True)
class Webhook:
    url: str
    secret: bytes


def app_of(url: str, connections: int) -> procrastinate.App:
    connector = procrastinate.PsycopgConnector(conninfo=url, min_size=4, max_size=connections)
    app = procrastinate.App(connector=connector)
    retry = procrastinate.RetryStrategy(max_attempts=ATTEMPTS_MAX, exponential_wait=5)
    app.task(name="deliver", retry=retry)(deliver)
    return app


class Place:
    """What a job needs; set once, before the worker runs."""

    pool: Any
    http: aiohttp.ClientSession


async def deliver(webhook_id: int, event_id: int) -> None:
    """The job. Raises where the receiver does not take it."""
    webhook, body = await found_webhook(webhook_id), await found_event(event_id)
    started = time.time()
    headers = signed(webhook.secret, str(event_id), int(started), body)
    status, reason = None, None
    try:
        async with Place.http.post(webhook.url, data=body, headers=headers, allow_redirects=False) as answer:
            status = answer.status
            await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        reason = str(error)
    total_us = round((time.time() - started) * 1e6)
    await Place.pool.execute(RECORD, webhook_id, event_id, started, total_us, status, reason)
    if status is None or not 200 <= status < 300:
        raise RuntimeError(reason or f"answered {status}")


def signed(secret: bytes, event_id: str, at: int, body: bytes) -> dict[str, str]:
    """The header lines of a notification, after Standard Webhooks."""
    content = b"%s.%d.%s" % (event_id.encode(), at, body)
    signature = base64.b64encode(hmac.digest(secret, content, hashlib.sha256)).decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "peer/1.0",
        "webhook-id": event_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{signature}",
    }


WEBHOOKS: Final[dict[int, Webhook]] = {}


async def found_webhook(webhook_id: int) -> Webhook:
    found = WEBHOOKS.get(webhook_id)
    if found is None:
        row = await Place.pool.fetchrow("SELECT url, secret FROM webhooks WHERE id = $1", webhook_id)
        found = WEBHOOKS[webhook_id] = Webhook(row["url"], row["secret"])
    return found


@lru_cache(EVENTS_KEPT)
def reading(event_id: int) -> "asyncio.Task[bytes]":
    """One read of an event for all of its deliveries, also those that ask while it goes on."""
    return asyncio.create_task(Place.pool.fetchval("SELECT body FROM events WHERE id = $1", event_id))


async def found_event(event_id: int) -> bytes:
    return await reading(event_id)


async def main(url: str, concurrency: int) -> None:
    logging.disable(logging.WARNING)  # procrastinate tells of each job
    app = app_of(url, min(concurrency, 32))
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with (
        asyncpg.create_pool(url, min_size=4, max_size=16) as Place.pool,
        aiohttp.ClientSession(connector=connector, timeout=timeout) as Place.http,
        app.open_async(),
    ):
        await app.run_worker_async(concurrency=concurrency, delete_jobs="successful")


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
