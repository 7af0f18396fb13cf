"""Activities and log entries: no resources, and without links (CONTRACT, section 3, "Comment = activity")."""

from typing import Any

from tocsin.domain.activities import Activities, Activity, ActivityGroup, LogEntry
from tocsin.hal.encoding import moment


def activity(one: Activity) -> dict[str, Any]:
    return {
        "actor": one.actor,
        "verb": one.verb,
        "object": one.object,
        "message": one.message,
        "time": moment(one.at),
    }


def group(one: ActivityGroup) -> dict[str, Any]:
    """The only place with names in this form."""
    return {
        "id": one.id,
        "group": one.group,
        "verb": one.verb,
        "activities": [activity(each) for each in one.activities],
        "activity_count": one.activity_count,
        "actor_count": one.actor_count,
        "created_at": moment(one.created_at),
        "updated_at": moment(one.updated_at),
    }


def activities(found: Activities[Activity]) -> dict[str, Any]:
    return _part(found, [activity(one) for one in found.results])


def groups(found: Activities[ActivityGroup]) -> dict[str, Any]:
    return _part(found, [group(one) for one in found.results])


def _part(found: Activities[Any], results: list[dict[str, Any]]) -> dict[str, Any]:
    """`next` is empty at the end."""
    return {
        "duration": f"{found.duration_seconds * 1000:.2f}ms",
        "next": "" if found.next is None else str(found.next),
        "results": results,
    }


def log_entry(one: LogEntry) -> dict[str, Any]:
    return {
        "action": one.action,
        "loggedAt": moment(one.at),
        "objectId": one.operation_id,
        "version": str(one.version),
        "actor": one.actor,
        "data": [f"{member}: {_text(member, value)}" for member, value in one.data.items()],
    }


def _text(member: str, value: Any) -> str:
    if value is None:
        return "none"
    if member == "startDate":
        return moment(value)
    return ", ".join(value) if isinstance(value, list | tuple) else str(value)
