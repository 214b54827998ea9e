"""The API as one application."""

from aiohttp import web

from services.campaign.api import (
    assignments,
    audit,
    campaigns,
    canned,
    contacts,
    control,
    conversations,
    exports,
    following,
    forecasts,
    invites,
    limits,
    messages,
    notices,
    opt_outs,
    organizations,
    people,
    reference,
    senders,
    tags,
    tokens,
    trying,
    webhooks,
)
from services.campaign.api.calls import BASE, Route
from services.campaign.api.endpoint import endpoint
from services.campaign.settings import CampaignSettings
from shared.database import Database
from shared.http import problems

BODY_MOST_BYTES = 1024 * 1024

ROUTES: tuple[Route, ...] = (
    *organizations.ROUTES,
    *limits.ROUTES,
    *people.ROUTES,
    *tokens.ROUTES,
    *notices.ROUTES,
    *webhooks.ROUTES,
    *audit.ROUTES,
    *contacts.ROUTES,
    *campaigns.ROUTES,
    *control.ROUTES,
    *following.ROUTES,
    *trying.ROUTES,
    *forecasts.ROUTES,
    *senders.ROUTES,
    *invites.ROUTES,
    *assignments.ROUTES,
    *conversations.ROUTES,
    *canned.ROUTES,
    *tags.ROUTES,
    *opt_outs.ROUTES,
    *messages.ROUTES,
    *exports.ROUTES,
)


def create_app(database: Database, settings: CampaignSettings) -> web.Application:
    """The application; uploads are streamed, all other bodies are at most BODY_MOST_BYTES.

    `database`: opened with scope.API_ROLE, so that row-level security binds it.
    """
    app = web.Application(middlewares=[problems], client_max_size=BODY_MOST_BYTES)
    for route in (*ROUTES, *reference.routes(ROUTES)):
        app.router.add_route(route.method, BASE + route.path, endpoint(route, database, settings))
    return app
