"""Mails to people: notices become mails, and mails go away, beside everything else and waited for by nobody.

A notice is written in the transaction of what it tells of. Who is told, in which language and whether they want to be,
is read when it is told, a moment later. A mail is sent at least once, under one Message-ID; refused, it is tried again
for three days, and then given up in the log and in a metric. Its content is sealed while it waits.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Final, assert_never
from urllib.parse import urlsplit

import structlog

from tocsin.clock import SECOND
from tocsin.domain.errors import Unavailable
from tocsin.domain.languages import DEFAULT, Language
from tocsin.domain.mails import GIVE_UP_SECONDS, Again, GiveUp, Notice, NoticeKind, after_failure
from tocsin.hal.links import Target
from tocsin.mail.message import Mail, compose, one_line
from tocsin.mail.templates import write
from tocsin.mail.transport import Transport, Undelivered
from tocsin.metrics import Metrics
from tocsin.service.authentication import Authentication
from tocsin.service.context import Context
from tocsin.storage import mails as stored
from tocsin.storage import organizations, people, webhooks
from tocsin.storage.interface import Reading, Writing
from tocsin.storage.mails import Addressee, Due

POLL_SECONDS: Final = 1.0
NOTICES: Final = 10
"""Told in one transaction: a few, because others wait for it where there is one writer."""
BATCH: Final = 50
"""Mails taken at a time."""
SENDING_MAX: Final = 5
"""Mails on their way at once, of one node."""
CLAIM_SECONDS: Final = 900.0
"""Longer than a batch takes where each mail takes all the time it may have."""
PAUSE_SECONDS: Final = 5.0
"""After an error of the database."""

log = structlog.get_logger(__name__)


class Mails:
    """`sender`: what mails come from; `transport`: what they leave by."""

    def __init__(
        self, context: Context, authentication: Authentication, metrics: Metrics, transport: Transport, sender: str
    ) -> None:
        self._context = context
        self._authentication = authentication
        self._metrics = metrics
        self._transport = transport
        self._sender = sender

    async def run(self) -> None:
        """Until cancelled. Any number of nodes may: what one works on, the others pass over."""
        while True:
            pause = POLL_SECONDS
            try:
                pause = 0 if await self.turn() else POLL_SECONDS
            except Unavailable as error:
                log.warning("mailing_waits", reason=str(error))
                pause = PAUSE_SECONDS
            except Exception as error:
                log.exception("mailing_failed", error=type(error).__name__)
                pause = PAUSE_SECONDS
            await asyncio.sleep(pause)

    async def turn(self) -> bool:
        """Tell what is to be told, send what is due; whether there was any of that."""
        now = self._context.clock.now()
        async with self._context.storage.read() as tx:
            if not await stored.any_work(tx, now):
                return False
        told = await self._tell_all()
        due = await self._context.storage.write(
            lambda tx: stored.take(tx, now, BATCH, now + round(CLAIM_SECONDS * SECOND))
        )
        if due:
            await self._send_all(due)
        return told > 0 or bool(due)

    # Notices become mails

    async def _tell_all(self) -> int:
        """A batch of notices; how many are done with. One that can't be told keeps no other from being told."""
        try:
            return await self._context.storage.write(self._tell_batch)
        except Unavailable:
            raise
        except Exception as error:
            log.exception("notices_not_told", error=type(error).__name__)
        async with self._context.storage.read() as tx:
            ids = await stored.waiting_notices(tx, NOTICES)
        return sum([await self._tell_one(notice_id) for notice_id in ids])

    async def _tell_batch(self, tx: Writing) -> int:
        await stored.remove_old_notices(tx, self._context.clock.now() - GIVE_UP_SECONDS * SECOND)
        return await self._told(tx, await stored.take_notices(tx, NOTICES))

    async def _tell_one(self, notice_id: int) -> int:
        async def tell(tx: Writing) -> int:
            return await self._told(tx, await stored.take_notice(tx, notice_id))

        try:
            return await self._context.storage.write(tell)
        except Unavailable:
            raise
        except Exception as error:
            log.exception("notice_not_told", notice=notice_id, error=type(error).__name__)
            return 0

    async def _told(self, tx: Writing, found: Sequence[tuple[int, Notice]]) -> int:
        for _, notice in found:
            addressees = await self._addressees(tx, notice)
            values = await self._values(tx, notice, addressees) if addressees else None
            for one in addressees if values is not None else ():
                await self._enqueue(tx, notice.kind, one, values or {})
        await stored.remove_notices(tx, [notice_id for notice_id, _ in found])
        return len(found)

    async def _enqueue(self, tx: Writing, kind: NoticeKind, to: Addressee, values: Mapping[str, str]) -> None:
        text = write(kind, to.language, values)
        mail_id = self._context.new_id()
        content = {"to": to.address, "language": to.language.value, "subject": text.subject, "text": text.body}
        sealed = self._context.vault.seal(json.dumps(content).encode(), _purpose(mail_id))
        await stored.insert(tx, mail_id, kind, to.person_id, sealed, self._context.clock.now())

    async def _addressees(self, tx: Reading, notice: Notice) -> list[Addressee]:
        """Whoever did it needs no mail about it; and who wants no mails gets none but about their password."""
        match notice.kind:
            case NoticeKind.REPORT_CREATED | NoticeKind.REPORT_DELEGATED:
                return await _of_organization(tx, notice)
            case NoticeKind.WEBHOOK_DISABLED:
                assert notice.organization_id is not None
                return await stored.admins(tx, notice.organization_id)
            case NoticeKind.OPERATION_ASSIGNED:
                return await _person(tx, notice, always=False)
            case NoticeKind.PASSWORD_CHANGED:
                return await _person(tx, notice, always=True)
            case NoticeKind.PASSWORD_REQUESTED:
                return await self._forgetful(tx, notice)
        assert_never(notice.kind)

    async def _forgetful(self, tx: Reading, notice: Notice) -> list[Addressee]:
        """Whose address it is, unless it is nobody's, or links enough were mailed there."""
        assert notice.address is not None
        row = await people.by_email(tx, notice.address)
        if row is None or not await self._authentication.may_be_mailed_a_link(tx, row["id"]):
            return []
        return [Addressee(row["email"], stored.language(row), row["id"])]

    async def _values(self, tx: Writing, notice: Notice, to: Sequence[Addressee]) -> dict[str, str] | None:
        """What the text names; None where what it tells of is gone by now."""
        if notice.kind is NoticeKind.PASSWORD_CHANGED:
            return {}
        if notice.kind is NoticeKind.PASSWORD_REQUESTED:
            assert to[0].person_id is not None
            token = await self._authentication.make_mailed_link(tx, to[0].person_id)
            return {"link": self._link(Target.PASSWORD_CHANGE, token=token)}
        assert notice.organization_id is not None
        assert notice.subject_id is not None
        values = {"organization": await _name(tx, notice.organization_id)}
        if notice.kind is NoticeKind.OPERATION_ASSIGNED:
            return {**values, "link": self._link(Target.OPERATION, operation=notice.subject_id)}
        if notice.kind is NoticeKind.WEBHOOK_DISABLED:
            return await self._of_webhook(tx, notice, values)
        if notice.kind is NoticeKind.REPORT_DELEGATED:
            values["partner"] = await _name(tx, notice.details["partner"])
        return {**values, "link": self._link(Target.REPORT, report=notice.subject_id)}

    async def _of_webhook(self, tx: Reading, notice: Notice, values: dict[str, str]) -> dict[str, str] | None:
        assert notice.subject_id is not None
        row = await webhooks.find(tx, notice.subject_id)
        if row is None:
            return None
        receiver = urlsplit(row["payload_url"]).netloc
        link = self._link(Target.WEBHOOK, webhook=notice.subject_id)
        return {**values, "receiver": receiver, "reason": one_line(notice.details["reason"]), "link": link}

    def _link(self, target: Target, **mapping: str) -> str:
        return str(self._context.hal.links.to(target, **mapping)["href"])

    # Mails go away

    async def _send_all(self, due: Sequence[Due]) -> None:
        """And write what became of them, in one transaction."""
        room = asyncio.Semaphore(SENDING_MAX)

        async def send(one: Due) -> Undelivered | None:
            async with room:
                return await self._send(one)

        outcomes = await asyncio.gather(*(send(one) for one in due))
        now = self._context.clock.now()
        nexts = [_next(one, outcome, now) for one, outcome in zip(due, outcomes, strict=True)]

        async def settle(tx: Writing) -> None:
            for one, then in zip(due, nexts, strict=True):
                if isinstance(then, Again):
                    await stored.put_off(tx, one.id, one.failures + 1, then.at)
            done = [one.id for one, then in zip(due, nexts, strict=True) if not isinstance(then, Again)]
            await stored.remove(tx, done)

        await self._context.storage.write(settle)
        for one, outcome, then in zip(due, outcomes, nexts, strict=True):
            self._report(one, outcome, then)

    async def _send(self, one: Due) -> Undelivered | None:
        """None where it was taken."""
        try:
            message = compose(self._opened(one), self._sender)
        except ValueError as error:
            return Undelivered(f"The mail could not be made: {type(error).__name__}.", permanent=True)
        try:
            await self._transport.send(message)
        except Undelivered as undelivered:
            return undelivered
        return None

    def _opened(self, one: Due) -> Mail:
        content = json.loads(self._context.vault.open(one.content, _purpose(one.id)))
        language = Language(content["language"])
        return Mail(one.id, content["to"], language, content["subject"], content["text"], one.created_at)

    def _report(self, one: Due, outcome: Undelivered | None, then: Again | GiveUp | None) -> None:
        """In metrics and, of what was not taken, in the log: never what it says nor to whom."""
        if outcome is None:
            self._metrics.mails.count("sent")
            return
        told = {"mail": one.id, "kind": one.kind.value, "failures": one.failures + 1, "reason": str(outcome)}
        if isinstance(then, GiveUp):
            self._metrics.mails.count("given_up")
            log.error("mail_given_up", **told)
        else:
            self._metrics.mails.count("refused")
            log.warning("mail_refused", **told)


def _purpose(mail_id: str) -> str:
    return f"mail:{mail_id}"


def _next(one: Due, outcome: Undelivered | None, now: int) -> Again | GiveUp | None:
    """None: it is done with."""
    if outcome is None:
        return None
    return after_failure(one.kind, one.failures + 1, one.created_at, now, permanent=outcome.permanent)


async def _of_organization(tx: Reading, notice: Notice) -> list[Addressee]:
    """The address that it named for that; its admins, where it named none."""
    assert notice.organization_id is not None
    organization = await organizations.find(tx, notice.organization_id)
    assert organization is not None, "organizations stay"
    actor = None if notice.actor_id is None else await stored.person(tx, notice.actor_id)
    address = organization.notification_email_address
    if address is None:
        return [one for one in await stored.admins(tx, organization.id) if one.person_id != notice.actor_id]
    if actor is not None and people.fold(address) == actor["email_folded"]:
        return []
    return [Addressee(address, DEFAULT)]


async def _person(tx: Reading, notice: Notice, *, always: bool) -> list[Addressee]:
    """`always`: whatever they prefer, and also who did it."""
    assert notice.person_id is not None
    row = await stored.person(tx, notice.person_id)
    if row is None or row["erased_at"] is not None:
        return []
    if not (always or (row["message_email_enabled"] and row["id"] != notice.actor_id)):
        return []
    return [Addressee(row["email"], stored.language(row), row["id"])]


async def _name(tx: Reading, organization_id: str) -> str:
    organization = await organizations.find(tx, organization_id)
    assert organization is not None, "organizations stay"
    return one_line(organization.name)
