"""Who somebody is: accounts, logins, tokens of machines, and the caller that a credential stands for."""

import asyncio
import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, or_, select

from tocsin.clock import SECOND
from tocsin.domain.errors import Invalid, NotFound, Unauthenticated, Violation
from tocsin.domain.languages import Language
from tocsin.domain.mails import LINK_SECONDS as MAILED_LINK_SECONDS
from tocsin.domain.mails import Notice, NoticeKind
from tocsin.domain.resources import Member, Person
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.service.limits import FAILED_LOGINS, PASSWORD_REQUESTS, REGISTRATIONS, Limits
from tocsin.service.passwords import Passwords
from tocsin.service.sessions import RELOAD_SECONDS, Session, Sessions, SigningKey, due, load_key, spent
from tocsin.storage import mails, organizations, people
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.schema import password_links, secrets
from tocsin.storage.statements import Query

TOKEN_PREFIX: Final = "tocsin_"
"""So that secret scanners find a token that leaked."""
TOKEN_BYTES: Final = 32
LINK_BYTES: Final = 32
LINK_SECONDS: Final = 7 * 86_400
"""How long a link to set a password works that the operator was shown."""
MAILED_LINKS_MAX: Final = 3
"""Links to set a password that one account is mailed within an hour."""
JWT_KEY: Final = "jwt-key"
"""The name of the first key; later ones have it before a colon."""
ROLE_USER: Final = "ROLE_USER"

_KEYS = Query(select(secrets).where(or_(secrets.c.name == JWT_KEY, secrets.c.name.like(f"{JWT_KEY}:%"))))
_REMOVE_KEY = Query(delete(secrets).where(secrets.c.name == bindparam("name")))
_LINK = Query(select(password_links).where(password_links.c.hash == bindparam("hash")))
_REMOVE_LINKS = Query(delete(password_links).where(password_links.c.person_id == bindparam("person_id")))


@dataclass(frozen=True, slots=True)
class Login:
    token: str
    person: Person
    memberships: tuple[Member, ...]


def digest(credential: str) -> bytes:
    """How a random credential is stored: it has entropy enough for a plain hash."""
    return hashlib.sha256(credential.encode()).digest()


def new_credential(random: bytes) -> str:
    return urlsafe_b64encode(random).rstrip(b"=").decode("ascii")


class Authentication:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._passwords = Passwords() if context.password_hasher is None else Passwords(context.password_hasher)
        self._limits = Limits(context)
        self._sessions: Sessions | None = None
        self._loaded_at = 0

    async def open(self) -> None:
        """Load the keys that sign tokens, or make the first: several processes that start at once agree on one."""
        async with self._context.storage.read() as tx:
            rows = await tx.rows(_KEYS)
        self._use(rows or await self._make_first())

    async def _make_first(self) -> Sequence[Row]:
        made = await asyncio.to_thread(self._context.make_key)

        async def insert(tx: Writing) -> Sequence[Row]:
            if not await tx.rows(_KEYS):
                await self._insert_key(tx, JWT_KEY, made)
            return await tx.rows(_KEYS)

        return await self._context.storage.write(insert)

    async def rotate(self) -> None:
        """Make a key where the newest has signed long enough, and remove those that no valid token needs. A chore."""
        async with self._context.storage.read() as tx:
            rows = await tx.rows(_KEYS)
        made = {row["name"]: row["created_at"] // SECOND for row in rows}
        now = self._seconds()
        spare = await asyncio.to_thread(self._context.make_key) if due(made.values(), now) else None
        gone = spent(made, now)

        async def change(tx: Writing) -> Sequence[Row]:
            if spare is not None:
                await self._insert_key(tx, f"{JWT_KEY}:{self._context.new_id()}", spare)
            for name in gone:
                await tx.execute(_REMOVE_KEY, name=name)
            return await tx.rows(_KEYS)

        if spare is not None or gone:
            self._use(await self._context.storage.write(change))

    async def _insert_key(self, tx: Writing, name: str, pem: bytes) -> None:
        sealed = self._context.vault.seal(pem, name)
        await tx.insert(secrets, {"name": name, "value": sealed, "created_at": self._context.clock.now()})

    def _use(self, rows: Sequence[Row]) -> None:
        keys = [
            SigningKey(
                row["name"], row["created_at"] // SECOND, load_key(self._context.vault.open(row["value"], row["name"]))
            )
            for row in rows
        ]
        if self._sessions is None:
            self._sessions = Sessions(keys)
        else:
            self._sessions.replace(keys)
        self._loaded_at = self._seconds()

    async def _present(self) -> Sessions:
        """With the keys that there are: another process may have made one."""
        now = self._seconds()
        if abs(now - self._loaded_at) >= RELOAD_SECONDS:
            self._loaded_at = now
            async with self._context.storage.read() as tx:
                self._use(await tx.rows(_KEYS))
        return self.sessions

    @property
    def sessions(self) -> Sessions:
        assert self._sessions is not None, "open() comes first"
        return self._sessions

    async def caller(self, credential: str) -> Caller:
        """Whoever the bearer of the credential is, with the roles of this moment. Raises Unauthenticated."""
        if credential.startswith(TOKEN_PREFIX):
            return await self._machine(credential)
        session = (await self._present()).check(credential, self._seconds())
        async with self._context.storage.look() as tx:
            found = await organizations.caller_roles(tx, session.person_id)
        if found is None:
            raise Unauthenticated("The token's person is no more.")
        password_changed_at, roles = found
        if not _of_password(session, password_changed_at):
            raise Unauthenticated("The password was changed since this token was issued.")
        return Caller(person_id=session.person_id, roles=roles)

    async def _machine(self, credential: str) -> Caller:
        async with self._context.storage.look() as tx:
            token = await organizations.token_by_hash(tx, digest(credential))
        if token is None:
            raise Unauthenticated("The token is not one of ours.")
        if token.expires_at is not None and self._context.clock.now() >= token.expires_at:
            raise Unauthenticated("The token has expired.")
        return Caller(token_id=token.id, roles={token.organization_id: frozenset(token.roles)})

    async def register(self, email: str, password: str, ip: str, language: Language | None = None) -> Person:
        """A new account; `language`: of its mails.

        Raises Invalid, path `email`, where there is one with this address; TooManyRequests.
        """
        await self._limits.take(REGISTRATIONS, ip)
        hashed = await self._passwords.hash(password)
        context = self._context

        async def insert(tx: Writing) -> Person:
            if await people.by_email(tx, email) is not None:
                raise Invalid(Violation("email", "There is an account with this address."))
            now = context.clock.now()
            person = Person(context.new_id(), email, now, now)
            await people.insert(tx, person, hashed, language)
            return person

        return await context.storage.write(insert)

    async def login(self, login: str, password: str, ip: str, network: str) -> Login:
        """Raises Unauthenticated, in the same words and time for an unknown account and a wrong password.

        `network`: what counts as one address; of it and the account together failures are limited (TooManyRequests),
        whether there is such an account or not. A success forgets them.
        """
        whose = (people.fold(login), network)
        await self._limits.take(FAILED_LOGINS, *whose)
        async with self._context.storage.read() as tx:
            row = await people.by_email(tx, login)
        right = await self._passwords.matches(None if row is None else row["password_hash"], password)
        if row is None or not right:
            raise Unauthenticated("The login or the password is wrong.")
        await self._limits.clear(FAILED_LOGINS, *whose)
        async with self._context.storage.read() as tx:
            memberships = await organizations.memberships(tx, row["id"])
        roles = [ROLE_USER, *sorted({role for one in memberships for role in one.roles})]
        sessions = await self._present()
        token = sessions.issue(row["id"], row["email"], roles, ip, self._seconds(), row["password_changed_at"])
        return Login(token, people.person(row), tuple(memberships))

    async def set_password(self, link: str, password: str) -> None:
        """Set the password of whom the link was made for. Raises NotFound where it is unknown, used or too old."""
        hashed = await self._passwords.hash(password)
        now = self._context.clock.now()

        async def change(tx: Writing) -> None:
            row = await tx.row(_LINK, hash=digest(link))
            if row is None or row["expires_at"] <= now:
                raise NotFound("This link is unknown, used or too old.")
            await people.set_password(tx, row["person_id"], hashed, now)
            await tx.execute(_REMOVE_LINKS, person_id=row["person_id"])
            await mails.tell(tx, Notice(NoticeKind.PASSWORD_CHANGED, person_id=row["person_id"]), now)

        await self._context.storage.write(change)

    async def request_password(self, email: str, ip: str) -> None:
        """A link to set a password is mailed to the account with this address, if there is one.

        Whether there is, is looked up later and elsewhere, so that nobody learns it here by words or time. Raises
        TooManyRequests.
        """
        await self._limits.take(PASSWORD_REQUESTS, ip)
        notice = Notice(NoticeKind.PASSWORD_REQUESTED, address=people.fold(email))
        await self._context.storage.write(lambda tx: mails.tell(tx, notice, self._context.clock.now()))

    async def may_be_mailed_a_link(self, tx: Reading, person_id: str) -> bool:
        """Not more than MAILED_LINKS_MAX within an hour."""
        since = self._context.clock.now() - MAILED_LINK_SECONDS * SECOND
        return await mails.links_since(tx, person_id, since) < MAILED_LINKS_MAX

    async def make_mailed_link(self, tx: Writing, person_id: str) -> str:
        """As `make_link`, for MAILED_LINK_SECONDS."""
        return await self._make_link(tx, person_id, MAILED_LINK_SECONDS)

    async def make_link(self, tx: Writing, person_id: str) -> str:
        """A credential with which the person may set a password, once."""
        return await self._make_link(tx, person_id, LINK_SECONDS)

    async def _make_link(self, tx: Writing, person_id: str, seconds: int) -> str:
        link = new_credential(self._context.entropy(LINK_BYTES))
        now = self._context.clock.now()
        row = {"hash": digest(link), "person_id": person_id, "expires_at": now + seconds * SECOND, "created_at": now}
        await tx.insert(password_links, row)
        return link

    def _seconds(self) -> int:
        return self._context.clock.now() // SECOND


def _of_password(session: Session, password_changed_at: int) -> bool:
    """Whether the session was opened with the present password."""
    if session.password_set_at is not None:
        return session.password_set_at == password_changed_at
    return session.issued_at >= password_changed_at // SECOND
