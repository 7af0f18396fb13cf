"""Only this module (with `connection` and `resolver`) opens outbound sockets. It does one thing: POST known bytes and
read a small answer.

A name is resolved for each new connection, every address is vetted, and a vetted address is connected to; Host, SNI and
the certificate check stay on the name. Redirects, proxies and cookies do not exist. Connections are pooled by scheme,
host and port within one sender, and a sender has one address policy and one set of TLS settings: what was connected
under one policy is never used under another. One coarse timer looks after every deadline.
"""

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tocsin.delivery.address import REASON, Address, Network, Refused, vet
from tocsin.delivery.connection import Answer, Connection, Limits
from tocsin.delivery.dialing import connect_to, shown, tls_context, words
from tocsin.delivery.outcome import Durations, Outcome, OutcomeKind
from tocsin.delivery.resolver import Resolver, SystemResolver
from tocsin.delivery.target import Target

TICK_SECONDS: Final = 0.1
"""How exactly deadlines are kept."""

DROP_IDLE_SECONDS: Final = 1.0
"""How often idle connections are looked through."""

Done = Callable[[Outcome], None]
HostKey = tuple[str, str, int]


class Failed(Exception):
    """A connection could not be had; carries the outcome's kind and reason."""

    def __init__(self, kind: OutcomeKind, reason: str, refused: Refused | None = None) -> None:
        super().__init__(reason)
        self.kind = kind
        self.refused = refused


class Host:
    """The connections to one scheme, host and port."""

    __slots__ = ("connections", "idle", "key", "queue")

    def __init__(self, key: HostKey) -> None:
        self.key = key
        self.connections = 0
        self.idle: list[Connection] = []
        self.queue: deque[Post] = deque()


class Post:
    """One attempt. Its outcome is told exactly once."""

    __slots__ = (
        "_done",
        "_request",
        "_retried",
        "_sender",
        "_sent_at",
        "_started_at",
        "_task",
        "connect_us",
        "connection",
        "deadline",
        "host",
        "resolve_us",
        "target",
        "tls_us",
    )

    def __init__(self, sender: "Sender", host: Host, target: Target, request: bytes, done: Done) -> None:
        self._sender = sender
        self.host = host
        self.target = target
        self._request = request
        self._done: Done | None = done
        self._started_at = sender.clock()
        self._sent_at = 0.0
        self._retried = False
        self._task: asyncio.Task[None] | None = None
        self.deadline = self._started_at + sender.limits.attempt_timeout_seconds
        self.connection: Connection | None = None
        self.resolve_us: int | None = None
        self.connect_us: int | None = None
        self.tls_us: int | None = None

    @property
    def over(self) -> bool:
        return self._done is None

    def interrupt(self) -> None:
        """We stop waiting: the process is ending."""
        self._end_early(OutcomeKind.INTERRUPTED, "The attempt was interrupted: tocsin was stopping.")

    def time_out(self) -> None:
        seconds = self._sender.limits.attempt_timeout_seconds
        if self._task is not None:
            reason = f"No connection to the receiver within {seconds:g} s."
            self._end_early(OutcomeKind.CONNECT_TIMEOUT, reason)
        else:
            self._end_early(OutcomeKind.RESPONSE_TIMEOUT, f"No complete answer within {seconds:g} s.")

    # Steps, called by the sender

    def use(self, connection: Connection) -> None:
        self.connection = connection
        self._sent_at = self._sender.clock()
        connection.take(self)
        self._sender.write_soon(self)

    def write(self) -> None:
        if self.connection is not None:
            self.connection.write(self, self._request)

    def connect(self, task: "asyncio.Task[None]") -> None:
        self._task = task

    def connected(self) -> None:
        self._task = None

    def fail(self, kind: OutcomeKind, reason: str, refused: Refused | None = None) -> None:
        self._tell(self._outcome(kind, reason, refusal=None if refused is None else refused.value))

    # What the connection tells

    def answered(self, answer: Answer, first_byte_at: float) -> None:
        connection = self.connection
        assert connection is not None
        outcome = Outcome(
            OutcomeKind.RESPONSE,
            f"The receiver answered {answer.status}.",
            self._durations(first_byte_at),
            answer.status,
            answer.retry_after,
            answer.body,
            connection.address,
        )
        self._sender.give_back(self.host, connection)
        self._tell(outcome)

    def failed(self, kind: OutcomeKind, reason: str, *, untouched: bool) -> None:
        """A reused connection that dies before the first byte of an answer is tried once more, on a fresh one."""
        if untouched and not self._retried and kind is OutcomeKind.CONNECTION_LOST:
            self._retried = True
            self.connection = None
            self._sender.open(self)
        else:
            self.fail(kind, reason)

    # Ends

    def _end_early(self, kind: OutcomeKind, reason: str) -> None:
        if self._task is not None:
            self._task.cancel()
        outcome = self._outcome(kind, reason)
        if self.connection is not None:
            self.connection.abandon()
        self._tell(outcome)

    def _tell(self, outcome: Outcome) -> None:
        done, self._done = self._done, None
        assert done is not None, "an outcome is told once"
        self._sender.ended(self)
        done(outcome)

    def _outcome(self, kind: OutcomeKind, reason: str, *, refusal: str | None = None) -> Outcome:
        address = None if self.connection is None else self.connection.address
        return Outcome(kind, reason, self._durations(0.0), address=address, refusal=refusal)

    def _durations(self, first_byte_at: float) -> Durations:
        first_byte = round((first_byte_at - self._sent_at) * 1e6) if first_byte_at else None
        total = round((self._sender.clock() - self._started_at) * 1e6)
        return Durations(total, self.resolve_us, self.connect_us, self.tls_us, first_byte)


class Sender:
    """Used from one event loop. `clock` gives monotonic seconds."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        allowed: Sequence[Network] = (),
        ca_file: Path | None = None,
        resolver: Resolver | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits or Limits()
        self.clock = clock
        self._allowed = tuple(allowed)
        self._tls = tls_context(ca_file)
        self._own_resolver = SystemResolver() if resolver is None else None
        self._resolver: Resolver = resolver or self._own_resolver or SystemResolver()
        self._hosts: dict[HostKey, Host] = {}
        self._posts: dict[Post, None] = {}
        self._idle_connections = 0
        self._drop_idle_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._outbox: list[Post] = []

    def post(self, target: Target, head: bytes, body: bytes, done: Done) -> Post:
        """Start an attempt. `head`: header lines, each ended by CRLF, but Host and Content-Length.

        `done` is called once, from the event loop, never inside this call.
        """
        key = (target.scheme, target.host, target.port)
        host = self._hosts.get(key)
        if host is None:
            host = self._hosts[key] = Host(key)
        request = b"POST %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n%s" % (
            target.request_target,
            target.host_header,
            head,
            len(body),
            body,
        )
        post = Post(self, host, target, request, done)
        self._posts[post] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
        self._start(post)
        return post

    async def close(self) -> None:
        """End what is in flight as interrupted, and every connection."""
        for post in list(self._posts):
            post.interrupt()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for host in self._hosts.values():
            for connection in host.idle:
                connection.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._own_resolver is not None:
            self._own_resolver.close()

    # Connections

    def _start(self, post: Post) -> None:
        host = post.host
        while host.idle:
            connection = host.idle.pop()
            self._idle_connections -= 1
            if connection.reusable:
                post.use(connection)
                return
        if host.connections < self.limits.connections_per_host:
            self.open(post)
        else:
            host.queue.append(post)

    def open(self, post: Post) -> None:
        """Make a new connection for the post."""
        post.host.connections += 1
        task = asyncio.get_running_loop().create_task(self._connect(post))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        post.connect(task)

    def write_soon(self, post: Post) -> None:
        """Requests of one turn of the event loop are written together, at its end: waking a receiver costs more than a
        request does, and one that is awake is not woken again."""
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._write)
        self._outbox.append(post)

    def _write(self) -> None:
        posts, self._outbox = self._outbox, []
        for post in posts:
            post.write()

    def give_back(self, host: Host, connection: Connection) -> None:
        """The answer is complete: the connection may serve the next attempt."""
        if not connection.reusable:
            return
        if self._idle_connections >= self.limits.idle_connections_max:
            connection.close()
            return
        connection.idle_since = self.clock()
        host.idle.append(connection)
        self._idle_connections += 1

    def ended(self, post: Post) -> None:
        self._posts.pop(post, None)
        self._serve_queue(post.host)

    def _serve_queue(self, host: Host) -> None:
        while host.queue and (host.idle or host.connections < self.limits.connections_per_host):
            waiting = host.queue.popleft()
            if not waiting.over:
                self._start(waiting)

    async def _connect(self, post: Post) -> None:
        try:
            connection = await self._connection(post)
        except Failed as failure:
            self._lost(post.host)
            if not post.over:
                post.connected()
                post.fail(failure.kind, str(failure), failure.refused)
        except asyncio.CancelledError:
            self._lost(post.host)
            raise
        else:
            post.connected()
            if connection.reusable:
                connection.on_lost = lambda: self._lost(post.host)
                post.use(connection)
            else:
                self._lost(post.host)
                post.fail(OutcomeKind.CONNECTION_LOST, "The receiver closed the connection without an answer.")

    async def _connection(self, post: Post) -> Connection:
        addresses = await self._addresses(post)
        refused = vet(addresses, self._allowed)
        if refused is not None:
            reason = f"The receiver's address is refused: {REASON[refused]}."
            raise Failed(OutcomeKind.REFUSED_ADDRESS, reason, refused)
        started = self.clock()
        connected, address = await self._socket(addresses, post.target.port)
        post.connect_us = round((self.clock() - started) * 1e6)
        connection = Connection(self.limits, self.clock)
        connection.address = shown(address, post.target.port)
        try:
            await self._speak(post, connection, connected)
        except BaseException:
            if connection.made:
                connection.close()  # the transport owns the socket now
            else:
                connected.close()
            raise
        return connection

    async def _addresses(self, post: Post) -> Sequence[Address]:
        if post.target.address is not None:
            return [post.target.address]
        started = self.clock()
        seconds = self.limits.resolve_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._resolver.resolve(post.target.host)
        except TimeoutError:
            reason = f"The receiver's name was not resolved within {seconds:g} s."
            raise Failed(OutcomeKind.RESOLVE_TIMEOUT, reason) from None
        except (OSError, UnicodeError) as error:
            raise Failed(OutcomeKind.RESOLVE_FAILED, f"The receiver's name has no address: {words(error)}.") from None
        finally:
            post.resolve_us = round((self.clock() - started) * 1e6)

    async def _socket(self, addresses: Sequence[Address], port: int) -> tuple[socket.socket, Address]:
        """A connected socket to the first of the vetted addresses that takes it."""
        reason = "no address"
        try:
            async with asyncio.timeout(self.limits.connect_timeout_seconds):
                for address in addresses:
                    try:
                        return await connect_to(address, port), address
                    except OSError as error:
                        reason = words(error)
        except TimeoutError:
            seconds = self.limits.connect_timeout_seconds
            raise Failed(OutcomeKind.CONNECT_TIMEOUT, f"No connection to the receiver within {seconds:g} s.") from None
        raise Failed(OutcomeKind.CONNECT_FAILED, f"No connection to the receiver: {reason}.")

    async def _speak(self, post: Post, connection: Connection, connected: socket.socket) -> None:
        """Give the socket to the connection, behind TLS for https."""
        loop = asyncio.get_running_loop()
        if post.target.scheme == "http":
            await loop.create_connection(lambda: connection, sock=connected)
            return
        started, seconds = self.clock(), self.limits.connect_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                await loop.create_connection(
                    lambda: connection, sock=connected, ssl=self._tls, server_hostname=post.target.host
                )
        except TimeoutError:
            raise Failed(OutcomeKind.TLS_TIMEOUT, f"No TLS handshake within {seconds:g} s.") from None
        except (OSError, EOFError, ValueError) as error:
            raise Failed(OutcomeKind.TLS_FAILED, f"TLS with the receiver failed: {words(error)}.") from None
        finally:
            post.tls_us = round((self.clock() - started) * 1e6)

    def _lost(self, host: Host) -> None:
        host.connections -= 1
        self._serve_queue(host)

    # Deadlines

    def _tick(self) -> None:
        now = self.clock()
        overdue = []
        for post in self._posts:
            if post.deadline > now:
                break
            overdue.append(post)
        for post in overdue:
            if not post.over:
                post.time_out()
        if now >= self._drop_idle_at:
            self._drop_idle_at = now + DROP_IDLE_SECONDS
            self._drop_idle(now - self.limits.idle_seconds)
        loop = asyncio.get_running_loop()
        busy = self._posts or self._idle_connections
        self._timer = loop.call_later(TICK_SECONDS, self._tick) if busy else None

    def _drop_idle(self, since: float) -> None:
        """Close connections that were idle since before then; forget hosts without any."""
        for key, host in list(self._hosts.items()):
            kept = []
            for connection in host.idle:
                if connection.reusable and connection.idle_since > since:
                    kept.append(connection)
                else:
                    connection.close()
            self._idle_connections -= len(host.idle) - len(kept)
            host.idle = kept
            if not host.connections and not host.queue:
                del self._hosts[key]
