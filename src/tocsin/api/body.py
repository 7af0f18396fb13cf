"""Request bodies: read within a limit, decoded once, checked before a model sees them (CONTRACT, sections 1 and 2).

An empty body is never parsed. NUL and lone surrogates can't be stored on every engine, so they are refused here, with
the path of the member that holds one.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, model_validator

from tocsin.api.conditional import Conditional
from tocsin.domain.errors import Invalid, NotFound, TooLarge, TooSlow, UnsupportedMediaType, Violation

BODY_MAX_BYTES: Final = 10 * 1024 * 1024
BODY_SECONDS: Final = 300.0
"""For the whole of a body; a phone in the field may be slow."""
BODY_PART_SECONDS: Final = 15.0
"""For the next part of it."""
READ_ONLY: Final = frozenset(
    {"id", "type", "state", "createdAt", "updatedAt", "_links", "_embedded", "isEnabled", "username", "public"}
)
"""Members that a client may send back as it read them: ignored."""


class JsonRequest(Request):
    """A request whose body is bounded and, if there is one, JSON."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await self._read()
        return self._body

    async def _read(self) -> bytes:
        declared = self.headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > BODY_MAX_BYTES:
            raise _too_large()
        try:
            return await self._all()
        except TimeoutError:
            raise TooSlow("The body does not come.") from None

    async def _all(self) -> bytes:
        """Raises TimeoutError where the next part, or the whole, takes too long."""
        now = asyncio.get_running_loop().time
        chunks, size, end = [], 0, now() + BODY_SECONDS
        async with asyncio.timeout(BODY_PART_SECONDS) as limit:
            async for chunk in self.stream():
                size += len(chunk)
                if size > BODY_MAX_BYTES:
                    raise _too_large()
                chunks.append(chunk)
                limit.reschedule(min(end, now() + BODY_PART_SECONDS))
        return b"".join(chunks)

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = decode(await self.body())
        return self._json


class JsonRoute(APIRoute):
    """A route that takes a JsonRequest; a body that is there must say that it is JSON. Conditions are met here."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = Conditional(self, super().get_route_handler())
        takes_body = self.body_field is not None

        async def handle_json(request: Request) -> Response:
            json_request = JsonRequest(request.scope, request.receive)
            _refuse_nul_in_url(json_request)
            if takes_body and await json_request.body():
                _require_json(json_request.headers.get("content-type", ""))
                if await json_request.json() is None:  # here, since what it raises inside `handle` loses its reasons
                    raise Invalid(Violation("", "The body is null; it should be an object."))
            return await handle(json_request)

        return handle_json


def _refuse_nul_in_url(request: Request) -> None:
    if "\0" in request.scope["path"]:
        raise NotFound("Not found.")
    if b"%00" in request.scope["query_string"]:
        for name, text in request.query_params.multi_items():
            if "\0" in name + text:
                raise Invalid(Violation(name.replace("\0", ""), "This text holds a NUL character."))


def _require_json(content_type: str) -> None:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise UnsupportedMediaType("The body must be JSON: Content-Type: application/json.")


def _too_large() -> TooLarge:
    return TooLarge(f"The body is larger than {BODY_MAX_BYTES} bytes.")


def decode(body: bytes) -> Any:
    """JSON to objects. Raises Invalid for malformed JSON (nested too deep, too) and for text that can't be stored."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid(Violation("", f"The body is not JSON: {error}.")) from None
    if b"\\u0000" in body:
        _refuse_nul(value, "")
    return value


def _refuse_nul(value: Any, path: str) -> None:
    """Raises Invalid at the first text with a NUL. Depth is bounded by the decoder's."""
    if isinstance(value, str) and "\0" in value:
        raise Invalid(Violation(path, "This text holds a NUL character."))
    if isinstance(value, dict):
        for name, member in value.items():
            if "\0" in name:
                raise Invalid(Violation(path, "A member's name holds a NUL character."))
            _refuse_nul(member, f"{path}.{name}" if path else name)
    if isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_nul(item, f"{path}[{index}]")


class Input(BaseModel):
    """The base of every request body: null is absent, read-only members are ignored, others unknown are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    read_only: ClassVar[frozenset[str]] = READ_ONLY

    @model_validator(mode="before")
    @classmethod
    def _without_what_nobody_asked_for(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        names = {field.alias or name for name, field in cls.model_fields.items()}
        ignored = cls.read_only - names
        return {name: value for name, value in given.items() if value is not None and name not in ignored}

    def given(self) -> dict[str, Any]:
        """The members that were sent, by their names here."""
        return {name: getattr(self, name) for name in self.model_fields_set}
