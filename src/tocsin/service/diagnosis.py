"""`tocsin doctor`: what is wrong with an installation, and what to do about it. It looks, and changes nothing.

A check that can't be made because of an earlier finding (no database, no tables) is left out: the finding says why.
"""

import asyncio
import shutil
import stat
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tocsin.clock import SECOND, Clock
from tocsin.delivery.recipient import secret_purpose
from tocsin.delivery.resolver import Resolver
from tocsin.domain.diagnosis import Finding, severe, warning, well
from tocsin.domain.errors import Unavailable
from tocsin.hal.encoding import moment
from tocsin.service.authentication import JWT_KEY
from tocsin.service.names import RESOLVE_SECONDS, resolved
from tocsin.service.vault import Vault, VaultError
from tocsin.service.webhooks import DISABLED_BY_OWNER
from tocsin.storage import diagnosis as stored
from tocsin.storage.diagnosis import Examination
from tocsin.storage.interface import Reading, Row

NAMES_MAX: Final = 10
"""Receivers' names that are looked up."""
NAMED_MAX: Final = 3
"""Endpoints or webhooks that one finding names."""
WAITING_SECONDS: Final = 60.0
"""An event that waits for longer, though nothing is wrong with its endpoint, says that no worker delivers."""
HOUSEKEEPING_SECONDS: Final = 3600.0
"""Workers keep house every ten minutes."""
FUTURE_SECONDS: Final = 5.0
MIB: Final = 1 << 20
FREE_SEVERE_BYTES: Final = 256 * MIB
FREE_WARNING_BYTES: Final = 2048 * MIB
FREE_WARNING_PART: Final = 0.1
KEY_MODE_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined, as `app` puts it together.

    `examining` and `lacks_migrations` raise Unavailable without a usable database, `open_vault` ValueError without a
    usable key. The files are None on PostgreSQL, which lies elsewhere, and where the key is a setting.
    """

    examining: Callable[[], AbstractAsyncContextManager[Examination]]
    lacks_migrations: Callable[[], bool]
    open_vault: Callable[[], Vault]
    key_file: Path | None
    database_file: Path | None
    public_url: str | None
    resolver: Resolver
    clock: Clock


class Diagnosis:
    def __init__(self, patient: Patient) -> None:
        self._patient = patient

    async def run(self) -> Sequence[Finding]:
        """Every check that can be made."""
        patient = self._patient
        findings: list[Finding] = []
        hosts = [urlsplit(patient.public_url or "").hostname]
        try:
            async with patient.examining() as examination:
                findings += await examination.engine()
                migrations = await self._migrations()
                findings.append(migrations)
                if migrations is UP_TO_DATE:
                    findings += await examination.upkeep()
                    async with examination.read() as tx:
                        findings += [await self._key(tx), *await self._deliveries(tx)]
                        hosts += [urlsplit(url).hostname for url in await stored.receivers(tx)]
        except Unavailable as error:
            findings.append(severe("database", str(error), "See TOCSIN_DATABASE_URL; tocsin migrate makes a database."))
        return [*findings, *self._files(), public_url(patient.public_url), await self._names(hosts)]

    async def _migrations(self) -> Finding:
        if await asyncio.to_thread(self._patient.lacks_migrations):
            return severe("migrations", "The schema is not this version's.", "Run tocsin migrate; serve does it, too.")
        return UP_TO_DATE

    async def _key(self, tx: Reading) -> Finding:
        """Whether it opens what is stored: the key of login tokens, and secrets of webhooks."""
        tokens = [row for row in await stored.sealed_keys(tx) if row["name"] == JWT_KEY]
        secrets = await stored.sealed_secrets(tx)
        try:
            vault = self._patient.open_vault()
        except ValueError as error:
            if not tokens and not secrets:
                return warning("key", str(error), "On SQLite serve makes one; on PostgreSQL set TOCSIN_SECRET_KEY.")
            advice = "Bring back the key that sealed what is stored (TOCSIN_SECRET_KEY): without it nothing is signed."
            return severe("key", str(error), advice)
        try:
            for row in tokens:
                vault.open(row["value"], JWT_KEY)
            for row in secrets:
                vault.open(row["secret"], secret_purpose(row["id"]))
        except VaultError as error:
            advice = "Bring back the key that sealed what is stored (TOCSIN_SECRET_KEY): without it nothing is signed."
            return severe("key", str(error), advice)
        return well("key", "It opens what is stored." if tokens or secrets else "Nothing is sealed with it yet.")

    async def _deliveries(self, tx: Reading) -> list[Finding]:
        now = self._patient.clock.now()
        return [
            future((await stored.last_event_at(tx) - now) / SECOND),
            *housekeeping(await stored.housekept_at(tx), now),
            *endpoints(await stored.failing_endpoints(tx)),
            *webhooks(await stored.disabled_webhooks(tx), await stored.webhooks_with_losses(tx)),
            waiting(await stored.waiting_since(tx), now),
        ]

    def _files(self) -> list[Finding]:
        findings = []
        key_file, database_file = self._patient.key_file, self._patient.database_file
        if key_file is not None and key_file.exists():
            findings.append(key_mode(key_file, key_file.stat().st_mode))
        if database_file is None:
            found = "PostgreSQL's can't be seen from here: watch it there. While it is full, changes are refused."
            findings.append(well("disk", found))
        elif database_file.absolute().parent.is_dir():
            usage = shutil.disk_usage(database_file.absolute().parent)
            findings.append(disk(usage.free, usage.total))
        return findings

    async def _names(self, hosts: Iterable[str | None]) -> Finding:
        """Whether receivers' names have addresses, within the time that an attempt gives them."""
        names = list(dict.fromkeys(host for host in hosts if host is not None and not _is_address(host)))[:NAMES_MAX]
        found = await asyncio.gather(*(resolved(self._patient.resolver, name) for name in names))
        return resolver(names, [name for name, addresses in zip(names, found, strict=True) if not addresses])


UP_TO_DATE: Final = well("migrations", "The schema is this version's, or a newer one's.")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def future(seconds: float) -> Finding:
    """`seconds`: how far the newest event lies ahead of now."""
    if seconds <= FUTURE_SECONDS:
        return well("time", "No event is in the future.")
    advice = (
        "The clock was ahead, or is behind: let the machine keep time. What was to be retried waits as much longer."
    )
    return warning("time", f"The newest event is {seconds:.0f} s in the future.", advice)


def housekeeping(begun_at: int, now: int) -> list[Finding]:
    ago = (now - begun_at) / SECOND
    if ago <= HOUSEKEEPING_SECONDS:
        return [well("housekeeping", f"Done {max(ago, 0) / 60:.0f} min ago.")]
    found = f"Not done since {moment(begun_at)}." if begun_at else "Never done."
    return [warning("housekeeping", found, "Workers do it: start one (tocsin worker, or serve without --no-worker).")]


def waiting(since: int | None, now: int) -> Finding:
    """`since`: when the oldest event occurred that waits though nothing is wrong with its endpoint."""
    seconds = 0.0 if since is None else (now - since) / SECOND
    if seconds <= WAITING_SECONDS:
        return well("worker", "No event waits without a reason.")
    advice = "Is a worker running (tocsin worker, or serve without --no-worker)? Is it overloaded (docs/operations.md)?"
    return warning("worker", f"An event has waited for {seconds:.0f} s, though its endpoint is well.", advice)


def endpoints(rows: Sequence[Row]) -> list[Finding]:
    down = [row for row in rows if row["opened_at"] is not None]
    failing = [row for row in rows if row["opened_at"] is None]
    findings = []
    if down:
        advice = "Ask who runs them. They get a probe every five minutes at most, and everything once they answer."
        findings.append(warning("endpoints", f"{len(down)} down: {_named(_since(row) for row in down)}.", advice))
    if failing:
        advice = "tocsin webhook status and tocsin explain say why."
        findings.append(
            warning("endpoints", f"{len(failing)} failing: {_named(_since(row) for row in failing)}.", advice)
        )
    return findings or [well("endpoints", "None is down or failing.")]


def webhooks(disabled: Sequence[Row], losses: Sequence[Row]) -> list[Finding]:
    """Those that the service disabled, and those that lost events to age."""
    ours = [row["id"] for row in disabled if row["disabled_reason"] != DISABLED_BY_OWNER]
    findings = []
    if ours:
        advice = "Their receivers were down for days, or said 410. tocsin webhook enable lets them catch up."
        findings.append(warning("webhooks", f"{len(ours)} disabled by the service: {_named(ours)}.", advice))
    if losses:
        advice = "Their events grew older than TOCSIN_RETENTION_MAX_DAYS before they could be delivered: see the audit."
        findings.append(
            warning("webhooks", f"{len(losses)} lost events: {_named(row['id'] for row in losses)}.", advice)
        )
    return findings or [well("webhooks", "None is disabled by the service, none lost an event.")]


def _since(row: Row) -> str:
    """The endpoint without what its URL may carry as a credential."""
    parts = urlsplit(row["url"])
    since = row["opened_at"] if row["opened_at"] is not None else row["failing_since"]
    host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    return f"{host}{parts.path}" + ("" if since is None else f" since {moment(since)}")


def _named(names: Iterable[str]) -> str:
    listed = list(names)
    left = len(listed) - NAMED_MAX
    return ", ".join(listed[:NAMED_MAX]) + (f", and {left} more" if left > 0 else "")


def key_mode(file: Path, mode: int) -> Finding:
    if mode & KEY_MODE_OTHERS:
        return severe("key file", f"{file} can be read by others ({stat.filemode(mode)}).", f"chmod 600 {file}")
    return well("key file", f"{file} is its owner's alone. Back it up apart from the database.")


def disk(free: int, total: int) -> Finding:
    """Bytes of the file system that the database lies on."""
    found = f"{free // MIB} MiB of {total // MIB} MiB are free."
    if free < FREE_SEVERE_BYTES:
        return severe("disk", found, "Make room: on a full disk changes are refused and deliveries stand still.")
    if free < FREE_WARNING_BYTES or free < total * FREE_WARNING_PART:
        return warning("disk", found, "Make room, or keep less (TOCSIN_RETENTION_DAYS).")
    return well("disk", found)


def public_url(url: str | None) -> Finding:
    if url is None:
        advice = "Set TOCSIN_PUBLIC_URL: its base is in every notification, and receivers follow it."
        return warning("public URL", "It is not set.", advice)
    parts = urlsplit(url)
    if parts.hostname in LOCAL_HOSTS:
        advice = "Set TOCSIN_PUBLIC_URL to what receivers on other machines reach."
        return warning("public URL", f"{url} is this machine.", advice)
    if parts.scheme == "http":
        advice = "Put TLS before it, and name https in TOCSIN_PUBLIC_URL: tokens travel in the clear."
        return warning("public URL", f"{url} is not https.", advice)
    return well("public URL", f"{url}")


def resolver(asked: Sequence[str], unknown: Sequence[str]) -> Finding:
    """`asked`: names that were looked up; `unknown`: those of them without an address in time."""
    if not asked:
        return well("names", "There is no name to look up.")
    if not unknown:
        return well("names", f"{len(asked)} looked up, each has an address.")
    found = f"{len(unknown)} of {len(asked)} names have no address within {RESOLVE_SECONDS:g} s: {_named(unknown)}."
    if len(unknown) == len(asked) and len(asked) > 1:
        return severe("names", found, "Nothing can be delivered: look at this machine's resolver (/etc/resolv.conf).")
    return warning("names", found, "Look at the name, and at this machine's resolver (/etc/resolv.conf).")
