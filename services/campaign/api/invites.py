"""A campaign's invite link: on, off, replaced, and what whoever opens it finds.

The link's secret stands in its path, which is therefore nothing to log.
"""

import secrets
from datetime import datetime
from typing import Annotated

import jinja2
from aiohttp import web
from pydantic import EmailStr, Field

from services.campaign.acts import inviting
from services.campaign.api.calls import (
    ADMINS,
    BASE,
    STRANGERS,
    Answer,
    Body,
    Call,
    Route,
    answer,
)
from services.campaign.api.fields import Name
from services.campaign.api.reference import TEMPLATES
from services.campaign.domain import Refused
from services.campaign.store import campaigns
from services.campaign.store import invites as store
from services.campaign.store.invites import Invite

_NOWHERE = {"gone": 410, "missing": 404}


class InviteShown(Answer):
    """A campaign's invite link. `url` is what to share; null where the service was not told its
    public address: then it is `path`, on whatever address you reach the API by."""

    enabled: bool
    url: str | None
    path: str | None
    made_at: datetime | None


class Invitation(Answer):
    """Where a link leads. `adds_people`: who has no account there yet gets one with a name and an
    e-mail address."""

    organization: str
    campaign: str
    adds_people: bool


class Joining(Body):
    """Who has no account in the organization yet; nobody else says anything."""

    name: Name | None = None
    email: Annotated[EmailStr, Field(max_length=254)] | None = None


class Joined(Answer):
    """What the caller is a sender of now, and where their texts are: `assignment`.

    `token` is a new person's, shown this once.
    """

    organization: str
    campaign: str
    campaign_id: str
    person_id: str
    assignment: str
    token: str | None
    token_expires_at: datetime | None


async def show(call: Call) -> web.StreamResponse:
    """A campaign's invite link, on or off."""
    async with call.transaction() as tx:
        campaign = await campaigns.get(tx, call.org_id, call.id("campaign_id"))
        invite = await store.of_campaign(tx, campaign)
    return answer(_shown(call, invite))


async def turn_on(call: Call) -> web.StreamResponse:
    """Turn the invite link on; the same link comes back."""
    return await _turn(call, enabled=True)


async def turn_off(call: Call) -> web.StreamResponse:
    """Turn the invite link off: it leads nowhere until it is on again."""
    return await _turn(call, enabled=False)


async def _turn(call: Call, *, enabled: bool) -> web.StreamResponse:
    async with call.transaction() as tx:
        invite = await inviting.turn(tx, call.caller, call.id("campaign_id"), enabled=enabled)
    return answer(_shown(call, invite))


async def renew(call: Call) -> web.StreamResponse:
    """Put another link in the place of this one, which leads nowhere from now on."""
    async with call.transaction() as tx:
        invite = await inviting.renew(tx, call.caller, call.id("campaign_id"))
    return answer(_shown(call, invite))


def _shown(call: Call, invite: Invite | None) -> InviteShown:
    if invite is None:
        return InviteShown(enabled=False, url=None, path=None, made_at=None)
    path, base = f"{BASE}/invites/{invite.secret}", call.settings.public_url
    # Never by the request's Host header, which says what its sender likes: links are shared.
    url = None if base is None else f"{str(base).rstrip('/')}{path}"
    return InviteShown(enabled=invite.enabled, url=url, path=path, made_at=invite.made_at)


# --- who opens it ---------------------------------------------------------------------------


async def look(call: Call) -> web.StreamResponse:
    """See where an invite link leads, and change nothing: mail scanners and previews do it too.

    A browser gets a page to join by.
    """
    as_page = "text/html" in call.request.headers.get("Accept", "")
    try:
        async with call.transaction() as tx:
            found = await inviting.opened(tx, call.caller, call.id("secret"))
    except Refused as refused:
        if as_page and refused.kind in _NOWHERE:
            return _page(status=_NOWHERE[refused.kind], why=refused.reason)
        raise
    shown = Invitation(
        organization=found.organization,
        campaign=found.campaign.plan.name,
        adds_people=found.adds_people,
    )
    return _page(invitation=shown) if as_page else answer(shown)


async def join(call: Call) -> web.StreamResponse:
    """Become a sender of the campaign that an invite link leads to; once more changes nothing.

    With a token of its organization, or, where that adds people by links, with a name and an
    e-mail address that it does not know yet.
    """
    wanted = await call.body(Joining)
    async with call.transaction() as tx:
        joined = await inviting.join(
            tx,
            call.caller,
            call.id("secret"),
            name=wanted.name,
            email=wanted.email,
            token_days=call.settings.token_days,
        )
    campaign, issued = joined.invitation.campaign, joined.issued
    place = f"/campaigns/{campaign.campaign_id}/assignment"
    return answer(
        Joined(
            organization=joined.invitation.organization,
            campaign=campaign.plan.name,
            campaign_id=campaign.campaign_id,
            person_id=joined.person_id,
            assignment=BASE + place,
            token=None if issued is None else issued.token,
            token_expires_at=None if issued is None else issued.expires_at,
        ),
        location=place,
    )


def _page(
    *, status: int = 200, invitation: Invitation | None = None, why: str | None = None
) -> web.Response:
    nonce = secrets.token_urlsafe(16)
    text = _TEMPLATE.render(invitation=invitation, why=why, nonce=nonce)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


_TEMPLATE = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
).get_template("invite.html")

OF_CAMPAIGN = "/campaigns/{campaign_id}/invite"

ROUTES = (
    Route("GET", OF_CAMPAIGN, ADMINS, show, gives=InviteShown),
    Route("PUT", OF_CAMPAIGN, ADMINS, turn_on, gives=InviteShown),
    Route("DELETE", OF_CAMPAIGN, ADMINS, turn_off, gives=InviteShown),
    Route("POST", OF_CAMPAIGN + "/replace", ADMINS, renew, gives=InviteShown),
    Route("GET", "/invites/{secret}", STRANGERS, look, gives=Invitation, pages=True),
    Route("POST", "/invites/{secret}", STRANGERS, join, takes=Joining, gives=Joined),
)
