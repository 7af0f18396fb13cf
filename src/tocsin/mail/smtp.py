"""Mails by SMTP, to the one host that the operator named: no other module but the sender opens sockets outward."""

import asyncio
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Final

import aiosmtplib

from tocsin.mail.message import domain
from tocsin.mail.server import Security, Server
from tocsin.mail.transport import Undelivered

SEND_SECONDS: Final = 30.0
"""For one mail, from the connection to the last answer."""


class Smtp:
    """A connection for each mail: they are few, and an idle one would be closed by the time it is wanted."""

    def __init__(self, server: Server, sender: str, ca_file: Path | None = None) -> None:
        """`ca_file`: trusted besides the system's."""
        self._server = server
        self._name = domain(sender)
        self._context = None if server.security is Security.PLAIN else ssl.create_default_context()
        if self._context is not None and ca_file is not None:
            self._context.load_verify_locations(ca_file)

    async def send(self, message: EmailMessage) -> None:
        server = self._server
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await aiosmtplib.send(
                    message,
                    hostname=server.host,
                    port=server.port,
                    username=server.username,
                    password=server.password,
                    use_tls=server.security is Security.TLS,
                    start_tls=server.security is Security.STARTTLS,
                    tls_context=self._context,
                    local_hostname=self._name,
                    timeout=SEND_SECONDS,
                )
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            raise _undelivered(error) from error


def _undelivered(error: Exception) -> Undelivered:
    """Without the server's own words, which may name an address."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            code = max(one.code for one in error.recipients)
            return Undelivered(f"The server refused the recipient: {code}.", permanent=code >= 500)
        case aiosmtplib.SMTPDataError():
            return Undelivered(f"The server refused the mail: {error.code}.", permanent=error.code >= 500)
        case aiosmtplib.SMTPResponseException():
            return Undelivered(f"{type(error).__name__}: {error.code}.")
        case aiosmtplib.SMTPConnectError():
            return Undelivered(error.message)
    return Undelivered(f"{type(error).__name__}.")
