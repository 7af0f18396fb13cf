"""The five events that a change of a report or an operation can be.

Source: the webhook page of the documentation (CONTRACT, section 7). The names are on the wire and never change.
"""

from enum import StrEnum
from typing import Final


class Event(StrEnum):
    """The name of an event, exactly as a notification carries it."""

    REPORT_CREATED = "reportCreated"
    REPORT_STATE_CHANGED = "reportStateChanged"
    OPERATION_CREATED = "operationCreated"
    OPERATION_STATE_CHANGED = "operationStateChanged"
    OPERATION_REMOVED = "operationRemoved"


RESOURCE_TYPE: Final[dict[Event, str]] = {
    Event.REPORT_CREATED: "Report",
    Event.REPORT_STATE_CHANGED: "Report",
    Event.OPERATION_CREATED: "Operation",
    Event.OPERATION_STATE_CHANGED: "Operation",
    Event.OPERATION_REMOVED: "Operation",
}

DESCRIPTION: Final[dict[Event, str]] = {
    Event.REPORT_CREATED: "New report created",
    Event.REPORT_STATE_CHANGED: "Report's state changed",
    Event.OPERATION_CREATED: "New operation created",
    Event.OPERATION_STATE_CHANGED: "Operation's state changed",
    Event.OPERATION_REMOVED: "Operation removed",
}
