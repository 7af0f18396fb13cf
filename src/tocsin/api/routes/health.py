"""Whether the process is alive, and whether it can answer."""

from fastapi import APIRouter, Response

from tocsin.api.body import JsonRoute
from tocsin.api.parameters import Tocsin

router = APIRouter(prefix="/health", tags=["health"], route_class=JsonRoute)


@router.get("/live", summary="Whether the process is alive")
async def live() -> Response:
    return Response("alive\n", media_type="text/plain")


@router.get("/ready", summary="Whether the service can answer: 503 while it can't reach its database")
async def ready(tocsin: Tocsin) -> Response:
    await tocsin.context.storage.next_due_at()
    return Response("ready\n", media_type="text/plain")
