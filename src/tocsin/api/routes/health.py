"""Whether the process is alive, whether it can answer, and what it has done."""

from fastapi import APIRouter, Response

from tocsin.api.body import JsonRoute
from tocsin.api.parameters import Tocsin
from tocsin.domain.errors import Unavailable

METRICS_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

router = APIRouter(tags=["health"], route_class=JsonRoute)


@router.get("/health/live", summary="Whether the process is alive")
async def live() -> Response:
    return Response("alive\n", media_type="text/plain")


@router.get("/health/ready", summary="Whether the service can answer: 503 while it can't reach its database")
async def ready(tocsin: Tocsin) -> Response:
    try:
        await tocsin.context.storage.next_due_at()
    except Exception as error:
        raise Unavailable("The database can't be reached.", retry_after_seconds=1) from error
    return Response("ready\n", media_type="text/plain")


@router.get("/metrics", include_in_schema=False)
async def metrics(tocsin: Tocsin) -> Response:
    return Response(await tocsin.watch.text(), media_type=METRICS_MEDIA_TYPE)
