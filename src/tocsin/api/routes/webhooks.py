"""Webhooks: where which events go (CONTRACT, sections 3 and 9)."""

import re
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from tocsin.api.answer import answer, no_content, page
from tocsin.api.body import READ_ONLY, Input, JsonRoute
from tocsin.api.description import WRITE_ERRORS, answers
from tocsin.api.parameters import Id, KnownCaller, Pages, Text255, Tocsin
from tocsin.delivery.signing import SecretError, parse_secret
from tocsin.domain.events import Event

router = APIRouter(tags=["webhooks"], route_class=JsonRoute)

HEADERS_MAX: Final = 20
HEADER_MAX_CHARACTERS: Final = 1024
IN_FLIGHT_MAX: Final = 100
RATE_MAX_PER_SECOND: Final = 10_000
RATE_MIN_PER_SECOND: Final = 0.001
"""One in about a quarter of an hour: what is slower is no rate, and its next moment could be past all moments."""
OVERLAP_SECONDS: Final = 86_400
OVERLAP_MAX_SECONDS: Final = 30 * 86_400

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e\xa1-\xff]*")
_OURS: Final = (
    "host",
    "connection",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
    "user-agent",
)
_OUR_PREFIXES: Final = ("content-", "webhook-", "tocsin-", "proxy-")


def _headers(headers: dict[str, str]) -> dict[str, str]:
    """Header names are tokens and not ours; values are visible latin-1 without a break (RFC 9110, section 5)."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name[:100]!r} is no name of a header")
        if name.lower() in _OURS or name.lower().startswith(_OUR_PREFIXES):
            raise ValueError(f"the header {name} is set by tocsin")
        if len(value) > HEADER_MAX_CHARACTERS or not _HEADER_VALUE.fullmatch(value) or value != value.strip():
            raise ValueError(f"the value of {name} is not one line of up to {HEADER_MAX_CHARACTERS} latin-1 characters")
    if len({name.lower() for name in headers}) != len(headers):
        raise ValueError("a header is named twice")
    return headers


def _secret(secret: str) -> str:
    try:
        parse_secret(secret)
    except SecretError as error:
        raise ValueError(str(error)) from None
    return secret


Headers = Annotated[dict[StrictStr, StrictStr], Field(max_length=HEADERS_MAX), AfterValidator(_headers)]
Url = Annotated[StrictStr, Field(max_length=2048)]


class WebhookPatch(Input):
    read_only = READ_ONLY | {"organization"}

    event: Event | None = None
    payload_url: Url | None = Field(None, alias="payloadUrl")
    enabled: StrictBool | None = None
    resume: Literal["continue", "skip"] | None = None
    description: Text255 | None = None
    headers: Headers | None = None
    signature: Literal["v1", "v1a"] | None = None
    max_in_flight: Annotated[StrictInt, Field(ge=1, le=IN_FLIGHT_MAX)] | None = Field(None, alias="maxInFlight")
    rate_per_second: (
        Annotated[StrictFloat | StrictInt, Field(ge=RATE_MIN_PER_SECOND, le=RATE_MAX_PER_SECOND)] | None
    ) = Field(None, alias="ratePerSecond")


class WebhookOfOrganization(WebhookPatch):
    read_only = READ_ONLY | {"organization", "resume"}

    event: Event
    payload_url: Url = Field(alias="payloadUrl")
    secret: Annotated[StrictStr, AfterValidator(_secret)] | None = None


class WebhookData(WebhookOfOrganization):
    read_only = READ_ONLY | {"resume"}

    organization: Id


class Rotation(Input):
    overlap_seconds: Annotated[StrictInt, Field(ge=0, le=OVERLAP_MAX_SECONDS)] | None = Field(
        None, alias="overlapSeconds"
    )


@router.post(
    "/webhooks",
    status_code=201,
    summary="Create a webhook; its secret is shown this once",
    responses=answers(201, "Webhook", errors=WRITE_ERRORS),
)
async def create_webhook(request: Request, tocsin: Tocsin, caller: KnownCaller, body: WebhookData) -> Response:
    members = body.given()
    created = await tocsin.webhooks.create(caller, members.pop("organization"), members)
    return answer(request, tocsin.hal.webhook(created.webhook, created.secret), status=201, tagged=False)


@router.post(
    "/organizations/{organization}/webhooks",
    status_code=201,
    summary="Create a webhook of an organization; its secret is shown this once",
    responses=answers(201, "Webhook", errors=WRITE_ERRORS),
)
async def create_webhook_of(
    request: Request, tocsin: Tocsin, caller: KnownCaller, organization: str, body: WebhookOfOrganization
) -> Response:
    caller.require_sight(organization)
    created = await tocsin.webhooks.create(caller, organization, body.given())
    return answer(request, tocsin.hal.webhook(created.webhook, created.secret), status=201, tagged=False)


@router.get(
    "/organizations/{organization}/webhooks",
    summary="List an organization's webhooks",
    responses=answers(name="Webhook", page=True),
)
async def list_webhooks(
    request: Request,
    tocsin: Tocsin,
    caller: KnownCaller,
    organization: str,
    paging: Pages,
    event: Event | None = None,
    enabled: bool | None = None,
) -> Response:
    found = await tocsin.webhooks.page(caller, organization, event, enabled, paging)
    return page(request, tocsin.hal, found, tocsin.hal.webhook)


@router.get("/webhooks/{webhook}", summary="Get a webhook", responses=answers(name="Webhook"))
async def get_webhook(request: Request, tocsin: Tocsin, caller: KnownCaller, webhook: str) -> Response:
    return answer(request, tocsin.hal.webhook(await tocsin.webhooks.get(caller, webhook)))


@router.patch("/webhooks/{webhook}", summary="Change a webhook", responses=answers(name="Webhook", errors=WRITE_ERRORS))
async def change_webhook(
    request: Request, tocsin: Tocsin, caller: KnownCaller, webhook: str, body: WebhookPatch
) -> Response:
    return answer(request, tocsin.hal.webhook(await tocsin.webhooks.change(caller, webhook, body.given())))


@router.delete(
    "/webhooks/{webhook}",
    status_code=204,
    summary="Delete a webhook",
    responses=answers(204, errors=(401, 403, 404)),
)
async def remove_webhook(tocsin: Tocsin, caller: KnownCaller, webhook: str) -> Response:
    await tocsin.webhooks.remove(caller, webhook)
    return no_content()


@router.post(
    "/webhooks/{webhook}/ping",
    summary="Send a ping now, and tell what became of it",
    responses=answers(name="Attempt", errors=(401, 403, 404)),
)
async def ping(request: Request, tocsin: Tocsin, caller: KnownCaller, webhook: str) -> Response:
    return answer(request, tocsin.hal.attempt(await tocsin.pings.ping(caller, webhook)), tagged=False)


@router.post(
    "/webhooks/{webhook}/secret",
    summary="Rotate a webhook's secret; the new one is shown this once",
    responses=answers(name="Webhook", errors=WRITE_ERRORS),
)
async def rotate_secret(
    request: Request, tocsin: Tocsin, caller: KnownCaller, webhook: str, body: Rotation | None = None
) -> Response:
    overlap = OVERLAP_SECONDS if body is None or body.overlap_seconds is None else body.overlap_seconds
    rotated = await tocsin.webhooks.rotate(caller, webhook, overlap)
    return answer(request, tocsin.hal.webhook(rotated.webhook, rotated.secret), tagged=False)


@router.get(
    "/webhooks/{webhook}/public-key",
    summary="The key that a v1a webhook's signatures verify with",
    responses=answers(name="PublicKey"),
)
async def get_public_key(request: Request, tocsin: Tocsin, caller: KnownCaller, webhook: str) -> Response:
    return answer(request, tocsin.hal.public_key(webhook, await tocsin.webhooks.public_key(caller, webhook)))


@router.get(
    "/webhooks/{webhook}/status",
    summary="How far a webhook is, and how its endpoint does",
    responses=answers(name="WebhookStatus"),
)
async def get_status(request: Request, tocsin: Tocsin, caller: KnownCaller, webhook: str) -> Response:
    status = await tocsin.webhooks.status(caller, webhook)
    return answer(request, tocsin.hal.webhook_status(webhook, status))
