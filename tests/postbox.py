"""Where mails arrive: a real SMTP server on a socket, and the folder of installations that have none."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.conftest import Service


@dataclass
class Mailbox:
    """`answer` says what the server makes of a mail, by its recipient; None: it takes it."""

    port: int = 0
    answer: Callable[[str], str | None] = lambda _: None
    received: list[EmailMessage] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    users: list[tuple[bytes, bytes]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:  # noqa: N802 # aiosmtpd's name
        self.asked.append(address)
        refused = self.answer(address)
        if refused is None:
            envelope.rcpt_tos.append(address)
        return refused or "250 OK"

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 # aiosmtpd's name
        assert isinstance(envelope.content, bytes)
        self.received.append(read(envelope.content))
        self.encrypted.append(session.ssl is not None)
        return "250 OK"

    def authenticate(self, _: SMTP, __: Session, ___: Envelope, ____: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.users.append((given.login, given.password))
        return AuthResult(success=given.password == b"s3cret/@")


def read(content: bytes) -> EmailMessage:
    return message_from_bytes(content, policy=default)


def text(mail: EmailMessage) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


@asynccontextmanager
async def mailbox(tls: ssl.SSLContext | None = None, *, implicit: bool = False) -> AsyncIterator[Mailbox]:
    """Listens on loopback while the context lasts; `tls`: by STARTTLS, or from the beginning where it is `implicit`."""
    made = Mailbox()

    def protocol() -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it asks for a password: it does not see that TLS came first
            return speak()

    def speak() -> SMTP:
        return SMTP(
            made,
            hostname="mail.example.org",
            tls_context=None if implicit else tls,
            require_starttls=tls is not None and not implicit,
            authenticator=made.authenticate,
            auth_required=tls is not None,
            auth_require_tls=tls is not None and not implicit,
            enable_SMTPUTF8=True,
            loop=asyncio.get_running_loop(),
        )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=tls if implicit else None)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


async def post(service: Service) -> list[EmailMessage]:
    """Let the service send what there is to send; everything that its folder holds by then, oldest first."""
    while await service.use_cases.mails.turn():
        pass
    assert service.settings.mail_directory is not None
    files: list[Path] = sorted(service.settings.mail_directory.glob("*"))
    return [read(file.read_bytes()) for file in files]


async def to(service: Service, address: str) -> list[EmailMessage]:
    """As `post`, of those to one address."""
    return [mail for mail in await post(service) if mail["To"] == address]
