"""What became of one POST: the sender's word, from which the policy judges. Pure data.

A RESPONSE is a complete answer (or one whose head was complete and whose body we ourselves cut at its limit); its
status decides. Every other kind is a failure without a status that counts, whatever bytes came before it: an answer
that was cut short by the receiver proves nothing, so there is no false success.
"""

from enum import StrEnum
from typing import NamedTuple


class OutcomeKind(StrEnum):
    """Why a POST ended. The names are shown in the API and label metrics: they never change."""

    RESPONSE = "response"
    REFUSED_ADDRESS = "refused_address"
    RESOLVE_FAILED = "resolve_failed"
    RESOLVE_TIMEOUT = "resolve_timeout"
    CONNECT_FAILED = "connect_failed"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS_FAILED = "tls_failed"
    TLS_TIMEOUT = "tls_timeout"
    RESPONSE_TIMEOUT = "response_timeout"
    """No complete answer within the attempt's time."""
    CONNECTION_LOST = "connection_lost"
    """The receiver closed or reset the connection before its answer was complete."""
    PROTOCOL_ERROR = "protocol_error"
    """The answer was not HTTP/1.x."""
    HEAD_TOO_LARGE = "head_too_large"
    UNREADY = "unready"
    """The request could not be made: the webhook's secret does not open, or its URL is refused by now."""
    INTERRUPTED = "interrupted"
    """We stopped waiting because this process is ending: it spends no schedule."""


class Durations(NamedTuple):
    """Microseconds of each phase; None where it did not happen (a reused connection neither resolves nor connects)."""

    total: int
    resolve: int | None = None
    connect: int | None = None
    tls: int | None = None
    first_byte: int | None = None


class Outcome(NamedTuple):
    """`reason` is one plain sentence for people. `response_body` holds at most the first 4 KiB, for every RESPONSE."""

    kind: OutcomeKind
    reason: str
    durations: Durations
    status: int | None = None
    retry_after: str | None = None
    """The Retry-After header as it came, at most 256 characters; unparsed."""
    response_body: bytes = b""
    address: str | None = None
    """The IP address and port that was connected to, as `192.0.2.1:443` or `[2001:db8::1]:443`."""
    refusal: str | None = None
    """For REFUSED_ADDRESS: the name of the refusal (`address.Refused`)."""
