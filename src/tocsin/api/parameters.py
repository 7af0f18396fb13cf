"""What many routes take: the caller, a page of a collection, moments in time (CONTRACT, sections 1 and 2)."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Query, Request
from pydantic import BeforeValidator, PlainValidator, StringConstraints, WithJsonSchema

from tocsin.clock import SECOND
from tocsin.domain.errors import Invalid, Unauthenticated, Violation
from tocsin.domain.page import Paging
from tocsin.service.caller import Caller
from tocsin.service.replays import Place
from tocsin.service.use_cases import UseCases

PAGE_MAX: Final = 1_000_000_000
LIMIT_MAX: Final = 100
UUID_PATTERN: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:?\d\d)", re.ASCII)


def moment(text: Any) -> int:
    """RFC 3339 to microseconds. Raises ValueError."""
    if not isinstance(text, str) or _MOMENT.fullmatch(text) is None:
        raise ValueError("a date and time is written like 2018-02-27T10:00:00+02:00")
    try:
        parsed = datetime.fromisoformat(text.upper())
        return int(parsed.astimezone(UTC).timestamp()) * SECOND + parsed.microsecond
    except (ValueError, OverflowError):
        raise ValueError("there is no such date and time") from None


def place(value: Any) -> Place:
    """A place in the log, in a body: a sequence or a date and time. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value < 2**63:
            raise ValueError("a sequence is a whole number from 0")
        return Place(sequence=value)
    return Place(moment=moment(value))


def query_moment(text: Any) -> int:
    """As `moment`; in a query a raw `+` of an offset has become a blank."""
    return moment(re.sub(r" (?=\d\d:?\d\d$)", "+", text) if isinstance(text, str) else text)


def lower_uuid(text: Any) -> str:
    """A UUID in its canonical text. Raises ValueError."""
    if not isinstance(text, str) or UUID_PATTERN.fullmatch(text.lower()) is None:
        raise ValueError("this is not a UUID")
    return text.lower()


_MOMENT_SCHEMA: Final = WithJsonSchema({"type": "string", "format": "date-time"})
Moment = Annotated[int, PlainValidator(moment), _MOMENT_SCHEMA]
"""A date and time in a body: microseconds here."""
QueryMoment = Annotated[int, PlainValidator(query_moment), _MOMENT_SCHEMA]
Id = Annotated[str, PlainValidator(lower_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
"""A UUID in a body or a query; in a path an unknown one is a 404 whatever its form."""


def _text(value: Any) -> Any:
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("this text holds half of a surrogate pair")
    return value


Text255 = Annotated[str, BeforeValidator(_text), StringConstraints(strict=True, max_length=255)]
Text4000 = Annotated[str, BeforeValidator(_text), StringConstraints(strict=True, max_length=4000)]


def use_cases(request: Request) -> UseCases:
    found = request.app.state.use_cases
    assert isinstance(found, UseCases)
    return found


async def _use_cases(request: Request) -> UseCases:
    """A coroutine, since the framework calls plain functions in a thread."""
    return use_cases(request)


Tocsin = Annotated[UseCases, Depends(_use_cases)]


async def bearer(request: Request) -> Caller | None:
    """Whoever sent the request, found once for each; None: nobody in particular. Raises Unauthenticated."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    if not hasattr(request.state, "caller"):
        scheme, _, credential = header.partition(" ")
        if scheme.lower() != "bearer" or not credential.strip():
            raise Unauthenticated("Authorization must be: Bearer <token>.")
        request.state.caller = await use_cases(request).authentication.caller(credential.strip())
        request.app.state.calls.know(credential.strip())
    found = request.state.caller
    assert isinstance(found, Caller)
    return found


AnyCaller = Annotated[Caller | None, Depends(bearer)]
"""None: nobody in particular. Only for the routes that are open to all."""


async def known(caller: AnyCaller) -> Caller:
    if caller is None:
        raise Unauthenticated("This needs an Authorization header: Bearer <token>.")
    return caller


KnownCaller = Annotated[Caller, Depends(known)]


async def _paging(
    page: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 1,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 10,
    order: Literal["asc", "desc"] = "desc",
    after: Annotated[QueryMoment | None, Query(description="on createdAt, inclusive")] = None,
    before: Annotated[QueryMoment | None, Query(description="on createdAt, inclusive")] = None,
) -> Paging:
    if before is not None and before % SECOND == 0:
        before += SECOND - 1  # what we show has no fraction: inclusive means the whole second
    return Paging(page, limit, order == "desc", after, before)


Pages = Annotated[Paging, Depends(_paging)]


def states(text: str | None, known: type[StrEnum]) -> tuple[str, ...]:
    """A comma list of states. Raises Invalid, path `state`."""
    if text is None or text == "":
        return ()
    wanted = tuple(part.strip() for part in text.split(","))
    unknown = [state for state in wanted if state not in set(known)]
    if unknown:
        raise Invalid(Violation("state", f"{unknown[0]!r} is none of {', '.join(known)}."))
    return wanted
