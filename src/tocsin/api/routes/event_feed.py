"""The event feed (CONTRACT, section 9, "The event feed")."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from tocsin.api.answer import MEDIA_TYPE, answer, content
from tocsin.api.body import JsonRoute
from tocsin.api.description import answers, event_types
from tocsin.api.parameters import KnownCaller, Tocsin
from tocsin.domain.events import Event
from tocsin.hal import event_feed
from tocsin.service.event_feed import WAIT_MAX_SECONDS
from tocsin.storage.records import LoggedEvent

router = APIRouter(tags=["events"], route_class=JsonRoute)

SEQUENCE_MAX = 2**63 - 1
LIMIT_MAX = 100


def _item(one: LoggedEvent) -> bytes:
    return event_feed.item(one.sequence, one.ordinal, one.id, one.occurred_at, one.body)


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
) -> Response:
    found = await tocsin.event_feed.read(caller, organization, after=after, limit=limit, event=event, wait_seconds=wait)
    own = dict(request.query_params)
    following = {**own, "after": str(found.next_after)}
    items = [_item(one) for one in found.events]
    body = event_feed.page(tocsin.hal.links, request.url.path, own, following, found.last, items)
    return Response(body, media_type=MEDIA_TYPE)


@router.get("/events/{event}", summary="Get an event", responses=answers(name="LoggedEvent"))
async def get_event(request: Request, tocsin: Tocsin, caller: KnownCaller, event: str) -> Response:
    return content(request, _item(await tocsin.event_feed.get(caller, event)))


@router.get("/event-types", summary="List event types", responses=answers(name="EventTypes", errors=(401,)))
async def list_event_types(request: Request, _: KnownCaller) -> Response:
    return answer(request, event_types())
