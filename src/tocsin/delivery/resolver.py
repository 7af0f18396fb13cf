"""Names to addresses, in threads of their own: a name server that does not answer holds up nothing but its own name."""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Final, Protocol

from tocsin.delivery.address import Address

THREADS: Final = 16
"""Look-ups at once; others wait, within their own time."""


class Resolver(Protocol):
    async def resolve(self, host: str) -> Sequence[Address]:
        """Every address of the name. Raises OSError where there is none."""
        ...


class SystemResolver:
    """As the system resolves names."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="resolver")

    async def resolve(self, host: str) -> Sequence[Address]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, _look_up, host)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str) -> list[Address]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(sockaddr[0]) for *_, sockaddr in found))
