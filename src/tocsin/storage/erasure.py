"""What is erased of a person, table by table, and the events that are rendered anew without what it had written.

`ERASERS` is the list of everything that holds something of a person: whoever adds a table that does, adds a function to
it. They run in its order, which is the order of locks, in one transaction. Events follow in small ones.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Table, bindparam, delete, null, or_, select, update

from tocsin.domain.events import RESOURCE_TYPE
from tocsin.storage import images, mails
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.schema import (
    answers,
    attempts,
    comments,
    contributions,
    delegations,
    erasures,
    events,
    feedbacks,
    logs,
    members,
    operations,
    password_links,
    people,
    reports,
    webhooks,
)
from tocsin.storage.schema import images as images_table
from tocsin.storage.statements import Query

NOWHERE: Final = "erased.invalid"
"""The domain of the address that an erased person has: RFC 2606 keeps it from being anybody's."""
REPORT_EVENTS: Final = tuple(event.value for event, kind in RESOURCE_TYPE.items() if kind == "Report")

_FEEDBACK_OF = select(feedbacks.c.id).where(feedbacks.c.reporter_id == bindparam("person_id"))
_REPORTS_OF = (
    select(reports.c.id)
    .join(feedbacks, feedbacks.c.id == reports.c.feedback_id)
    .where(feedbacks.c.reporter_id == bindparam("person_id"))
)
_HOLDERS_OF = Query(
    select(reports.c.organization_id, delegations.c.organization_id.label("delegate"))
    .select_from(
        reports.join(feedbacks, feedbacks.c.id == reports.c.feedback_id).outerjoin(
            delegations, delegations.c.report_id == reports.c.id
        )
    )
    .where(feedbacks.c.reporter_id == bindparam("person_id"))
    .distinct()
)
_IMAGES = Query(
    select(images_table.c.id, images_table.c.resource_id)
    .where(images_table.c.actor == bindparam("actor"), images_table.c.resource_type == bindparam("resource_type"))
    .order_by(images_table.c.resource_id, images_table.c.id)
)
_PERSON = Query(select(people).where(people.c.id == bindparam("id")).with_for_update())
_WRITTEN = Query(
    select(events.c.sequence, events.c.body)
    .where(
        events.c.organization_id == bindparam("organization_id"),
        events.c.sequence > bindparam("after"),
        events.c.sequence <= bindparam("last"),
        or_(*(events.c.event == event for event in REPORT_EVENTS)),
        events.c.erased_at.is_(None),
        events.c.resource_id.in_(_REPORTS_OF),
    )
    .order_by(events.c.sequence)
)
_REWRITE = Query(
    update(events)
    .where(
        events.c.organization_id == bindparam("of_organization"),
        events.c.sequence == bindparam("at_sequence"),
        events.c.erased_at.is_(None),
    )
    .values(body=bindparam("new_body"), erased_at=bindparam("now"))
)
_FORGET_ANSWERS = Query(
    update(attempts)
    .where(
        attempts.c.webhook_id.in_(
            select(webhooks.c.id).where(webhooks.c.organization_id == bindparam("of_organization"))
        ),
        attempts.c.sequence == bindparam("at_sequence"),
        attempts.c.response_body.is_not(None),
    )
    .values(response_body=null())
)
_LOG = Query(select(logs).where(logs.c.organization_id == bindparam("organization_id")))
_UNFINISHED = Query(select(erasures).where(erasures.c.done_at.is_(None)).order_by(erasures.c.created_at))
_COUNT = Query(
    update(erasures).where(erasures.c.id == bindparam("the_id")).values(events=erasures.c.events + bindparam("more"))
)


@dataclass(frozen=True, slots=True)
class Leaving:
    """Who is erased; `address` folded, `now` in microseconds."""

    person_id: str
    address: str
    now: int

    @property
    def actor(self) -> str:
        """The person as logs, comments and images name it."""
        return f"person:{self.person_id}"


Eraser = Callable[[Writing, Leaving], Awaitable[None]]


async def _feedback(tx: Writing, leaving: Leaving) -> None:
    """What was said in it. Where it was, and what became of it, are the organizations' business."""
    mine = Query(_FEEDBACK_OF.order_by(feedbacks.c.id).with_for_update())
    await tx.rows(mine, person_id=leaving.person_id)
    own = feedbacks.c.reporter_id == leaving.person_id
    await tx.execute(update(feedbacks).where(own).values(description=null(), metadata=json.dumps({})))


async def _reports(tx: Writing, leaving: Leaving) -> None:
    """A report's description starts as the feedback's; whatever was made of it since is made of that."""
    rows = await tx.rows(
        Query(_REPORTS_OF.order_by(reports.c.id).with_for_update(of=reports)), person_id=leaving.person_id
    )
    for row in rows:
        await tx.update(reports, row["id"], {"description": None, "updated_at": leaving.now})


async def _feedback_images(tx: Writing, leaving: Leaving) -> None:
    await _take_images(tx, "Feedback", feedbacks, leaving, {})


async def _operation_images(tx: Writing, leaving: Leaving) -> None:
    await _take_images(tx, "Operation", operations, leaving, {"updated_at": leaving.now})


async def _take_images(
    tx: Writing, resource_type: str, table: Table, leaving: Leaving, changes: Mapping[str, object]
) -> None:
    """Those that the person added, out of what names them and then themselves."""
    for row in await tx.rows(_IMAGES, actor=leaving.actor, resource_type=resource_type):
        lock = select(table.c.images).where(table.c.id == row["resource_id"]).with_for_update()
        found = await tx.row(lock)
        kept = [] if found is None else [one for one in json.loads(found["images"]) if one != row["id"]]
        await tx.update(table, row["resource_id"], {"images": json.dumps(kept), **changes})
        await images.remove(tx, row["id"])


async def _activities(tx: Writing, leaving: Leaving) -> None:
    """What was said, and to what the person joined in."""
    await tx.execute(delete(comments).where(comments.c.actor == leaving.actor))
    await tx.execute(delete(contributions).where(contributions.c.person_id == leaving.person_id))


async def _mails(tx: Writing, leaving: Leaving) -> None:
    await mails.forget(tx, leaving.person_id, leaving.address)


async def _password_links(tx: Writing, leaving: Leaving) -> None:
    await tx.execute(delete(password_links).where(password_links.c.person_id == leaving.person_id))


async def _answers(tx: Writing, leaving: Leaving) -> None:
    """What the person's own calls were answered, kept for their keys."""
    await tx.execute(delete(answers).where(answers.c.caller == leaving.actor))


async def _memberships(tx: Writing, leaving: Leaving) -> None:
    await tx.execute(delete(members).where(members.c.person_id == leaving.person_id))


async def _person(tx: Writing, leaving: Leaving) -> None:
    """The row stays, as nobody: what links to it still resolves."""
    address = f"{leaving.person_id}@{NOWHERE}"
    nobody = {
        "email": address,
        "email_folded": address,
        "password_hash": None,
        "password_changed_at": leaving.now,
        "given_name": None,
        "family_name": None,
        "job_title": None,
        "opt_in": False,
        "message_email_enabled": False,
        "message_push_enabled": False,
        "language": None,
        "image_id": None,
        "updated_at": leaving.now,
        "erased_at": leaving.now,
    }
    await tx.update(people, leaving.person_id, nobody)
    await images.remove_of(tx, leaving.person_id)


ERASERS: Final[tuple[Eraser, ...]] = (
    _feedback,
    _feedback_images,
    _reports,
    _operation_images,
    _activities,
    _mails,
    _password_links,
    _answers,
    _memberships,
    _person,
)
"""Everything that holds something of a person, in the order of locks; `_person` last."""


async def lock_person(tx: Writing, person_id: str) -> Row | None:
    """Whoever writes something in the person's name waits, and finds that it is no more."""
    return await tx.row(_PERSON, id=person_id)


async def holders_of(tx: Reading, person_id: str) -> list[str]:
    """The organizations that hold a report of the person's, by id."""
    rows = await tx.rows(_HOLDERS_OF, person_id=person_id)
    return sorted({one for row in rows for one in (row["organization_id"], row["delegate"]) if one is not None})


async def begin(tx: Writing, erasure_id: str, leaving: Leaving, actor: str) -> None:
    row = {"id": erasure_id, "person_id": leaving.person_id, "actor": actor, "created_at": leaving.now}
    await tx.insert(erasures, row)


async def unfinished(tx: Reading) -> Sequence[Row]:
    return await tx.rows(_UNFINISHED)


async def finish(tx: Writing, erasure_id: str, now: int) -> None:
    await tx.update(erasures, erasure_id, {"done_at": now})


async def bounds(tx: Reading, organization_id: str) -> tuple[int, int]:
    """The sequence before the log's oldest event, and that of its newest."""
    row = await tx.row(_LOG, organization_id=organization_id)
    assert row is not None, "every organization has a log"
    return row["oldest_sequence"] - 1, row["sequence"]


async def written(tx: Reading, person_id: str, organization_id: str, after: int, last: int) -> list[tuple[int, bytes]]:
    """(sequence, body) of the events in a stretch of a log that tell of the person's reports, and are not done yet."""
    rows = await tx.rows(_WRITTEN, person_id=person_id, organization_id=organization_id, after=after, last=last)
    return [(row["sequence"], bytes(row["body"])) for row in rows]


async def rewrite(
    tx: Writing, erasure_id: str, organization_id: str, bodies: Sequence[tuple[int, bytes]], now: int
) -> int:
    """New bodies by sequence; what receivers answered to the old ones goes, as it may repeat them. Returns how many."""
    changed = 0
    for sequence, body in bodies:
        here = {"of_organization": organization_id, "at_sequence": sequence}
        changed += await tx.execute(_REWRITE, **here, new_body=body, now=now)
        await tx.execute(_FORGET_ANSWERS, **here)
    await tx.execute(_COUNT, the_id=erasure_id, more=changed)
    return changed


def of_address_or_id(text: str) -> Query:
    """A person by what the operator typed."""
    return Query(select(people.c.id).where(or_(people.c.id == text.lower(), people.c.email_folded == text.casefold())))
