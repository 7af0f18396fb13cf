"""Patterns of searches say the same in every engine's words."""

import re
import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from tocsin.storage.searching import expression, glob, like

texts = st.text(st.sampled_from("aAzéÉœŒß %_[]*?^-\\.(){}|$+19~"), min_size=1, max_size=8)


def found(haystack: str, text: str) -> bool:
    """As the statement has it on SQLite."""
    connection = sqlite3.connect(":memory:")
    patterns = [like(text)] if text.isascii() else [like(text), glob(text)]
    condition = " AND ".join(["? LIKE ? ESCAPE '\\'", "? GLOB ?"][: len(patterns)])
    arguments = [one for pattern in patterns for one in (haystack, pattern)]
    result = connection.execute(f"SELECT {condition}", arguments).fetchone()[0]  # of this test
    connection.close()
    return bool(result)


@given(texts, texts, texts)
def test_what_holds_the_text_in_any_case_is_found(before: str, text: str, after: str) -> None:
    for same in (text, text.lower(), text.swapcase() if "ß" not in text else text):
        assert found(before + same + after, text)


@given(texts, texts)
def test_what_does_not_hold_it_is_not(haystack: str, text: str) -> None:
    assert found(haystack, text) == (text.lower() in haystack.lower())


@given(texts, texts)
def test_the_regular_expression_means_the_same(haystack: str, text: str) -> None:
    exact = re.search(expression(text), haystack, re.IGNORECASE if text.isascii() else 0)
    assert (exact is not None) == (text.lower() in haystack.lower())
