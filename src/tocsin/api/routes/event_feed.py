"""The event feed (CONTRACT, section 9, "The event feed")."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tocsin.api.answer import MEDIA_TYPE, answer, content
from tocsin.api.body import JsonRoute
from tocsin.api.description import answers, event_types
from tocsin.api.parameters import Id, KnownCaller, Tocsin
from tocsin.domain.errors import Invalid, Violation
from tocsin.domain.events import Event
from tocsin.hal import event_feed
from tocsin.service.event_feed import WAIT_MAX_SECONDS
from tocsin.service.explanations import explanation
from tocsin.storage.records import LoggedEvent

STREAM: Final = "text/event-stream"
STREAM_SECONDS: Final = 900.0
"""Then a stream ends, and its reader, coming again, shows its credential anew."""

router = APIRouter(tags=["events"], route_class=JsonRoute)

SEQUENCE_MAX = 2**63 - 1
LIMIT_MAX = 100


def _item(one: LoggedEvent) -> bytes:
    return event_feed.item(one.sequence, one.ordinal, one.id, one.occurred_at, one.body, one.erased_at)


@router.get(
    "/organizations/{organization}/events",
    summary="Read an organization's events in order, gap-free",
    responses=answers(name="EventFeed", errors=(400, 401, 404, 410)),
)
async def read_events(
    request: Request,
    tocsin: Tocsin,
    caller: KnownCaller,
    organization: str,
    after: Annotated[int, Query(ge=0, le=SEQUENCE_MAX, description="a sequence; 0: from the beginning")] = 0,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_MAX,
    event: Event | None = None,
    wait: Annotated[int, Query(ge=0, le=WAIT_MAX_SECONDS, description="seconds to wait for something to come")] = 0,
    last_event_id: Annotated[str | None, Header(description="of a stream: as `after`, and before it")] = None,
) -> Response:
    """With `Accept: text/event-stream` the same as server-sent events, `id:` the sequence, for as long as it lasts."""
    if STREAM in request.headers.get("accept", ""):
        begin = after if last_event_id is None else _sequence(last_event_id)
        pages = tocsin.event_feed.follow(caller, organization, after=begin, event=event)
        first = await anext(pages, ())
        return EventStream(_stream(first, pages))
    found = await tocsin.event_feed.read(caller, organization, after=after, limit=limit, event=event, wait_seconds=wait)
    own = dict(request.query_params)
    following = {**own, "after": str(found.next_after)}
    items = [_item(one) for one in found.events]
    body = event_feed.page(tocsin.hal.links, request.url.path, own, following, found.last, items)
    return Response(body, media_type=MEDIA_TYPE)


def _sequence(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text[:20]) > SEQUENCE_MAX:
        raise Invalid(Violation("Last-Event-ID", "This is no sequence."))
    return int(text)


async def _stream(
    first: Sequence[LoggedEvent], pages: AsyncGenerator[Sequence[LoggedEvent], None]
) -> AsyncIterator[bytes]:
    """A comment for an empty page: it keeps what lies between from closing the connection."""
    async with contextlib.aclosing(pages):
        yield b"retry: 1000\n\n" + _events(first)
        async for found in pages:
            yield _events(found) or b": nothing yet\n\n"


def _events(found: Sequence[LoggedEvent]) -> bytes:
    return b"".join(event_feed.server_sent(one.sequence, one.event, _item(one)) for one in found)


class EventStream(StreamingResponse):
    """Bounded in time, whatever its reader does: one that reads nothing holds its place no longer than others."""

    media_type = STREAM

    def __init__(self, content: AsyncIterator[bytes]) -> None:
        super().__init__(content, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STREAM_SECONDS):
                await super().__call__(scope, receive, send)


@router.get(
    "/events/{event}/explanation",
    summary="Say why an event was or wasn't sent, what was tried, and what comes next",
    responses=answers(name="Explanation"),
)
async def explain_event(
    request: Request,
    tocsin: Tocsin,
    caller: KnownCaller,
    event: str,
    webhook: Annotated[Id | None, Query(description="only for this webhook, whatever it is there for")] = None,
) -> Response:
    explained = await tocsin.explanations.explain(caller, event, webhook)
    return answer(request, explanation(tocsin.hal, explained))


@router.get("/events/{event}", summary="Get an event", responses=answers(name="LoggedEvent"))
async def get_event(request: Request, tocsin: Tocsin, caller: KnownCaller, event: str) -> Response:
    return content(request, _item(await tocsin.event_feed.get(caller, event)))


@router.get("/event-types", summary="List event types", responses=answers(name="EventTypes", errors=(401,)))
async def list_event_types(request: Request, _: KnownCaller) -> Response:
    return answer(request, event_types())
