"""What receivers do to a sender: each behaviour is what a raw socket says and does after it has read a request.

A row names the outcome that must follow; a status where the answer counts. `reusable`: the connection may serve the
next request of the same sender.
"""

import asyncio
import gzip
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tocsin.delivery.outcome import OutcomeKind

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CHUNK = b"x" * 65536


@dataclass(frozen=True)
class Behaviour:
    name: str
    talk: Talk
    kind: OutcomeKind
    status: int | None = None
    reads_request: bool = True
    keeps: bool = False
    """Does it again for the next request on the same connection."""


def says(*parts: bytes, close: bool = True) -> Talk:
    """Sends the parts, one by one, and closes or stays."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
        if not close:
            await asyncio.sleep(3600)

    return talk


def repeats(first: bytes, again: bytes, every: float = 0.0) -> Talk:
    """Sends something, and then something else without end."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(every)

    return talk


def reset(*parts: bytes) -> Talk:
    """Sends the parts and breaks the connection (RST)."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return talk


def head(status: str = "200 OK", *lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *lines, "")).encode("latin-1")


HUGE = "Content-Length: 99999999999"
GZIP = "Content-Encoding: gzip"
NOTHING = "Content-Length: 0"
CHUNKED = ("200 OK", "Transfer-Encoding: chunked")
EMPTY = head("200 OK", "Content-Length: 0")
BOMB = gzip.compress(b"\0" * 10_000_000)
RESPONSE, LOST, TIMEOUT, PROTOCOL, TOO_LARGE = (
    OutcomeKind.RESPONSE,
    OutcomeKind.CONNECTION_LOST,
    OutcomeKind.RESPONSE_TIMEOUT,
    OutcomeKind.PROTOCOL_ERROR,
    OutcomeKind.HEAD_TOO_LARGE,
)
NEVER = says(close=False)

BEHAVIOURS = [
    Behaviour("answers", says(EMPTY), RESPONSE, 200),
    Behaviour("answers and stays", says(EMPTY), RESPONSE, 200, keeps=True),
    Behaviour("answers 204", says(head("204 No Content")), RESPONSE, 204, keeps=True),
    Behaviour("answers as HTTP/1.0", says(b"HTTP/1.0 200 OK\r\n\r\nfine"), RESPONSE, 200),
    Behaviour("answers until it closes", says(head(), b"fine"), RESPONSE, 200),
    Behaviour("answers in chunks", says(head(*CHUNKED), b"2\r\nok\r\n0\r\n\r\n"), RESPONSE, 200),
    Behaviour(
        "chunk extensions and trailers",
        says(head(*CHUNKED), b"2;a=b;c\r\nok\r\n0;d\r\nTrailer: x\r\n\r\n"),
        RESPONSE,
        200,
    ),
    Behaviour("one interim answer", says(head("100 Continue"), EMPTY), RESPONSE, 200, keeps=True),
    Behaviour("early hints", says(head("103 Early Hints", "Link: </a>"), EMPTY), RESPONSE, 200, keeps=True),
    Behaviour(
        "redirects to loopback",
        says(head("302 Found", "Location: http://127.0.0.1/", NOTHING)),
        RESPONSE,
        302,
    ),
    Behaviour("redirects for good", says(head("308 Permanent", "Location: /", NOTHING)), RESPONSE, 308),
    Behaviour("fails", says(head("500 Oh", "Content-Length: 2"), b"no"), RESPONSE, 500),
    Behaviour("fails without a reason phrase", says(head("503", "Content-Length: 0")), RESPONSE, 503),
    Behaviour("gzip bomb", says(head("200 OK", f"Content-Length: {len(BOMB)}", GZIP), BOMB), RESPONSE, 200),
    Behaviour("endless body of 200", repeats(head(), CHUNK), RESPONSE, 200),
    Behaviour("endless body of 500", repeats(head("500 Oh"), CHUNK), RESPONSE, 500),
    Behaviour(
        "endless chunks",
        repeats(head(*CHUNKED), b"10000\r\n" + CHUNK + b"\r\n"),
        RESPONSE,
        200,
    ),
    Behaviour("a body said to be huge", says(head("200 OK", HUGE), CHUNK * 4), RESPONSE, 200),
    Behaviour("bytes after the answer", says(EMPTY + EMPTY, close=False), RESPONSE, 200),
    Behaviour("rubbish after the answer", says(EMPTY + b"rubbish", close=False), RESPONSE, 200),
    Behaviour("never answers", NEVER, TIMEOUT),
    Behaviour("never reads", NEVER, TIMEOUT, reads_request=False),
    Behaviour("drips its head", repeats(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.02), TIMEOUT),
    Behaviour("drips one byte of the status line", repeats(b"H", b"", 0.05), TIMEOUT),
    Behaviour("drips its body", repeats(head("200 OK", "Content-Length: 10000"), b"x", 0.02), TIMEOUT),
    Behaviour("drips chunks", repeats(head(*CHUNKED), b"1\r\nx\r\n", 0.02), TIMEOUT),
    Behaviour("stops in the middle of its head", says(b"HTTP/1.1 200 OK\r\nContent-", close=False), TIMEOUT),
    Behaviour("stops in the middle of its body", says(head("200 OK", "Content-Length: 9"), b"x", close=False), TIMEOUT),
    Behaviour("never ends a body without length", says(head(), b"x", close=False), TIMEOUT),
    Behaviour("endless interim answers", repeats(b"", head("100 Continue")), PROTOCOL),
    Behaviour("slow interim answers", repeats(b"", head("102 Processing"), 0.02), PROTOCOL),
    Behaviour("switches protocols", says(head("101 Switching", "Upgrade: x", "Connection: Upgrade")), PROTOCOL),
    Behaviour("a head of 100 MB", repeats(b"HTTP/1.1 200 OK\r\nX: ", CHUNK), TOO_LARGE),
    Behaviour("a million headers", repeats(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000), TOO_LARGE),
    Behaviour("one name of 64 KiB", says(b"HTTP/1.1 200 OK\r\n" + CHUNK + b": y\r\n\r\n", close=False), TOO_LARGE),
    Behaviour("closes without an answer", says(), LOST),
    Behaviour("closes before it reads", says(), LOST, reads_request=False),
    Behaviour("resets before it reads", reset(), LOST, reads_request=False),
    Behaviour("resets after it reads", reset(), LOST),
    Behaviour("resets in its head", reset(b"HTTP/1.1 200 OK\r\nContent"), LOST),
    Behaviour("resets in its body", reset(head("200 OK", "Content-Length: 9"), b"x"), LOST),
    Behaviour("closes in its head", says(b"HTTP/1.1 200 OK\r\nContent-Le"), LOST),
    Behaviour("closes in its body", says(head("200 OK", "Content-Length: 9"), b"x"), LOST),
    Behaviour("closes between chunks", says(head(*CHUNKED), b"1\r\nx\r\n"), LOST),
    Behaviour("HTTP/0.9", says(b"<html>fine</html>"), PROTOCOL),
    Behaviour("HTTP/2 preface", says(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\0" * 18), PROTOCOL),
    Behaviour("HTTP/2.0 status line", says(b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"), PROTOCOL),
    Behaviour("an invalid status line", says(b"HTTP/1.1 two hundred\r\n\r\n"), PROTOCOL),
    Behaviour("a status of two digits", says(b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"), PROTOCOL),
    Behaviour("a status of 999", says(b"HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n"), PROTOCOL),
    Behaviour("another protocol", says(b"220 smtp.example.org ESMTP\r\n"), PROTOCOL),
    Behaviour("NUL in a header", says(b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"), PROTOCOL),
    Behaviour("a bare CR in a header", says(b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n"), PROTOCOL),
    Behaviour("a blank before the colon", says(b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n"), PROTOCOL),
    Behaviour("double Content-Length", says(head("200 OK", "Content-Length: 0", "Content-Length: 5")), PROTOCOL),
    Behaviour("Content-Length of words", says(head("200 OK", "Content-Length: none")), PROTOCOL),
    Behaviour("negative Content-Length", says(head("200 OK", "Content-Length: -1")), PROTOCOL),
    Behaviour(
        "length and chunks at once",
        says(head("200 OK", "Content-Length: 3", "Transfer-Encoding: chunked"), b"0\r\n\r\n"),
        PROTOCOL,
    ),
    Behaviour("a chunk size that is none", says(head(*CHUNKED), b"zz\r\nok\r\n"), PROTOCOL),
    Behaviour("a chunk size that overflows", says(head(*CHUNKED), b"f" * 40 + b"\r\n"), PROTOCOL),
]
