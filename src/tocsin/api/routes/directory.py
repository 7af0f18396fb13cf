"""Business activities, categories and places."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field, StrictFloat, StrictInt, StringConstraints

from tocsin.api.answer import answer, page
from tocsin.api.body import Input, JsonRoute
from tocsin.api.description import WRITE_ERRORS, answers
from tocsin.api.filters import ActivityHolders, CategorySearch, Organizations, OrganizationsAround, Places
from tocsin.api.parameters import AnyCaller, Id, KnownCaller, Pages, Text255, Tocsin
from tocsin.domain import geometry
from tocsin.domain.page import Page

router = APIRouter(route_class=JsonRoute)

Color = Annotated[str, StringConstraints(strict=True, pattern=r"^#([0-9a-fA-F]{3}){1,2}$", max_length=7)]
Name = Annotated[Text255, Field(min_length=1)]
PLACE_NAME_MAX_CHARACTERS = 254


# Business activities


@router.get(
    "/businessactivities",
    summary="List business activities",
    tags=["business activities"],
    responses=answers(name="BusinessActivity", page=True),
)
async def list_business_activities(
    request: Request, tocsin: Tocsin, _: KnownCaller, paging: Pages, of: ActivityHolders
) -> Response:
    """By name; `order`, `after` and `before` say nothing of them, for they were not created."""
    everything = await tocsin.directory.business_activities(of)
    part = everything[paging.offset : paging.offset + paging.limit]
    return page(request, tocsin.hal, Page(part, len(everything), paging), tocsin.hal.business_activity)


@router.get(
    "/businessactivities/{business_activity}",
    summary="Get a business activity",
    tags=["business activities"],
    responses=answers(name="BusinessActivity"),
)
async def get_business_activity(request: Request, tocsin: Tocsin, _: KnownCaller, business_activity: str) -> Response:
    found = await tocsin.directory.business_activity(business_activity)
    return answer(request, tocsin.hal.business_activity(found))


@router.get(
    "/businessactivities/{business_activity}/schema",
    summary="Get the schema of a business activity's metadata",
    tags=["business activities"],
    responses=answers(name="MetadataSchema"),
)
async def get_metadata_schema(request: Request, tocsin: Tocsin, _: KnownCaller, business_activity: str) -> Response:
    found = await tocsin.directory.business_activity(business_activity)
    return answer(request, tocsin.hal.business_activity_schema(found))


# Categories


class CategoryPatch(Input):
    name: Name | None = None
    color: Color | None = None
    icon: Text255 | None = None
    identification_number: Text255 | None = Field(None, alias="identificationNumber")


class CategoryData(CategoryPatch):
    name: Name
    color: Color
    icon: Name


@router.get(
    "/categories", summary="List categories", tags=["categories"], responses=answers(name="Category", page=True)
)
async def list_categories(
    request: Request,
    tocsin: Tocsin,
    _: KnownCaller,
    paging: Pages,
    of: Organizations,
    wanted: CategorySearch,
) -> Response:
    found = await tocsin.directory.categories(of, wanted, paging)
    return page(request, tocsin.hal, found, tocsin.hal.category)


@router.get(
    "/organizations/{organization}/categories",
    summary="List an organization's categories",
    tags=["categories"],
    responses=answers(name="Category", page=True),
)
async def list_categories_of(
    request: Request,
    tocsin: Tocsin,
    _: KnownCaller,
    paging: Pages,
    of: OrganizationsAround,
    wanted: CategorySearch,
    organization: str,
) -> Response:
    await tocsin.directory.require_organization(organization)
    found = await tocsin.directory.categories(of.of(organization), wanted, paging)
    return page(request, tocsin.hal, found, tocsin.hal.category)


@router.post(
    "/organizations/{organization}/categories",
    status_code=201,
    summary="Create a category",
    tags=["categories"],
    responses=answers(201, "Category", errors=WRITE_ERRORS),
)
async def create_category(
    request: Request, tocsin: Tocsin, caller: KnownCaller, organization: str, body: CategoryData
) -> Response:
    members = {"identification_number": None, **body.given()}
    created = await tocsin.directory.create_category(caller, organization, members)
    return answer(request, tocsin.hal.category(created), status=201)


@router.get("/categories/{category}", summary="Get a category", tags=["categories"], responses=answers(name="Category"))
async def get_category(request: Request, tocsin: Tocsin, _: KnownCaller, category: str) -> Response:
    return answer(request, tocsin.hal.category(await tocsin.directory.category(category)))


@router.patch(
    "/categories/{category}",
    summary="Change a category",
    tags=["categories"],
    responses=answers(name="Category", errors=WRITE_ERRORS),
)
async def change_category(
    request: Request, tocsin: Tocsin, caller: KnownCaller, category: str, body: CategoryPatch
) -> Response:
    changed = await tocsin.directory.change_category(caller, category, body.given())
    return answer(request, tocsin.hal.category(changed))


# Places


class PlaceData(Input):
    name: Annotated[Text255, Field(min_length=1, max_length=PLACE_NAME_MAX_CHARACTERS)]
    polygon: Annotated[dict[str, Any], Field(description="rings of points, or GeoJSON")]
    branch_code: Text255 | None = Field(None, alias="branchCode")
    elevation: Annotated[StrictFloat | StrictInt, Field(ge=-10_000, le=8_000)] | None = None


@router.get(
    "/places", summary="List places", tags=["places"], responses=answers(name="Place", page=True, errors=(400,))
)
async def list_places(
    request: Request,
    tocsin: Tocsin,
    _: AnyCaller,
    paging: Pages,
    wanted: Places,
    organization: Id | None = None,
) -> Response:
    found = await tocsin.directory.places(wanted if organization is None else wanted.of(organization), paging)
    return page(request, tocsin.hal, found, tocsin.hal.place)


@router.get(
    "/organizations/{organization}/places",
    summary="List an organization's places",
    tags=["places"],
    responses=answers(name="Place", page=True),
)
async def list_places_of(
    request: Request,
    tocsin: Tocsin,
    _: KnownCaller,
    paging: Pages,
    wanted: Places,
    organization: str,
) -> Response:
    await tocsin.directory.require_organization(organization)
    found = await tocsin.directory.places(wanted.of(organization), paging)
    return page(request, tocsin.hal, found, tocsin.hal.place)


@router.post(
    "/organizations/{organization}/places",
    status_code=201,
    summary="Create a place",
    tags=["places"],
    responses=answers(201, "Place", errors=WRITE_ERRORS),
)
async def create_place(
    request: Request, tocsin: Tocsin, caller: KnownCaller, organization: str, body: PlaceData
) -> Response:
    rings = geometry.rings_of(body.polygon)
    members = {"name": body.name, "branch_code": body.branch_code, "elevation": float(body.elevation or 0)}
    created = await tocsin.directory.create_place(caller, organization, rings, members)
    return answer(request, tocsin.hal.place(created), status=201)


@router.get("/places/{place}", summary="Get a place", tags=["places"], responses=answers(name="Place"))
async def get_place(request: Request, tocsin: Tocsin, _: KnownCaller, place: str) -> Response:
    return answer(request, tocsin.hal.place(await tocsin.directory.place(place)))
