"""People: oneself, fellow members, and whoever reported to the caller's organizations."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field, StrictBool, StringConstraints, model_validator

from tocsin.api.answer import answer, page
from tocsin.api.body import Input, JsonRoute
from tocsin.api.description import WRITE_ERRORS, answers
from tocsin.api.filters import PeopleSearch
from tocsin.api.parameters import KnownCaller, Pages, Text255, Tocsin
from tocsin.api.routes.security import Email

router = APIRouter(prefix="/people", tags=["people"], route_class=JsonRoute)

Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=50)]


class PersonPatch(Input):
    """Preferences come nested or dotted; `job` is another name of jobTitle."""

    given_name: Name | None = Field(None, alias="givenName")
    family_name: Name | None = Field(None, alias="familyName")
    email: Email | None = None
    job_title: Text255 | None = Field(None, alias="jobTitle")
    opt_in: StrictBool | None = Field(None, alias="optIn")
    message_email_enabled: StrictBool | None = Field(None, alias="preferences.messageEmailEnabled")
    message_push_enabled: StrictBool | None = Field(None, alias="preferences.messagePushEnabled")

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        flat = {("jobTitle" if name == "job" else name): value for name, value in given.items()}
        nested = flat.get("preferences")
        if isinstance(nested, dict):
            del flat["preferences"]
            flat |= {f"preferences.{name}": value for name, value in nested.items() if value is not None}
        return flat


@router.get("", summary="List the people that the caller may know of", responses=answers(name="Person", page=True))
async def list_people(
    request: Request,
    tocsin: Tocsin,
    caller: KnownCaller,
    paging: Pages,
    wanted: PeopleSearch,
) -> Response:
    found = await tocsin.people.page(caller, wanted, paging)
    return page(request, tocsin.hal, found, tocsin.hal.person)


@router.get("/{person}", summary="Get a person", responses=answers(name="Person"))
async def get_person(request: Request, tocsin: Tocsin, caller: KnownCaller, person: str) -> Response:
    return answer(request, tocsin.hal.person(await tocsin.people.get(caller, person)))


@router.patch("/{person}", summary="Change oneself", responses=answers(name="Person", errors=WRITE_ERRORS))
async def change_person(
    request: Request, tocsin: Tocsin, caller: KnownCaller, person: str, body: PersonPatch
) -> Response:
    return answer(request, tocsin.hal.person(await tocsin.people.change(caller, person, body.given())))
