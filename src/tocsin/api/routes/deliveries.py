"""What became of a webhook's events (CONTRACT, section 9, "Deliveries")."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from tocsin.api.answer import answer
from tocsin.api.body import JsonRoute
from tocsin.api.description import answers
from tocsin.api.parameters import KnownCaller, QueryMoment, Tocsin
from tocsin.domain.errors import NotFound
from tocsin.domain.resources import DeliveryState

router = APIRouter(prefix="/webhooks/{webhook}/deliveries", tags=["deliveries"], route_class=JsonRoute)

LIMIT_MAX = 100
SEQUENCE_MAX = 2**63 - 1
Sequence = Annotated[str, Path(description="the event's sequence")]


def _number(text: str) -> int:
    """What is no sequence is unknown."""
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > SEQUENCE_MAX:
        raise NotFound("There is no such delivery.")
    return int(text)


@router.get("", summary="List deliveries, newest first", responses=answers(name="Deliveries"))
async def list_deliveries(
    request: Request,
    tocsin: Tocsin,
    caller: KnownCaller,
    webhook: str,
    state: DeliveryState | None = None,
    after: Annotated[QueryMoment | None, Query(description="on occurredAt, inclusive")] = None,
    before: Annotated[QueryMoment | None, Query(description="on occurredAt, inclusive")] = None,
    cursor: Annotated[int | None, Query(ge=1, le=SEQUENCE_MAX, description="of a next link")] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 10,
) -> Response:
    found = await tocsin.deliveries.page(
        caller, webhook, state=state, after=after, before=before, below=cursor, limit=limit
    )
    own = dict(request.query_params)
    following = {**own, "cursor": str(found[-1].sequence)} if len(found) == limit else None
    items = [tocsin.hal.delivery(one) for one in found]
    return answer(request, tocsin.hal.cursor_page(request.url.path, items, following, own))


@router.get("/{sequence}", summary="Get a delivery", responses=answers(name="Delivery"))
async def get_delivery(
    request: Request, tocsin: Tocsin, caller: KnownCaller, webhook: str, sequence: Sequence
) -> Response:
    found = await tocsin.deliveries.get(caller, webhook, _number(sequence))
    return answer(request, tocsin.hal.delivery(found))


@router.get("/{sequence}/attempts", summary="List a delivery's attempts", responses=answers(name="Attempts"))
async def list_attempts(
    request: Request, tocsin: Tocsin, caller: KnownCaller, webhook: str, sequence: Sequence
) -> Response:
    number = _number(sequence)
    found = await tocsin.deliveries.attempts(caller, webhook, number)
    return answer(request, tocsin.hal.attempts(webhook, number, found))


@router.post(
    "/{sequence}/redeliver",
    status_code=202,
    summary="Send it again",
    responses=answers(202, "Delivery", errors=(401, 403, 404, 409)),
)
async def redeliver(
    request: Request, tocsin: Tocsin, caller: KnownCaller, webhook: str, sequence: Sequence
) -> Response:
    found = await tocsin.deliveries.redeliver(caller, webhook, _number(sequence))
    return answer(request, tocsin.hal.delivery(found), status=202)
