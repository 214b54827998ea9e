"""The link that makes whoever opens it a sender of one campaign: each a transaction's work."""

from dataclasses import dataclass, replace
from secrets import token_urlsafe

from services.campaign import tokens
from services.campaign.domain import Caller, Campaign, Refused, check_not_archived
from services.campaign.store import audit, campaigns, invites, organizations, people, scope, senders
from services.campaign.store.invites import Invite
from services.campaign.tokens import Issued
from shared.database import Transaction
from shared.ids import new_id

# 192 random bits: nobody guesses a link.
SECRET_BYTES = 24


@dataclass(frozen=True, slots=True)
class Invitation:
    """Where a link leads. `adds_people`: who has no account there yet gets one."""

    campaign: Campaign
    organization: str
    adds_people: bool


@dataclass(frozen=True, slots=True)
class Joined:
    """Who is a sender of the campaign now. `issued`: a new person's token."""

    invitation: Invitation
    person_id: str
    issued: Issued | None


async def turn(
    tx: Transaction, caller: Caller, campaign_id: str, *, enabled: bool
) -> Invite | None:
    """Turn a campaign's link on or off; None where it never had one, and has none now.

    The same link comes back. Raises Refused for an archived campaign, where it is to be on.
    """
    campaign = await campaigns.hold(tx, caller.org_id, campaign_id)
    if enabled:
        check_not_archived(campaign.state)
    invite = await invites.of_campaign(tx, campaign)
    if invite is None and enabled:
        invite = await _make(tx, campaign, enabled=True)
    elif invite is None or invite.enabled == enabled:
        return invite
    else:
        await invites.turn(tx, invite, enabled=enabled)
        invite = replace(invite, enabled=enabled)
    act = "invite link turned on" if enabled else "invite link turned off"
    await audit.add(tx, caller, act, campaign_id)
    return invite


async def renew(tx: Transaction, caller: Caller, campaign_id: str) -> Invite:
    """Put another link in the place of a campaign's, which leads nowhere from now on.

    The new one is on or off as the old one was. Raises Refused where there is none.
    """
    campaign = await campaigns.hold(tx, caller.org_id, campaign_id)
    check_not_archived(campaign.state)
    invite = await invites.of_campaign(tx, campaign)
    if invite is None:
        raise Refused("conflict", "The campaign has no invite link yet: turn it on")
    await invites.retire(tx, invite, await tx.now())
    await audit.add(tx, caller, "invite link replaced", campaign_id)
    return await _make(tx, campaign, enabled=invite.enabled)


async def _make(tx: Transaction, campaign: Campaign, *, enabled: bool) -> Invite:
    invite = Invite(
        campaign.org_id,
        campaign.campaign_id,
        token_urlsafe(SECRET_BYTES),
        enabled,
        await tx.now(),
        None,
    )
    await invites.add(tx, invite, tokens.digest(invite.secret))
    return invite


# --- who opens it ---------------------------------------------------------------------------


async def opened(tx: Transaction, caller: Caller, secret: str) -> Invitation:
    """Where a link leads. Raises Refused when it leads nowhere (gone, where it once did), and for
    people of other organizations."""
    invite = await _presented(tx, secret)
    _check_on(invite)
    async with scope.within(tx, invite.org_id):
        return await _invitation(tx, caller, invite)


async def join(
    tx: Transaction,
    caller: Caller,
    secret: str,
    *,
    name: str | None,
    email: str | None,
    token_days: int,
) -> Joined:
    """Make whoever opens a link a sender of its campaign; once more changes nothing.

    Somebody without a token says who they are, and gets a place in the organization where its
    links give any. Raises Refused for everybody else.
    """
    invite = await _presented(tx, secret)
    async with scope.within(tx, invite.org_id):
        # Held: once it is off, nobody joins any more.
        _check_on(await invites.hold(tx, invite))
        invitation = await _invitation(tx, caller, invite)
        issued = None
        if caller.role == "stranger":
            caller = await _add_person(tx, invitation, name, email)
            issued = await tokens.issue(
                tx, caller.org_id, caller.person_id, days=token_days, issued_by=caller.person_id,
                name="invite link",
            )  # fmt: skip
        added = await senders.add(tx, invitation.campaign, [caller.person_id], await tx.now())
        if added:
            await audit.add(
                tx, caller, "joined by invite link", invite.campaign_id,
                after={"person_id": caller.person_id, "new": issued is not None},
            )  # fmt: skip
    return Joined(invitation, caller.person_id, issued)


async def _presented(tx: Transaction, secret: str) -> Invite:
    invite = await invites.presented(tx, tokens.digest(secret))
    if invite is None:
        raise Refused("missing", "There is no such invite link")
    return invite


def _check_on(invite: Invite) -> None:
    if invite.replaced_at is not None:
        raise Refused("gone", "This invite link was replaced: ask for the new one")
    if not invite.enabled:
        raise Refused("gone", "This invite link is turned off: ask who gave it to you")


async def _invitation(tx: Transaction, caller: Caller, invite: Invite) -> Invitation:
    campaign = await campaigns.get(tx, invite.org_id, invite.campaign_id)
    if campaign.state == "archived":
        raise Refused("gone", "The campaign of this invite link is over")
    organization = await organizations.get(tx, invite.org_id)
    await _check_place(tx, caller, invite, organization["name"])
    return Invitation(campaign, organization["name"], organization["invites_add_people"])


async def _check_place(tx: Transaction, caller: Caller, invite: Invite, organization: str) -> None:
    if caller.role == "stranger" or caller.org_id == invite.org_id:
        return
    if caller.role == "operator":
        raise Refused("forbidden", "Operators send for no campaign")
    why = f"This invite link is {organization}'s, and you have no place there"
    if await people.known(tx, invite.org_id, [caller.person_id]):
        why = f"Your token is another organization's: use yours of {organization}"
    raise Refused("forbidden", why)


async def _add_person(
    tx: Transaction, invitation: Invitation, name: str | None, email: str | None
) -> Caller:
    org_id = invitation.campaign.org_id
    if not invitation.adds_people:
        raise Refused(
            "forbidden",
            f"{invitation.organization} adds nobody by invite links: send the token that you have "
            "there, or ask an admin for one",
        )
    for field, value in (("name", name), ("email", email)):
        if value is None:
            raise Refused("invalid", "say who you are, or send your token", field=field)
    assert name is not None
    assert email is not None
    person = Caller(org_id, new_id(), "sender", name, email)
    try:
        await people.add(
            tx, org_id, person.person_id, role="sender", name=name, email=email, at=await tx.now()
        )
    except Refused:
        # Never a token for somebody else's place: that anybody may say an address is no proof.
        raise Refused(
            "conflict",
            "this address has an account already: send its token, or ask an admin for a new one",
            field="email",
        ) from None
    return person
