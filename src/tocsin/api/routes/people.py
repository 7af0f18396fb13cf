"""People: oneself, fellow members, and whoever reported to the caller's organizations."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BeforeValidator, Field, StrictBool, StrictStr, model_validator

from tocsin.api.answer import answer, no_content, page
from tocsin.api.body import Input, JsonRoute
from tocsin.api.description import WRITE_ERRORS, answers
from tocsin.api.filters import FeedbackStates, OperationSearch, OperationStates, PeopleSearch
from tocsin.api.parameters import Id, KnownCaller, Pages, Text255, Tocsin, states
from tocsin.api.routes.feedbacks import Visibility
from tocsin.api.routes.security import Email
from tocsin.domain.roles import Role
from tocsin.domain.states import FeedbackState, OperationState
from tocsin.domain.wanted import FeedbackWanted, OperationsWanted

router = APIRouter(prefix="/people", tags=["people"], route_class=JsonRoute)

Name = Annotated[Text255, Field(max_length=50)]


def _truth(value: Any) -> Any:
    """The 2018 description has preferences as texts."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


Preference = Annotated[StrictBool, BeforeValidator(_truth)]


class PersonPatch(Input):
    """Preferences come nested or dotted; `job` is another name of jobTitle. An empty name is none."""

    given_name: Name | None = Field(None, alias="givenName")
    family_name: Name | None = Field(None, alias="familyName")
    email: Email | None = None
    job_title: Text255 | None = Field(None, alias="jobTitle")
    opt_in: StrictBool | None = Field(None, alias="optIn")
    image: StrictStr | None = Field(None, description="a data URI; empty: none any more")
    message_email_enabled: Preference | None = Field(None, alias="preferences.messageEmailEnabled")
    message_push_enabled: Preference | None = Field(None, alias="preferences.messagePushEnabled")

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

    def members(self) -> dict[str, Any]:
        given = self.given()
        names: dict[str, Any] = {name: given[name] or None for name in ("given_name", "family_name") if name in given}
        return {**given, **names}


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
    return answer(request, tocsin.hal.person(await tocsin.people.change(caller, person, body.members())))


@router.get(
    "/{person}/memberships",
    summary="List a person's memberships in the caller's organizations; all of one's own",
    tags=["members"],
    responses=answers(name="Member", page=True),
)
async def list_memberships(
    request: Request,
    tocsin: Tocsin,
    caller: KnownCaller,
    person: str,
    paging: Pages,
    wanted: PeopleSearch,
    role: Role | None = None,
) -> Response:
    found = await tocsin.people.memberships(caller, person, role, wanted, paging)
    return page(request, tocsin.hal, found, tocsin.hal.member, vary=True)


@router.get(
    "/{person}/operations",
    summary="List the operations given to a person",
    tags=["operations"],
    responses=answers(name="Operation", page=True),
)
async def list_operations_given_to(
    request: Request,
    tocsin: Tocsin,
    caller: KnownCaller,
    person: str,
    paging: Pages,
    wanted: OperationSearch,
    state: OperationStates = None,
) -> Response:
    operations = OperationsWanted(states(state, OperationState), search=wanted)
    found = await tocsin.people.operations(caller, person, operations, paging)
    return page(request, tocsin.hal, found, tocsin.hal.operation, vary=True)


@router.get(
    "/{person}/feedbacks",
    summary="List the feedback that a person has posted",
    tags=["feedback"],
    responses=answers(name="Feedback", page=True),
)
async def list_feedback_of(
    request: Request,
    tocsin: Tocsin,
    caller: KnownCaller,
    person: str,
    paging: Pages,
    visibility: Annotated[list[Visibility], Query(alias="visibility[]", default_factory=list)],
    state: FeedbackStates = None,
    category: Id | None = None,
    organization: Id | None = None,
) -> Response:
    wanted = FeedbackWanted(
        states=states(state, FeedbackState),
        public=not visibility or "VISIBILITY_PUBLIC" in visibility,
        private=not visibility or "VISIBILITY_PRIVATE" in visibility,
        category_id=category,
        organization_id=organization,
        reporter_id=person,
    )
    found = await tocsin.people.feedbacks(caller, person, wanted, paging)
    return page(request, tocsin.hal, found, tocsin.hal.feedback, vary=True)


@router.delete(
    "/{person}",
    status_code=204,
    summary="Have oneself erased: what one said, and what is known of one",
    responses=answers(204, errors=(401, 403, 404, 409)),
)
async def erase_person(tocsin: Tocsin, caller: KnownCaller, person: str) -> Response:
    await tocsin.erasure.erase_oneself(caller, person)
    return no_content()
