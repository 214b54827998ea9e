"""Campaigns' texts that wait for a carrier to know their number, or for all of them: held, told of,
let go."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import structlog

from services.collider import registration
from services.collider.registration import Registration
from services.collider.store import campaigns, numbers, registrations
from services.collider.store.campaigns import lock_buckets
from services.collider.store.registrations import RegistrationKey
from shared.database import Transaction
from shared.events import CampaignHeld, NumberProvisioned
from shared.rules.limits import CARRIERS

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Word:
    """What a carrier said of a campaign's number."""

    key: RegistrationKey
    answer: Literal["confirmed", "refused"]
    at: datetime
    number: str | None = None
    """None: none was bought."""


async def settle(tx: Transaction, events: Sequence[NumberProvisioned]) -> None:
    """Provisioning has ended for these campaigns, whose numbers are locked. Where all carriers know
    a number, whatever waits on it for just that may go; where there is none, nothing can."""
    complete = [event for event in events if event.outcome == "complete"]
    without = {
        (event.org_id, event.campaign_id)
        for event in events
        if event.outcome == "failed" and event.number is None
    }
    if not complete and not without:
        return
    now = await tx.now()
    own = {}
    known = {}
    for event in complete:
        states = (event.carriers.att, event.carriers.tmobile, event.carriers.verizon)
        at = min(now, max(one.at for one in states))
        own[event.org_id, event.campaign_id] = at
        if event.number is not None:
            known[event.org_id, event.number] = at
    await campaigns.learn_no_numbers(tx, without)
    await campaigns.learn_provisioned(tx, own)
    others = await numbers.learn_provisioned(tx, known)
    # All that `hear` will want as well, so that they are locked in one order.
    orgs = {org_id for org_id, _ in own.keys() | without}
    await lock_buckets(tx, {(org_id, carrier) for org_id in orgs for carrier in CARRIERS})
    await campaigns.reschedule(tx, {*own, *others, *without})


async def hear(tx: Transaction, words: Sequence[Word]) -> None:
    """Carriers have confirmed or refused numbers, which are locked, in any order and more than
    once. It holds for all campaigns on a number, whichever it was bought for."""
    words = await _spread(tx, words)
    await lock_buckets(tx, {(word.key[0], word.key[2]) for word in words})
    now = await tx.now()
    said: dict[RegistrationKey, list[Word]] = {}
    # No word is from the future: the next one could never count.
    for word in sorted(words, key=lambda word: word.at):
        said.setdefault(word.key, []).append(word)

    def change(key: RegistrationKey, known: Registration) -> Registration:
        for word in said[key]:
            at = min(word.at, now)
            if word.answer == "confirmed":
                known = registration.confirmed(known, at)
            else:
                known = registration.refused(known, at, now)
        return known

    await _change(tx, said, change)


async def _spread(tx: Transaction, words: Sequence[Word]) -> list[Word]:
    """These words, and the same for the other campaigns on their numbers."""
    of = {(word.key[0], word.number) for word in words if word.number is not None}
    sharing = await numbers.sharing(tx, of) if of else {}
    return [
        replace(word, key=(word.key[0], campaign_id, word.key[2]))
        for word in words
        for campaign_id in {word.key[1], *sharing.get((word.key[0], word.number or ""), ())}
    ]


async def hold(tx: Transaction, refused: Mapping[RegistrationKey, str | None]) -> None:
    """Carriers refused texts for their numbers, with these codes: hold those that follow. The
    buckets are locked."""
    now = await tx.now()
    log.warning("number not known to the carrier", campaigns=sorted(refused))
    await _change(tx, refused, lambda key, known: registration.held(known, key[2], now), refused)


async def rest(tx: Transaction, keys: Collection[RegistrationKey]) -> None:
    """Numbers are not ready at the provider: their texts wait for a moment. The buckets are
    locked."""
    now = await tx.now()
    log.warning("number not ready at the provider", campaigns=sorted(keys))
    await _change(tx, keys, lambda _, known: registration.rested(known, now))


async def _change(
    tx: Transaction,
    keys: Collection[RegistrationKey],
    change: Callable[[RegistrationKey, Registration], Registration],
    codes: Mapping[RegistrationKey, str | None] | None = None,
) -> None:
    before = await registrations.read(tx, keys)
    after = {key: change(key, known) for key, known in before.items()}
    changed = {key: one for key, one in after.items() if one != before[key]}
    if not changed:
        return
    await registrations.write(tx, changed)
    for key, one in sorted(changed.items()):
        # Once for each hold, however many texts it stops.
        if one.told_at is not None and one.told_at != before[key].told_at:
            org_id, campaign_id, carrier = key
            tx.tell(
                CampaignHeld(
                    org_id=org_id,
                    campaign_id=campaign_id,
                    carrier=carrier,
                    state=one.state,
                    code=(codes or {}).get(key),
                    reason=registration.reason(one, carrier),
                    held_at=one.told_at,
                )
            )
