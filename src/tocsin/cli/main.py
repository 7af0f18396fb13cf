"""The commands by their names: what each takes, and how it ends.

Exit codes: 0 done; 1 refused or failed, with the reason on standard error; 2 wrong usage or wrong settings.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from tocsin import __version__, log
from tocsin.cli import doctor as doctors
from tocsin.cli import operator, servers
from tocsin.cli.ending import FAILED, ending
from tocsin.domain.events import Event
from tocsin.domain.resources import DeliveryState
from tocsin.log import plain
from tocsin.settings import load
from tocsin.storage.migrate import migrate as bring_up_to_date

app: Final = typer.Typer(
    name="tocsin", no_args_is_help=True, add_completion=False, help="Field reports whose every change reaches others."
)
organization_commands: Final = typer.Typer(no_args_is_help=True, help="Organizations.")
webhook_commands: Final = typer.Typer(no_args_is_help=True, help="Webhooks.")
person_commands: Final = typer.Typer(no_args_is_help=True, help="People.")
app.add_typer(organization_commands, name="organization")
app.add_typer(webhook_commands, name="webhook")
app.add_typer(person_commands, name="person")

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Sequence = Annotated[int, typer.Argument(min=1, help="The event's sequence in its organization's log.")]
WebhookId = Annotated[str, typer.Argument(help="The webhook's id.")]


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")] = 8000,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Deliver, too.")] = True,
    migrate: Annotated[bool, typer.Option("--migrate/--no-migrate", help="Bring the schema up to date first.")] = True,
) -> None:
    """The API and, unless told otherwise, a worker."""
    with ending():
        log.configure()
        servers.serve(load(), host, port, with_worker=worker, with_migrations=migrate)


@app.command()
def worker() -> None:
    """Deliveries only."""
    with ending():
        log.configure()
        servers.work(load())


@app.command()
def migrate() -> None:
    """Bring the database's schema up to date."""
    with ending():
        bring_up_to_date(load().database_url)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is wrong with the installation, and what to do; changes nothing."""
    with ending():
        if not doctors.examine(load(), as_json=as_json):
            raise typer.Exit(FAILED)


@app.command()
def demo(
    reports: Annotated[int, typer.Option(min=0, help="Stop after so many reports; 0: go on until Ctrl-C.")] = 0,
    keep: Annotated[Path | None, typer.Option(help="Keep the database in this file.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The API's port; 0: any free one.")] = 0,
    pace: Annotated[float, typer.Option(min=0, max=60, help="Seconds between changes.")] = 0.8,
) -> None:
    """Everything at once, with sample data and a receiver that shows what it gets."""
    from tocsin.cli import demo as demonstration  # noqa: PLC0415 # takes long: other commands don't wait for it

    with ending():
        demonstration.run(reports=reports, keep=keep, port=port, pace_seconds=pace)


@app.command()
def version() -> None:
    """Print tocsin's version."""
    typer.echo(__version__)


@app.command()
def explain(
    event: Annotated[str, typer.Argument(help="The event's id: webhook-id of its notification.")],
    webhook: Annotated[str | None, typer.Option(help="Only for this webhook, whatever it is there for.")] = None,
    as_json: Json = False,
) -> None:
    """Say why an event was or wasn't sent, what was tried, what comes next, and how to try it by hand."""
    with ending():
        operator.explain(load(), event, webhook, as_json=as_json)


@organization_commands.command("create")
def create_organization(
    name: Annotated[str, typer.Argument(help="The organization's name.")],
    admin_email: Annotated[str, typer.Option("--admin-email", help="E-mail address of its first admin.")],
    as_json: Json = False,
) -> None:
    """Create an organization; prints its ids, an API token, and a link to set the admin's password."""
    with ending():
        operator.create_organization(load(), name, admin_email, as_json=as_json)


@person_commands.command("erase")
def erase_person(
    who: Annotated[str, typer.Argument(metavar="EMAIL_OR_ID", help="The person's e-mail address or id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: Json = False,
) -> None:
    """Erase what a person said and what is known of them, also from the log. There is no way back."""
    with ending():
        if not yes:
            typer.confirm(f"Erase {plain(who)} for good?", abort=True)
        operator.erase_person(load(), who, as_json=as_json)


@webhook_commands.command("create")
def create_webhook(
    organization: Annotated[str, typer.Option(help="The organization's id.")],
    event: Annotated[Event, typer.Option(help="The event to be notified of.")],
    url: Annotated[str, typer.Option(help="Where notifications are sent.")],
    as_json: Json = False,
) -> None:
    """Create a webhook; prints its id and its secret, which is shown this once."""
    with ending():
        operator.create_webhook(load(), organization, event, url, as_json=as_json)


@webhook_commands.command("list")
def list_webhooks(
    organization: Annotated[str, typer.Option(help="The organization's id.")], as_json: Json = False
) -> None:
    """List an organization's webhooks."""
    with ending():
        operator.list_webhooks(load(), organization, as_json=as_json)


@webhook_commands.command("status")
def webhook_status(webhook: WebhookId, as_json: Json = False) -> None:
    """How far a webhook is, and how its endpoint does."""
    with ending():
        operator.webhook_status(load(), webhook, as_json=as_json)


@webhook_commands.command("deliveries")
def list_deliveries(
    webhook: WebhookId,
    state: Annotated[DeliveryState | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List what became of a webhook's events, newest first."""
    with ending():
        operator.list_deliveries(load(), webhook, state, limit, as_json=as_json)


@webhook_commands.command("attempts")
def list_attempts(webhook: WebhookId, sequence: Sequence, as_json: Json = False) -> None:
    """List the attempts to deliver one event."""
    with ending():
        operator.list_attempts(load(), webhook, sequence, as_json=as_json)


@webhook_commands.command("redeliver")
def redeliver(webhook: WebhookId, sequence: Sequence, as_json: Json = False) -> None:
    """Send one event again."""
    with ending():
        operator.redeliver(load(), webhook, sequence, as_json=as_json)


@webhook_commands.command("replay")
def replay(
    webhook: WebhookId,
    start: Annotated[str, typer.Option("--from", help="A sequence, or a time such as 2018-02-27T10:00:00Z.")],
    end: Annotated[str | None, typer.Option("--to", help="The same; where the replay ends. Default: now.")] = None,
    only_failed: Annotated[bool, typer.Option("--only-failed", help="Only what was given up.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    wait: Annotated[
        bool | None, typer.Option("--wait/--no-wait", help="Stay until it is done. Default: on a terminal.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Send again, in order, what lies in a range. A worker does the sending; Ctrl-C leaves it going on."""
    with ending():
        operator.replay(
            load(), webhook, start, end, only_failed=only_failed, dry_run=dry_run, wait=wait, as_json=as_json
        )


@webhook_commands.command("replays")
def list_replays(webhook: WebhookId, as_json: Json = False) -> None:
    """List a webhook's replays, newest first."""
    with ending():
        operator.list_replays(load(), webhook, as_json=as_json)


@webhook_commands.command("stop-replay")
def stop_replay(webhook: WebhookId, replay: Annotated[str, typer.Argument(help="The replay's id.")]) -> None:
    """Stop a replay."""
    with ending():
        operator.stop_replay(load(), webhook, replay)


@webhook_commands.command("secret")
def rotate_secret(
    webhook: WebhookId,
    overlap: Annotated[
        int, typer.Option(min=0, max=30 * 86_400, help="Seconds for which the old one signs, too.")
    ] = 86_400,
    as_json: Json = False,
) -> None:
    """Rotate a webhook's secret; prints the new one, which is shown this once."""
    with ending():
        operator.rotate_secret(load(), webhook, overlap, as_json=as_json)


@webhook_commands.command("public-key")
def public_key(webhook: WebhookId, as_json: Json = False) -> None:
    """Print the key that the signatures of a v1a webhook verify with."""
    with ending():
        operator.public_key(load(), webhook, as_json=as_json)


@webhook_commands.command("remove")
def remove_webhook(webhook: WebhookId) -> None:
    """Remove a webhook, with what waits for it."""
    with ending():
        operator.remove_webhook(load(), webhook)


@webhook_commands.command("enable")
def enable_webhook(
    webhook: WebhookId,
    resume: Annotated[str, typer.Option(help="continue: deliver what was missed; skip: leave it out.")] = "continue",
    as_json: Json = False,
) -> None:
    """Enable a webhook."""
    with ending():
        if resume not in {"continue", "skip"}:
            raise typer.BadParameter("continue or skip", param_hint="--resume")
        operator.change_webhook(load(), webhook, {"enabled": True, "resume": resume}, as_json=as_json)


@webhook_commands.command("disable")
def disable_webhook(webhook: WebhookId, as_json: Json = False) -> None:
    """Disable a webhook; what it misses stays for its resume."""
    with ending():
        operator.change_webhook(load(), webhook, {"enabled": False}, as_json=as_json)


@webhook_commands.command("ping")
def ping_webhook(webhook: WebhookId, as_json: Json = False) -> None:
    """Send a ping now, and tell what became of it."""
    with ending():
        operator.ping_webhook(load(), webhook, as_json=as_json)
