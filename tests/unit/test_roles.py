"""What roles allow, and identifiers."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tocsin.domain.ids import uuid7
from tocsin.domain.roles import GRANTS, Permission, Role, allows, assignable


def test_every_role_has_its_row() -> None:
    assert set(GRANTS) == set(Role)


def test_a_member_without_roles_may_nothing() -> None:
    assert not any(allows([], permission) for permission in Permission)


def test_only_agents_post_in_pro_mode() -> None:
    assert [role for role in Role if allows([role], Permission.POST_IN_PRO_MODE)] == [Role.AGENT]


def test_operators_and_admins_are_given_operations() -> None:
    assert [role for role in Role if assignable([role])] == [Role.ADMIN, Role.OPERATOR]


@given(st.integers(0, 2**47 * 1000), st.binary(min_size=10, max_size=10))
def test_an_id_is_a_uuid_of_version_7(now: int, entropy: bytes) -> None:
    parsed = UUID(uuid7(now, entropy))
    assert (parsed.version, parsed.variant) == (7, "specified in RFC 4122")
    assert parsed.int >> 80 == (now // 1000) & 0xFFFF_FFFF_FFFF


@given(st.integers(0, 2**50), st.integers(1, 2**40), st.binary(min_size=10, max_size=10))
def test_what_is_made_later_sorts_later(now: int, later: int, entropy: bytes) -> None:
    assert uuid7(now, entropy) <= uuid7(now + later, entropy)
