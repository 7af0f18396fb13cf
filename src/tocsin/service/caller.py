"""Who asks, and what that lets them do. Roles are read at each request, never from the token."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tocsin.domain.errors import Forbidden, NotFound
from tocsin.domain.roles import Permission, allows


@dataclass(frozen=True, slots=True)
class Caller:
    """A person (by JWT), an organization's token, or the operator at the command line.

    `roles` maps the organizations that the caller belongs to, to its roles there (CONTRACT, section 3, "Member").
    """

    person_id: str | None = None
    token_id: str | None = None
    operator: bool = False
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def actor(self) -> str:
        """For the audit: `person:<id>`, `token:<id>` or `operator`."""
        if self.person_id is not None:
            return f"person:{self.person_id}"
        return f"token:{self.token_id}" if self.token_id is not None else "operator"

    def belongs(self, *organization_ids: str | None) -> bool:
        """Whether the caller is a member of one of them."""
        return self.operator or any(one in self.roles for one in organization_ids if one is not None)

    def may(self, permission: Permission, *organization_ids: str | None) -> bool:
        """Whether a role of the caller's in one of the organizations grants the permission."""
        return self.operator or any(
            allows(self.roles[one], permission) for one in organization_ids if one is not None and one in self.roles
        )

    def require_sight(self, *organization_ids: str | None) -> None:
        """Raises NotFound unless the caller is a member of one of them."""
        if not self.belongs(*organization_ids):
            raise NotFound("Not found.")

    def require(self, permission: Permission, *organization_ids: str | None) -> None:
        """Raises NotFound to outsiders, Forbidden to members without the permission."""
        self.require_sight(*organization_ids)
        if not self.may(permission, *organization_ids):
            raise Forbidden("You don't have the right to do this.")


OPERATOR = Caller(operator=True)
"""Whoever runs tocsin's commands on the machine."""
