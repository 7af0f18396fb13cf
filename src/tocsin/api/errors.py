"""Errors to HTTP: the only module that knows which status an error is (CONTRACT, section 2, "Errors")."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, assert_never

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from tocsin.api.messages import spoken, translated, validation_message
from tocsin.domain.errors import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KeyReused,
    NotFound,
    PreconditionFailed,
    TocsinError,
    TooLarge,
    TooManyRequests,
    TooSlow,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    Violation,
)
from tocsin.domain.languages import Language
from tocsin.hal.errors import error_body, validation_error_body

MEDIA_TYPE: Final = "application/vnd.error+json"

STATUS: Final[dict[type[TocsinError], int]] = {
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    TooSlow: 408,
    Conflict: 409,
    Gone: 410,
    PreconditionFailed: 412,
    TooLarge: 413,
    UnsupportedMediaType: 415,
    KeyReused: 422,
    TooManyRequests: 429,
    Unavailable: 503,
}

log = structlog.get_logger(__name__)


def install(app: FastAPI) -> None:
    """Make every error of the app an answer."""
    app.add_exception_handler(TocsinError, _operating_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _programmer_error)


async def _operating_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TocsinError)
    return refusal(request.scope, error)


def refusal(scope: Scope, error: TocsinError) -> Response:
    """The answer that an error is, in the caller's language."""
    language = spoken(scope)
    if isinstance(error, Invalid):
        return _invalid(error.violations, language)
    path = error.path if isinstance(error, Conflict | TooLarge) else None
    oldest = error.oldest if isinstance(error, Gone) else None
    body = error_body(translated(str(error), language), path=path, oldest=oldest)
    return _answer(STATUS[type(error)], body, language, _headers(error))


def _headers(error: TocsinError) -> dict[str, str]:
    match error:
        case Unauthenticated():
            return {"WWW-Authenticate": "Bearer"}
        case Unavailable():
            return {"Retry-After": str(error.retry_after_seconds)}
        case TooManyRequests():
            return {
                "Retry-After": str(error.retry_after_seconds),
                "RateLimit-Policy": f'"{error.limit}";q={error.quota};w={error.window_seconds}',
                "RateLimit": f'"{error.limit}";r=0;t={error.retry_after_seconds}',
            }
        case _:
            return {}


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    language = spoken(request.scope)
    return _invalid(
        [Violation(path(one["loc"]), validation_message(one, language)) for one in error.errors()], language
    )


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    language = spoken(request.scope)
    body = error_body(translated(error.detail, language))
    return _answer(error.status_code, body, language, dict(error.headers or {}))


async def _programmer_error(request: Request, error: Exception) -> Response:
    log.error("request_failed", method=request.method, route=request.url.path, exc_info=error)
    language = spoken(request.scope)
    body = error_body(translated("Something went wrong on our side; it is in the log.", language))
    return _answer(500, body, language, {})


def _invalid(violations: Iterable[Violation], language: Language) -> Response:
    told = [replace(one, message=translated(one.message, language)) for one in violations]
    return _answer(400, validation_error_body(told, translated("Validation failed.", language)), language, {})


def _answer(status: int, body: bytes, language: Language, headers: dict[str, str]) -> Response:
    of_language = {"Content-Language": language.value, "Vary": "Accept-Language"}
    return Response(body, status, {**of_language, **headers}, media_type=MEDIA_TYPE)


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
