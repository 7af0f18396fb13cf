"""The FastAPI application: routers, errors, health. Made by `app`, which hands in the use cases."""

import re
from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from tocsin import __version__
from tocsin.api import dispatch, errors
from tocsin.api.body import JsonRoute
from tocsin.api.calls import Calls, LimitCalls
from tocsin.api.openapi import query_of
from tocsin.api.routes import (
    audit,
    comments,
    deliveries,
    description,
    directory,
    event_feed,
    feedbacks,
    health,
    images,
    operations,
    organizations,
    partners,
    password_page,
    people,
    replays,
    reports,
    root,
    security,
    webhooks,
)
from tocsin.hal.links import Target
from tocsin.hal.root import TEMPLATES
from tocsin.service.use_cases import UseCases

ROUTERS: Final[tuple[APIRouter, ...]] = tuple(
    module.router
    for module in (
        root,
        security,
        password_page,
        organizations,
        partners,
        people,
        directory,
        feedbacks,
        reports,
        operations,
        comments,
        images,
        webhooks,
        deliveries,
        replays,
        audit,
        event_feed,
        description,
        health,
    )
)


def routes() -> list[APIRoute]:
    return [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def getters() -> dict[str, APIRoute]:
    """What can be got, by its path."""
    return {route.path: route for route in routes() if "GET" in (route.methods or ())}


def queries(served: Mapping[str, APIRoute]) -> dict[Target, list[str]]:
    """What each templated link of the root takes besides its path's variables. KeyError where nothing serves it."""
    by_shape = {_shape(path): query_of(route) for path, route in served.items()}
    return {target: by_shape[_shape(target)] for target in TEMPLATES.values()}


def _shape(path: str) -> str:
    """Without the names of variables: those of links are the contract's, those of routes Python's."""
    return re.sub(r"\{\w+\}", "{}", path)


def create_application(use_cases: UseCases) -> FastAPI:
    app = FastAPI(title="tocsin", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.router.route_class = JsonRoute
    app.router.redirect_slashes = False
    app.state.use_cases = use_cases
    app.state.routes = routes()
    app.state.getters = getters()
    app.state.queries = queries(app.state.getters)
    app.state.trusted_proxies = use_cases.context.trusted_proxies
    app.state.calls = Calls(use_cases.context.clock.monotonic)
    if use_cases.context.rate_limits:
        app.add_middleware(LimitCalls, calls=app.state.calls, trusted=app.state.trusted_proxies)
    errors.install(app)
    for router in ROUTERS:
        app.router.routes.extend(router.routes)
    dispatch.install(app)
    return app
