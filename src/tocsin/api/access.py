"""Who may call each route: one table, in the words of CONTRACT, section 2, "Who sees what", and section 3, "Member".

The use cases enforce it; here it is stated, once, for the description and the docs. A test walks every route with every
kind of caller and compares what is answered with what this says.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from tocsin.domain.roles import GRANTS, Permission


class Credential(StrEnum):
    """What a call must bring. A bad one is a 401, except where none is looked at."""

    NONE = "none"
    OPTIONAL = "optional"
    NEEDED = "needed"


class Sight(StrEnum):
    """Who may know of what the call is about, and gets a 404 otherwise."""

    ALL = "everybody"
    MEMBERS = "members of the organization"
    HOLDERS = "members of the report's owner and of its delegates"
    FEEDBACK = "everybody for public feedback, else its reporter and members of the organizations that received it"
    PERSON = "the person, fellow members, and members of organizations that hold a report or an operation of theirs"


class Own(StrEnum):
    """To whom it belongs: enough without a permission."""

    ONESELF = "the person itself"
    REPORTER = "the feedback's reporter"
    OPERATOR = "the operation's own operator"


class Tokens(StrEnum):
    """What an organization's token may, of what its roles would let a member do."""

    AS_MEMBERS = "as members"
    NEVER = "people only, no tokens"
    OF_HOLDERS = "a token only for feedback that its own organization received"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may: one who sees it, and has the permission or is its `own`, where one of these is asked for.

    `unseen`: the status for those who may not know of it; 400 where the body names it.
    """

    credential: Credential = Credential.NEEDED
    sight: Sight = Sight.ALL
    permission: Permission | None = None
    own: Own | None = None
    tokens: Tokens = Tokens.AS_MEMBERS
    unseen: int = 404

    @property
    def sentence(self) -> str:
        """For people, without a full stop."""
        told = "; ".join(part for part in (self._who(), self._limits()) if part)
        return told[0].upper() + told[1:]

    def _who(self) -> str:
        if self.permission is None and self.own is None:
            return _SEES[self.credential] if self.sight is Sight.ALL else self.sight.value
        return " or ".join(part for part in (self._role(), self.own and self.own.value) if part)

    def _role(self) -> str:
        if self.permission is None:
            return ""
        roles = ", ".join(role.value for role, granted in GRANTS.items() if self.permission in granted)
        where = "the report's owner or of a delegate" if self.sight in _OF_REPORTS else "the organization"
        return f"{roles} of {where}"

    def _limits(self) -> str:
        return "" if self.tokens is Tokens.AS_MEMBERS else self.tokens.value


_SEES: Final = {
    Credential.NONE: "anybody; a credential is not looked at",
    Credential.OPTIONAL: "anybody, without a credential too, who sees what is public and what is theirs",
    Credential.NEEDED: "anybody with a credential",
}
_OF_REPORTS: Final = frozenset({Sight.HOLDERS, Sight.FEEDBACK})

OPEN: Final = Rule(Credential.NONE)
PUBLIC: Final = Rule(Credential.OPTIONAL)
KNOWN: Final = Rule()
PEOPLE: Final = Rule(tokens=Tokens.NEVER)
MEMBERS: Final = Rule(sight=Sight.MEMBERS)
HOLDERS: Final = Rule(sight=Sight.HOLDERS)
FEEDBACK: Final = Rule(sight=Sight.FEEDBACK)
FEEDBACK_IMAGE: Final = Rule(Credential.OPTIONAL, Sight.FEEDBACK)
PERSON: Final = Rule(sight=Sight.PERSON)
ONESELF: Final = Rule(sight=Sight.PERSON, own=Own.ONESELF)
MEMBER_ADMINS: Final = Rule(sight=Sight.MEMBERS, permission=Permission.MANAGE_MEMBERS)
TOKEN_ADMINS: Final = Rule(sight=Sight.MEMBERS, permission=Permission.MANAGE_TOKENS)
PARTNER_ADMINS: Final = Rule(sight=Sight.MEMBERS, permission=Permission.MANAGE_PARTNERS)
WEBHOOK_ADMINS: Final = Rule(sight=Sight.MEMBERS, permission=Permission.MANAGE_WEBHOOKS)
CATEGORY_ADMINS: Final = Rule(permission=Permission.MANAGE_CATEGORIES)
PLACE_ADMINS: Final = Rule(permission=Permission.MANAGE_PLACES)
REPORT_ADMINS: Final = Rule(sight=Sight.HOLDERS, permission=Permission.EDIT_REPORTS)
OPERATION_ADMINS: Final = Rule(sight=Sight.HOLDERS, permission=Permission.MANAGE_OPERATIONS)
OPERATION_WORKERS: Final = replace(OPERATION_ADMINS, own=Own.OPERATOR)
"""For the transitions reset and assign: OPERATION_ADMINS."""

ACCESS: Final[dict[tuple[str, str], Rule]] = {
    ("GET", "/"): PUBLIC,
    ("POST", "/security/register"): OPEN,
    ("POST", "/security/login"): OPEN,
    ("POST", "/security/password/change-request"): OPEN,
    ("POST", "/security/password/change/{token}"): OPEN,
    ("GET", "/security/password/change/{token}"): OPEN,
    ("GET", "/organizations"): KNOWN,
    ("POST", "/organizations"): PEOPLE,
    ("GET", "/organizations/{organization}"): KNOWN,
    ("PATCH", "/organizations/{organization}"): Rule(permission=Permission.EDIT_ORGANIZATION),
    ("GET", "/organizations/{organization}/members"): MEMBERS,
    ("POST", "/organizations/{organization}/members"): MEMBER_ADMINS,
    ("GET", "/organizations/{organization}/members/{member}"): MEMBERS,
    ("PATCH", "/organizations/{organization}/members/{member}"): MEMBER_ADMINS,
    ("DELETE", "/organizations/{organization}/members/{member}"): MEMBER_ADMINS,
    ("GET", "/organizations/{organization}/tokens"): MEMBERS,
    ("POST", "/organizations/{organization}/tokens"): TOKEN_ADMINS,
    ("GET", "/tokens/{token}"): MEMBERS,
    ("DELETE", "/tokens/{token}"): TOKEN_ADMINS,
    ("GET", "/organizations/{organization}/relationships"): PARTNER_ADMINS,
    ("POST", "/organizations/{organization}/relationships"): PARTNER_ADMINS,
    ("DELETE", "/organizations/{organization}/relationships/{relationship}"): PARTNER_ADMINS,
    ("POST", "/organizations/{organization}/delegates"): Rule(
        sight=Sight.MEMBERS, permission=Permission.DELEGATE_REPORTS
    ),
    ("GET", "/people"): KNOWN,
    ("GET", "/people/{person}"): PERSON,
    ("PATCH", "/people/{person}"): ONESELF,
    ("DELETE", "/people/{person}"): ONESELF,
    ("GET", "/people/{person}/memberships"): PERSON,
    ("GET", "/people/{person}/operations"): PERSON,
    ("GET", "/people/{person}/feedbacks"): PERSON,
    ("GET", "/businessactivities"): KNOWN,
    ("GET", "/businessactivities/{business_activity}"): KNOWN,
    ("GET", "/businessactivities/{business_activity}/schema"): KNOWN,
    ("GET", "/categories"): KNOWN,
    ("GET", "/organizations/{organization}/categories"): KNOWN,
    ("POST", "/organizations/{organization}/categories"): CATEGORY_ADMINS,
    ("GET", "/categories/{category}"): KNOWN,
    ("PATCH", "/categories/{category}"): CATEGORY_ADMINS,
    ("GET", "/places"): PUBLIC,
    ("GET", "/organizations/{organization}/places"): KNOWN,
    ("POST", "/organizations/{organization}/places"): PLACE_ADMINS,
    ("GET", "/places/{place}"): KNOWN,
    ("PATCH", "/places/{place}"): PLACE_ADMINS,
    ("POST", "/feedbacks/issues"): PEOPLE,
    ("GET", "/feedbacks"): PUBLIC,
    ("GET", "/feedbacks/{feedback}"): FEEDBACK,
    ("POST", "/feedbacks/{feedback}/workflow/transition"): FEEDBACK,
    ("PATCH", "/feedbacks/{feedback}/state"): FEEDBACK,
    ("GET", "/feedbacks/{feedback}/tracking"): FEEDBACK,
    ("GET", "/organizations/{organization}/reports"): MEMBERS,
    ("GET", "/reports/{report}"): HOLDERS,
    ("PATCH", "/reports/{report}"): REPORT_ADMINS,
    ("POST", "/reports/{report}/workflow/transition"): REPORT_ADMINS,
    ("PATCH", "/reports/{report}/state"): REPORT_ADMINS,
    ("POST", "/reports/{report}/workflow"): REPORT_ADMINS,
    ("GET", "/reports/{report}/operations"): HOLDERS,
    ("GET", "/reports/{report}/tracking"): HOLDERS,
    ("GET", "/organizations/{organization}/operations"): MEMBERS,
    ("POST", "/operations"): replace(OPERATION_ADMINS, unseen=400),
    ("GET", "/operations/{operation}"): HOLDERS,
    ("PATCH", "/operations/{operation}"): OPERATION_WORKERS,
    ("DELETE", "/operations/{operation}"): OPERATION_ADMINS,
    ("POST", "/operations/{operation}/assign"): OPERATION_ADMINS,
    ("POST", "/operations/{operation}/workflow/transition"): OPERATION_WORKERS,
    ("PATCH", "/operations/{operation}/state"): OPERATION_WORKERS,
    ("POST", "/operations/{operation}/workflow"): OPERATION_WORKERS,
    ("GET", "/operations/{operation}/tracking"): HOLDERS,
    ("GET", "/feedbacks/{feedback}/comments"): FEEDBACK,
    ("POST", "/feedbacks/{feedback}/comments"): replace(FEEDBACK, tokens=Tokens.OF_HOLDERS),
    ("GET", "/operations/{operation}/comments"): HOLDERS,
    ("POST", "/operations/{operation}/comments"): OPERATION_WORKERS,
    ("GET", "/feedbacks/{feedback}/contributions"): FEEDBACK,
    ("POST", "/feedbacks/{feedback}/contributions"): replace(FEEDBACK, tokens=Tokens.NEVER),
    ("GET", "/operations/{operation}/logs"): HOLDERS,
    ("POST", "/feedbacks/{feedback}/images"): replace(FEEDBACK, permission=Permission.EDIT_REPORTS, own=Own.REPORTER),
    ("GET", "/feedbacks/{feedback}/images/{image}"): FEEDBACK_IMAGE,
    ("GET", "/feedbacks/{feedback}/images/{image}/{width}/{height}"): FEEDBACK_IMAGE,
    ("POST", "/operations/{operation}/images"): OPERATION_WORKERS,
    ("GET", "/operations/{operation}/images/{image}"): HOLDERS,
    ("GET", "/operations/{operation}/images/{image}/{width}/{height}"): HOLDERS,
    ("DELETE", "/operations/{operation}/images/{image}"): OPERATION_WORKERS,
    ("GET", "/organizations/{organization}/logo"): KNOWN,
    ("GET", "/organizations/{organization}/logo/{width}/{height}"): KNOWN,
    ("GET", "/people/{person}/image"): PERSON,
    ("GET", "/people/{person}/image/{width}/{height}"): PERSON,
    ("POST", "/webhooks"): replace(WEBHOOK_ADMINS, unseen=400),
    ("POST", "/organizations/{organization}/webhooks"): WEBHOOK_ADMINS,
    ("GET", "/organizations/{organization}/webhooks"): MEMBERS,
    ("GET", "/webhooks/{webhook}"): MEMBERS,
    ("PATCH", "/webhooks/{webhook}"): WEBHOOK_ADMINS,
    ("DELETE", "/webhooks/{webhook}"): WEBHOOK_ADMINS,
    ("POST", "/webhooks/{webhook}/ping"): WEBHOOK_ADMINS,
    ("POST", "/webhooks/{webhook}/secret"): WEBHOOK_ADMINS,
    ("GET", "/webhooks/{webhook}/public-key"): MEMBERS,
    ("GET", "/webhooks/{webhook}/status"): MEMBERS,
    ("GET", "/webhooks/{webhook}/deliveries"): MEMBERS,
    ("GET", "/webhooks/{webhook}/deliveries/{sequence}"): MEMBERS,
    ("GET", "/webhooks/{webhook}/deliveries/{sequence}/attempts"): MEMBERS,
    ("POST", "/webhooks/{webhook}/deliveries/{sequence}/redeliver"): WEBHOOK_ADMINS,
    ("POST", "/webhooks/{webhook}/replays"): WEBHOOK_ADMINS,
    ("GET", "/webhooks/{webhook}/replays"): MEMBERS,
    ("GET", "/webhooks/{webhook}/replays/{replay}"): MEMBERS,
    ("DELETE", "/webhooks/{webhook}/replays/{replay}"): WEBHOOK_ADMINS,
    ("GET", "/organizations/{organization}/audit"): Rule(sight=Sight.MEMBERS, permission=Permission.READ_AUDIT),
    ("GET", "/organizations/{organization}/events"): MEMBERS,
    ("GET", "/events/{event}/explanation"): MEMBERS,
    ("GET", "/events/{event}"): MEMBERS,
    ("GET", "/event-types"): KNOWN,
    ("GET", "/swagger.json"): OPEN,
    ("GET", "/openapi.json"): OPEN,
    ("GET", "/docs"): OPEN,
    ("GET", "/docs.css"): OPEN,
    ("GET", "/health/live"): OPEN,
    ("GET", "/health/ready"): OPEN,
    ("GET", "/metrics"): OPEN,
}
"""By method and path, in the order of the routers."""
