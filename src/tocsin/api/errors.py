"""Errors to HTTP: the only module that knows which status an error is (CONTRACT, section 2, "Errors")."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, assert_never

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tocsin.domain.errors import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    PreconditionFailed,
    TocsinError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    Violation,
)
from tocsin.hal.errors import error_body, validation_error_body

MEDIA_TYPE: Final = "application/vnd.error+json"

STATUS: Final[dict[type[TocsinError], int]] = {
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Gone: 410,
    PreconditionFailed: 412,
    TooLarge: 413,
    UnsupportedMediaType: 415,
    Unavailable: 503,
}

log = structlog.get_logger(__name__)


def install(app: FastAPI) -> None:
    """Make every error of the app an answer."""
    app.add_exception_handler(TocsinError, _operating_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _programmer_error)


async def _operating_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, TocsinError)
    if isinstance(error, Invalid):
        return invalid(error.violations)
    headers = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(error.retry_after_seconds)
    path = error.path if isinstance(error, Conflict | TooLarge) else None
    oldest = error.oldest if isinstance(error, Gone) else None
    return _answer(STATUS[type(error)], error_body(str(error), path=path, oldest=oldest), headers)


async def _validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return invalid([Violation(path(one["loc"]), message(one)) for one in error.errors()])


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answer(error.status_code, error_body(error.detail), dict(error.headers or {}))


async def _programmer_error(request: Request, error: Exception) -> Response:
    log.error("request_failed", method=request.method, route=request.url.path, exc_info=error)
    return _answer(500, error_body("Something went wrong on our side; it is in the log."), {})


def invalid(violations: Iterable[Violation]) -> Response:
    return _answer(400, validation_error_body(list(violations)), {})


def _answer(status: int, body: bytes, headers: dict[str, str]) -> Response:
    return Response(body, status, headers, media_type=MEDIA_TYPE)


def path(location: Sequence[Any]) -> str:
    """FastAPI's location without where it was found: ("body", "geo", "rings", 0) is `geo.rings[0]`."""
    text = ""
    for part in location[1:]:
        match part:
            case int():
                text += f"[{part}]"
            case str():
                text += f".{part}" if text else part
            case _:
                assert_never(part)
    return text


def message(error: dict[str, Any]) -> str:
    """One sentence for people out of pydantic's error."""
    text = str(error["msg"]).removeprefix("Value error, ")
    return text if text.endswith(".") else f"{text}."
