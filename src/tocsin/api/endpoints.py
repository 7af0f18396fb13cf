"""The reference of endpoints, as a page: what the API of 2018 had (CONTRACT, section 5), what became of it, the rest.

What a call takes is read off its route, and who may call it off the table of access; only what was documented in 2018
is written here. `python -m tocsin.api.endpoints` prints the page, and a test compares it with the docs.
"""

from dataclasses import dataclass
from typing import Any, Final

from fastapi.routing import APIRoute

from tocsin.api.access import ACCESS
from tocsin.api.application import routes
from tocsin.api.openapi import query_of

PAGED: Final = ("page", "limit", "order", "after", "before")
AROUND: Final = ("geo_coordinates", "geo_point")
SEARCHED: Final = tuple(f"search[{name}]" for name in ("description", "name", "identificationNumber"))
CATEGORY: Final = tuple(f"search[{name}]" for name in ("color", "icon", "name", "identificationNumber"))
PERSON: Final = tuple(f"search[{name}]" for name in ("familyName", "givenName", "jobTitle", "username", "email"))
ORGANIZATION: Final = (
    "business_activity",
    *AROUND,
    "organization",
    *PAGED,
    *(
        f"search[{name}]"
        for name in ("alternateName", "billingEmailAddress", "description", "name", "notificationEmailAddress")
    ),
)
PLACE: Final = (
    "business_activity",
    *AROUND,
    "geo_elevation",
    "geo_hash[]",
    "parent",
    "parents[]",
    *PAGED,
    "search[branchCode]",
    "search[name]",
)

ONE_APPLICATION: Final = "a service hosts one application"
NO_REVIEWS: Final = "reviews are not part of the service"
LATER: Final = "not built"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of 2018. `query`: what it was documented to take; `left_out`: the reason, where it is not served."""

    method: str
    path: str
    answer: str
    query: tuple[str, ...] = ()
    left_out: str = ""


def _both(path: str, resource: str, *, query: tuple[str, ...]) -> tuple[Call, Call]:
    """The page of a collection, and what adds to it."""
    return Call("GET", path, f"200 page of {resource}", query), Call("POST", path, f"201 {resource}")


def _one(path: str, resource: str) -> tuple[Call, Call]:
    return Call("GET", path, f"200 {resource}"), Call("PATCH", path, f"200 {resource}")


_O: Final = "/organizations/{organization}"
_F: Final = "/feedbacks/{feedback}"
_OP: Final = "/operations/{operation}"
_P: Final = "/people/{person}"

CALLS: Final[tuple[Call, ...]] = (
    Call("GET", "/applications/{token}", "200 Application", left_out=ONE_APPLICATION),
    Call("GET", "/businessactivities", "200 page of BusinessActivity", (*AROUND, "organization", *PAGED)),
    Call("GET", "/businessactivities/{business_activity}", "200 BusinessActivity"),
    Call("GET", "/businessactivities/{business_activity}/schema", "200 schema of metadata"),
    Call(
        "GET",
        "/categories",
        "200 page of Category",
        ("business_activity", "organization", *AROUND, *PAGED, *CATEGORY),
    ),
    *_one("/categories/{category}", "Category"),
    *_both(f"{_O}/categories", "Category", query=("business_activity", *AROUND, *PAGED, *CATEGORY)),
    Call(
        "GET",
        "/feedbacks",
        "200 page of Feedback",
        ("state", "category", "geo_near", "geo_hash[]", "organization", "visibility[]", *PAGED),
    ),
    Call("POST", "/feedbacks/issues", "201 Feedback; 409 where nobody takes it"),
    Call("GET", _F, "200 Feedback"),
    Call("GET", f"{_F}/tracking", "200 Tracking"),
    Call("PATCH", f"{_F}/state", "409: the service takes each transition by itself"),
    Call("POST", f"{_F}/workflow/transition", "409: the service takes each transition by itself"),
    Call("POST", f"{_F}/images", "200 Feedback"),
    Call("GET", f"{_F}/comments", "200 activities"),
    Call("POST", f"{_F}/comments", "201 Feedback"),
    Call("GET", f"{_F}/contributions", "200 aggregated activities"),
    Call("POST", f"{_F}/contributions", "201 Feedback"),
    Call("GET", f"{_F}/reviews", "200 page of Review", left_out=NO_REVIEWS),
    *_both("/organizations", "Organization", query=ORGANIZATION),
    *_one(_O, "Organization"),
    *_both(f"{_O}/members", "Member", query=("role", *PAGED, *PERSON)),
    *_one(f"{_O}/members/{{member}}", "Member"),
    Call("DELETE", f"{_O}/members/{{member}}", "204"),
    *_both(f"{_O}/places", "Place", query=PLACE),
    Call("GET", "/places", "200 page of Place", (*PLACE, "organization")),
    *_one("/places/{place}", "Place"),
    Call("GET", f"{_O}/relationships", "200 page of Organization", ORGANIZATION),
    Call("POST", f"{_O}/relationships", "200 Organization, the partner"),
    Call("DELETE", f"{_O}/relationships/{{relationship}}", "204"),
    Call("GET", f"{_O}/reports", "200 page of Report", ("state", "place", "category", *PAGED)),
    Call("GET", f"{_O}/operations", "200 page of Operation", ("state", *PAGED, *SEARCHED)),
    Call("GET", f"{_O}/webhooks", "200 page of Webhook", ("page", "limit", "order")),
    Call("GET", f"{_O}/services", "200 page of Service", left_out="services are not part of the service"),
    Call("GET", f"{_O}/analytics", "200 Chart", left_out=LATER),
    Call("POST", f"{_O}/delegates", "200 Report"),
    Call("POST", f"{_O}/reports/exports", "200", left_out=LATER),
    Call("GET", f"{_O}/exports/{{token}}", "200 file", left_out=LATER),
    *_one("/reports/{report}", "Report"),
    Call("PATCH", "/reports/{report}/state", "200 Report"),
    Call("POST", "/reports/{report}/workflow/transition", "200 Report"),
    Call("GET", "/reports/{report}/operations", "200 page of Operation", ("state", *PAGED, *SEARCHED)),
    Call("GET", "/reports/{report}/tracking", "200 Tracking"),
    Call("POST", "/operations", "201 Operation"),
    *_one(_OP, "Operation"),
    Call("DELETE", _OP, "204"),
    Call("POST", f"{_OP}/assign", "200 Operation"),
    Call("PATCH", f"{_OP}/state", "200 Operation"),
    Call("POST", f"{_OP}/workflow/transition", "200 Operation"),
    Call("GET", f"{_OP}/tracking", "200 Tracking"),
    Call("GET", f"{_OP}/logs", "200 page of LogEntry"),
    Call("GET", f"{_OP}/comments", "200 activities"),
    Call("POST", f"{_OP}/comments", "201 Operation"),
    Call("POST", f"{_OP}/images", "200 Operation"),
    Call("DELETE", f"{_OP}/images/{{image}}", "204"),
    Call("GET", "/people", "200 page of Person", (*PAGED, *PERSON)),
    *_one(_P, "Person"),
    Call("GET", f"{_P}/memberships", "200 page of Member", PAGED),
    Call("GET", f"{_P}/operations", "200 page of Operation", PAGED),
    Call("GET", f"{_P}/feedbacks", "200 page of Feedback", PAGED),
    Call("GET", f"{_P}/review-requests", "200 page of ReviewRequest", left_out=NO_REVIEWS),
    Call("POST", f"{_P}/devices", "200 Device", left_out="nothing is pushed to devices"),
    Call("DELETE", f"{_P}/devices/{{device}}", "204", left_out="nothing is pushed to devices"),
    Call("GET", "/reviews/{review}", "200 Review", left_out=NO_REVIEWS),
    Call("GET", "/review-requests/{review_request}", "200 ReviewRequest", left_out=NO_REVIEWS),
    Call("POST", "/review-requests/{review_request}/reviews", "200 Review", left_out=NO_REVIEWS),
    *_one("/webhooks/{webhook}", "Webhook"),
    Call("POST", "/webhooks", "201 Webhook"),
    Call("DELETE", "/webhooks/{webhook}", "204"),
)

INTRODUCTION: Final = """# Endpoints

Made by `python -m tocsin.api.endpoints` from the routes and the table of who may call them. `/docs` of a running
service has bodies, answers and examples.

## What the API of 2018 had

*Takes*: the query; body: its members. *Lacks*: what was documented in 2018 and is not taken.
"""
REST: Final = """
## What it did not have
"""


def page() -> str:
    """The whole page, in Markdown."""
    served = {(method, route.path): route for route in routes() for method in sorted(route.methods or ())}
    lines = ["| call | takes | answer | who may | lacks |", "|---|---|---|---|---|"]
    lines += [_row(call, served.get((call.method, call.path))) for call in CALLS]
    known = {(call.method, call.path) for call in CALLS}
    others = ["| call | what for | takes | who may |", "|---|---|---|---|"]
    others += [
        _cells(
            f"{_code(f'{method} {path}')}",
            served[method, path].summary or "",
            _takes(served[method, path]),
            _who(method, path),
        )
        for method, path in served
        if (method, path) not in known
    ]
    return INTRODUCTION + "\n" + "\n".join(lines) + "\n" + REST + "\n" + "\n".join(others) + "\n"


def members_of(route: APIRoute) -> list[str]:
    """The names of the members that a route's body may have."""
    model: Any = None if route.body_field is None else route.body_field.field_info.annotation
    fields = getattr(model, "model_fields", {})
    return [one.alias or name for name, one in fields.items()]


def _row(call: Call, route: APIRoute | None) -> str:
    name = _code(f"{call.method} {call.path}")
    if route is None:
        return _cells(name, "", call.answer, "", f"left out: {call.left_out}")
    lacks = [one for one in call.query if one not in set(query_of(route))]
    return _cells(name, _takes(route), call.answer, _who(call.method, call.path), " ".join(map(_code, lacks)))


def _takes(route: APIRoute) -> str:
    query, members = query_of(route), members_of(route)
    paged = set(PAGED) <= set(query)
    shown = [_code(one) for one in query if not (paged and one in PAGED)]
    shown += ["a page"] if paged else []
    return " ".join([*shown, *(["body:"] if members else []), *map(_code, members)])


def _who(method: str, path: str) -> str:
    return ACCESS[method, path].sentence


def _code(text: str) -> str:
    return f"`{text}`"


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(page(), end="")
