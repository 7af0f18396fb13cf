"""Accounts and logins (CONTRACT, section 1, "Authentication")."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import EmailStr, Field, StrictStr, StringConstraints

from tocsin.api.answer import answer, no_content
from tocsin.api.body import Input, JsonRoute
from tocsin.api.client_address import address, network
from tocsin.api.description import answers
from tocsin.api.parameters import Tocsin
from tocsin.domain.languages import preferred
from tocsin.service.passwords import PASSWORD_MAX_CHARACTERS, PASSWORD_MIN_CHARACTERS

router = APIRouter(prefix="/security", tags=["security"], route_class=JsonRoute)

EMAIL_MAX_CHARACTERS = 180
Email = Annotated[EmailStr, Field(max_length=EMAIL_MAX_CHARACTERS)]
Password = Annotated[
    str, StringConstraints(strict=True, min_length=PASSWORD_MIN_CHARACTERS, max_length=PASSWORD_MAX_CHARACTERS)
]
AnyPassword = Annotated[StrictStr, Field(max_length=PASSWORD_MAX_CHARACTERS)]
PUBLIC_ERRORS = (400, 413, 415)


class Registration(Input):
    email: Email
    password: Password


class Credentials(Input):
    login: Annotated[StrictStr, Field(max_length=EMAIL_MAX_CHARACTERS)]
    password: AnyPassword


class PasswordRequest(Input):
    email: Email


class NewPassword(Input):
    password: Password


@router.post("/register", status_code=201, summary="Register", responses=answers(201, "Person", errors=PUBLIC_ERRORS))
async def register(request: Request, tocsin: Tocsin, body: Registration) -> Response:
    language = preferred(request.headers.get("accept-language"))
    person = await tocsin.authentication.register(body.email, body.password, network(request), language)
    return answer(request, tocsin.hal.person(person), status=201)


@router.post("/login", summary="Log in: a JWT for a day", responses=answers(name="Login", errors=(400, 401, 413, 415)))
async def login(request: Request, tocsin: Tocsin, body: Credentials) -> Response:
    found = await tocsin.authentication.login(body.login, body.password, address(request), network(request))
    return answer(request, tocsin.hal.login(found.token, found.person, found.memberships), tagged=False)


@router.post(
    "/password/change-request",
    status_code=204,
    summary="Ask for a link to set a password; it is mailed to the account with this address, if there is one",
    responses=answers(204, errors=PUBLIC_ERRORS),
)
async def request_password(request: Request, tocsin: Tocsin, body: PasswordRequest) -> Response:
    await tocsin.authentication.request_password(body.email, network(request))
    return no_content()


@router.post(
    "/password/change/{token}",
    status_code=204,
    summary="Set a password with a link that was given",
    responses=answers(204, errors=(400, 404, 413, 415)),
)
async def set_password(tocsin: Tocsin, token: str, body: NewPassword) -> Response:
    await tocsin.authentication.set_password(token, body.password)
    return no_content()
