"""Calls a second: a limit for each token, and for each address without one, counted in this process.

A token counts by itself once it was shown to be one; until then, and if it is none, its calls count for the address, so
that made-up tokens are no way around. Each answer says how much room is left (draft-ietf-httpapi-ratelimit-headers).
The health and metrics pages are not limited: what watches the service must not be shut out with what floods it.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.api import errors
from tocsin.api.client_address import Networks, client, network_of
from tocsin.domain.errors import TooManyRequests

CALLS_MAX_PER_SECOND: Final = 100
WINDOW_SECONDS: Final = 1
CALLERS_MAX: Final = 100_000
"""Callers that are remembered; beyond that, those who were quiet longest are forgotten."""
KNOWN_TOKENS_MAX: Final = 100_000
NAME: Final = "calls"
POLICY: Final = f'"{NAME}";q={CALLS_MAX_PER_SECOND};w={WINDOW_SECONDS}'
UNLIMITED: Final = ("/health/", "/metrics")


@dataclass(slots=True)
class Bucket:
    """Fills at the limit's rate, holds as much as its quota; one call takes one."""

    level: float
    at: float


class Calls:
    """`monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def know(self, credential: str) -> None:
        """From now on the token counts by itself."""
        self._known[_digest(credential)] = None
        if len(self._known) > KNOWN_TOKENS_MAX:
            self._known.popitem(last=False)

    def caller(self, credential: str, address: str) -> str:
        """Whom a call counts for."""
        if credential:
            digest = _digest(credential)
            if digest in self._known:
                return f"token:{digest.hex()}"
        return f"address:{network_of(address)}"

    def take(self, caller: str) -> int | None:
        """Count one call; how many more there is room for now, None: not even for this one."""
        now = self._monotonic()
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = Bucket(CALLS_MAX_PER_SECOND, now)
            if len(self._buckets) > CALLERS_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(caller)
        filled = bucket.level + (now - bucket.at) * CALLS_MAX_PER_SECOND / WINDOW_SECONDS
        bucket.level, bucket.at = min(filled, CALLS_MAX_PER_SECOND), now
        if bucket.level < 1:
            return None
        bucket.level -= 1
        return int(bucket.level)


def _digest(credential: str) -> bytes:
    return hashlib.blake2b(credential.encode("utf-8", "surrogateescape"), digest_size=16).digest()


class LimitCalls:
    """Lets a call through, or answers it with 429; puts the headers on either."""

    def __init__(self, app: ASGIApp, calls: Calls, trusted: Networks) -> None:
        self._app = app
        self._calls = calls
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UNLIMITED):
            await self._app(scope, receive, send)
            return
        room = self._calls.take(self._calls.caller(_credential(scope), client(scope, self._trusted)))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _tell(MutableHeaders(scope=message), room or 0)
            await send(message)

        answer = self._app if room is not None else errors.refusal(scope, _too_many())
        await answer(scope, receive, send_with_headers)


def _credential(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"authorization":
            return str(value.decode("latin-1").partition(" ")[2].strip())
    return ""


def _tell(headers: MutableHeaders, room: int) -> None:
    headers.append("RateLimit-Policy", POLICY)
    headers.append("RateLimit", f'"{NAME}";r={room};t={WINDOW_SECONDS}')


def _too_many() -> TooManyRequests:
    return TooManyRequests(
        "Too many calls.",
        limit=NAME,
        quota=CALLS_MAX_PER_SECOND,
        window_seconds=WINDOW_SECONDS,
        retry_after_seconds=WINDOW_SECONDS,
    )
