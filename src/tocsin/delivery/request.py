"""The header lines of a notification: what is known of a webhook beforehand, and what each attempt adds. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tocsin import __version__
from tocsin.delivery.signing import Signer, signatures
from tocsin.delivery.target import Target
from tocsin.storage.records import LoggedEvent

USER_AGENT: Final = f"tocsin/{__version__}"


@dataclass(frozen=True, slots=True)
class Recipient:
    """A webhook made ready for sending: its URL parsed, its fixed header lines rendered, its secrets opened."""

    target: Target
    fixed_head: bytes
    signers: tuple[Signer, ...]
    previous_signer: Signer | None = None
    previous_until: int = 0
    """Microseconds: until then both signatures are sent."""

    def signers_at(self, now: int) -> Sequence[Signer]:
        if self.previous_signer is not None and now < self.previous_until:
            return (*self.signers, self.previous_signer)
        return self.signers


def fixed_head(webhook_id: str, headers: Mapping[str, str], replay_id: str = "") -> bytes:
    """The lines that are the same for every notification of a webhook. Header values are latin-1, checked before."""
    lines = [
        "Content-Type: application/json",
        f"User-Agent: {USER_AGENT}",
        f"Tocsin-Webhook: {webhook_id}",
        *([f"Tocsin-Replay: {replay_id}"] if replay_id else []),
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")


def head(recipient: Recipient, event: LoggedEvent, now: int) -> bytes:
    """Every header line of one attempt but Host and Content-Length. `now`: microseconds, of this attempt."""
    timestamp = now // 1_000_000
    signed = signatures(recipient.signers_at(now), event.id, timestamp, event.body)
    lines = (
        f"webhook-id: {event.id}\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: {signed}\r\n"
        f"Tocsin-Event: {event.event}\r\nTocsin-Sequence: {event.sequence}\r\nTocsin-Ordinal: {event.ordinal}\r\n"
    )
    if event.erased_at is not None:
        lines += f"Tocsin-Erased: {event.erased_at // 1_000_000}\r\n"
    return recipient.fixed_head + lines.encode("ascii")
