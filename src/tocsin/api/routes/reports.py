"""Reports: what an organization does with feedback."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field, StrictInt

from tocsin.api.answer import answer, page
from tocsin.api.body import Input, JsonRoute
from tocsin.api.description import STATE_ERRORS, WRITE_ERRORS, answers
from tocsin.api.filters import OperationSearch, OperationStates, ReportSearch, ReportStates, UpdatedAfter
from tocsin.api.parameters import Id, KnownCaller, Pages, Text255, Text4000, Tocsin, states
from tocsin.domain.states import OperationState, ReportState, ReportTransition
from tocsin.domain.wanted import OperationsWanted, ReportsWanted

router = APIRouter(tags=["reports"], route_class=JsonRoute)

TAGS_MAX = 50
INT32 = 2**31


class ReportPatch(Input):
    category_id: Id | None = Field(None, alias="category")
    description: Text4000 | None = None
    identification_number: Text255 | None = Field(None, alias="identificationNumber")
    priority: Annotated[StrictInt, Field(ge=-INT32, lt=INT32)] | None = None
    tags: Annotated[list[Text255], Field(max_length=TAGS_MAX)] | None = None

    def members(self) -> dict[str, Any]:
        return {name: tuple(value) if name == "tags" else value for name, value in self.given().items()}


class Transition(Input):
    transition: Annotated[Text255, Field(json_schema_extra={"enum": list(ReportTransition)})]


@router.get(
    "/organizations/{organization}/reports",
    summary="List an organization's reports",
    responses=answers(name="Report", page=True),
)
async def list_reports(
    request: Request,
    tocsin: Tocsin,
    caller: KnownCaller,
    organization: str,
    paging: Pages,
    search: ReportSearch,
    state: ReportStates = None,
    category: Id | None = None,
    place: Id | None = None,
    updated_after: UpdatedAfter = None,
) -> Response:
    wanted = ReportsWanted(states(state, ReportState), category, place, updated_after, search)
    found = await tocsin.reports.page(caller, organization, wanted, paging)
    return page(request, tocsin.hal, found, tocsin.hal.report)


@router.get("/reports/{report}", summary="Get a report", responses=answers(name="Report"))
async def get_report(request: Request, tocsin: Tocsin, caller: KnownCaller, report: str) -> Response:
    return answer(request, tocsin.hal.report(await tocsin.reports.get(caller, report)))


@router.patch("/reports/{report}", summary="Change a report", responses=answers(name="Report", errors=WRITE_ERRORS))
async def change_report(
    request: Request, tocsin: Tocsin, caller: KnownCaller, report: str, body: ReportPatch
) -> Response:
    return answer(request, tocsin.hal.report(await tocsin.reports.change(caller, report, body.members())))


async def transition_report(
    request: Request, tocsin: Tocsin, caller: KnownCaller, report: str, body: Transition
) -> Response:
    return answer(request, tocsin.hal.report(await tocsin.reports.transition(caller, report, body.transition)))


for _path, _method in (
    ("/reports/{report}/workflow/transition", "POST"),
    ("/reports/{report}/state", "PATCH"),
    ("/reports/{report}/workflow", "POST"),
):
    router.add_api_route(
        _path,
        transition_report,
        methods=[_method],
        operation_id=f"transition_report_{_path.rpartition('/')[2]}",
        summary="Take a report through a transition",
        responses=answers(name="Report", errors=STATE_ERRORS),
    )


@router.get(
    "/reports/{report}/operations",
    summary="List a report's operations",
    responses=answers(name="Operation", page=True),
)
async def list_operations_of_report(
    request: Request,
    tocsin: Tocsin,
    caller: KnownCaller,
    report: str,
    paging: Pages,
    search: OperationSearch,
    state: OperationStates = None,
    updated_after: UpdatedAfter = None,
) -> Response:
    wanted = OperationsWanted(states(state, OperationState), updated_after, search)
    found = await tocsin.operations.of_report(caller, report, wanted, paging)
    return page(request, tocsin.hal, found, tocsin.hal.operation)


@router.get("/reports/{report}/tracking", summary="Track a report", responses=answers(name="Tracking"))
async def track_report(request: Request, tocsin: Tocsin, caller: KnownCaller, report: str) -> Response:
    return answer(request, tocsin.hal.report_tracking(await tocsin.reports.get(caller, report)))
