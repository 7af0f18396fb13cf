"""Images: added, removed, and served with a validator and for how long they may be kept.

A link's href gives the image in its original size; with `/{width}/{height}` behind it made to fit into that, in its own
proportions. An image never changes, so its id is its ETag.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field, StrictStr

from tocsin.api.answer import answer, no_content
from tocsin.api.body import Input, JsonRoute
from tocsin.api.description import STATE_ERRORS, answers
from tocsin.api.entity_tags import matches_weakly
from tocsin.api.parameters import AnyCaller, KnownCaller, Tocsin
from tocsin.domain.picture_files import MediaType
from tocsin.domain.pictures import SIDE_MAX_PIXELS
from tocsin.service.images import Seen

router = APIRouter(tags=["images"], route_class=JsonRoute)

Side = Annotated[int, Path(ge=1, le=SIDE_MAX_PIXELS, description="pixels")]

FOR_A_DAY: Final = "max-age=86400, immutable"
EXAMPLE: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
"""A pixel, black."""
FOR_ALL: Final[dict[str, Any]] = {"security": [{}, {"bearer": []}]}
"""Images of public feedback are served to anybody."""
ASK_FIRST: Final = "private, no-cache"
"""Where the next image will be under the same URL."""


class ImageData(Input):
    image: Annotated[StrictStr, Field(description="a data URI of a PNG, JPEG or WebP file", examples=[EXAMPLE])]


def _answers(*errors: int) -> dict[int | str, dict[str, Any]]:
    files = {one.value: {"schema": {"type": "string", "format": "binary"}} for one in MediaType}
    return {
        200: {"description": "The image", "content": files},
        304: {"description": "The caller has it already"},
        **{status: one for status, one in answers(errors=errors).items() if status != 200},
    }


ORIGINAL: Final = _answers(401, 404)
SIZED: Final = _answers(400, 401, 404, 503)
ADD_ERRORS: Final = (*STATE_ERRORS, 503)


async def _serve(
    request: Request, tocsin: Tocsin, seen: Seen, box: tuple[int, int] | None, cache_control: str
) -> Response:
    tag = f'"{seen.image_id}"' if box is None else f'"{seen.image_id}-{box[0]}x{box[1]}"'
    headers = {"ETag": tag, "Cache-Control": cache_control, "X-Content-Type-Options": "nosniff"}
    if not seen.public:
        headers["Vary"] = "Authorization"
    if matches_weakly(request.headers.get("if-none-match", ""), tag):
        return Response(None, 304, headers)
    picture = await tocsin.images.picture(seen, box)
    return Response(picture.content, 200, headers, media_type=picture.media_type)


# Feedback


@router.post(
    "/feedbacks/{feedback}/images",
    summary="Add an image to feedback",
    responses=answers(name="Feedback", errors=ADD_ERRORS),
)
async def add_image_to_feedback(
    request: Request, tocsin: Tocsin, caller: KnownCaller, feedback: str, body: ImageData
) -> Response:
    illustrated = await tocsin.images.illustrate_feedback(caller, feedback, body.image)
    return answer(request, tocsin.hal.feedback(illustrated))


@router.get(
    "/feedbacks/{feedback}/images/{image}",
    summary="Get an image of feedback",
    responses=ORIGINAL,
    openapi_extra=FOR_ALL,
)
async def get_image_of_feedback(
    request: Request, tocsin: Tocsin, caller: AnyCaller, feedback: str, image: str
) -> Response:
    return await _of_feedback(request, tocsin, caller, feedback, image, None)


@router.get(
    "/feedbacks/{feedback}/images/{image}/{width}/{height}",
    summary="Get an image of feedback, made to fit",
    responses=SIZED,
    openapi_extra=FOR_ALL,
)
async def get_sized_image_of_feedback(
    request: Request, tocsin: Tocsin, caller: AnyCaller, feedback: str, image: str, width: Side, height: Side
) -> Response:
    return await _of_feedback(request, tocsin, caller, feedback, image, (width, height))


async def _of_feedback(
    request: Request, tocsin: Tocsin, caller: AnyCaller, feedback: str, image: str, box: tuple[int, int] | None
) -> Response:
    seen = await tocsin.images.of_feedback(caller, feedback, image)
    keeping = "public" if seen.public else "private"
    return await _serve(request, tocsin, seen, box, f"{keeping}, {FOR_A_DAY}")


# Operations


@router.post(
    "/operations/{operation}/images",
    summary="Add an image to an operation",
    responses=answers(name="Operation", errors=ADD_ERRORS),
)
async def add_image_to_operation(
    request: Request, tocsin: Tocsin, caller: KnownCaller, operation: str, body: ImageData
) -> Response:
    illustrated = await tocsin.images.illustrate_operation(caller, operation, body.image)
    return answer(request, tocsin.hal.operation(illustrated))


@router.get("/operations/{operation}/images/{image}", summary="Get an image of an operation", responses=ORIGINAL)
async def get_image_of_operation(
    request: Request, tocsin: Tocsin, caller: KnownCaller, operation: str, image: str
) -> Response:
    seen = await tocsin.images.of_operation(caller, operation, image)
    return await _serve(request, tocsin, seen, None, f"private, {FOR_A_DAY}")


@router.get(
    "/operations/{operation}/images/{image}/{width}/{height}",
    summary="Get an image of an operation, made to fit",
    responses=SIZED,
)
async def get_sized_image_of_operation(
    request: Request, tocsin: Tocsin, caller: KnownCaller, operation: str, image: str, width: Side, height: Side
) -> Response:
    seen = await tocsin.images.of_operation(caller, operation, image)
    return await _serve(request, tocsin, seen, (width, height), f"private, {FOR_A_DAY}")


@router.delete(
    "/operations/{operation}/images/{image}",
    status_code=204,
    summary="Remove an image from an operation",
    responses=answers(204, errors=(401, 403, 404)),
)
async def remove_image_from_operation(tocsin: Tocsin, caller: KnownCaller, operation: str, image: str) -> Response:
    await tocsin.images.remove_from_operation(caller, operation, image)
    return no_content()


# Organizations and people


@router.get("/organizations/{organization}/logo", summary="Get an organization's logo", responses=ORIGINAL)
async def get_logo(request: Request, tocsin: Tocsin, _: KnownCaller, organization: str) -> Response:
    return await _serve(request, tocsin, await tocsin.images.logo(organization), None, ASK_FIRST)


@router.get(
    "/organizations/{organization}/logo/{width}/{height}",
    summary="Get an organization's logo, made to fit",
    responses=SIZED,
)
async def get_sized_logo(
    request: Request, tocsin: Tocsin, _: KnownCaller, organization: str, width: Side, height: Side
) -> Response:
    return await _serve(request, tocsin, await tocsin.images.logo(organization), (width, height), ASK_FIRST)


@router.get("/people/{person}/image", summary="Get a person's image", responses=ORIGINAL)
async def get_image_of_person(request: Request, tocsin: Tocsin, caller: KnownCaller, person: str) -> Response:
    return await _serve(request, tocsin, await tocsin.images.of_person(caller, person), None, ASK_FIRST)


@router.get(
    "/people/{person}/image/{width}/{height}",
    summary="Get a person's image, made to fit",
    responses=SIZED,
)
async def get_sized_image_of_person(
    request: Request, tocsin: Tocsin, caller: KnownCaller, person: str, width: Side, height: Side
) -> Response:
    return await _serve(request, tocsin, await tocsin.images.of_person(caller, person), (width, height), ASK_FIRST)
