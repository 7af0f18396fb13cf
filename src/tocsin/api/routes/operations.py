"""Operations: the work that settles a report."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field, StrictInt

from tocsin.api.answer import answer, no_content, page
from tocsin.api.body import Input, JsonRoute
from tocsin.api.description import STATE_ERRORS, WRITE_ERRORS, answers
from tocsin.api.filters import OperationSearch, OperationStates, UpdatedAfter
from tocsin.api.parameters import Id, KnownCaller, Moment, Pages, Text255, Text4000, Tocsin, states
from tocsin.domain.states import OperationState, OperationTransition
from tocsin.domain.wanted import OperationsWanted

router = APIRouter(tags=["operations"], route_class=JsonRoute)

DURATION_MAX_MINUTES = 10 * 365 * 24 * 60


class OperationPatch(Input):
    name: Text255 | None = None
    description: Text4000 | None = None
    identification_number: Text255 | None = Field(None, alias="identificationNumber")
    duration: Annotated[StrictInt, Field(ge=1, le=DURATION_MAX_MINUTES, description="minutes")] | None = None
    start_date: Moment | None = Field(None, alias="startDate")


class OperationData(OperationPatch):
    report: Id


class Assignment(Input):
    member: Id


class Transition(Input):
    transition: Annotated[Text255, Field(json_schema_extra={"enum": list(OperationTransition)})]


@router.get(
    "/organizations/{organization}/operations",
    summary="List an organization's operations",
    responses=answers(name="Operation", page=True),
)
async def list_operations(
    request: Request,
    tocsin: Tocsin,
    caller: KnownCaller,
    organization: str,
    paging: Pages,
    wanted: OperationSearch,
    state: OperationStates = None,
    updated_after: UpdatedAfter = None,
) -> Response:
    operations = OperationsWanted(states(state, OperationState), updated_after, wanted)
    found = await tocsin.operations.of_organization(caller, organization, operations, paging)
    return page(request, tocsin.hal, found, tocsin.hal.operation)


@router.post(
    "/operations",
    status_code=201,
    summary="Create an operation for a report",
    responses=answers(201, "Operation", errors=STATE_ERRORS),
)
async def create_operation(request: Request, tocsin: Tocsin, caller: KnownCaller, body: OperationData) -> Response:
    members = body.given()
    operation = await tocsin.operations.create(caller, members.pop("report"), members)
    return answer(request, tocsin.hal.operation(operation), status=201)


@router.get("/operations/{operation}", summary="Get an operation", responses=answers(name="Operation"))
async def get_operation(request: Request, tocsin: Tocsin, caller: KnownCaller, operation: str) -> Response:
    return answer(request, tocsin.hal.operation(await tocsin.operations.get(caller, operation)))


@router.patch(
    "/operations/{operation}",
    summary="Change an operation",
    responses=answers(name="Operation", errors=WRITE_ERRORS),
)
async def change_operation(
    request: Request, tocsin: Tocsin, caller: KnownCaller, operation: str, body: OperationPatch
) -> Response:
    changed = await tocsin.operations.change(caller, operation, body.given())
    return answer(request, tocsin.hal.operation(changed))


@router.delete(
    "/operations/{operation}",
    status_code=204,
    summary="Remove an operation",
    responses=answers(204, errors=(401, 403, 404)),
)
async def remove_operation(tocsin: Tocsin, caller: KnownCaller, operation: str) -> Response:
    await tocsin.operations.remove(caller, operation)
    return no_content()


@router.post(
    "/operations/{operation}/assign",
    summary="Give an operation to a member",
    responses=answers(name="Operation", errors=STATE_ERRORS),
)
async def assign_operation(
    request: Request, tocsin: Tocsin, caller: KnownCaller, operation: str, body: Assignment
) -> Response:
    return answer(request, tocsin.hal.operation(await tocsin.operations.assign(caller, operation, body.member)))


async def transition_operation(
    request: Request, tocsin: Tocsin, caller: KnownCaller, operation: str, body: Transition
) -> Response:
    changed = await tocsin.operations.transition(caller, operation, body.transition)
    return answer(request, tocsin.hal.operation(changed))


for _path, _method in (
    ("/operations/{operation}/workflow/transition", "POST"),
    ("/operations/{operation}/state", "PATCH"),
    ("/operations/{operation}/workflow", "POST"),
):
    router.add_api_route(
        _path,
        transition_operation,
        methods=[_method],
        operation_id=f"transition_operation_{_path.rpartition('/')[2]}",
        summary="Take an operation through a transition",
        responses=answers(name="Operation", errors=STATE_ERRORS),
    )


@router.get("/operations/{operation}/tracking", summary="Track an operation", responses=answers(name="Tracking"))
async def track_operation(request: Request, tocsin: Tocsin, caller: KnownCaller, operation: str) -> Response:
    return answer(request, tocsin.hal.operation_tracking(await tocsin.operations.get(caller, operation)))
