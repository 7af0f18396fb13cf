"""TOCSIN_SECRET_KEY: given, or on SQLite made once beside the database's file."""

import base64
import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

from tocsin.settings import KEY_BYTES, Settings, SettingsError, decode_key
from tocsin.storage.migrate import is_sqlite, sqlite_path

MODE: Final = 0o600


def load_key(settings: Settings) -> bytes:
    """The 32 bytes. On SQLite made beside the database's file where no setting gives them. Raises SettingsError."""
    if settings.secret_key is None and is_sqlite(settings.database_url):
        with contextlib.suppress(FileExistsError):
            _make(key_file(sqlite_path(settings.database_url)))
    return existing_key(settings)


def existing_key(settings: Settings) -> bytes:
    """As `load_key`, but makes none."""
    if settings.secret_key is not None:
        return decode_key(settings.secret_key)
    if not is_sqlite(settings.database_url):
        raise SettingsError(
            "TOCSIN_SECRET_KEY must be set on PostgreSQL: 32 bytes in base64, the same on every machine"
        )
    file = key_file(sqlite_path(settings.database_url))
    try:
        return decode_key(file.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file} must hold 32 bytes in base64 (or set TOCSIN_SECRET_KEY): {error}") from None


def key_file(database: Path) -> Path:
    return database.with_name(f"{database.name}-key")


def _make(file: Path) -> None:
    """Write a new key, whole or not at all: file and directory are synced before anything is sealed with it."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)))
            opened.flush()
            os.fsync(opened.fileno())
        os.link(temporary, file)
    finally:
        temporary.unlink()
    directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
