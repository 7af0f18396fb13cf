"""Whether the process is alive, and whether it can answer."""

from fastapi import APIRouter, Response

from tocsin.api.body import JsonRoute
from tocsin.api.parameters import Tocsin
from tocsin.domain.errors import Unavailable

router = APIRouter(prefix="/health", tags=["health"], route_class=JsonRoute)


@router.get("/live", summary="Whether the process is alive")
async def live() -> Response:
    return Response("alive\n", media_type="text/plain")


@router.get("/ready", summary="Whether the service can answer: 503 while it can't reach its database")
async def ready(tocsin: Tocsin) -> Response:
    try:
        await tocsin.context.storage.next_due_at()
    except Exception as error:
        raise Unavailable("The database can't be reached.", retry_after_seconds=1) from error
    return Response("ready\n", media_type="text/plain")
