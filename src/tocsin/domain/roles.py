"""Roles of members and tokens, and what each may do: one table (CONTRACT, section 3, "Member").

Reading needs no permission, only membership. What a role may do is decided here and nowhere else.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    ADMIN = "ORGANIZATION:ADMIN"
    AGENT = "ORGANIZATION:AGENT"
    OPERATOR = "ORGANIZATION:OPERATOR"
    ANALYTICS = "ORGANIZATION:ANALYTICS"
    EXPORT = "ORGANIZATION:EXPORT"


class Permission(StrEnum):
    EDIT_ORGANIZATION = "edit organization"
    MANAGE_MEMBERS = "manage members"
    MANAGE_TOKENS = "manage tokens"
    MANAGE_CATEGORIES = "manage categories"
    MANAGE_PLACES = "manage places"
    MANAGE_WEBHOOKS = "manage webhooks"
    READ_AUDIT = "read audit"
    MANAGE_PARTNERS = "manage partners"
    DELEGATE_REPORTS = "delegate reports to partners"
    EDIT_REPORTS = "edit and transition reports"
    MANAGE_OPERATIONS = "create, assign, reset and delete operations"
    WORK_ON_OPERATIONS = "edit and transition operations assigned to oneself"
    POST_IN_PRO_MODE = "post feedback in pro mode"
    READ_ANALYTICS = "read analytics"
    EXPORT = "export reports"


GRANTS: Final[dict[Role, frozenset[Permission]]] = {
    Role.ADMIN: frozenset(Permission) - {Permission.POST_IN_PRO_MODE},
    Role.AGENT: frozenset({Permission.POST_IN_PRO_MODE}),
    Role.OPERATOR: frozenset({Permission.WORK_ON_OPERATIONS}),
    Role.ANALYTICS: frozenset({Permission.READ_ANALYTICS}),
    Role.EXPORT: frozenset({Permission.EXPORT}),
}

ASSIGNABLE: Final = frozenset({Role.ADMIN, Role.OPERATOR})
"""Members with one of these may be given an operation."""


def allows(roles: Iterable[str], permission: Permission) -> bool:
    """Whether one of the roles grants the permission."""
    return any(permission in GRANTS[Role(role)] for role in roles)


def assignable(roles: Iterable[str]) -> bool:
    """Whether a member with these roles may be given an operation."""
    return any(role in ASSIGNABLE for role in roles)
