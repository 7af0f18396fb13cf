"""The description of the API, for people and their tools."""

from fastapi import APIRouter, Request, Response

from tocsin.api.answer import etag
from tocsin.api.body import JsonRoute
from tocsin.api.description import describe
from tocsin.api.entity_tags import matches_weakly
from tocsin.api.parameters import Tocsin
from tocsin.hal.encoding import encode

router = APIRouter(route_class=JsonRoute)


@router.get("/openapi.json", include_in_schema=False)
@router.get("/swagger.json", include_in_schema=False)
async def openapi(request: Request, tocsin: Tocsin) -> Response:
    state = request.app.state
    if not hasattr(state, "description"):
        state.description = encode(describe(request.app, tocsin.hal.links.base_url))
    tag = etag(state.description)
    if matches_weakly(request.headers.get("if-none-match", ""), tag):
        return Response(None, 304, {"ETag": tag})
    return Response(state.description, headers={"ETag": tag}, media_type="application/json")
