"""Requests with conditions: `If-Match`, `If-None-Match`, `Idempotency-Key` (RFC 9110, section 13; CONTRACT, section 2).

No route knows of them. A change with a precondition is compared, in its own transaction and under the row's lock, with
what GET answers for the resource at that moment: the ETag is the one that the caller was given. The resource of a path
is the path without the verbs at its end: `/reports/{report}/workflow/transition` changes `/reports/{report}`.
"""

import hashlib
import re
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute

from tocsin.api.client_address import network
from tocsin.api.entity_tags import matches_strongly, matches_weakly, tags
from tocsin.api.parameters import bearer, use_cases
from tocsin.domain.errors import Invalid, NotFound, Violation
from tocsin.service.conditions import Answer, Key, Precondition

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

KEY_MAX_CHARACTERS: Final = 255
VERBS: Final = frozenset({"assign", "secret", "state", "transition", "workflow"})
"""Last segments of paths that change the resource before them."""
UNKEYED: Final = frozenset(
    {
        "/feedbacks/{feedback}/workflow/transition",
        "/security/login",
        "/security/password/change-request",
        "/security/password/change/{token}",
        "/webhooks/{webhook}/ping",
    }
)
"""POSTs that create nothing, or whose answer is of its moment: a key is ignored there."""

_KEY: Final = re.compile(r"[\x21\x23-\x7e]{1,255}", re.ASCII)


def takes_key(method: str, path: str) -> bool:
    return method == "POST" and path not in UNKEYED


def changed_by(method: str, path: str, getters: dict[str, APIRoute]) -> APIRoute | None:
    """What gets the resource that a route changes; None for a route that changes none that could be got."""
    if method not in {"PATCH", "DELETE", "POST"}:
        return None
    resource = path
    while resource.rpartition("/")[2] in VERBS:
        resource = resource.rpartition("/")[0]
    if method == "POST" and resource == path:
        return None
    return getters.get(resource) if resource.endswith("}") else None


class Conditional:
    """What one route does about the conditions of its requests."""

    def __init__(self, route: APIRoute, handle: Handler) -> None:
        self._handle = handle
        self._path = route.path
        self._keyed = any(takes_key(method, route.path) for method in route.methods or ())
        self._changing = not route.methods <= {"GET", "HEAD"} if route.methods else False
        self._get: tuple[str, Handler] | None = None

    async def __call__(self, request: Request) -> Response:
        key = await self._key(request) if self._keyed else None
        precondition = await self._precondition(request) if self._changing else None
        if key is None and precondition is None:
            return await self._handle(request)

        given: list[Response] = []

        async def handle() -> Answer:
            given[:] = [await self._handle(request)]
            return _plain(given[0])

        answer, again = await use_cases(request).conditions.meet(handle, key, precondition)
        return _response_again(answer) if again else given[0]

    async def _key(self, request: Request) -> Key | None:
        given = request.headers.getlist("idempotency-key")
        if not given:
            return None
        key = given[0].strip()
        quoted = len(key) > 2 and key[0] == key[-1] == '"'
        key = key[1:-1] if quoted else key
        if len(given) > 1 or _KEY.fullmatch(key) is None:
            message = f"A key is 1 to {KEY_MAX_CHARACTERS} visible ASCII characters, such as a random UUID."
            raise Invalid(Violation("Idempotency-Key", message))
        caller = await bearer(request)
        whose = f"address:{network(request)}" if caller is None else caller.actor
        return Key(whose, key, await _fingerprint(request))

    async def _precondition(self, request: Request) -> Precondition | None:
        wanted = ", ".join(request.headers.getlist("if-match"))
        unwanted = ", ".join(request.headers.getlist("if-none-match"))
        if not wanted and not unwanted:
            return None
        found = self._resource(request)
        if found is None:
            return None
        if wanted:
            _require_tags(wanted)
        kind, get = found
        the_id = str(request.path_params[kind])

        async def fits() -> bool:
            tag = await _tag(get, request)
            if tag is None:
                return not wanted
            missed = wanted != "" and not matches_strongly(wanted, tag)
            return not missed and not (unwanted and matches_weakly(unwanted, tag))

        return Precondition(kind, the_id, fits)

    def _resource(self, request: Request) -> tuple[str, Handler] | None:
        """The variable that names the resource, and what gets it."""
        if self._get is None:
            route = changed_by(request.method, self._path, request.app.state.getters)
            if route is None:
                return None
            self._get = route.path.rpartition("{")[2].removesuffix("}"), route.get_route_handler()
        return self._get


def _require_tags(header: str) -> None:
    if header.strip() == "*":
        return
    try:
        tags(header)
    except ValueError:
        raise Invalid(Violation("If-Match", "This is a list of entity tags in quotes, or *.")) from None


async def _tag(get: Handler, request: Request) -> str | None:
    """The ETag that GET answers now; None where there is no such resource for this caller."""
    kept = [(b"authorization", value.encode("latin-1")) for value in request.headers.getlist("authorization")]
    scope = {**request.scope, "method": "GET", "query_string": b"", "headers": kept}
    try:
        response = await get(Request(scope, request.receive))
    except NotFound:
        return None
    return response.headers.get("etag")


async def _fingerprint(request: Request) -> bytes:
    head = f"{request.method} {request.url.path}?{request.url.query}\0".encode()
    return hashlib.sha256(head + await request.body()).digest()


def _plain(response: Response) -> Answer:
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers)
    return Answer(response.status_code, headers, bytes(response.body))


def _response_again(answer: Answer) -> Response:
    response = Response(answer.body, answer.status)
    response.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    response.headers["Idempotent-Replayed"] = "true"
    return response
