"""Where an organization's notices are posted, and the secret that shows that they are ours."""

from datetime import datetime
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from services.campaign.acts import noticing
from services.campaign.acts.noticing import POSTED
from services.campaign.api.calls import ADMINS, Answer, Body, Call, Route, answer
from services.campaign.api.fields import Zone
from services.campaign.domain import Refused
from services.campaign.rules.webhooks import check_address
from services.campaign.store import audit
from services.campaign.store import notices as store
from shared.database import Transaction
from shared.events import NoticeKind, WebhookState
from shared.fields import Url
from shared.rules.webhook_keys import shown, webhook_key

_NO_KEY = "webhooks are signed, and this platform has no key for it yet: its operator sets one"


class NewWebhook(Body):
    """The whole state: where to, which notices, and whose day the digest is of."""

    url: Url
    notices: Annotated[tuple[NoticeKind, ...], Field(max_length=len(POSTED))] = POSTED
    time_zone: Zone = "America/Los_Angeles"


class Webhook(Answer):
    """Where notices are posted, and whether they get there, by the last try since it was set.

    `state`: new until there was one; stopped: the receiver wants no more, until the webhook is set
    anew. `error`: why it does not work. `secret_version` counts the secrets that it has had.
    """

    url: str
    notices: list[NoticeKind]
    time_zone: str
    secret_version: int
    changed_at: datetime
    state: Literal["new", WebhookState]
    state_since: datetime
    error: str | None


class Secret(Answer):
    """What each post's signature is checked with, as Standard Webhooks writes it."""

    secret: str
    secret_version: int


async def show(call: Call) -> web.StreamResponse:
    """Where the organization's notices are posted."""
    async with call.transaction() as tx:
        return await _shown(call, tx)


async def put(call: Call) -> web.StreamResponse:
    """Have notices posted to an address, each signed."""
    wanted = await call.body(NewWebhook)
    check_address(wanted.url, private_allowed=call.settings.webhooks_private_allowed)
    if call.settings.webhook_master_key is None:
        raise Refused("conflict", f"{_NO_KEY} (SLUICE_WEBHOOK_MASTER_KEY)")
    async with call.transaction() as tx:
        await noticing.post_to(tx, call.caller, **wanted.model_dump())
        return await _shown(call, tx)


async def remove(call: Call) -> web.StreamResponse:
    """Have nothing posted any more."""
    async with call.transaction() as tx:
        was = await noticing.post_nowhere(tx, call.caller)
    return answer(Webhook(**was))


async def show_secret(call: Call) -> web.StreamResponse:
    """The secret that signs now. That it was shown is written down."""
    async with call.transaction() as tx:
        version = (await store.webhook(tx, call.org_id))["secret_version"]
        if call.settings.webhook_master_key is None:
            raise Refused("missing", f"{_NO_KEY} (SLUICE_WEBHOOK_MASTER_KEY)")
        after = {"secret_version": version}
        await audit.add(tx, call.caller, "webhook secret shown", call.org_id, after=after)
    master = call.settings.webhook_master_key.get_secret_value()
    secret = shown(webhook_key(master.encode(), call.org_id, version))
    response = answer(Secret(secret=secret, secret_version=version))
    response.headers["Cache-Control"] = "no-store"
    return response


async def replace_secret(call: Call) -> web.StreamResponse:
    """Have another secret sign from now on, for a day beside the one before.

    The answer does not hold it: answers are kept for those who ask again.
    """
    async with call.transaction() as tx:
        await noticing.replace_secret(tx, call.caller)
        return await _shown(call, tx)


async def _shown(call: Call, tx: Transaction) -> web.Response:
    return answer(Webhook(**await store.webhook(tx, call.org_id)))


OWN = "/webhook"
SECRET = OWN + "/secret"

ROUTES = (
    Route("GET", OWN, ADMINS, show, gives=Webhook),
    Route("PUT", OWN, ADMINS, put, takes=NewWebhook, gives=Webhook),
    Route("DELETE", OWN, ADMINS, remove, gives=Webhook),
    Route("GET", SECRET, ADMINS, show_secret, gives=Secret),
    Route("POST", SECRET + "/replace", ADMINS, replace_secret, gives=Webhook),
)
