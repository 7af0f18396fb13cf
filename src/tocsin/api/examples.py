"""One full and one sparse example of each resource: what the API description shows, rendered as any answer is."""

from dataclasses import replace
from typing import Any, Final

import orjson

from tocsin.domain.activities import Activities, Activity, ActivityGroup, LogAction, LogEntry, Verb
from tocsin.domain.audit import Action, AuditEntry
from tocsin.domain.business_activities import SEEDED
from tocsin.domain.changes import delivered_feedback
from tocsin.domain.events import Event
from tocsin.domain.resources import (
    Attempt,
    BusinessActivity,
    Category,
    Checkpoint,
    Delivery,
    DeliveryState,
    Feedback,
    Member,
    Operation,
    Organization,
    Person,
    Place,
    Point,
    Progression,
    Replay,
    Report,
    Token,
    Webhook,
    WebhookStatus,
)
from tocsin.domain.roles import Role
from tocsin.domain.states import OperationState, ReportState
from tocsin.hal import Hal, activities, event_feed
from tocsin.hal.encoding import encode
from tocsin.hal.links import Target
from tocsin.hal.notification import notification
from tocsin.hal.root import root

HAL: Final = Hal("https://tocsin.example.org")
AT: Final = 1_519_725_600_000_000
"""2018-02-27T10:00:00Z."""


def _id(number: int) -> str:
    return f"0190b6a0-5b91-7c73-875e-{number:012d}"


ORGANIZATION_ID: Final = _id(1)
REPORT_ID: Final = _id(2)
FEEDBACK_ID: Final = _id(3)
PERSON_ID: Final = _id(4)
ACTIVITY_ID: Final = _id(5)
CATEGORY_ID: Final = _id(6)
IMAGE_ID: Final = _id(16)
_STATE, _CHECKPOINTS = delivered_feedback(ORGANIZATION_ID, AT)


def _plain(representation: Any) -> Any:
    return orjson.loads(encode(representation))


REPORTS: Final = (
    Report(
        id=REPORT_ID,
        feedback_id=FEEDBACK_ID,
        organization_id=ORGANIZATION_ID,
        state=ReportState.NEW,
        created_at=AT,
        updated_at=AT,
        checkpoints=(Checkpoint(ReportState.NEW, AT, ORGANIZATION_ID),),
        progression=Progression(0, 0),
    ),
    Report(
        id=REPORT_ID,
        feedback_id=FEEDBACK_ID,
        organization_id=ORGANIZATION_ID,
        state=ReportState.ACCEPTED,
        created_at=AT,
        updated_at=AT,
        checkpoints=(Checkpoint(ReportState.NEW, AT, ORGANIZATION_ID),),
        progression=Progression(0, 1),
        description="The lamp in front of number 12 is broken.",
        identification_number="CMMS-4711",
        tags=("lamp",),
        category_id=CATEGORY_ID,
        delegated_from=ORGANIZATION_ID,
        delegated_to=_id(7),
    ),
)
OPERATIONS: Final = (
    Operation(
        id=_id(8),
        report_id=REPORT_ID,
        feedback_id=FEEDBACK_ID,
        organization_id=ORGANIZATION_ID,
        state=OperationState.NEW,
        created_at=AT,
        updated_at=AT,
        checkpoints=(Checkpoint(OperationState.NEW, AT, ORGANIZATION_ID),),
    ),
    Operation(
        id=_id(8),
        report_id=REPORT_ID,
        feedback_id=FEEDBACK_ID,
        organization_id=ORGANIZATION_ID,
        state=OperationState.ASSIGNED,
        created_at=AT,
        updated_at=AT,
        checkpoints=(Checkpoint(OperationState.NEW, AT, ORGANIZATION_ID),),
        name="Change the bulb",
        description="A ladder is needed.",
        identification_number="WO-12",
        duration=30,
        start_date=AT,
        operator_id=PERSON_ID,
        images=(IMAGE_ID,),
    ),
)
_SPARSE: Final = Feedback(
    id=FEEDBACK_ID,
    reporter_id=PERSON_ID,
    state=_STATE,
    public=True,
    point=Point(44.8378, -0.5792),
    elevation=0.0,
    created_at=AT,
    checkpoints=_CHECKPOINTS,
    progression=Progression(0, 1),
)
FEEDBACKS: Final = (
    _SPARSE,
    replace(
        _SPARSE,
        description="The lamp is broken.",
        category_id=CATEGORY_ID,
        business_activity_id=ACTIVITY_ID,
        images=(IMAGE_ID,),
    ),
)
_LIGHTING: Final = replace(next(one for one in SEEDED if one.name == "Public lighting"), id=ACTIVITY_ID)
_RING: Final = ((-0.6, 44.8), (-0.5, 44.8), (-0.5, 44.9), (-0.6, 44.8))
WEBHOOKS: Final = (
    Webhook(_id(9), ORGANIZATION_ID, Event.REPORT_CREATED, "https://cmms.example.org/hook", True, AT, AT),
    Webhook(
        _id(9),
        ORGANIZATION_ID,
        Event.REPORT_CREATED,
        "https://cmms.example.org/hook",
        True,
        AT,
        AT,
        description="Into the maintenance system",
        headers={"Authorization": "Bearer abc"},
        rate_per_second=50.0,
    ),
)

_RETRYING: Final = Delivery(
    webhook_id=_id(9),
    event_id=_id(14),
    sequence=12,
    ordinal=7,
    event=Event.REPORT_CREATED,
    resource_id=REPORT_ID,
    state=DeliveryState.RETRYING,
    attempts=1,
    occurred_at=AT,
    reason="The receiver answered 500. Attempt 1 failed; the next is due in 5 s.",
)
DELIVERIES: Final = (_RETRYING, replace(_RETRYING, next_attempt_at=AT, delivered_at=AT))
_ATTEMPTS: Final = (
    Attempt(1, AT, "connect_failed", "No connection to the receiver: Connection refused.", 900),
    Attempt(1, AT, "response", "The receiver answered 500.", 2100, 500, b"no", "192.0.2.1:443", 10, 20, 30, 40),
)
_BODY: Final = notification(Event.REPORT_CREATED, encode(HAL.report(REPORTS[0])))
_LOGGED: Final = orjson.loads(event_feed.item(12, 7, _id(14), AT, _BODY))
_ERASED: Final = orjson.loads(event_feed.item(12, 7, _id(14), AT, _BODY, AT))
_FEED: Final = {
    "last": 12,
    "_links": {
        "self": HAL.links.query("/organizations/…/events", {}),
        "next": HAL.links.query("/organizations/…/events", {"after": "12"}),
    },
    "_embedded": {"items": [_LOGGED, _ERASED]},
}
_REPLAY: Final = Replay(_id(15), _id(9), Event.REPORT_CREATED, 1, 7, False, 7, 3, 0, "running", AT, AT)
_AUDITED: Final = AuditEntry(
    12, ORGANIZATION_ID, AT, f"person:{PERSON_ID}", Action.WEBHOOK_REMOVED, f"webhook:{_id(9)}"
)
_COMMENT: Final = Activity(f"person:{PERSON_ID}", Verb.COMMENT, f"feedback:{FEEDBACK_ID}", "It still is.", AT)
_CONTRIBUTION: Final = Activity(f"person:{PERSON_ID}", Verb.CONTRIBUTE, f"feedback:{FEEDBACK_ID}", "", AT)
_CONTRIBUTIONS: Final = ActivityGroup(
    f"feedback:{FEEDBACK_ID}", Verb.CONTRIBUTE, "2018-02-27", (_CONTRIBUTION,), 1, 1, AT, AT
)
_ENTRY: Final = LogEntry(
    _id(8), 2, LogAction.ASSIGN, f"person:{PERSON_ID}", AT, {"state": "ASSIGNED", "operator": PERSON_ID}
)
_EXPLAINED: Final = (
    _id(9),
    "https://cmms.example.org/hook",
    "retrying",
    "The receiver answered 500. Attempt 1 failed; the next is due in 5 s.",
    "Attempt 2 is due at 2018-02-27T10:00:05+00:00.",
)
_TYPE: Final = {"event": "reportCreated", "description": "New report created", "schema": {}, "example": {}}
_TYPES: Final = {"_embedded": {"items": [_TYPE]}}

EXAMPLES: Final[dict[str, tuple[Any, Any]]] = {
    "Report": (HAL.report(REPORTS[0]), HAL.report(REPORTS[1])),
    "Operation": (HAL.operation(OPERATIONS[0]), HAL.operation(OPERATIONS[1])),
    "Feedback": (HAL.feedback(FEEDBACKS[0]), HAL.feedback(FEEDBACKS[1])),
    "Tracking": (HAL.report_tracking(REPORTS[0]), HAL.report_tracking(REPORTS[1])),
    "Organization": (
        HAL.organization(Organization(ORGANIZATION_ID, "City of Bordeaux", AT, AT), full=False),
        HAL.organization(
            Organization(
                ORGANIZATION_ID,
                "City of Bordeaux",
                AT,
                AT,
                "Bordeaux",
                "Everything in the streets",
                ACTIVITY_ID,
                "billing@bordeaux.example.org",
                "reports@bordeaux.example.org",
                logo_id=IMAGE_ID,
            ),
            full=True,
        ),
    ),
    "Person": (
        HAL.person(Person(PERSON_ID, "ada@example.org", AT, AT)),
        HAL.person(
            Person(
                PERSON_ID,
                "ada@example.org",
                AT,
                AT,
                "Ada",
                "Lovelace",
                "Engineer",
                member_of=ORGANIZATION_ID,
                image_id=IMAGE_ID,
            )
        ),
    ),
    "Member": (HAL.member(Member(_id(10), PERSON_ID, ORGANIZATION_ID, (Role.ADMIN,), AT)),) * 2,
    "Token": (
        HAL.token(Token(_id(11), ORGANIZATION_ID, "CMMS", (Role.ADMIN,), AT)),
        HAL.token(Token(_id(11), ORGANIZATION_ID, "CMMS", (Role.ADMIN,), AT, AT), "tocsin_…"),
    ),
    "BusinessActivity": (
        HAL.business_activity(BusinessActivity(ACTIVITY_ID, "Public lighting")),
        HAL.business_activity(_LIGHTING),
    ),
    "MetadataSchema": (HAL.business_activity_schema(_LIGHTING),) * 2,
    "Category": (
        HAL.category(Category(CATEGORY_ID, ORGANIZATION_ID, "Lamps", "#ffcc00", None, None, AT, AT)),
        HAL.category(Category(CATEGORY_ID, ORGANIZATION_ID, "Lamps", "#ffcc00", "fa-bug", "L-1", AT, AT)),
    ),
    "Place": (
        HAL.place(Place(_id(12), ORGANIZATION_ID, "Centre", None, (_RING,), 0.0, AT, AT)),
        HAL.place(Place(_id(12), ORGANIZATION_ID, "Centre", "BX-1", (_RING,), 0.0, AT, AT, _id(13))),
    ),
    "Activities": (
        activities.activities(Activities((_COMMENT,), None, 0.0012)),
        activities.activities(Activities((_COMMENT,), 4711, 0.0012)),
    ),
    "AggregatedActivities": (
        activities.groups(Activities((_CONTRIBUTIONS,), None, 0.0012)),
        activities.groups(Activities((_CONTRIBUTIONS,), 17589, 0.0012)),
    ),
    "LogEntry": (activities.log_entry(_ENTRY),) * 2,
    "Webhook": (HAL.webhook(WEBHOOKS[0]), HAL.webhook(WEBHOOKS[1], "whsec_…")),
    "WebhookStatus": (
        HAL.webhook_status(_id(9), WebhookStatus("active", 12, 12, 0, 0)),
        HAL.webhook_status(
            _id(9), WebhookStatus("failing", 10, 12, 2, 1, 0, "The endpoint failed 3 times in a row.", AT, AT)
        ),
    ),
    "Delivery": (HAL.delivery(DELIVERIES[0]), HAL.delivery(DELIVERIES[1])),
    "Deliveries": (
        HAL.cursor_page("/webhooks/…/deliveries", [HAL.delivery(DELIVERIES[0])], None, {}),
        HAL.cursor_page("/webhooks/…/deliveries", [HAL.delivery(DELIVERIES[1])], {"cursor": "12"}, {}),
    ),
    "Attempt": (HAL.attempt(_ATTEMPTS[0]), HAL.attempt(_ATTEMPTS[1])),
    "Attempts": (HAL.attempts(_id(9), 12, _ATTEMPTS[:1]), HAL.attempts(_id(9), 12, _ATTEMPTS[1:])),
    "Replay": (HAL.replay(_REPLAY),) * 2,
    "ReplayCount": (HAL.replay_count(_id(9), 7, only_failed=False),) * 2,
    "AuditEntry": (HAL.audit_entry(_AUDITED),) * 2,
    "Audit": (
        HAL.cursor_page("/organizations/…/audit", [HAL.audit_entry(_AUDITED)], None, {}),
        HAL.cursor_page("/organizations/…/audit", [HAL.audit_entry(_AUDITED)], {"cursor": "12"}, {}),
    ),
    "Explanation": (
        HAL.explained(_id(14), Event.REPORT_CREATED, 12, 1, [HAL.explanation(*_EXPLAINED, _ATTEMPTS[:1], None)]),
        HAL.explained(_id(14), Event.REPORT_CREATED, 12, 1, [HAL.explanation(*_EXPLAINED, _ATTEMPTS[1:], "curl …")]),
    ),
    "Login": (
        HAL.login("eyJ…", Person(PERSON_ID, "ada@example.org", AT, AT), ()),
        HAL.login(
            "eyJ…",
            Person(PERSON_ID, "ada@example.org", AT, AT),
            (Member(_id(10), PERSON_ID, ORGANIZATION_ID, (Role.ADMIN,), AT),),
        ),
    ),
    "PublicKey": (HAL.public_key(_id(9), "whpk_…"),) * 2,
    "LoggedEvent": (_LOGGED, _ERASED),
    "EventFeed": (_FEED, _FEED),
    "EventTypes": (_TYPES, _TYPES),
    "Root": (root(HAL.links, [], {}), root(HAL.links, [ORGANIZATION_ID], {Target.FEEDBACKS: ["state", "geo_hash[]"]})),
}
"""By the name of the schema: (sparse, full). A member that only the full one has is optional."""

EXAMPLES.update({name: (_plain(sparse), _plain(full)) for name, (sparse, full) in EXAMPLES.items()})
