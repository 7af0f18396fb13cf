"""What the operator of the service does at the command line, as the API's use cases do it."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import typer
from email_validator import EmailNotValidError, validate_email
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tocsin import app
from tocsin.cli.servers import DEFAULT_URL, prepare
from tocsin.domain.errors import Invalid, Violation
from tocsin.domain.events import Event
from tocsin.domain.page import Paging
from tocsin.domain.resources import Attempt, Delivery, DeliveryState, Replay
from tocsin.hal import Hal
from tocsin.hal.encoding import encode, moment
from tocsin.hal.representation import Representation
from tocsin.log import plain
from tocsin.service.caller import OPERATOR
from tocsin.service.explanations import explanation
from tocsin.service.replays import RUNNING, Place
from tocsin.service.use_cases import UseCases
from tocsin.settings import Settings

T = TypeVar("T")

LIST_LIMIT: Final = 100
PROGRESS_SECONDS: Final = 0.5


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


def erase_person(settings: Settings, who: str, *, as_json: bool) -> None:
    erased = _run(settings, lambda use_cases: use_cases.erasure.erase_for(who))
    _show({"erasure": erased.id, "person": erased.person_id, "events": erased.events}, as_json=as_json)


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


def webhook_status(settings: Settings, webhook_id: str, *, as_json: bool) -> None:
    found = _run(settings, lambda use_cases: use_cases.webhooks.status(OPERATOR, webhook_id))
    _show_representation(_hal(settings).webhook_status(webhook_id, found), as_json=as_json)


def rotate_secret(settings: Settings, webhook_id: str, overlap_seconds: int, *, as_json: bool) -> None:
    rotated = _run(settings, lambda use_cases: use_cases.webhooks.rotate(OPERATOR, webhook_id, overlap_seconds))
    _show({"webhook": rotated.webhook.id, "secret": rotated.secret}, as_json=as_json)


def public_key(settings: Settings, webhook_id: str, *, as_json: bool) -> None:
    key = _run(settings, lambda use_cases: use_cases.webhooks.public_key(OPERATOR, webhook_id))
    _show({"publicKey": key}, as_json=as_json)


def remove_webhook(settings: Settings, webhook_id: str) -> None:
    _run(settings, lambda use_cases: use_cases.webhooks.remove(OPERATOR, webhook_id))


def list_deliveries(
    settings: Settings, webhook_id: str, state: DeliveryState | None, limit: int, *, as_json: bool
) -> None:
    async def newest(use_cases: UseCases) -> list[Delivery]:
        return await use_cases.deliveries.page(
            OPERATOR, webhook_id, state=state, after=None, before=None, below=None, limit=limit
        )

    found = _run(settings, newest)
    if as_json:
        _print_json([_hal(settings).delivery(one) for one in found])
        return
    for one in found:
        at = moment(one.occurred_at)
        typer.echo(f"{one.sequence:>8}  {at}  {one.state:<9}  {one.attempts:>3}  {one.event_id}  {plain(one.reason)}")


def list_attempts(settings: Settings, webhook_id: str, sequence: int, *, as_json: bool) -> None:
    found = _run(settings, lambda use_cases: use_cases.deliveries.attempts(OPERATOR, webhook_id, sequence))
    if as_json:
        _print_json([_hal(settings).attempt(one) for one in found])
        return
    for one in found:
        _show_attempt(one, indent="")


def redeliver(settings: Settings, webhook_id: str, sequence: int, *, as_json: bool) -> None:
    found = _run(settings, lambda use_cases: use_cases.deliveries.redeliver(OPERATOR, webhook_id, sequence))
    _show({"delivery": found.event_id, "state": found.state.value}, as_json=as_json)


def replay(
    settings: Settings,
    webhook_id: str,
    start: str,
    end: str | None,
    *,
    only_failed: bool,
    dry_run: bool,
    wait: bool | None,
    as_json: bool,
) -> None:
    begin, until = _place("--from", start), None if end is None else _place("--to", end)
    stays = sys.stderr.isatty() if wait is None else wait

    async def run(use_cases: UseCases) -> Representation:
        replays = use_cases.replays
        if dry_run:
            counted = await replays.count(OPERATOR, webhook_id, begin, until, only_failed=only_failed)
            return use_cases.hal.replay_count(webhook_id, counted.total, only_failed=only_failed)
        started = await replays.start(OPERATOR, webhook_id, begin, until, only_failed=only_failed)
        if stays:
            started = await _progress(use_cases, started)
        return use_cases.hal.replay(started)

    _show_representation(_run(settings, run), as_json=as_json)


async def _progress(use_cases: UseCases, one: Replay) -> Replay:
    """Stay until the replay has ended, with a bar on standard error."""
    columns = (TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("replay", total=one.total)
        while True:
            bar.update(task, completed=one.done)
            if one.state != RUNNING:
                return one
            await asyncio.sleep(PROGRESS_SECONDS)
            one = await use_cases.replays.get(OPERATOR, one.webhook_id, one.id)


def list_replays(settings: Settings, webhook_id: str, *, as_json: bool) -> None:
    paging = Paging(limit=LIST_LIMIT)
    found = _run(settings, lambda use_cases: use_cases.replays.page(OPERATOR, webhook_id, paging)).items
    if as_json:
        _print_json([_hal(settings).replay(one) for one in found])
        return
    for one in found:
        typer.echo(f"{one.id}  {moment(one.created_at)}  {one.state:<8}  {one.done}/{one.total}, {one.failed} failed")


def stop_replay(settings: Settings, webhook_id: str, replay_id: str) -> None:
    _run(settings, lambda use_cases: use_cases.replays.stop(OPERATOR, webhook_id, replay_id))


def explain(settings: Settings, event_id: str, webhook_id: str | None, *, as_json: bool) -> None:
    explained = _run(settings, lambda use_cases: use_cases.explanations.explain(OPERATOR, event_id, webhook_id))
    if as_json:
        _print_json(explanation(_hal(settings), explained))
        return
    event = explained.event
    typer.echo(f"{event.event}, sequence {event.sequence}, occurred at {moment(event.occurred_at)}")
    if not explained.webhooks:
        typer.echo("No webhook of the organization is there for such events.")
    for one in explained.webhooks:
        typer.echo(f"\nwebhook {one.webhook_id} -> {plain(one.payload_url)}: {one.state}")
        typer.echo(f"  why:   {plain(one.why)}\n  next:  {plain(one.next)}")
        for attempt in one.attempts:
            _show_attempt(attempt, indent="  ")
        if one.request is not None:
            typer.echo(f"  by hand:\n{one.request}")
    left = explained.total - len(explained.webhooks)
    if left:
        typer.echo(f"\nand {left} more webhooks: ask for one with --webhook")


def _show_attempt(one: Attempt, *, indent: str) -> None:
    phases = {"resolve": one.resolve_us, "connect": one.connect_us, "tls": one.tls_us, "first byte": one.first_byte_us}
    times = ", ".join(f"{name} {value / 1000:g} ms" for name, value in phases.items() if value is not None)
    total = f"{one.total_us / 1000:g} ms" + (f" ({times})" if times else "")
    typer.echo(f"{indent}attempt {one.number} at {moment(one.started_at)}, {total}: {plain(one.reason)}")


def _place(option: str, text: str) -> Place:
    from tocsin.api.parameters import place  # noqa: PLC0415 # takes long: other commands don't wait for it

    try:
        return place(int(text) if text.isascii() and text.isdigit() else text)
    except ValueError as error:
        raise Invalid(Violation(option, f"{error}, or it is a sequence")) from None


def _run(settings: Settings, use: Callable[[UseCases], Awaitable[T]]) -> T:
    prepare(settings, with_migrations=True)

    async def run() -> T:
        async with app.open_use_cases(settings, settings.public_url or DEFAULT_URL) as use_cases:
            return await use(use_cases)

    return asyncio.run(run())


def _hal(settings: Settings) -> Hal:
    return Hal(settings.public_url or DEFAULT_URL)


def _print_json(value: Any) -> None:
    typer.echo(encode(value).decode())


def _show_representation(one: Representation, *, as_json: bool) -> None:
    """Without its links: they have no base here."""
    _show({name: value for name, value in one.items() if name != "_links"}, as_json=as_json)


def _show(values: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(values))
        return
    for name, value in values.items():
        if value is not None:
            typer.echo(f"{name + ':':<14} {plain(str(value))}")
