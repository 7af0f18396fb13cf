"""Every target that a link can have, as a path with its variables: the API serves exactly these.

A link is {"href", "iriTemplate": {"mapping": {variable: value}}}: hrefs are absolute, built from one configured base,
because a receiver of a notification has no request to resolve against (CONTRACT, section 2).
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any
from urllib.parse import quote, urlencode

Link = dict[str, Any]


class Target(StrEnum):
    """Paths; the names in braces are the keys of a link's mapping (CONTRACT, section 4)."""

    ROOT = "/"
    REPORT = "/reports/{report}"
    REPORT_OPERATIONS = "/reports/{report}/operations"
    REPORT_TRACKING = "/reports/{report}/tracking"
    OPERATION = "/operations/{operation}"
    OPERATION_TRACKING = "/operations/{operation}/tracking"
    OPERATION_IMAGE = "/operations/{operation}/images/{image}"
    OPERATION_IMAGE_SIZED = "/operations/{operation}/images/{image}/{width}/{height}"
    OPERATION_COMMENTS = "/operations/{operation}/comments"
    OPERATION_LOGS = "/operations/{operation}/logs"
    FEEDBACKS = "/feedbacks"
    FEEDBACK = "/feedbacks/{feedback}"
    FEEDBACK_TRACKING = "/feedbacks/{feedback}/tracking"
    FEEDBACK_IMAGE = "/feedbacks/{feedback}/images/{image}"
    FEEDBACK_IMAGE_SIZED = "/feedbacks/{feedback}/images/{image}/{width}/{height}"
    FEEDBACK_COMMENTS = "/feedbacks/{feedback}/comments"
    FEEDBACK_CONTRIBUTIONS = "/feedbacks/{feedback}/contributions"
    ORGANIZATIONS = "/organizations"
    ORGANIZATION = "/organizations/{organization}"
    ORGANIZATION_LOGO = "/organizations/{organization}/logo"
    ORGANIZATION_LOGO_SIZED = "/organizations/{organization}/logo/{width}/{height}"
    ORGANIZATION_REPORTS = "/organizations/{organization}/reports"
    ORGANIZATION_OPERATIONS = "/organizations/{organization}/operations"
    ORGANIZATION_WEBHOOKS = "/organizations/{organization}/webhooks"
    ORGANIZATION_MEMBERS = "/organizations/{organization}/members"
    ORGANIZATION_TOKENS = "/organizations/{organization}/tokens"
    ORGANIZATION_CATEGORIES = "/organizations/{organization}/categories"
    ORGANIZATION_PLACES = "/organizations/{organization}/places"
    ORGANIZATION_EVENTS = "/organizations/{organization}/events"
    ORGANIZATION_AUDIT = "/organizations/{organization}/audit"
    ORGANIZATION_RELATIONSHIPS = "/organizations/{organization}/relationships"
    MEMBER = "/organizations/{organization}/members/{member}"
    TOKEN = "/tokens/{token}"
    PASSWORD_CHANGE = "/security/password/change/{token}"  # a path, not a credential
    PEOPLE = "/people"
    PERSON = "/people/{person}"
    PERSON_IMAGE = "/people/{person}/image"
    PERSON_IMAGE_SIZED = "/people/{person}/image/{width}/{height}"
    PERSON_MEMBERSHIPS = "/people/{person}/memberships"
    PERSON_OPERATIONS = "/people/{person}/operations"
    PERSON_FEEDBACKS = "/people/{person}/feedbacks"
    PLACES = "/places"
    PLACE = "/places/{place}"
    CHILD_PLACES = "/places?parent={parent}"
    CATEGORIES = "/categories"
    CATEGORY = "/categories/{category}"
    BUSINESS_ACTIVITIES = "/businessactivities"
    BUSINESS_ACTIVITY = "/businessactivities/{businessActivity}"
    BUSINESS_ACTIVITY_SCHEMA = "/businessactivities/{businessActivity}/schema"
    WEBHOOK = "/webhooks/{webhook}"
    WEBHOOK_STATUS = "/webhooks/{webhook}/status"
    WEBHOOK_PUBLIC_KEY = "/webhooks/{webhook}/public-key"
    WEBHOOK_DELIVERIES = "/webhooks/{webhook}/deliveries"
    WEBHOOK_REPLAYS = "/webhooks/{webhook}/replays"
    REPLAY = "/webhooks/{webhook}/replays/{replay}"
    DELIVERY = "/webhooks/{webhook}/deliveries/{sequence}"
    DELIVERY_ATTEMPTS = "/webhooks/{webhook}/deliveries/{sequence}/attempts"
    EVENT = "/events/{event}"
    EVENT_EXPLANATION = "/events/{event}/explanation"
    EVENT_TYPES = "/event-types"
    DESCRIPTION = "/openapi.json"
    DOCS = "/docs"


class Links:
    """Makes links under one public base URL."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._templates = {target: self.base_url + target.value for target in Target}

    def to(self, target: Target, **mapping: str) -> Link:
        """A link to `target` with its variables filled in."""
        return {"href": self._templates[target].format_map(mapping), "iriTemplate": {"mapping": mapping}}

    def template(self, target: Target, query: Sequence[str]) -> Link:
        """Any such target, as a URI template (RFC 6570); `query`: names that may be added, `[]` repeatedly."""
        names = ",".join(quote(one, safe="") + ("*" if one.endswith("[]") else "") for one in query)
        return {"href": self._templates[target] + (f"{{?{names}}}" if names else ""), "templated": True}

    def page(self, path: str, number: int, limit: int, filters: Sequence[tuple[str, str]]) -> Link:
        """A page of the collection at `path`: href only; page and limit come first, then the filters."""
        query = urlencode([("page", number), ("limit", limit), *filters], quote_via=quote)
        return {"href": f"{self.base_url}{path}?{query}"}

    def query(self, path: str, parameters: Mapping[str, str]) -> Link:
        """A place in a collection that pages by cursor: href only."""
        query = urlencode(parameters, quote_via=quote)
        return {"href": f"{self.base_url}{path}?{query}" if query else f"{self.base_url}{path}"}
