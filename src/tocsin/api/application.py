"""The FastAPI application: routers, errors, health. Made by `app`, which hands in the use cases."""

from typing import Final

from fastapi import APIRouter, FastAPI

from tocsin import __version__
from tocsin.api import dispatch, errors
from tocsin.api.body import JsonRoute
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


def create_application(use_cases: UseCases) -> FastAPI:
    app = FastAPI(title="tocsin", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.router.route_class = JsonRoute
    app.router.redirect_slashes = False
    app.state.use_cases = use_cases
    errors.install(app)
    for router in ROUTERS:
        app.router.routes.extend(router.routes)
    dispatch.install(app)
    return app
