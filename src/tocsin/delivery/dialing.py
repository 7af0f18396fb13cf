"""Sockets and TLS as the sender uses them, and the system's errors in words that people can read."""

import asyncio
import os
import socket
import ssl
from pathlib import Path

from tocsin.delivery.address import Address


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


async def connect_to(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    unconnected = socket.socket(family, socket.SOCK_STREAM)
    try:
        unconnected.setblocking(False)
        unconnected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(unconnected, (str(address), port))
    except BaseException:
        unconnected.close()
        raise
    return unconnected


def shown(address: Address, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def words(error: Exception) -> str:
    """What an error of the system means, in its own words and without its number."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    if isinstance(error, ssl.SSLError):
        return str(error.reason or error).replace("_", " ").lower()
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
