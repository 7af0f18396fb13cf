"""A page of the event feed: bytes, because the events in it are the notifications' own and are never rendered again."""

from collections.abc import Mapping, Sequence

from tocsin.hal.encoding import encode, moment
from tocsin.hal.links import Links


def item(
    sequence: int, ordinal: int, event_id: str, occurred_at: int, body: bytes, erased_at: int | None = None
) -> bytes:
    """An event: what the log knows of it, then `event` and `payload` as the notification has them."""
    known = {"sequence": sequence, "ordinal": ordinal, "id": event_id, "occurredAt": moment(occurred_at)}
    if erased_at is not None:
        known["erasedAt"] = moment(erased_at)
    return encode(known)[:-1] + b"," + body[1:]


def server_sent(sequence: int, event: str, data: bytes) -> bytes:
    """An item as a server-sent event: JSON has no line break, so it is one line of data (HTML, section 9.2)."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (sequence, event.encode(), data)


def page(
    links: Links,
    path: str,
    own: Mapping[str, str],
    following: Mapping[str, str],
    last: int,
    items: Sequence[bytes],
) -> bytes:
    """`last`: the newest sequence of the log. There is always a next page: what comes later is on it."""
    found = {"self": links.query(path, own), "next": links.query(path, following)}
    head = encode({"last": last, "_links": found})[:-1]
    return head + b',"_embedded":{"items":[' + b",".join(items) + b"]}}"
