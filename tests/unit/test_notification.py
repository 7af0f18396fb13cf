"""The body of a notification, and what is left of it without a description."""

from hypothesis import given
from hypothesis import strategies as st

from tocsin.domain.events import Event
from tocsin.hal.encoding import encode
from tocsin.hal.notification import notification, without_description

LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
MEMBERS = st.dictionaries(st.text().filter(lambda name: name != "description"), VALUES)


@given(MEMBERS, MEMBERS, VALUES)
def test_all_but_the_description_keeps_its_bytes(before: object, after: object, description: object) -> None:
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    told = notification(Event.REPORT_CREATED, encode({**before, "description": description, **after}))
    silent = notification(Event.REPORT_CREATED, encode({**before, **after}))
    assert without_description(told) == silent
    assert without_description(silent) == silent


def test_only_the_resources_own_description_goes() -> None:
    body = b'{"event":"reportCreated","payload":{"a":{"description":"x"},"b":0.0}}'
    assert without_description(body) == body
