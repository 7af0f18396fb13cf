"""TLS with receivers whose certificates are right, and with those that are not."""

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
import trustme

from tests.hostile.behaviours import BEHAVIOURS
from tests.hostile.sending import BODY, LIMITS, LOOPBACK, listening, post
from tocsin.delivery.address import Address
from tocsin.delivery.outcome import OutcomeKind
from tocsin.delivery.sender import Sender

pytestmark = pytest.mark.anyio

NAME = "receiver.example.org"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
PAST = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)


class Loopback:
    """Every name is this machine."""

    async def resolve(self, host: str) -> Sequence[Address]:
        assert host
        return [ip_address("127.0.0.1")]


def context_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@asynccontextmanager
async def serving(context: ssl.SSLContext) -> AsyncIterator[int]:
    """A receiver behind TLS; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while await reader.readuntil(b"\r\n\r\n") and await reader.readexactly(len(BODY)):
                writer.write(ANSWER)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's side of refused handshakes
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@asynccontextmanager
async def sending(authority: trustme.CA, directory: Path) -> AsyncIterator[Sender]:
    file = directory / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    limits = replace(LIMITS, attempt_timeout_seconds=3.0)
    sender = Sender(limits, allowed=LOOPBACK, ca_file=file, resolver=Loopback())
    try:
        yield sender
    finally:
        await sender.close()


async def test_a_trusted_receiver_is_sent_to_over_one_connection(authority: trustme.CA, tmp_path: Path) -> None:
    async with serving(context_of(authority.issue_cert(NAME))) as port, sending(authority, tmp_path) as sender:
        first, second = [await post(sender, f"https://{NAME}:{port}/") for _ in range(2)]
    assert (first.status, second.status) == (200, 200)
    assert first.durations.tls is not None
    assert second.durations.tls is None


@pytest.mark.parametrize("wrong", ["expired", "another host", "self-signed", "TLS 1.1 only"])
async def test_a_receiver_that_can_not_be_trusted_is_not_sent_to(
    authority: trustme.CA, tmp_path: Path, wrong: str
) -> None:
    expired = PAST if wrong == "expired" else None
    issuer = trustme.CA() if wrong == "self-signed" else authority
    name = "other.example.org" if wrong == "another host" else NAME
    context = context_of(issuer.issue_cert(name, not_after=expired))
    if wrong == "TLS 1.1 only":
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.deprecated_call():
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    async with serving(context) as port, sending(authority, tmp_path) as sender:
        outcome = await post(sender, f"https://{NAME}:{port}/")
    assert outcome.kind is OutcomeKind.TLS_FAILED
    assert outcome.reason.startswith("TLS with the receiver failed: ")


async def test_a_handshake_that_hangs_ends_in_time(authority: trustme.CA, tmp_path: Path) -> None:
    never = next(one for one in BEHAVIOURS if one.name == "never reads")
    async with listening(never) as url, sending(authority, tmp_path) as sender:
        outcome = await post(sender, url.replace("http:", "https:").replace("127.0.0.1", NAME))
    assert outcome.kind is OutcomeKind.TLS_TIMEOUT


async def test_a_receiver_that_speaks_no_tls_is_a_failure(authority: trustme.CA, tmp_path: Path) -> None:
    plain = next(one for one in BEHAVIOURS if one.name == "another protocol")
    async with listening(replace(plain, reads_request=False)) as url, sending(authority, tmp_path) as sender:
        outcome = await post(sender, url.replace("http:", "https:").replace("127.0.0.1", NAME))
    assert outcome.kind is OutcomeKind.TLS_FAILED
