"""What lists are narrowed by: searches, organizations, points, areas (CONTRACT, section 5, "Parameter syntax").

A `+` of a query that was sent raw arrives as a blank; both are a plus here. Whatever is malformed is a 400 with the
name of its parameter.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Query
from pydantic import BeforeValidator

from tocsin.api.parameters import Id, QueryMoment
from tocsin.domain.areas import RADIUS_MAX_METRES, Area, Common, Disc, Hashes
from tocsin.domain.cells import Span, hash_span
from tocsin.domain.errors import Invalid, Violation
from tocsin.domain.resources import Point
from tocsin.domain.states import FeedbackState, OperationState, ReportState
from tocsin.domain.wanted import OrganizationsWanted, PlacesWanted

T = TypeVar("T")

SEARCH_MAX_CHARACTERS: Final = 255
GEO_HASHES_MAX: Final = 100
PARENTS_MAX: Final = 100

_DEGREES: Final = r"[+ -]?\d{1,3}(?:\.\d{1,20})?"
_SIGNED: Final = r"[+ -]\d{1,3}(?:\.\d{1,20})?"
_POINT: Final = re.compile(rf"({_DEGREES})({_SIGNED})", re.ASCII)
_NEAR: Final = re.compile(rf"({_DEGREES})({_SIGNED})[+ ](\d{{1,9}}(?:\.\d{{1,9}})?)", re.ASCII)
_RADIUS: Final = re.compile(r"[+ ]?(\d{1,9}(?:\.\d{1,9})?)", re.ASCII)
_ELEVATION: Final = re.compile(r"[+ -]?\d{1,5}(?:\.\d{1,9})?", re.ASCII)


def _without_nul(value: Any) -> Any:
    if isinstance(value, str) and "\0" in value:
        raise ValueError("this text holds a NUL character")
    return value


Search = Annotated[
    str | None,
    BeforeValidator(_without_nul),
    Query(max_length=SEARCH_MAX_CHARACTERS, description="part of it, in any case"),
]


def _states(kind: type[StrEnum]) -> Any:
    """A comma list of them."""
    one = rf"\s*(?:{'|'.join(kind)})\s*"
    return Query(
        description="one, or several with commas between",
        examples=[",".join(list(kind)[:2])],
        json_schema_extra={"pattern": f"^(?:|{one}(?:,{one})*)$"},
    )


ReportStates = Annotated[str | None, _states(ReportState)]
OperationStates = Annotated[str | None, _states(OperationState)]
FeedbackStates = Annotated[str | None, _states(FeedbackState)]
UpdatedAfter = Annotated[
    QueryMoment | None,
    Query(
        alias="updatedAfter",
        description="on updatedAt, inclusive: what changed since an earlier reading",
        examples=["2018-02-27T10:00:00+02:00"],
    ),
]


# Points and areas


def _written(pattern: re.Pattern[str]) -> dict[str, Any]:
    """For the description: the whole of a text is written so."""
    return {"pattern": f"^{pattern.pattern}$"}


def _parsed(name: str, text: str, parse: Callable[[str], T]) -> T:
    """Raises Invalid with the parameter's name."""
    try:
        return parse(text)
    except ValueError as error:
        raise Invalid(Violation(name, f"{str(error).capitalize()}.")) from None


def _number(text: str) -> float:
    return float(text.replace(" ", "+"))


def _made_point(latitude: str, longitude: str) -> Point:
    point = Point(_number(latitude), _number(longitude))
    if abs(point.latitude) > 90 or abs(point.longitude) > 180:
        raise ValueError("a latitude lies between -90 and 90, a longitude between -180 and 180")
    return point


def query_point(text: str) -> Point:
    """`+44.85-0.57`. Raises ValueError."""
    match = _POINT.fullmatch(text)
    if match is None:
        raise ValueError("a point is written as latitude and longitude with their signs: +44.85-0.57")
    return _made_point(*match.groups())


def query_radius(text: str) -> float:
    """Metres. Raises ValueError."""
    match = _RADIUS.fullmatch(text)
    if match is None or float(match[1]) > RADIUS_MAX_METRES:
        raise ValueError(f"a radius is a number of metres from 0 to {RADIUS_MAX_METRES}")
    return float(match[1])


def query_disc(text: str) -> Disc:
    """`+44.85-0.57+500`. Raises ValueError."""
    match = _NEAR.fullmatch(text)
    if match is None:
        raise ValueError("this is written as latitude, longitude and metres with their signs: +44.85-0.57+500")
    return Disc(_made_point(match[1], match[2]), query_radius(match[3]))


def query_elevation(text: str) -> float:
    """Metres. Raises ValueError."""
    if _ELEVATION.fullmatch(text) is None:
        raise ValueError("an elevation is a number of metres")
    return _number(text)


AN_EXAMPLE: Final = "+44.85-0.57"


async def _points(
    geo_coordinates: Annotated[
        str | None,
        Query(
            description="latitude and longitude that a place of it contains",
            examples=[AN_EXAMPLE],
            json_schema_extra=_written(_POINT),
        ),
    ] = None,
    geo_point: Annotated[
        str | None,
        Query(
            description="as geo_coordinates; of both, each counts",
            examples=[AN_EXAMPLE],
            json_schema_extra=_written(_POINT),
        ),
    ] = None,
) -> tuple[Point, ...]:
    given = {"geo_coordinates": geo_coordinates, "geo_point": geo_point}
    return tuple(_parsed(name, text, query_point) for name, text in given.items() if text is not None)


async def _hashes(
    geo_hash: Annotated[
        list[str],
        Query(
            alias="geo_hash[]",
            max_length=GEO_HASHES_MAX,
            default_factory=list,
            description="geohashes of 1 to 12 characters: inside any of them",
            examples=[["ezzx"]],
        ),
    ],
) -> tuple[Span, ...]:
    return tuple(_parsed("geo_hash[]", text, hash_span) for text in geo_hash)


Points = Annotated[tuple[Point, ...], Depends(_points)]
GeoHashes = Annotated[tuple[Span, ...], Depends(_hashes)]


async def _area(
    hashes: GeoHashes,
    near: Annotated[
        str | None,
        Query(
            alias="geo_near",
            description="latitude, longitude and a radius in metres",
            examples=["+44.85-0.57+500"],
            json_schema_extra=_written(_NEAR),
        ),
    ] = None,
    radius: Annotated[
        str | None,
        Query(alias="geo_near[radius]", description="metres", examples=["500"], json_schema_extra=_written(_RADIUS)),
    ] = None,
    centre: Annotated[
        str | None,
        Query(
            alias="geo_near[geo_coordinates]",
            description="with the radius",
            examples=[AN_EXAMPLE],
            json_schema_extra=_written(_POINT),
        ),
    ] = None,
) -> Area | None:
    """Several are met by what lies in each. Raises Invalid for half of the bracketed pair."""
    areas: list[Area] = [Hashes(hashes)] if hashes else []
    if near is not None:
        areas.append(_parsed("geo_near", near, query_disc))
    if centre is not None and radius is not None:
        point = _parsed("geo_near[geo_coordinates]", centre, query_point)
        areas.append(Disc(point, _parsed("geo_near[radius]", radius, query_radius)))
    elif centre is not None or radius is not None:
        missing = "geo_near[radius]" if radius is None else "geo_near[geo_coordinates]"
        raise Invalid(Violation(missing, "A point and a radius belong together."))
    if len(areas) > 1:
        return Common(tuple(areas))
    return areas[0] if areas else None


InArea = Annotated[Area | None, Depends(_area)]


# Organizations, and what belongs to them


async def _organizations(
    points: Points,
    business_activity: Id | None = None,
    only: Annotated[Id | None, Query(alias="organization", description="only this one")] = None,
) -> OrganizationsWanted:
    """`only`: a name of its own, for paths may have an organization, too."""
    return OrganizationsWanted(only, business_activity, points)


async def _organizations_around(points: Points, business_activity: Id | None = None) -> OrganizationsWanted:
    return OrganizationsWanted(None, business_activity, points)


async def _activity_holders(points: Points, organization: Id | None = None) -> OrganizationsWanted:
    return OrganizationsWanted(organization, None, points)


async def _organization_search(
    name: Annotated[Search, Query(alias="search[name]")] = None,
    alternate_name: Annotated[Search, Query(alias="search[alternateName]")] = None,
    description: Annotated[Search, Query(alias="search[description]")] = None,
    billing: Annotated[
        Search, Query(alias="search[billingEmailAddress]", description="of the caller's own only")
    ] = None,
    notification: Annotated[
        Search, Query(alias="search[notificationEmailAddress]", description="of the caller's own only")
    ] = None,
) -> dict[str, str | None]:
    return {
        "name": name,
        "alternate_name": alternate_name,
        "description": description,
        "billing_email_address": billing,
        "notification_email_address": notification,
    }


async def _category_search(
    name: Annotated[Search, Query(alias="search[name]")] = None,
    color: Annotated[Search, Query(alias="search[color]")] = None,
    icon: Annotated[Search, Query(alias="search[icon]")] = None,
    identification_number: Annotated[Search, Query(alias="search[identificationNumber]")] = None,
) -> dict[str, str | None]:
    return {"name": name, "color": color, "icon": icon, "identification_number": identification_number}


async def _people_search(
    given: Annotated[Search, Query(alias="search[givenName]")] = None,
    family: Annotated[Search, Query(alias="search[familyName]")] = None,
    job: Annotated[Search, Query(alias="search[jobTitle]")] = None,
    username: Annotated[Search, Query(alias="search[username]")] = None,
    email: Annotated[Search, Query(alias="search[email]")] = None,
) -> dict[str, str | None]:
    return {"given_name": given, "family_name": family, "job_title": job, "username": username, "email": email}


async def _report_search(
    description: Annotated[Search, Query(alias="search[description]")] = None,
    identification_number: Annotated[Search, Query(alias="search[identificationNumber]")] = None,
) -> dict[str, str | None]:
    return {"description": description, "identification_number": identification_number}


async def _operation_search(
    name: Annotated[Search, Query(alias="search[name]")] = None,
    description: Annotated[Search, Query(alias="search[description]")] = None,
    identification_number: Annotated[Search, Query(alias="search[identificationNumber]")] = None,
) -> dict[str, str | None]:
    return {"name": name, "description": description, "identification_number": identification_number}


async def _places(
    points: Points,
    hashes: GeoHashes,
    parents: Annotated[list[Id], Query(alias="parents[]", max_length=PARENTS_MAX, default_factory=list)],
    parent: Id | None = None,
    elevation: Annotated[
        str | None,
        Query(
            alias="geo_elevation", description="metres, exactly", examples=["0"], json_schema_extra=_written(_ELEVATION)
        ),
    ] = None,
    name: Annotated[Search, Query(alias="search[name]")] = None,
    branch_code: Annotated[Search, Query(alias="search[branchCode]")] = None,
    business_activity: Id | None = None,
) -> PlacesWanted:
    return PlacesWanted(
        points=points,
        hashes=hashes,
        parents=(*parents, *([parent] if parent is not None else [])),
        elevation=None if elevation is None else _parsed("geo_elevation", elevation, query_elevation),
        business_activity_id=business_activity,
        search={"name": name, "branch_code": branch_code},
    )


Organizations = Annotated[OrganizationsWanted, Depends(_organizations)]
"""By `organization`, `business_activity` and points."""
OrganizationsAround = Annotated[OrganizationsWanted, Depends(_organizations_around)]
"""The same where the path names the organization."""
ActivityHolders = Annotated[OrganizationsWanted, Depends(_activity_holders)]
Places = Annotated[PlacesWanted, Depends(_places)]
OrganizationSearch = Annotated[dict[str, str | None], Depends(_organization_search)]
CategorySearch = Annotated[dict[str, str | None], Depends(_category_search)]
PeopleSearch = Annotated[dict[str, str | None], Depends(_people_search)]
ReportSearch = Annotated[dict[str, str | None], Depends(_report_search)]
OperationSearch = Annotated[dict[str, str | None], Depends(_operation_search)]
