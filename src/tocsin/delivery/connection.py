"""One connection to a receiver: writes a request, reads one small answer, and says whether it may be used again.

Everything that a receiver can send is bounded here: the head in bytes, interim answers in number, the body in what is
kept and what is thrown away. Whatever is not plainly a complete HTTP/1.x answer is a named failure.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, cast

import httptools

from tocsin.delivery.outcome import OutcomeKind


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one attempt and of all connections."""

    resolve_timeout_seconds: float = 2.0
    connect_timeout_seconds: float = 5.0
    attempt_timeout_seconds: float = 15.0
    response_head_max_bytes: int = 32 * 1024
    response_body_keep_max_bytes: int = 4 * 1024
    response_body_discard_max_bytes: int = 64 * 1024
    interim_responses_max: int = 8
    connections_per_host: int = 256
    idle_seconds: float = 30.0
    idle_connections_max: int = 2_000


RETRY_AFTER_MAX_CHARACTERS: Final = 256
FRAMING: Final = frozenset((b"content-length", b"transfer-encoding"))


class Answer:
    """What has come so far of the answer to one request."""

    __slots__ = (
        "body",
        "body_bytes",
        "close_delimited",
        "head_bytes",
        "interim",
        "retry_after",
        "status",
        "unparsed_bytes",
    )

    def __init__(self) -> None:
        self.status = 0
        """0 until the head is complete."""
        self.head_bytes = 0
        """Of names and values of header lines."""
        self.unparsed_bytes = 0
        """That came before the head was complete."""
        self.interim = 0
        self.retry_after: str | None = None
        self.close_delimited = True
        """Neither Content-Length nor chunked: ends with the connection."""
        self.body = b""
        self.body_bytes = 0


class Exchange(Protocol):
    """Whoever waits for the answer; exactly one of these is called, once."""

    def answered(self, answer: Answer, first_byte_at: float) -> None: ...

    def failed(self, kind: OutcomeKind, reason: str, *, untouched: bool) -> None:
        """`untouched`: on a reused connection, before any byte of an answer."""
        ...


class _Cut(Exception):
    """The answer is refused; raised inside the parser's callbacks to end parsing."""

    def __init__(self, kind: OutcomeKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class _Enough(Exception):
    """The body is longer than we read; the status stands."""


class Connection(asyncio.Protocol):
    """asyncio tells what comes, httptools (llhttp) parses it."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self.on_lost: Callable[[], None] | None = None
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._answer = Answer()
        self._first_byte_at = 0.0
        self._complete = False
        self._keep = False
        self._written = False
        self.uses = 0
        self.idle_since = 0.0
        self.reusable = True
        self.address = ""
        """IP address and port, for the record."""

    @property
    def made(self) -> bool:
        """Whether there is a transport, which owns the socket."""
        return self._transport is not None

    # What the sender asks

    def take(self, exchange: Exchange) -> None:
        """The connection is the exchange's, which writes next."""
        assert self._exchange is None, "one request at a time"
        self._exchange = exchange
        self._parser = httptools.HttpResponseParser(self)
        self._answer = Answer()
        self._first_byte_at = 0.0
        self._complete = False
        self._written = False
        self.uses += 1

    def write(self, exchange: Exchange, request: bytes) -> None:
        """Nothing, where the exchange has ended meanwhile."""
        if self._exchange is exchange:
            assert self._transport is not None
            self._written = True
            self._transport.write(request)

    def abandon(self) -> None:
        """Nobody waits any more: close."""
        self._exchange = None
        self.close()

    def close(self) -> None:
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._exchange is None or self._parser is None:
            self.close()  # nobody asked: whatever this is, it must not become the next answer
            return
        if not self._written:
            self._spoke_first()
            return
        answer = self._answer
        if not self._first_byte_at:
            self._first_byte_at = self._clock()
        if not answer.status:
            answer.unparsed_bytes += len(data)
        try:
            self._parser.feed_data(data)
            if not answer.status and answer.unparsed_bytes > self._limits.response_head_max_bytes:
                self._fail(OutcomeKind.HEAD_TOO_LARGE, self._head_too_large())
            elif self._complete:
                self._finish(keep=self._keep)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._stopped(error)

    def eof_received(self) -> None:
        return None  # closes the transport; connection_lost tells the rest

    def connection_lost(self, error: Exception | None) -> None:
        self.reusable = False
        if self._exchange is not None:
            answer = self._answer
            if error is None and answer.status and answer.close_delimited:
                self._finish(keep=False)
            else:
                self._fail(OutcomeKind.CONNECTION_LOST, self._lost(error))
        if self.on_lost is not None:
            self.on_lost()

    # What the parser tells

    def on_header(self, name: bytes, value: bytes) -> None:
        answer = self._answer
        answer.head_bytes += len(name) + len(value)
        if answer.head_bytes > self._limits.response_head_max_bytes:
            raise _Cut(OutcomeKind.HEAD_TOO_LARGE, self._head_too_large())
        told = name.lower()
        if told in FRAMING:
            answer.close_delimited = False
        elif told == b"retry-after":
            answer.retry_after = value.decode("latin-1")[:RETRY_AFTER_MAX_CHARACTERS]

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        if self._complete:
            raise _Enough
        status = self._parser.get_status_code()
        answer = self._answer
        if self._parser.get_http_version() not in {"1.0", "1.1"} or not 100 <= status <= 599:
            raise _Cut(OutcomeKind.PROTOCOL_ERROR, f"The receiver answered with status {status}, not HTTP/1.x.")
        if status >= 200:
            answer.status = status
            if status in (204, 304):
                answer.close_delimited = False
            return
        answer.interim += 1
        if status == 101 or answer.interim > self._limits.interim_responses_max:
            raise _Cut(OutcomeKind.PROTOCOL_ERROR, f"The receiver sent {answer.interim} interim answers ({status}).")
        answer.close_delimited = True

    def on_body(self, body: bytes) -> None:
        answer = self._answer
        answer.body_bytes += len(body)
        room = self._limits.response_body_keep_max_bytes - len(answer.body)
        if room > 0:
            answer.body += body[:room]
        if answer.body_bytes > self._limits.response_body_discard_max_bytes:
            raise _Enough

    def on_message_begin(self) -> None:
        if self._complete:
            raise _Enough  # bytes after the answer: it stands, the connection does not

    def on_message_complete(self) -> None:
        if self._answer.status:
            self._complete = True
            assert self._parser is not None
            self._keep = self._parser.should_keep_alive()  # only here: the parser forgets afterwards

    # What follows

    def _stopped(self, error: Exception) -> None:
        """The parser stopped: at our own word, or because this is not HTTP."""
        cause = error.__context__
        if isinstance(cause, _Cut):
            self._fail(cause.kind, str(cause))
        elif self._complete or isinstance(cause, _Enough):
            self._finish(keep=False)
        else:
            self._fail(OutcomeKind.PROTOCOL_ERROR, f"The receiver's answer is not HTTP/1.x: {error}.")

    def _finish(self, *, keep: bool) -> None:
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        self._parser = None
        self.reusable = self.reusable and keep
        if not self.reusable:
            self.close()
        exchange.answered(self._answer, self._first_byte_at)

    def _fail(self, kind: OutcomeKind, reason: str) -> None:
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        self.close()
        exchange.failed(kind, reason, untouched=self.uses > 1 and not self._first_byte_at)

    def _spoke_first(self) -> None:
        """Bytes before the request was written are no answer to it, whatever they look like."""
        kind = OutcomeKind.CONNECTION_LOST if self.uses > 1 else OutcomeKind.PROTOCOL_ERROR
        self._fail(kind, "The receiver sent bytes before it was asked for any.")

    def _lost(self, error: Exception | None) -> str:
        how = "closed the connection" if error is None else "broke the connection"
        if not self._first_byte_at:
            return f"The receiver {how} without an answer."
        return f"The receiver {how} before its answer was complete."

    def _head_too_large(self) -> str:
        return f"The head of the receiver's answer is larger than {self._limits.response_head_max_bytes} bytes."
