"""Every setting, from the environment: `TOCSIN_<NAME>`, or `TOCSIN_<NAME>_FILE` naming a file that holds the value.

The only module that reads the environment. A wrong value is refused at start with the setting's name and what would
be right (`SettingsError`). The reference page of the docs is compared with the fields below.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from email_validator import validate_email
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from tocsin.mail import server

PREFIX: Final = "TOCSIN_"
KEY_BYTES: Final = 32

Network = IPv4Network | IPv6Network


class SettingsError(Exception):
    """The environment is wrong; one line for each setting, naming it and saying what would be right."""


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    database_url: str = Field(
        "sqlite:///tocsin.db", description="sqlite:///FILE (four slashes: absolute) or postgresql://…"
    )
    public_url: str | None = Field(None, description="base of every href, such as https://tocsin.example.org")
    secret_key: str | None = Field(None, description="32 bytes in base64, either alphabet")
    organizations: Literal["operator", "open"] = Field("operator", description="operator or open")
    allow_networks: tuple[Network, ...] = Field(
        (), description="networks in CIDR form, comma-separated, such as 10.1.0.0/16,fd00::/8"
    )
    ca_file: Path | None = Field(None, description="a file of certificates in PEM form")
    retry_schedule: tuple[float, ...] = Field(
        (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400),
        description="seconds after each failed attempt, comma-separated, each from 0 to 604800, at most 30 of them",
    )
    attempt_timeout: float = Field(15, ge=0.1, le=25, description="seconds from 0.1 to 25")
    worker_concurrency: int = Field(1000, ge=1, le=20_000, description="a whole number from 1 to 20000")
    retention_days: float = Field(30, gt=0, le=3650, description="days, more than 0 and at most 3650")
    retention_max_days: float = Field(
        90, gt=0, le=3650, description="days, at least TOCSIN_RETENTION_DAYS, at most 3650"
    )
    smtp_url: str | None = Field(
        None,
        description="smtp://user:password@host:port, smtp://…?starttls or smtps://…; a password needs TLS",
    )
    mail_from: str = Field(
        "tocsin@localhost",
        validate_default=True,
        description="an address, such as Tocsin <tocsin@example.org>; needed where TOCSIN_SMTP_URL is set",
    )
    mail_directory: Path | None = Field(None, description="a folder")
    rate_limits: Literal["on", "off"] = Field("on", description="on or off")
    trusted_proxies: tuple[Network, ...] = Field(
        (), description="networks in CIDR form, comma-separated, such as 10.1.0.4/32,fd00::/8"
    )

    @field_validator("database_url")
    @classmethod
    def _a_known_engine(cls, value: str) -> str:
        if value.startswith("sqlite:///") and value != "sqlite:///":
            return value
        if not value.startswith(("postgresql://", "postgres://")):
            raise ValueError
        return value

    @field_validator("public_url")
    @classmethod
    def _an_absolute_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError
        return value.rstrip("/")

    @field_validator("secret_key")
    @classmethod
    def _a_key(cls, value: str | None) -> str | None:
        if value is not None:
            decode_key(value)
        return value

    @field_validator("allow_networks", "trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        return _listed(value, ip_network)

    @field_validator("retry_schedule", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        seconds = _listed(value, float)
        if not 1 <= len(seconds) <= 30 or not all(0 <= one <= 604_800 for one in seconds):
            raise ValueError
        return seconds

    @field_validator("retention_max_days")
    @classmethod
    def _no_shorter_than_retention(cls, value: float, info: ValidationInfo) -> float:
        if value < info.data.get("retention_days", 0):
            raise ValueError
        return value

    @field_validator("smtp_url")
    @classmethod
    def _a_mail_server(cls, value: str | None) -> str | None:
        if value is not None:
            server.parse(value)
        return value

    @field_validator("mail_from")
    @classmethod
    def _an_address(cls, value: str, info: ValidationInfo) -> str:
        if value != cls.model_fields["mail_from"].default:
            validate_email(parseaddr(value)[1], check_deliverability=False)
        elif info.data.get("smtp_url") is not None:
            raise ValueError
        return value

    @field_validator("ca_file")
    @classmethod
    def _a_file_that_is_there(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError
        return value


def decode_key(value: str) -> bytes:
    """The 32 bytes of a key in base64, either alphabet, padded or not. Raises ValueError."""
    text = value.strip().replace("-", "+").replace("_", "/").rstrip("=")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError from error
    if len(key) != KEY_BYTES:
        raise ValueError
    return key


def _listed(value: Any, one: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(one(part.strip()) for part in value.split(",") if part.strip())


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings. Raises SettingsError with a line for each one that is wrong."""
    given = _given(os.environ if environment is None else environment)
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError("\n".join(_line(str(one["loc"][0])) for one in error.errors())) from None


def _given(environment: Mapping[str, str]) -> dict[str, Any]:
    """Values by field. A `*_FILE` gives the value of a setting that is not set itself."""
    given: dict[str, Any] = {}
    for field in Settings.model_fields:
        name = PREFIX + field.upper()
        file = environment.get(f"{name}_FILE")
        if name in environment:
            given[field] = environment[name]
        elif file is not None:
            given[field] = _content(f"{name}_FILE", Path(file))
    return given


def _content(name: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name} names a file that can't be read: {error}") from None


def _line(field: str) -> str:
    return f"{PREFIX}{field.upper()} must be {Settings.model_fields[field].description}"
