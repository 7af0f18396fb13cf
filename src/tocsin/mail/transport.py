"""What a mail leaves by."""

from email.message import EmailMessage
from typing import Protocol


class Undelivered(Exception):
    """The mail was not taken. `permanent`: trying the same again is of no use. The reason names no address."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


class Transport(Protocol):
    async def send(self, message: EmailMessage) -> None:
        """Returns when somebody else answers for the mail. Raises Undelivered. May be given the same mail again."""
        ...
