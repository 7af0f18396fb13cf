"""Feedback: what people report from the field."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    StrictBool,
    StrictFloat,
    StrictInt,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)

from tocsin.api.answer import answer, page
from tocsin.api.body import Input, JsonRoute
from tocsin.api.description import STATE_ERRORS, answers
from tocsin.api.filters import FeedbackStates, InArea
from tocsin.api.parameters import AnyCaller, Id, KnownCaller, Pages, Text255, Text4000, Tocsin, states
from tocsin.domain.resources import Point
from tocsin.domain.states import FeedbackState, FeedbackTransition
from tocsin.domain.wanted import FeedbackWanted
from tocsin.service.feedbacks import NewFeedback

router = APIRouter(prefix="/feedbacks", tags=["feedback"], route_class=JsonRoute)

Visibility = Literal["VISIBILITY_PUBLIC", "VISIBILITY_PRIVATE"]
Number = StrictFloat | StrictInt
METADATA_MAX_MEMBERS = 50
METADATA_MAX_ITEMS = 50


def _metadata_value(value: Any) -> str | list[str]:
    """A text, or a list of them. Raises ValueError."""
    items = value if isinstance(value, list) else [value]
    if len(items) > METADATA_MAX_ITEMS:
        raise ValueError(f"a list has at most {METADATA_MAX_ITEMS} texts")
    try:
        texts = [_TEXT.validate_python(item) for item in items]
    except ValidationError:
        raise ValueError("this is a text of at most 255 characters, or a list of such") from None
    return texts if isinstance(value, list) else texts[0]


def _without_nulls(given: Any) -> Any:
    return {name: value for name, value in given.items() if value is not None} if isinstance(given, dict) else given


_TEXT: Final = TypeAdapter[str](Text255)
_VALUE_SCHEMA: Final = {
    "anyOf": [
        {"type": "string", "maxLength": 255},
        {"type": "array", "items": {"type": "string", "maxLength": 255}, "maxItems": METADATA_MAX_ITEMS},
    ]
}
MetadataValue = Annotated[str | list[str], PlainValidator(_metadata_value), WithJsonSchema(_VALUE_SCHEMA)]
Metadata = Annotated[
    dict[Text255, MetadataValue], Field(max_length=METADATA_MAX_MEMBERS), BeforeValidator(_without_nulls)
]


class PointData(Input):
    latitude: Annotated[Number, Field(ge=-90, le=90)]
    longitude: Annotated[Number, Field(ge=-180, le=180)]
    srid: Literal[4326] | None = None


class GeoData(Input):
    point: PointData
    elevation: Annotated[Number, Field(ge=-10_000, le=8_000)] | None = None


class FeedbackData(Input):
    geo: GeoData
    visibility: Visibility | None = None
    category: Id | None = None
    business_activity: Id | None = Field(None, alias="businessActivity")
    description: Text4000 | None = None
    pro_mode: StrictBool | None = Field(None, alias="proMode")
    metadata: Metadata | None = None


class Transition(Input):
    transition: Annotated[Text255, Field(json_schema_extra={"enum": list(FeedbackTransition)})]


@router.post(
    "/issues",
    status_code=201,
    summary="Post feedback: matched to organizations and delivered as reports",
    responses=answers(201, "Feedback", errors=STATE_ERRORS),
)
async def post_feedback(request: Request, tocsin: Tocsin, caller: KnownCaller, body: FeedbackData) -> Response:
    new = NewFeedback(
        point=Point(float(body.geo.point.latitude), float(body.geo.point.longitude)),
        elevation=float(body.geo.elevation or 0),
        public=body.visibility == "VISIBILITY_PUBLIC",
        category_id=body.category,
        business_activity_id=body.business_activity,
        description=body.description,
        pro_mode=bool(body.pro_mode),
        metadata=body.metadata or {},
    )
    return answer(request, tocsin.hal.feedback(await tocsin.feedbacks.post(caller, new)), status=201)


def _public() -> list[Visibility]:
    return ["VISIBILITY_PUBLIC"]


@router.get("", summary="List feedback", responses=answers(name="Feedback", page=True, errors=(400,)))
async def list_feedback(
    request: Request,
    tocsin: Tocsin,
    caller: AnyCaller,
    paging: Pages,
    area: InArea,
    visibility: Annotated[list[Visibility], Query(alias="visibility[]", default_factory=_public)],
    state: FeedbackStates = "DELIVERED",
    category: Id | None = None,
    organization: Id | None = None,
) -> Response:
    wanted = FeedbackWanted(
        states=states(state, FeedbackState),
        public="VISIBILITY_PUBLIC" in visibility,
        private="VISIBILITY_PRIVATE" in visibility,
        category_id=category,
        organization_id=organization,
        area=area,
    )
    found = await tocsin.feedbacks.page(caller, wanted, paging)
    return page(request, tocsin.hal, found, tocsin.hal.feedback, vary=True)


@router.get("/{feedback}", summary="Get feedback", responses=answers(name="Feedback"))
async def get_feedback(request: Request, tocsin: Tocsin, caller: KnownCaller, feedback: str) -> Response:
    return answer(request, tocsin.hal.feedback(await tocsin.feedbacks.get(caller, feedback)))


async def transition_feedback(tocsin: Tocsin, caller: KnownCaller, feedback: str, body: Transition) -> Response:
    await tocsin.feedbacks.transition(caller, feedback, body.transition)


for _path, _method in (("/{feedback}/workflow/transition", "POST"), ("/{feedback}/state", "PATCH")):
    router.add_api_route(
        _path,
        transition_feedback,
        methods=[_method],
        operation_id=f"transition_feedback_{_path.rpartition('/')[2]}",
        summary="Take feedback through a transition: each is taken by the service itself",
        responses=answers(name="Feedback", errors=STATE_ERRORS),
    )


@router.get("/{feedback}/tracking", summary="Track feedback", responses=answers(name="Tracking"))
async def track_feedback(request: Request, tocsin: Tocsin, caller: KnownCaller, feedback: str) -> Response:
    return answer(request, tocsin.hal.feedback_tracking(await tocsin.feedbacks.get(caller, feedback)))
