"""The mail server that the operator names, as a URL. Pure.

`smtp://` speaks plainly, `smtp://…?starttls` and `smtps://` with TLS and a certificate that is checked. A password goes
over TLS only, or to this machine.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import unquote, urlsplit

PORTS: Final = {"smtp": 25, "smtps": 465}
STARTTLS_PORT: Final = 587
HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Security(StrEnum):
    PLAIN = "plain"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Server:
    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def parse(url: str) -> Server:
    """Of smtp://user:password@host:port, smtp://…?starttls or smtps://…; user and password percent-encoded.

    Raises ValueError.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname or parts.path not in {"", "/"} or parts.fragment:
        raise ValueError("not the URL of an SMTP server")
    if parts.query not in {"", "starttls"} or (parts.query and parts.scheme == "smtps"):
        raise ValueError("the only option is starttls, with smtp")
    security = Security.TLS if parts.scheme == "smtps" else Security.STARTTLS if parts.query else Security.PLAIN
    usual = STARTTLS_PORT if security is Security.STARTTLS else PORTS[parts.scheme]
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    if (username is None) is not (password is None):
        raise ValueError("a user and a password, or neither")
    if username is not None and security is Security.PLAIN and parts.hostname not in HERE:
        raise ValueError("a password is not sent without TLS")
    return Server(parts.hostname, parts.port or usual, security, username, password)
