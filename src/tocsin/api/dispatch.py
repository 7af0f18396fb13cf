"""Finds a request's route by the first segment of its path, among the few that begin so instead of all that there are.

The framework asks one route after the other, which costs more than everything that it does with the one that it finds.
What is not found here (another method, another path) is the framework's to answer.
"""

from collections import defaultdict
from typing import Final

from fastapi import FastAPI
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

SEPARATOR: Final = "/"


class Dispatch:
    """The application's router, from without: routes of one first segment keep their order."""

    def __init__(self, app: FastAPI) -> None:
        self._otherwise: ASGIApp = app.router.middleware_stack
        self._routes: dict[str, list[BaseRoute]] = defaultdict(list)
        for route in app.router.routes:
            assert isinstance(route, Route), "every route is a path"
            segment = _first_segment(route.path)
            assert "{" not in segment, "no path begins with a variable"
            self._routes[segment].append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for route in self._routes.get(_first_segment(scope["path"]), ()):
                match, child = route.matches(scope)
                if match is Match.FULL:
                    scope.update(child)
                    await route.handle(scope, receive, send)
                    return
        await self._otherwise(scope, receive, send)


def install(app: FastAPI) -> None:
    """After the last route."""
    app.router.middleware_stack = Dispatch(app)


def _first_segment(path: str) -> str:
    return path.split(SEPARATOR, 2)[1] if path.startswith(SEPARATOR) else ""
