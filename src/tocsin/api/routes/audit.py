"""Who did what, for an organization's admins (CONTRACT, section 9)."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from tocsin.api.answer import answer
from tocsin.api.body import JsonRoute
from tocsin.api.description import answers
from tocsin.api.parameters import KnownCaller, Tocsin

router = APIRouter(tags=["audit"], route_class=JsonRoute)

CURSOR_MAX = 2**63 - 1
LIMIT_MAX = 100


@router.get(
    "/organizations/{organization}/audit",
    summary="List who did what, newest first",
    responses=answers(name="Audit"),
)
async def list_audit(
    request: Request,
    tocsin: Tocsin,
    caller: KnownCaller,
    organization: str,
    cursor: Annotated[int | None, Query(ge=1, le=CURSOR_MAX, description="of a next link")] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 10,
) -> Response:
    found = await tocsin.audit.page(caller, organization, below=cursor, limit=limit)
    own = dict(request.query_params)
    following = {**own, "cursor": str(found[-1].number)} if len(found) == limit else None
    items = [tocsin.hal.audit_entry(one) for one in found]
    return answer(request, tocsin.hal.cursor_page(request.url.path, items, following, own))
