"""Who wants which notices, and where they go: told to the notifier whenever it changes.

An organization's row is held meanwhile. Its versions count all that is told of its notices: so
the later word on an e-mail address wins, though it had been another person's before.
"""

from collections.abc import Collection
from typing import Any, Literal, get_args

from asyncpg import Record

from services.campaign.domain import Caller
from services.campaign.rules.digests import due_at, first_day
from services.campaign.rules.webhooks import without_query
from services.campaign.store import audit, digests, organizations
from services.campaign.store import notices as store
from shared.database import Transaction
from shared.events import NoticeKind, NoticeSettingsChanged

Mailed = Literal["provisioning complete", "provisioning failed", "window at risk", "campaign held"]
MAILED: tuple[Mailed, ...] = get_args(Mailed)
"""What an admin is told by e-mail. The digest goes to programs alone."""
POSTED: tuple[NoticeKind, ...] = get_args(NoticeKind)


async def chosen(tx: Transaction, caller: Caller) -> tuple[str, tuple[Mailed, ...]]:
    """The caller's address, and what they want there: everything, until they have said."""
    row = await store.chosen(tx, caller.org_id, caller.person_id)
    return row["email"], _of(MAILED, row["notices"])


async def choose(tx: Transaction, caller: Caller, wanted: Collection[Mailed]) -> None:
    """Have the caller get these and no others. What they have already is no news."""
    await organizations.lock(tx, caller.org_id)
    email, before = await chosen(tx, caller)
    after = _of(MAILED, wanted)
    if after == before:
        return
    await store.choose(tx, caller.org_id, caller.person_id, after)
    await _tell_choice(tx, caller.org_id, email, after)
    await audit.add(
        tx,
        caller,
        "notices chosen",
        caller.person_id,
        before={"notices": before},
        after={"notices": after},
    )


async def move(tx: Transaction, org_id: str, person_id: str, *, left: str) -> None:
    """Have somebody's choice follow them to the address that they have now; hold the organization.

    The one that was `left` gets everything again: it may be given to somebody else.
    """
    row = await store.chosen(tx, org_id, person_id)
    if row["notices"] is not None and row["email"] != left:
        await _tell_choice(tx, org_id, left, MAILED)
        await _tell_choice(tx, org_id, row["email"], _of(MAILED, row["notices"]))


async def _tell_choice(
    tx: Transaction, org_id: str, email: str, notices: tuple[Mailed, ...]
) -> None:
    version = await store.next_version(tx, org_id)
    tx.tell(NoticeSettingsChanged(org_id=org_id, version=version, notices=notices, email=email))


# --- the organization's webhook ----------------------------------------------------------------


async def post_to(
    tx: Transaction, caller: Caller, *, url: str, notices: Collection[NoticeKind], time_zone: str
) -> None:
    """Have these notices posted there. It is told though it may be so already: a receiver who
    wanted no more is asked again by that."""
    await organizations.lock(tx, caller.org_id)
    found = await store.find_webhook(tx, caller.org_id)
    digests_were = await digests.wanted(tx, caller.org_id)
    now = await tx.now()
    await store.put_webhook(
        tx, caller.org_id, url=url, notices=_of(POSTED, notices), time_zone=time_zone, at=now
    )
    if "daily digest" in notices:
        day = first_day(digests_were, time_zone, now)
        await digests.schedule(tx, caller.org_id, day, due_at(time_zone, day))
    else:
        await digests.cancel(tx, caller.org_id)
    made = await store.webhook(tx, caller.org_id)
    await _tell_webhook(tx, caller.org_id, made)
    await audit.add(
        tx,
        caller,
        "webhook set",
        caller.org_id,
        before=None if found is None else _to_write_down(found),
        after=_to_write_down(made),
    )


async def post_nowhere(tx: Transaction, caller: Caller) -> Record:
    """Have nothing posted any more; the webhook that was. Raises Refused where there is none."""
    await organizations.lock(tx, caller.org_id)
    was = await store.webhook(tx, caller.org_id)
    await store.remove_webhook(tx, caller.org_id, await tx.now())
    await digests.cancel(tx, caller.org_id)
    tx.tell(
        NoticeSettingsChanged(
            org_id=caller.org_id,
            version=await store.next_version(tx, caller.org_id),
            notices=(),
            secret_version=was["secret_version"],
        )
    )
    await audit.add(tx, caller, "webhook removed", caller.org_id, before=_to_write_down(was))
    return was


async def replace_secret(tx: Transaction, caller: Caller) -> None:
    """Have another secret sign from now on. Raises Refused where there is no webhook."""
    await organizations.lock(tx, caller.org_id)
    was = await store.webhook(tx, caller.org_id)
    await store.replace_secret(tx, caller.org_id, await tx.now())
    now = await store.webhook(tx, caller.org_id)
    await _tell_webhook(tx, caller.org_id, now)
    await audit.add(
        tx,
        caller,
        "webhook secret replaced",
        caller.org_id,
        before={"secret_version": was["secret_version"]},
        after={"secret_version": now["secret_version"]},
    )


async def _tell_webhook(tx: Transaction, org_id: str, webhook: Record) -> None:
    version = await store.next_version(tx, org_id)
    await store.begin_anew(tx, org_id, version)
    tx.tell(
        NoticeSettingsChanged(
            org_id=org_id,
            version=version,
            notices=tuple(webhook["notices"]),
            webhook_url=webhook["url"],
            secret_version=webhook["secret_version"],
        )
    )


def _to_write_down(webhook: Record) -> dict[str, Any]:
    return {
        "url": without_query(webhook["url"]),
        "notices": webhook["notices"],
        "time_zone": webhook["time_zone"],
    }


def _of(kinds: tuple[Any, ...], wanted: Collection[str] | None) -> tuple[Any, ...]:
    """Those that are wanted, each once and in the order of all; None: everything."""
    return kinds if wanted is None else tuple(kind for kind in kinds if kind in wanted)
