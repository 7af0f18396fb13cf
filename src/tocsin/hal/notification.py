"""The body of a notification: the event's name and the resource exactly as GET serves it (CONTRACT, section 7)."""

import orjson

from tocsin.domain.events import Event
from tocsin.hal.encoding import encode


def notification(event: Event, representation: bytes) -> bytes:
    """`{"event":"<name>","payload":<representation>}`: the representation's bytes, not a rendering of their own."""
    return b'{"event":"%s","payload":%s}' % (event.value.encode(), representation)


def without_description(body: bytes) -> bytes:
    """The notification as if its resource had no description: what is left of it keeps its bytes and its order."""
    read = orjson.loads(body)
    read["payload"].pop("description", None)
    return encode(read)
