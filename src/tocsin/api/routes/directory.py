"""Business activities, categories and places."""

from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Request, Response
from pydantic import Field, StrictFloat, StrictInt, StringConstraints, WithJsonSchema

from tocsin.api import schemas
from tocsin.api.answer import answer, page
from tocsin.api.body import READ_ONLY, Input, JsonRoute
from tocsin.api.description import STATE_ERRORS, WRITE_ERRORS, answers
from tocsin.api.filters import ActivityHolders, CategorySearch, Organizations, OrganizationsAround, Places
from tocsin.api.parameters import AnyCaller, Id, KnownCaller, Pages, Text255, Tocsin
from tocsin.domain.geometry import Rings
from tocsin.domain.page import Page
from tocsin.domain.polygons import rings_of

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
    """By name: all were there from the beginning, so that `order`, `after` and `before` tell none from another."""
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
    icon: Name | None = None
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


PlaceName = Annotated[Text255, Field(min_length=1, max_length=PLACE_NAME_MAX_CHARACTERS)]
Polygon = Annotated[dict[str, Any], WithJsonSchema(schemas.POLYGON)]


Elevation = Annotated[StrictFloat | StrictInt, Field(ge=-10_000, le=8_000)]


class GeoPatch(Input):
    """As a place is shown: a client may send it back."""

    polygon: Polygon | None = None
    elevation: Elevation | None = None


class PlaceMembers(Input):
    name: PlaceName | None = None
    polygon: Polygon | None = None
    branch_code: Text255 | None = Field(None, alias="branchCode")
    elevation: Elevation | None = None


class PlaceData(PlaceMembers):
    name: PlaceName
    polygon: Polygon
    read_only: ClassVar[frozenset[str]] = READ_ONLY | {"geo"}


class PlacePatch(PlaceMembers):
    geo: GeoPatch | None = None

    def rings(self) -> Rings | None:
        """Of the polygon, wherever it was sent; None where none was. Of both, the outer; each must be one."""
        shown = None if self.geo is None else self.geo.polygon
        inner = None if shown is None else rings_of(shown, "geo.polygon")
        return inner if self.polygon is None else rings_of(self.polygon)

    def members(self) -> dict[str, Any]:
        """Those that are changed as they are."""
        inner = {} if self.geo is None else self.geo.given()
        given = {**inner, **self.given()}
        if "elevation" in given:
            given["elevation"] = float(given["elevation"])
        return {name: given[name] for name in ("name", "branch_code", "elevation") if name in given}


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
    responses=answers(201, "Place", errors=STATE_ERRORS),
)
async def create_place(
    request: Request, tocsin: Tocsin, caller: KnownCaller, organization: str, body: PlaceData
) -> Response:
    rings = rings_of(body.polygon)
    members = {"name": body.name, "branch_code": body.branch_code, "elevation": float(body.elevation or 0)}
    created = await tocsin.directory.create_place(caller, organization, rings, members)
    return answer(request, tocsin.hal.place(created), status=201)


@router.get("/places/{place}", summary="Get a place", tags=["places"], responses=answers(name="Place"))
async def get_place(request: Request, tocsin: Tocsin, _: KnownCaller, place: str) -> Response:
    return answer(request, tocsin.hal.place(await tocsin.directory.place(place)))


@router.patch(
    "/places/{place}",
    summary="Change a place; with another polygon, places are nested anew",
    tags=["places"],
    responses=answers(name="Place", errors=WRITE_ERRORS),
)
async def change_place(request: Request, tocsin: Tocsin, caller: KnownCaller, place: str, body: PlacePatch) -> Response:
    changed = await tocsin.directory.change_place(caller, place, body.rings(), body.members())
    return answer(request, tocsin.hal.place(changed))
