"""Each resource's representation, as a dict in the contract's order (CONTRACT, sections 3, 4 and 8).

A member that has no value is left out, as a relation without a target is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tocsin.domain.audit import AuditEntry
from tocsin.domain.events import RESOURCE_TYPE, Event
from tocsin.domain.guards import feedback_transitions, operation_transitions, report_transitions
from tocsin.domain.resources import (
    Attempt,
    BusinessActivity,
    Category,
    Checkpoint,
    Delivery,
    Feedback,
    Member,
    Operation,
    Organization,
    Person,
    Place,
    Progression,
    Replay,
    Report,
    Token,
    Webhook,
    WebhookStatus,
)
from tocsin.domain.roles import Role
from tocsin.domain.states import OperationState
from tocsin.hal.encoding import SECOND, moment
from tocsin.hal.links import Link, Links, Target

Representation = dict[str, Any]


class Hal:
    """Representations under one public base URL."""

    def __init__(self, base_url: str) -> None:
        self.links = Links(base_url)

    # Reports and operations: what notifications carry

    def report(self, one: Report) -> Representation:
        to = self.links.to
        links = {
            "self": to(Target.REPORT, report=one.id),
            "feedback": to(Target.FEEDBACK, feedback=one.feedback_id),
            "operations": to(Target.REPORT_OPERATIONS, report=one.id),
            "organization": to(Target.ORGANIZATION, organization=one.organization_id),
            "tracking": to(Target.REPORT_TRACKING, report=one.id),
        }
        if one.category_id is not None:
            links["category"] = to(Target.CATEGORY, category=one.category_id)
        if one.delegated_to is not None:
            links["delegatedTo"] = to(Target.ORGANIZATION, organization=one.delegated_to)
        if one.delegated_from is not None:
            links["delegatedFrom"] = to(Target.ORGANIZATION, organization=one.delegated_from)
        return {
            "type": "Report",
            "id": one.id,
            **_given(identificationNumber=one.identification_number, description=one.description),
            "priority": one.priority,
            "tags": list(one.tags),
            "state": one.state,
            "createdAt": moment(one.created_at),
            "updatedAt": moment(one.updated_at),
            "_links": links,
            "_embedded": {
                "stateTransitions": list(report_transitions(one.state, one.progression)),
                "tracking": self.report_tracking(one),
            },
        }

    def operation(self, one: Operation) -> Representation:
        to = self.links.to
        links: dict[str, Any] = {
            "self": to(Target.OPERATION, operation=one.id),
            "report": to(Target.REPORT, report=one.report_id),
            "feedback": to(Target.FEEDBACK, feedback=one.feedback_id),
            "tracking": to(Target.OPERATION_TRACKING, operation=one.id),
        }
        if one.operator_id is not None:
            links["operator"] = to(Target.PERSON, person=one.operator_id)
        links |= self._images(Target.OPERATION_IMAGE, one.images, operation=one.id)
        return {
            "type": "Operation",
            "id": one.id,
            **_given(
                name=one.name,
                description=one.description,
                identificationNumber=one.identification_number,
                duration=one.duration,
                startDate=None if one.start_date is None else moment(one.start_date),
            ),
            "state": one.state,
            "createdAt": moment(one.created_at),
            "updatedAt": moment(one.updated_at),
            "_links": links,
            "_embedded": {
                "stateTransitions": list(operation_transitions(one.state)),
                "tracking": self.operation_tracking(one),
            },
        }

    # Tracking

    def report_tracking(self, one: Report) -> Representation:
        link = self.links.to(Target.REPORT_TRACKING, report=one.id)
        return self._tracking(one.state, one.progression, one.checkpoints, link)

    def operation_tracking(self, one: Operation) -> Representation:
        link = self.links.to(Target.OPERATION_TRACKING, operation=one.id)
        progression = Progression(int(one.state is OperationState.RESOLVED), 1)
        return self._tracking(one.state, progression, one.checkpoints, link)

    def feedback_tracking(self, one: Feedback) -> Representation:
        link = self.links.to(Target.FEEDBACK_TRACKING, feedback=one.id)
        return self._tracking(one.state, one.progression, one.checkpoints, link)

    def _tracking(
        self, state: str, progression: Progression, checkpoints: Sequence[Checkpoint], link: Link
    ) -> Representation:
        """`time`: whole seconds from the first to the last checkpoint, so that no clock is in it."""
        return {
            "state": state,
            "progression": {"resolved": float(progression.resolved), "total": progression.total},
            "time": (checkpoints[-1].created_at - checkpoints[0].created_at) // SECOND,
            "checkpoints": [
                {
                    "createdAt": moment(one.created_at),
                    "state": one.state,
                    "_links": {"organization": self.links.to(Target.ORGANIZATION, organization=one.organization_id)},
                }
                for one in checkpoints
            ],
            "_links": {"self": link},
        }

    # Feedback, people, organizations and what is theirs

    def feedback(self, one: Feedback) -> Representation:
        to = self.links.to
        links: dict[str, Any] = {
            "self": to(Target.FEEDBACK, feedback=one.id),
            "tracking": to(Target.FEEDBACK_TRACKING, feedback=one.id),
            "reporter": to(Target.PERSON, person=one.reporter_id),
        }
        if one.category_id is not None:
            links["category"] = to(Target.CATEGORY, category=one.category_id)
        if one.business_activity_id is not None:
            links["businessActivity"] = to(Target.BUSINESS_ACTIVITY, businessActivity=one.business_activity_id)
        links |= self._images(Target.FEEDBACK_IMAGE, one.images, feedback=one.id)
        return {
            "type": "Feedback",
            "id": one.id,
            **_given(description=one.description),
            "state": one.state,
            "public": one.public,
            "createdAt": moment(one.created_at),
            "metadata": one.metadata,
            "geoCoordinates": {
                "elevation": one.elevation,
                "point": {"latitude": one.point.latitude, "longitude": one.point.longitude, "srid": 4326},
            },
            "_links": links,
            "_embedded": {
                "stateTransitions": list(feedback_transitions(one.state)),
                "tracking": self.feedback_tracking(one),
            },
        }

    def _images(self, target: Target, image_ids: Sequence[str], **mapping: str) -> dict[str, Any]:
        """Links to every image; `image` is the first of them."""
        images = [self.links.to(target, image=one, **mapping) for one in image_ids]
        return {"image": images[0], "images": images} if images else {}

    def organization(self, one: Organization, *, full: bool) -> Representation:
        """`full`: with the e-mail addresses, which only members see."""
        to = self.links.to
        links = {"self": to(Target.ORGANIZATION, organization=one.id)}
        if one.business_activity_id is not None:
            links["businessActivity"] = to(Target.BUSINESS_ACTIVITY, businessActivity=one.business_activity_id)
        if one.logo_id is not None:
            links["logo"] = to(Target.ORGANIZATION_LOGO, organization=one.id)
        addresses = _given(
            billingEmailAddress=one.billing_email_address, notificationEmailAddress=one.notification_email_address
        )
        return {
            "type": "Organization",
            "id": one.id,
            "name": one.name,
            **_given(alternateName=one.alternate_name, description=one.description),
            **(addresses if full else {}),
            "enabled": one.enabled,
            "isEnabled": one.enabled,
            "createdAt": moment(one.created_at),
            "updatedAt": moment(one.updated_at),
            "_links": links,
        }

    def person(self, one: Person) -> Representation:
        to = self.links.to
        links = {"self": to(Target.PERSON, person=one.id)}
        if one.member_of is not None:
            links["memberOf"] = to(Target.ORGANIZATION, organization=one.member_of)
        if one.image_id is not None:
            links["image"] = to(Target.PERSON_IMAGE, person=one.id)
        return {
            "type": "Person",
            "id": one.id,
            "username": one.email,
            "email": one.email,
            **_given(givenName=one.given_name, familyName=one.family_name, jobTitle=one.job_title),
            "optIn": one.opt_in,
            "preferences": {
                "messageEmailEnabled": one.message_email_enabled,
                "messagePushEnabled": one.message_push_enabled,
            },
            "createdAt": moment(one.created_at),
            "updatedAt": moment(one.updated_at),
            "_links": links,
        }

    def member(self, one: Member) -> Representation:
        to = self.links.to
        return {
            "type": "Member",
            "id": one.id,
            "roles": list(one.roles),
            "createdAt": moment(one.created_at),
            "_links": {
                "self": to(Target.MEMBER, organization=one.organization_id, member=one.id),
                "person": to(Target.PERSON, person=one.person_id),
                "organization": to(Target.ORGANIZATION, organization=one.organization_id),
            },
            "_embedded": {"availableRoles": list(Role)},
        }

    def login(self, token: str, person: Person, memberships: Sequence[Member]) -> Representation:
        """The result of a login (CONTRACT, section 1)."""
        roles = sorted({role for one in memberships for role in one.roles})
        return {
            "accessToken": token,
            "tokenType": "Bearer",
            "credentials": {
                "id": person.id,
                "login": person.email,
                "roles": ["ROLE_USER", *roles],
                "administratorOf": [],
                "memberOf": [
                    {
                        "id": one.id,
                        "organization": {"type": "Organization", "id": one.organization_id},
                        "roles": list(one.roles),
                    }
                    for one in memberships
                ],
            },
        }

    def token(self, one: Token, credential: str | None = None) -> Representation:
        """`credential`: the token itself, shown once, in the answer to its creation."""
        to = self.links.to
        return {
            "type": "Token",
            "id": one.id,
            "name": one.name,
            "roles": list(one.roles),
            **_given(expiresAt=None if one.expires_at is None else moment(one.expires_at), token=credential),
            "createdAt": moment(one.created_at),
            "_links": {
                "self": to(Target.TOKEN, token=one.id),
                "organization": to(Target.ORGANIZATION, organization=one.organization_id),
            },
        }

    def business_activity(self, one: BusinessActivity) -> Representation:
        to = self.links.to
        return {
            "type": "BusinessActivity",
            "id": one.id,
            "name": one.name,
            **_given(alternateName=one.alternate_name),
            "metadataSchema": one.metadata_schema,
            "_links": {
                "self": to(Target.BUSINESS_ACTIVITY, businessActivity=one.id),
                "schema": to(Target.BUSINESS_ACTIVITY_SCHEMA, businessActivity=one.id),
            },
        }

    def business_activity_schema(self, one: BusinessActivity) -> Representation:
        link = self.links.to(Target.BUSINESS_ACTIVITY_SCHEMA, businessActivity=one.id)
        return {**one.metadata_schema, "_links": {"self": link}}

    def category(self, one: Category) -> Representation:
        to = self.links.to
        return {
            "type": "Category",
            "id": one.id,
            "name": one.name,
            "color": one.color,
            **_given(icon=one.icon, identificationNumber=one.identification_number),
            "createdAt": moment(one.created_at),
            "_links": {
                "self": to(Target.CATEGORY, category=one.id),
                "organization": to(Target.ORGANIZATION, organization=one.organization_id),
            },
        }

    def place(self, one: Place) -> Representation:
        to = self.links.to
        links = {
            "self": to(Target.PLACE, place=one.id),
            "organization": to(Target.ORGANIZATION, organization=one.organization_id),
            "containsPlaces": to(Target.CHILD_PLACES, parent=one.id),
        }
        if one.contained_in_place_id is not None:
            links["containedInPlace"] = to(Target.PLACE, place=one.contained_in_place_id)
        geometry = {"type": "Polygon", "coordinates": one.rings}
        feature = {"type": "Feature", "properties": [], "geometry": geometry}
        return {
            "type": "Place",
            "id": one.id,
            "name": one.name,
            **_given(branchCode=one.branch_code),
            "createdAt": moment(one.created_at),
            "updatedAt": moment(one.updated_at),
            "geo": {"polygon": {"type": "FeatureCollection", "features": [feature]}, "elevation": one.elevation},
            "_links": links,
        }

    # Webhooks

    def webhook(self, one: Webhook, secret: str | None = None) -> Representation:
        """`secret`: shown once, in the answer to its creation."""
        to = self.links.to
        return {
            "type": "Webhook",
            "id": one.id,
            "event": one.event,
            "payloadUrl": one.payload_url,
            "enabled": one.enabled,
            **_given(description=one.description),
            "headers": one.headers,
            "signature": one.signature,
            "maxInFlight": one.max_in_flight,
            **_given(ratePerSecond=one.rate_per_second, secret=secret),
            "createdAt": moment(one.created_at),
            "updatedAt": moment(one.updated_at),
            "_links": {
                "self": to(Target.WEBHOOK, webhook=one.id),
                "organization": to(Target.ORGANIZATION, organization=one.organization_id),
                "status": to(Target.WEBHOOK_STATUS, webhook=one.id),
                "deliveries": to(Target.WEBHOOK_DELIVERIES, webhook=one.id),
                "replays": to(Target.WEBHOOK_REPLAYS, webhook=one.id),
            },
        }

    def webhook_status(self, webhook_id: str, one: WebhookStatus) -> Representation:
        to = self.links.to
        return {
            "state": one.state,
            **_given(
                reason=one.reason,
                failingSince=None if one.failing_since is None else moment(one.failing_since),
                nextAttemptAt=None if one.next_attempt_at is None else moment(one.next_attempt_at),
            ),
            "cursor": one.cursor,
            "head": one.head,
            "pending": one.pending,
            "parked": one.parked,
            "lost": one.lost,
            "_links": {
                "self": to(Target.WEBHOOK_STATUS, webhook=webhook_id),
                "webhook": to(Target.WEBHOOK, webhook=webhook_id),
            },
        }

    def public_key(self, webhook_id: str, key: str) -> Representation:
        links = {
            "self": self.links.to(Target.WEBHOOK_PUBLIC_KEY, webhook=webhook_id),
            "webhook": self.links.to(Target.WEBHOOK, webhook=webhook_id),
        }
        return {"publicKey": key, "_links": links}

    def delivery(self, one: Delivery) -> Representation:
        to = self.links.to
        place = {"webhook": one.webhook_id, "sequence": str(one.sequence)}
        resource = Target.REPORT if RESOURCE_TYPE[Event(one.event)] == "Report" else Target.OPERATION
        return {
            "id": one.event_id,
            "sequence": one.sequence,
            "ordinal": one.ordinal,
            "event": one.event,
            "state": one.state,
            "attempts": one.attempts,
            **_given(nextAttemptAt=_moment(one.next_attempt_at), deliveredAt=_moment(one.delivered_at)),
            "occurredAt": moment(one.occurred_at),
            "reason": one.reason,
            "_links": {
                "self": to(Target.DELIVERY, **place),
                "webhook": to(Target.WEBHOOK, webhook=one.webhook_id),
                "event": to(Target.EVENT, event=one.event_id),
                "attempts": to(Target.DELIVERY_ATTEMPTS, **place),
                "resource": to(resource, **{resource.name.lower(): one.resource_id}),
            },
        }

    def attempts(self, webhook_id: str, sequence: int, found: Sequence[Attempt]) -> Representation:
        link = self.links.to(Target.DELIVERY_ATTEMPTS, webhook=webhook_id, sequence=str(sequence))
        return {"_links": {"self": link}, "_embedded": {"items": [self.attempt(one) for one in found]}}

    def attempt(self, one: Attempt) -> Representation:
        """Durations in milliseconds; `responseBody` as text, what is not UTF-8 in it replaced."""
        durations = {
            "resolve": one.resolve_us,
            "connect": one.connect_us,
            "tls": one.tls_us,
            "firstByte": one.first_byte_us,
            "total": one.total_us,
        }
        body = None if one.response_body is None else one.response_body.decode("utf-8", "replace")
        return {
            "number": one.number,
            "startedAt": moment(one.started_at),
            "outcome": one.outcome,
            "reason": one.reason,
            **_given(statusCode=one.status, responseBody=body, address=one.address),
            "durations": {name: value / 1000 for name, value in durations.items() if value is not None},
        }

    def replay(self, one: Replay) -> Representation:
        return {
            "id": one.id,
            "event": one.event,
            "firstOrdinal": one.first_ordinal,
            "lastOrdinal": one.last_ordinal,
            "onlyFailed": one.only_failed,
            "total": one.total,
            "done": one.done,
            "failed": one.failed,
            "state": one.state,
            "createdAt": moment(one.created_at),
            "updatedAt": moment(one.updated_at),
            "_links": {
                "self": self.links.to(Target.REPLAY, webhook=one.webhook_id, replay=one.id),
                "webhook": self.links.to(Target.WEBHOOK, webhook=one.webhook_id),
            },
        }

    def replay_count(self, webhook_id: str, total: int, *, only_failed: bool) -> Representation:
        """Of a dry run: there is no replay to link to."""
        link = self.links.to(Target.WEBHOOK, webhook=webhook_id)
        return {"dryRun": True, "onlyFailed": only_failed, "total": total, "_links": {"webhook": link}}

    def explanation(
        self,
        webhook_id: str,
        url: str,
        state: str,
        why: str,
        then: str,
        attempts: Sequence[Attempt],
        request: str | None,
    ) -> Representation:
        """One webhook's part of why an event was or wasn't sent; `request`: a curl command."""
        return {
            "webhook": webhook_id,
            "payloadUrl": url,
            "state": state,
            "why": why,
            "next": then,
            "attempts": [self.attempt(one) for one in attempts],
            **_given(request=request),
            "_links": {"webhook": self.links.to(Target.WEBHOOK, webhook=webhook_id)},
        }

    def explained(
        self, event_id: str, event: str, sequence: int, total: int, webhooks: Sequence[Representation]
    ) -> Representation:
        return {
            "id": event_id,
            "event": event,
            "sequence": sequence,
            "total": total,
            "_links": {
                "self": self.links.to(Target.EVENT_EXPLANATION, event=event_id),
                "event": self.links.to(Target.EVENT, event=event_id),
            },
            "_embedded": {"webhooks": list(webhooks)},
        }

    def audit_entry(self, one: AuditEntry) -> Representation:
        return {
            "at": moment(one.at),
            "actor": one.actor,
            "action": one.action,
            "subject": one.subject,
            "details": dict(one.details),
        }

    # Collections

    def cursor_page(
        self, path: str, items: Sequence[Representation], following: Mapping[str, str] | None, own: Mapping[str, str]
    ) -> Representation:
        """A page by cursor: no total; `following`: the query of the next page, None at the end."""
        links = {"self": self.links.query(path, own)}
        if following is not None:
            links["next"] = self.links.query(path, following)
        return {"_links": links, "_embedded": {"items": list(items)}}

    def page(  # one argument for each member of the envelope
        self,
        path: str,
        items: Sequence[Representation],
        *,
        number: int,
        limit: int,
        total: int,
        filters: Sequence[tuple[str, str]] = (),
    ) -> Representation:
        """The collection envelope; `path` starts with a slash, `filters` are kept in each link."""
        pages = max(1, -(-total // limit))
        numbers = {"self": number, "first": 1, "last": pages}
        if number < pages:
            numbers["next"] = number + 1
        if number > 1:
            numbers["previous"] = min(number - 1, pages)
        return {
            "page": number,
            "limit": limit,
            "pages": pages,
            "total": total,
            "_links": {name: self.links.page(path, n, limit, filters) for name, n in numbers.items()},
            "_embedded": {"items": list(items)},
        }


def _moment(at: int | None) -> str | None:
    return None if at is None else moment(at)


def _given(**members: Any) -> dict[str, Any]:
    """Without those that have no value."""
    return {name: value for name, value in members.items() if value is not None}
