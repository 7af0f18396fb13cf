"""Entity tags, and which routes compare them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.api.application import getters, routes
from tocsin.api.conditional import VERBS, changed_by
from tocsin.api.entity_tags import TAGS_MAX, matches_strongly, matches_weakly, tags
from tocsin.storage.locks import TABLES

TAG_CHARACTERS = "".join(chr(one) for one in (0x21, *range(0x23, 0x7F), *range(0x80, 0x100)))
WRONG = ["", " ", ",", "a", '"a', '"a" "b"', 'w/"a"', 'W/ "a"', '"a"b', '"a\x7f"', '"\u0100"']
TAGS = st.tuples(st.booleans(), st.text(TAG_CHARACTERS, max_size=20).map(lambda text: f'"{text}"'))


@given(st.lists(TAGS, min_size=1, max_size=TAGS_MAX), st.sampled_from([",", ", ", " , ", ",,", " ,\t, "]))
def test_a_list_is_read_as_it_was_written(written: list[tuple[bool, str]], between: str) -> None:
    header = between.join(f"{'W/' if weak else ''}{tag}" for weak, tag in written)
    assert tags(header) == written
    for weak, tag in written:
        assert matches_weakly(header, tag)
        assert matches_strongly(header, tag) or weak


@given(st.text(max_size=200))
def test_any_header_is_a_list_of_tags_or_refused(header: str) -> None:
    try:
        found = tags(header)
    except ValueError:
        return
    assert all(tag[0] == tag[-1] == '"' and tag in header for _, tag in found)


@pytest.mark.parametrize("header", WRONG)
def test_what_is_no_list_of_tags_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match="entity tag"):
        tags(header)


def test_a_tag_between_others_is_no_part_of_one() -> None:
    assert not matches_weakly('"a,"b"', '"b"')
    assert not matches_strongly('"a", W/"b"', '"b"')


def test_every_change_of_a_resource_takes_a_precondition() -> None:
    """Of each resource that can be changed, the version that is compared is the one that GET gives."""
    known = getters()
    changing = [(method, route.path) for route in routes() for method in route.methods or () if method != "GET"]
    found = {(method, path): changed_by(method, path, known) for method, path in changing}
    for (method, path), resource in found.items():
        verb = path.rpartition("/")[2] in VERBS
        assert resource is not None or (method != "PATCH" and not verb), f"{method} {path}"
        if resource is not None:
            assert resource.path.rpartition("{")[2].removesuffix("}") in TABLES, f"{method} {path}"
    transition = found["POST", "/reports/{report}/workflow/transition"]
    assert transition is not None
    assert transition.path == "/reports/{report}"
    assert found["POST", "/operations"] is None
    assert found["DELETE", "/tokens/{token}"] is not None
