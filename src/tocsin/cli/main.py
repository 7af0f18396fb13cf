"""The commands by their names: what each takes, and how it ends.

Exit codes: 0 done; 1 refused or failed, with the reason on standard error; 2 wrong usage or wrong settings.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from tocsin import __version__, log
from tocsin.cli import demo as demonstration
from tocsin.cli import operator, servers
from tocsin.cli.ending import ending
from tocsin.domain.events import Event
from tocsin.settings import load
from tocsin.storage.migrate import migrate as bring_up_to_date

app: Final = typer.Typer(
    name="tocsin", no_args_is_help=True, add_completion=False, help="Field reports whose every change reaches others."
)
organization_commands: Final = typer.Typer(no_args_is_help=True, help="Organizations.")
webhook_commands: Final = typer.Typer(no_args_is_help=True, help="Webhooks.")
app.add_typer(organization_commands, name="organization")
app.add_typer(webhook_commands, name="webhook")

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
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
def demo(
    reports: Annotated[int, typer.Option(min=0, help="Stop after so many reports; 0: go on until Ctrl-C.")] = 0,
    keep: Annotated[Path | None, typer.Option(help="Keep the database in this file.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The API's port; 0: any free one.")] = 0,
    pace: Annotated[float, typer.Option(min=0, max=60, help="Seconds between changes.")] = 0.8,
) -> None:
    """Everything at once, with sample data and a receiver that shows what it gets."""
    with ending():
        demonstration.run(reports=reports, keep=keep, port=port, pace_seconds=pace)


@app.command()
def version() -> None:
    """Print tocsin's version."""
    typer.echo(__version__)


@organization_commands.command("create")
def create_organization(
    name: Annotated[str, typer.Argument(help="The organization's name.")],
    admin_email: Annotated[str, typer.Option("--admin-email", help="E-mail address of its first admin.")],
    as_json: Json = False,
) -> None:
    """Create an organization; prints its ids, an API token, and a link to set the admin's password."""
    with ending():
        operator.create_organization(load(), name, admin_email, as_json=as_json)


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
