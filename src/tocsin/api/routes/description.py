"""The description of the API, for people and their tools."""

from typing import Any

from fastapi import APIRouter, Request, Response

from tocsin.api import docs_page
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
    """Anybody's web page may read it: it holds nothing that is somebody's."""
    body = encode(_described(request, tocsin))
    return _unless_known(request, body, "application/json", {"Access-Control-Allow-Origin": "*"})


@router.get("/docs", include_in_schema=False)
async def docs(request: Request, tocsin: Tocsin) -> Response:
    state = request.app.state
    if not hasattr(state, "docs"):
        state.docs = docs_page.page(_described(request, tocsin)).encode()
    return _unless_known(request, state.docs, "text/html; charset=utf-8", docs_page.HEADERS)


@router.get("/docs.css", include_in_schema=False)
async def docs_style(request: Request) -> Response:
    return _unless_known(request, docs_page.STYLE.encode(), "text/css; charset=utf-8", docs_page.HEADERS)


def _described(request: Request, tocsin: Tocsin) -> dict[str, Any]:
    state = request.app.state
    if not hasattr(state, "description"):
        state.description = describe(request.app, tocsin.hal.links.base_url)
    found: dict[str, Any] = state.description
    return found


def _unless_known(request: Request, body: bytes, media_type: str, headers: dict[str, str]) -> Response:
    tag = etag(body)
    if matches_weakly(request.headers.get("if-none-match", ""), tag):
        return Response(None, 304, {"ETag": tag})
    return Response(body, headers={**headers, "ETag": tag}, media_type=media_type)
