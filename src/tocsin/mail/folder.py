"""Mails as files, for installations without SMTP: `<id>.eml`, which mail programs open. Only their owner reads them."""

import asyncio
import os
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path
from typing import Final

from tocsin.mail.transport import Undelivered

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600


class Folder:
    """Made when the first mail comes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def send(self, message: EmailMessage) -> None:
        try:
            await asyncio.to_thread(self._write, message)
        except OSError as error:
            raise Undelivered(f"The folder can't be written to: {error.strerror}.") from error

    def _write(self, message: EmailMessage) -> None:
        """Whole or not at all; the same mail again is the same file."""
        self._directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        name = message["Message-ID"].strip("<>").partition("@")[0]
        part = self._directory / f"{name}.part"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(message.as_bytes(policy=SMTPUTF8))
        part.rename(part.with_suffix(".eml"))
