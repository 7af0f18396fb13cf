"""Partners, and reports delegated to them (CONTRACT, sections 3 and 8.4)."""

from fastapi import APIRouter, Request, Response

from tocsin.api.answer import answer, no_content, page
from tocsin.api.body import Input, JsonRoute
from tocsin.api.description import STATE_ERRORS, answers
from tocsin.api.filters import Organizations, OrganizationSearch
from tocsin.api.parameters import Id, KnownCaller, Pages, Tocsin

router = APIRouter(prefix="/organizations/{organization}", route_class=JsonRoute)

RELATIONSHIPS = "/relationships"


class RelationshipData(Input):
    organization: Id


class DelegateData(Input):
    report: Id
    organization: Id


@router.get(
    RELATIONSHIPS, summary="List partners", tags=["relationships"], responses=answers(name="Organization", page=True)
)
async def list_partners(
    request: Request,
    tocsin: Tocsin,
    caller: KnownCaller,
    organization: str,
    paging: Pages,
    of: Organizations,
    wanted: OrganizationSearch,
) -> Response:
    found = await tocsin.partners.page(caller, organization, of, wanted, paging)
    return page(
        request, tocsin.hal, found, lambda one: tocsin.hal.organization(one, full=caller.belongs(one.id)), vary=True
    )


@router.post(
    RELATIONSHIPS,
    summary="Name an organization a partner: reports may be delegated to it",
    tags=["relationships"],
    responses=answers(name="Organization", errors=STATE_ERRORS),
)
async def add_partner(
    request: Request, tocsin: Tocsin, caller: KnownCaller, organization: str, body: RelationshipData
) -> Response:
    partner = await tocsin.partners.add(caller, organization, body.organization)
    return answer(request, tocsin.hal.organization(partner, full=caller.belongs(partner.id)), vary=True)


@router.delete(
    RELATIONSHIPS + "/{relationship}",
    status_code=204,
    summary="End a partnership; what was delegated stays so",
    tags=["relationships"],
    responses=answers(204, errors=(401, 403, 404)),
)
async def remove_partner(tocsin: Tocsin, caller: KnownCaller, organization: str, relationship: str) -> Response:
    await tocsin.partners.remove(caller, organization, relationship)
    return no_content()


@router.post(
    "/delegates",
    summary="Delegate a report to a partner: both hold it from then on",
    tags=["delegation"],
    responses=answers(name="Report", errors=STATE_ERRORS),
)
async def delegate_report(
    request: Request, tocsin: Tocsin, caller: KnownCaller, organization: str, body: DelegateData
) -> Response:
    report = await tocsin.partners.delegate(caller, organization, body.report, body.organization)
    return answer(request, tocsin.hal.report(report))
