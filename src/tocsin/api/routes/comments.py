"""Comments on feedback and operations, contributions to feedback, and the log of an operation.

Streams page by a cursor: `next` of an answer, sent as `?cursor=`, gives what follows.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from tocsin.api.answer import answer, page
from tocsin.api.body import Input, JsonRoute
from tocsin.api.description import WRITE_ERRORS, answers
from tocsin.api.parameters import KnownCaller, Pages, Text4000, Tocsin
from tocsin.hal import activities

router = APIRouter(route_class=JsonRoute)

CURSOR_MAX = 2**63 - 1
DAY_MAX = 10_000_000
"""Since 1970: what a cursor of contributions counts."""
LIMIT_MAX = 100

Cursor = Annotated[int | None, Query(ge=1, le=CURSOR_MAX, description="`next` of the answer before")]
DayCursor = Annotated[int | None, Query(ge=0, le=DAY_MAX, description="`next` of the answer before")]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]


class CommentData(Input):
    text: Annotated[Text4000, Field(min_length=1)]


@router.get(
    "/feedbacks/{feedback}/comments",
    tags=["comments"],
    summary="List comments on feedback, newest first",
    responses=answers(name="Activities"),
)
async def list_comments_on_feedback(
    request: Request, tocsin: Tocsin, caller: KnownCaller, feedback: str, cursor: Cursor = None, limit: Limit = 10
) -> Response:
    return answer(request, activities.activities(await tocsin.comments.of_feedback(caller, feedback, cursor, limit)))


@router.post(
    "/feedbacks/{feedback}/comments",
    tags=["comments"],
    status_code=201,
    summary="Comment on feedback",
    responses=answers(201, "Feedback", errors=WRITE_ERRORS),
)
async def comment_on_feedback(
    request: Request, tocsin: Tocsin, caller: KnownCaller, feedback: str, body: CommentData
) -> Response:
    commented = await tocsin.comments.on_feedback(caller, feedback, body.text)
    return answer(request, tocsin.hal.feedback(commented), status=201)


@router.get(
    "/operations/{operation}/comments",
    tags=["comments"],
    summary="List comments on an operation, newest first",
    responses=answers(name="Activities"),
)
async def list_comments_on_operation(
    request: Request, tocsin: Tocsin, caller: KnownCaller, operation: str, cursor: Cursor = None, limit: Limit = 10
) -> Response:
    return answer(request, activities.activities(await tocsin.comments.of_operation(caller, operation, cursor, limit)))


@router.post(
    "/operations/{operation}/comments",
    tags=["comments"],
    status_code=201,
    summary="Comment on an operation",
    responses=answers(201, "Operation", errors=WRITE_ERRORS),
)
async def comment_on_operation(
    request: Request, tocsin: Tocsin, caller: KnownCaller, operation: str, body: CommentData
) -> Response:
    commented = await tocsin.comments.on_operation(caller, operation, body.text)
    return answer(request, tocsin.hal.operation(commented), status=201)


@router.get(
    "/feedbacks/{feedback}/contributions",
    tags=["feedback"],
    summary="List contributions to feedback by the day, newest first",
    responses=answers(name="AggregatedActivities"),
)
async def list_contributions(
    request: Request, tocsin: Tocsin, caller: KnownCaller, feedback: str, cursor: DayCursor = None, limit: Limit = 10
) -> Response:
    return answer(request, activities.groups(await tocsin.comments.contributions(caller, feedback, cursor, limit)))


@router.post(
    "/feedbacks/{feedback}/contributions",
    tags=["feedback"],
    status_code=201,
    summary="Contribute to feedback: once for each person",
    responses=answers(201, "Feedback", errors=(401, 403, 404)),
)
async def contribute(request: Request, tocsin: Tocsin, caller: KnownCaller, feedback: str) -> Response:
    contributed = await tocsin.comments.contribute(caller, feedback)
    return answer(request, tocsin.hal.feedback(contributed), status=201)


@router.get(
    "/operations/{operation}/logs",
    tags=["operations"],
    summary="List what was done to an operation",
    responses=answers(name="LogEntry", page=True),
)
async def list_logs(request: Request, tocsin: Tocsin, caller: KnownCaller, operation: str, paging: Pages) -> Response:
    found = await tocsin.operations.logs(caller, operation, paging)
    return page(request, tocsin.hal, found, activities.log_entry)
