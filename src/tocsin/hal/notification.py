"""The body of a notification: the event's name and the resource exactly as GET serves it (CONTRACT, section 7)."""

from tocsin.domain.events import Event


def notification(event: Event, representation: bytes) -> bytes:
    """`{"event":"<name>","payload":<representation>}`: the representation's bytes, not a rendering of their own."""
    return b'{"event":"%s","payload":%s}' % (event.value.encode(), representation)
