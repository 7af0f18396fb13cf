"""A mail as a message: plain text, and headers that nothing of what people wrote can add to. Pure.

The Message-ID is made of the mail's id, so that a mail that is sent again after a crash is known as the same.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from typing import Final

from tocsin.domain.languages import Language

SUBJECT_MAX_CHARACTERS: Final = 200
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")


@dataclass(frozen=True, slots=True)
class Mail:
    """`created_at`: microseconds."""

    id: str
    recipient: str
    language: Language
    subject: str
    text: str
    created_at: int


def compose(mail: Mail, sender: str) -> EmailMessage:
    """`sender`: an address, with a name or without. Raises ValueError for a recipient that is no address."""
    message = EmailMessage(policy=SMTP)
    message["From"] = address(sender)
    message["To"] = _single(mail.recipient)
    message["Subject"] = one_line(mail.subject)
    message["Date"] = datetime.fromtimestamp(mail.created_at // 1_000_000, UTC)
    message["Message-ID"] = f"<{mail.id}@{domain(sender)}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text, cte="quoted-printable")
    message["Content-Language"] = mail.language.value
    return message


def one_line(text: str) -> str:
    """Without line breaks and control characters, and of bounded length: fit for a header."""
    return _UNPRINTABLE.sub(" ", text).strip()[:SUBJECT_MAX_CHARACTERS]


def address(text: str) -> Address:
    """Of `Name <name@example.org>`, or of the address alone. Raises ValueError."""
    name, spec = parseaddr(text)
    return Address(display_name=one_line(name), addr_spec=spec)


def _single(spec: str) -> Address:
    try:
        found = Address(addr_spec=spec)
    except (HeaderParseError, IndexError) as error:
        raise ValueError("this is no address") from error
    if not (found.username and found.domain):
        raise ValueError("this is no address")
    return found


def domain(sender: str) -> str:
    """What follows the @ of the sender's address."""
    return address(sender).domain
