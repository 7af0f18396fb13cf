"""Sending again what a webhook has behind it (CONTRACT, section 9, "Deliveries")."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field, PlainValidator, StrictBool, WithJsonSchema

from tocsin.api.answer import answer, no_content, page
from tocsin.api.body import Input, JsonRoute
from tocsin.api.description import STATE_ERRORS, answers
from tocsin.api.parameters import KnownCaller, Pages, Tocsin, place
from tocsin.service.replays import Place

router = APIRouter(prefix="/webhooks/{webhook}/replays", tags=["replays"], route_class=JsonRoute)

_PLACE_SCHEMA = {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "format": "date-time"}]}
LogPlace = Annotated[Place, PlainValidator(place), WithJsonSchema(_PLACE_SCHEMA)]
"""A sequence, or a date and time."""


class ReplayData(Input):
    start: LogPlace = Field(alias="from")
    end: LogPlace | None = Field(None, alias="to")
    only_failed: StrictBool = Field(False, alias="onlyFailed")
    dry_run: StrictBool = Field(False, alias="dryRun")


@router.post(
    "",
    status_code=201,
    summary="Send again, in order, what lies in a range; dryRun only counts",
    responses={**answers(200, "ReplayCount", errors=()), **answers(201, "Replay", errors=STATE_ERRORS)},
)
async def start_replay(
    request: Request, tocsin: Tocsin, caller: KnownCaller, webhook: str, body: ReplayData
) -> Response:
    if body.dry_run:
        counted = await tocsin.replays.count(caller, webhook, body.start, body.end, only_failed=body.only_failed)
        return answer(
            request, tocsin.hal.replay_count(webhook, counted.total, only_failed=body.only_failed), tagged=False
        )
    started = await tocsin.replays.start(caller, webhook, body.start, body.end, only_failed=body.only_failed)
    return answer(request, tocsin.hal.replay(started), status=201)


@router.get("", summary="List replays", responses=answers(name="Replay", page=True))
async def list_replays(request: Request, tocsin: Tocsin, caller: KnownCaller, webhook: str, paging: Pages) -> Response:
    found = await tocsin.replays.page(caller, webhook, paging)
    return page(request, tocsin.hal, found, tocsin.hal.replay)


@router.get("/{replay}", summary="Get a replay", responses=answers(name="Replay"))
async def get_replay(request: Request, tocsin: Tocsin, caller: KnownCaller, webhook: str, replay: str) -> Response:
    return answer(request, tocsin.hal.replay(await tocsin.replays.get(caller, webhook, replay)))


@router.delete("/{replay}", status_code=204, summary="Stop a replay", responses=answers(204, errors=(401, 403, 404)))
async def stop_replay(tocsin: Tocsin, caller: KnownCaller, webhook: str, replay: str) -> Response:
    await tocsin.replays.stop(caller, webhook, replay)
    return no_content()
