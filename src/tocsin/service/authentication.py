"""Who somebody is: accounts, logins, tokens of machines, and the caller that a credential stands for."""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, select

from tocsin.clock import SECOND
from tocsin.domain.errors import Invalid, NotFound, Unauthenticated, Violation
from tocsin.domain.languages import Language
from tocsin.domain.mails import LINK_SECONDS as MAILED_LINK_SECONDS
from tocsin.domain.mails import Notice, NoticeKind
from tocsin.domain.resources import Member, Person
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.service.passwords import Passwords
from tocsin.service.sessions import Sessions, load_key, new_key
from tocsin.storage import mails, organizations, people
from tocsin.storage.interface import Reading, Writing
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
ROLE_USER: Final = "ROLE_USER"

_SECRET = Query(select(secrets).where(secrets.c.name == bindparam("name")))
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
        self._sessions: Sessions | None = None

    async def open(self) -> None:
        """Load the key that signs tokens, or make it: several processes that start at once agree on one."""
        made = new_key()

        async def load(tx: Writing) -> bytes:
            row = await tx.row(_SECRET, name=JWT_KEY)
            if row is not None:
                return self._context.vault.open(row["value"], JWT_KEY)
            sealed = self._context.vault.seal(made, JWT_KEY)
            await tx.insert(secrets, {"name": JWT_KEY, "value": sealed, "created_at": self._context.clock.now()})
            return made

        self._sessions = Sessions(load_key(await self._context.storage.write(load)))

    @property
    def sessions(self) -> Sessions:
        assert self._sessions is not None, "open() comes first"
        return self._sessions

    async def caller(self, credential: str) -> Caller:
        """Whoever the bearer of the credential is, with the roles of this moment. Raises Unauthenticated."""
        if credential.startswith(TOKEN_PREFIX):
            return await self._machine(credential)
        session = self.sessions.check(credential, self._seconds())
        async with self._context.storage.read() as tx:
            found = await organizations.caller_roles(tx, session.person_id)
        if found is None:
            raise Unauthenticated("The token's person is no more.")
        password_changed_at, roles = found
        if session.issued_at < password_changed_at // SECOND:
            raise Unauthenticated("The password was changed since this token was issued.")
        return Caller(person_id=session.person_id, roles=roles)

    async def _machine(self, credential: str) -> Caller:
        async with self._context.storage.read() as tx:
            token = await organizations.token_by_hash(tx, digest(credential))
        if token is None:
            raise Unauthenticated("The token is not one of ours.")
        if token.expires_at is not None and self._context.clock.now() >= token.expires_at:
            raise Unauthenticated("The token has expired.")
        return Caller(token_id=token.id, roles={token.organization_id: frozenset(token.roles)})

    async def register(self, email: str, password: str, language: Language | None = None) -> Person:
        """A new account; `language`: of its mails. Raises Invalid, path `email`, where the address has one."""
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

    async def login(self, login: str, password: str, ip: str) -> Login:
        """Raises Unauthenticated, in the same words and time for an unknown account and a wrong password."""
        async with self._context.storage.read() as tx:
            row = await people.by_email(tx, login)
            memberships = [] if row is None else await organizations.memberships(tx, row["id"])
        right = await self._passwords.matches(None if row is None else row["password_hash"], password)
        if row is None or not right:
            raise Unauthenticated("The login or the password is wrong.")
        roles = [ROLE_USER, *sorted({role for one in memberships for role in one.roles})]
        token = self.sessions.issue(row["id"], row["email"], roles, ip, self._seconds())
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

    async def request_password(self, email: str) -> None:
        """A link to set a password is mailed to the account with this address, if there is one.

        Whether there is, is looked up later and elsewhere, so that nobody learns it here by words or time.
        """
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
