"""What the operator of the service does at the command line, as the API's use cases do it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import typer
from email_validator import EmailNotValidError, validate_email

from tocsin import app
from tocsin.cli.servers import DEFAULT_URL, prepare
from tocsin.domain.errors import Invalid, Violation
from tocsin.domain.events import Event
from tocsin.domain.page import Paging
from tocsin.hal.encoding import encode
from tocsin.service.caller import OPERATOR
from tocsin.service.use_cases import UseCases
from tocsin.settings import Settings

T = TypeVar("T")

LIST_LIMIT = 100


def create_organization(settings: Settings, name: str, admin_email: str, *, as_json: bool) -> None:
    _check(name, admin_email)
    base = settings.public_url or DEFAULT_URL
    created = _run(settings, lambda use_cases: use_cases.organizations.create_for(name, admin_email))
    link = None if created.password_link is None else f"{base}/security/password/change/{created.password_link}"
    _show(
        {
            "organization": created.organization.id,
            "member": created.admin.id,
            "person": created.admin.person_id,
            "token": created.token,
            "passwordLink": link,
        },
        as_json=as_json,
    )


def _check(name: str, admin_email: str) -> None:
    if not 1 <= len(name) <= 255:
        raise Invalid(Violation("NAME", "from 1 to 255 characters."))
    try:
        validate_email(admin_email, check_deliverability=False)
    except EmailNotValidError as error:
        raise Invalid(Violation("--admin-email", str(error))) from None


def create_webhook(settings: Settings, organization_id: str, event: Event, url: str, *, as_json: bool) -> None:
    members = {"event": event, "payload_url": url}
    created = _run(settings, lambda use_cases: use_cases.webhooks.create(OPERATOR, organization_id, members))
    _show({"webhook": created.webhook.id, "secret": created.secret}, as_json=as_json)


def list_webhooks(settings: Settings, organization_id: str, *, as_json: bool) -> None:
    async def everything(use_cases: UseCases) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        number, total = 1, 1
        while len(found) < total:
            paging = Paging(page=number, limit=LIST_LIMIT, descending=False)
            page = await use_cases.webhooks.page(OPERATOR, organization_id, None, None, paging)
            found += [use_cases.hal.webhook(one) for one in page.items]
            number, total = number + 1, page.total
        return found

    webhooks = _run(settings, everything)
    if as_json:
        typer.echo(encode(webhooks).decode())
        return
    for one in webhooks:
        state = "enabled" if one["enabled"] else "disabled"
        typer.echo(f"{one['id']}  {one['event']:<22} {state:<8}  {one['payloadUrl']}")


def change_webhook(settings: Settings, webhook_id: str, members: dict[str, Any], *, as_json: bool) -> None:
    changed = _run(settings, lambda use_cases: use_cases.webhooks.change(OPERATOR, webhook_id, members))
    _show({"webhook": changed.id, "enabled": changed.enabled}, as_json=as_json)


def ping_webhook(settings: Settings, webhook_id: str, *, as_json: bool) -> None:
    attempt = _run(settings, lambda use_cases: use_cases.pings.ping(OPERATOR, webhook_id))
    values = {"outcome": attempt.outcome, "status": attempt.status, "reason": attempt.reason}
    _show({**values, "milliseconds": attempt.total_us / 1000}, as_json=as_json)


def _run(settings: Settings, use: Callable[[UseCases], Awaitable[T]]) -> T:
    prepare(settings, with_migrations=True)

    async def run() -> T:
        async with app.open_use_cases(settings, settings.public_url or DEFAULT_URL) as use_cases:
            return await use(use_cases)

    return asyncio.run(run())


def _show(values: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(values))
        return
    for name, value in values.items():
        if value is not None:
            typer.echo(f"{name + ':':<14} {value}")
