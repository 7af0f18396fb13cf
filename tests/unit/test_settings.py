"""Settings: right ones are read, wrong ones are refused by name."""

import base64
import os
import stat
from pathlib import Path

import pytest

from tocsin.key import load_key
from tocsin.service.vault import Vault, VaultError
from tocsin.settings import SettingsError, decode_key, load

KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://x"),
        ("DATABASE_URL", "postgresql:"),
        ("DATABASE_URL", "sqlite:///"),
        ("PUBLIC_URL", "tocsin.example.org"),
        ("PUBLIC_URL", "https://tocsin.example.org/?a=b"),
        ("SECRET_KEY", "short"),
        ("ORGANIZATIONS", "everybody"),
        ("ALLOW_NETWORKS", "10.0.0.1/8"),
        ("ALLOW_NETWORKS", "x"),
        ("CA_FILE", "/nowhere/ca.pem"),
        ("RETRY_SCHEDULE", ""),
        ("RETRY_SCHEDULE", "5,-1"),
        ("RETRY_SCHEDULE", "5,nan"),
        ("ATTEMPT_TIMEOUT", "0"),
        ("ATTEMPT_TIMEOUT", "26"),
        ("WORKER_CONCURRENCY", "many"),
        ("RATE_LIMITS", "maybe"),
        ("SMTP_URL", "mail.example.org"),
        ("SMTP_URL", "smtp://a:b@mail.example.org"),
        ("MAIL_FROM", "nobody"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name_and_what_would_be_right(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"TOCSIN_{name} must be .+"):
        load({f"TOCSIN_{name}": value})


def test_a_mail_server_needs_a_sender() -> None:
    server = {"TOCSIN_SMTP_URL": "smtp://mail.example.org"}
    with pytest.raises(SettingsError, match="TOCSIN_MAIL_FROM must be an address"):
        load(server)
    assert load({**server, "TOCSIN_MAIL_FROM": "Tocsin <t@example.org>"}).mail_from == "Tocsin <t@example.org>"


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        load({"TOCSIN_RATE_LIMITS": "x", "TOCSIN_ORGANIZATIONS": "x"})
    assert len(str(raised.value).splitlines()) == 2


def test_a_setting_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(base64.urlsafe_b64encode(KEY) + b"\n")
    settings = load({"TOCSIN_SECRET_KEY_FILE": str(file)})
    assert load_key(settings) == KEY
    with pytest.raises(SettingsError, match="TOCSIN_SECRET_KEY_FILE names a file that can't be read"):
        load({"TOCSIN_SECRET_KEY_FILE": str(tmp_path / "nowhere")})


def test_a_key_is_read_in_either_alphabet() -> None:
    for encoded in (base64.b64encode(b"\xff" * 32), base64.urlsafe_b64encode(b"\xff" * 32)):
        assert decode_key(encoded.decode()) == b"\xff" * 32
        assert decode_key(encoded.decode().rstrip("=")) == b"\xff" * 32


def test_a_key_is_made_once_beside_the_database(tmp_path: Path) -> None:
    settings = load({"TOCSIN_DATABASE_URL": f"sqlite:///{tmp_path}/tocsin.db"})
    key = load_key(settings)
    assert load_key(settings) == key
    file = tmp_path / "tocsin.db-key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["tocsin.db-key"]
    file.write_text("rubbish")
    with pytest.raises(SettingsError, match="TOCSIN_SECRET_KEY"):
        load_key(settings)


def test_a_sealed_value_opens_by_its_key_and_purpose_only() -> None:
    vault = Vault(KEY, os.urandom)
    sealed = vault.seal(b"secret", "webhook:1")
    assert vault.open(sealed, "webhook:1") == b"secret"
    assert vault.seal(b"secret", "webhook:1") != sealed
    for wrong in (Vault(bytes(32), os.urandom), vault):
        with pytest.raises(VaultError):
            wrong.open(sealed, "webhook:2" if wrong is vault else "webhook:1")
    with pytest.raises(VaultError):
        vault.open(b"\x02" + sealed[1:], "webhook:1")
