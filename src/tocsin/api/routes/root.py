"""Where generic clients begin."""

from fastapi import APIRouter, Request, Response

from tocsin.api.answer import answer
from tocsin.api.body import JsonRoute
from tocsin.api.description import answers
from tocsin.api.parameters import AnyCaller, Tocsin
from tocsin.hal.root import root as representation

router = APIRouter(tags=["root"], route_class=JsonRoute)


@router.get("/", summary="The API's root", responses=answers(name="Root", errors=()))
async def root(request: Request, tocsin: Tocsin, caller: AnyCaller) -> Response:
    own = () if caller is None else caller.roles
    return answer(request, representation(tocsin.hal.links, own, request.app.state.queries), vary=True)
