"""Organizations, their members and their tokens."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import EmailStr, Field, StrictStr

from tocsin.api.answer import answer, no_content, page
from tocsin.api.body import Input, JsonRoute
from tocsin.api.description import STATE_ERRORS, WRITE_ERRORS, answers
from tocsin.api.filters import Organizations, OrganizationSearch, PeopleSearch
from tocsin.api.parameters import Id, KnownCaller, Moment, Pages, Text255, Tocsin
from tocsin.domain.roles import Role

router = APIRouter(tags=["organizations"], route_class=JsonRoute)

Address = Annotated[EmailStr, Field(max_length=255)]
Name = Annotated[Text255, Field(min_length=1)]


class OrganizationPatch(Input):
    name: Name | None = None
    alternate_name: Text255 | None = Field(None, alias="alternateName")
    description: Text255 | None = None
    billing_email_address: Address | None = Field(None, alias="billingEmailAddress")
    notification_email_address: Address | None = Field(None, alias="notificationEmailAddress")
    logo: StrictStr | None = Field(None, description="a data URI; empty: none any more")


class OrganizationData(OrganizationPatch):
    name: Name
    business_activity_id: Id | None = Field(None, alias="businessActivity")


class MemberData(Input):
    person: Id


class MemberPatch(Input):
    roles: Annotated[list[Role], Field(max_length=len(Role))] | None = None


class TokenData(Input):
    name: Name
    roles: Annotated[list[Role], Field(max_length=len(Role))] = Field(default_factory=list)
    expires_at: Moment | None = Field(None, alias="expiresAt")


@router.get("/organizations", summary="List organizations", responses=answers(name="Organization", page=True))
async def list_organizations(
    request: Request,
    tocsin: Tocsin,
    caller: KnownCaller,
    paging: Pages,
    of: Organizations,
    wanted: OrganizationSearch,
) -> Response:
    found = await tocsin.organizations.page(caller, of, wanted, paging)
    return page(
        request, tocsin.hal, found, lambda one: tocsin.hal.organization(one, full=caller.belongs(one.id)), vary=True
    )


@router.post(
    "/organizations",
    status_code=201,
    summary="Create an organization; the caller becomes its admin",
    responses=answers(201, "Organization", errors=WRITE_ERRORS),
)
async def create_organization(
    request: Request, tocsin: Tocsin, caller: KnownCaller, body: OrganizationData
) -> Response:
    created = await tocsin.organizations.create(caller, body.given())
    return answer(request, tocsin.hal.organization(created, full=True), status=201)


@router.get("/organizations/{organization}", summary="Get an organization", responses=answers(name="Organization"))
async def get_organization(request: Request, tocsin: Tocsin, caller: KnownCaller, organization: str) -> Response:
    found = await tocsin.organizations.get(organization)
    return answer(request, tocsin.hal.organization(found, full=caller.belongs(found.id)), vary=True)


@router.patch(
    "/organizations/{organization}",
    summary="Change an organization",
    responses=answers(name="Organization", errors=WRITE_ERRORS),
)
async def change_organization(
    request: Request, tocsin: Tocsin, caller: KnownCaller, organization: str, body: OrganizationPatch
) -> Response:
    changed = await tocsin.organizations.change(caller, organization, body.given())
    return answer(request, tocsin.hal.organization(changed, full=True))


# Members

MEMBERS = "/organizations/{organization}/members"


@router.get(MEMBERS, summary="List members", tags=["members"], responses=answers(name="Member", page=True))
async def list_members(
    request: Request,
    tocsin: Tocsin,
    caller: KnownCaller,
    organization: str,
    paging: Pages,
    wanted: PeopleSearch,
    role: Role | None = None,
) -> Response:
    found = await tocsin.organizations.members(caller, organization, role, wanted, paging)
    return page(request, tocsin.hal, found, tocsin.hal.member)


@router.post(
    MEMBERS,
    status_code=201,
    summary="Add a member",
    tags=["members"],
    responses=answers(201, "Member", errors=STATE_ERRORS),
)
async def add_member(
    request: Request, tocsin: Tocsin, caller: KnownCaller, organization: str, body: MemberData
) -> Response:
    member = await tocsin.organizations.add_member(caller, organization, body.person)
    return answer(request, tocsin.hal.member(member), status=201)


@router.get(MEMBERS + "/{member}", summary="Get a member", tags=["members"], responses=answers(name="Member"))
async def get_member(request: Request, tocsin: Tocsin, caller: KnownCaller, organization: str, member: str) -> Response:
    return answer(request, tocsin.hal.member(await tocsin.organizations.member(caller, organization, member)))


@router.patch(
    MEMBERS + "/{member}",
    summary="Change a member's roles",
    tags=["members"],
    responses=answers(name="Member", errors=STATE_ERRORS),
)
async def change_member(
    request: Request, tocsin: Tocsin, caller: KnownCaller, organization: str, member: str, body: MemberPatch
) -> Response:
    changed = await tocsin.organizations.set_roles(caller, organization, member, body.roles)
    return answer(request, tocsin.hal.member(changed))


@router.delete(
    MEMBERS + "/{member}",
    status_code=204,
    summary="Remove a member",
    tags=["members"],
    responses=answers(204, errors=(401, 403, 404, 409)),
)
async def remove_member(tocsin: Tocsin, caller: KnownCaller, organization: str, member: str) -> Response:
    await tocsin.organizations.remove_member(caller, organization, member)
    return no_content()


# Tokens

TOKENS = "/organizations/{organization}/tokens"


@router.get(TOKENS, summary="List API tokens", tags=["tokens"], responses=answers(name="Token", page=True))
async def list_tokens(
    request: Request, tocsin: Tocsin, caller: KnownCaller, organization: str, paging: Pages
) -> Response:
    found = await tocsin.organizations.tokens(caller, organization, paging)
    return page(request, tocsin.hal, found, tocsin.hal.token)


@router.post(
    TOKENS,
    status_code=201,
    summary="Create an API token; it is shown this once",
    tags=["tokens"],
    responses=answers(201, "Token", errors=STATE_ERRORS),
)
async def create_token(
    request: Request, tocsin: Tocsin, caller: KnownCaller, organization: str, body: TokenData
) -> Response:
    token, credential = await tocsin.organizations.create_token(
        caller, organization, body.name, body.roles, body.expires_at
    )
    return answer(request, tocsin.hal.token(token, credential), status=201, tagged=False)


@router.get("/tokens/{token}", summary="Get an API token", tags=["tokens"], responses=answers(name="Token"))
async def get_token(request: Request, tocsin: Tocsin, caller: KnownCaller, token: str) -> Response:
    return answer(request, tocsin.hal.token(await tocsin.organizations.token(caller, token)))


@router.delete(
    "/tokens/{token}",
    status_code=204,
    summary="Revoke an API token",
    tags=["tokens"],
    responses=answers(204, errors=(401, 403, 404)),
)
async def revoke_token(tocsin: Tocsin, caller: KnownCaller, token: str) -> Response:
    await tocsin.organizations.revoke_token(caller, token)
    return no_content()
