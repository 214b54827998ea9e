"""What was heard of the campaigns' numbers.

Facts about campaigns that are not this service's own are left out by the joins: other systems
launch campaigns too.
"""

from collections.abc import Mapping, Sequence

from asyncpg import Record

from services.campaign.domain import Campaign, Carrier
from services.campaign.rules.flag import CarrierAnswer, Number
from shared.database import Transaction
from shared.events import (
    CampaignHeld,
    CarrierAnswered,
    NumberProvisioned,
    NumberPurchased,
    NumberReleased,
    ProvisioningDelayed,
)


async def purchased(tx: Transaction, events: Sequence[NumberPurchased]) -> None:
    """Keep each campaign's number; the first that was heard stays."""
    await tx.sql.execute(
        """
        INSERT INTO numbers (org_id, campaign_id, number, purchased_at)
        SELECT DISTINCT ON (org_id, campaign_id) org_id, campaign_id, e.number, e.purchased_at
        FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
             AS e (org_id, campaign_id, number, purchased_at)
        JOIN campaigns USING (org_id, campaign_id)
        ORDER BY org_id, campaign_id, e.purchased_at
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET
            number = coalesce(numbers.number, EXCLUDED.number),
            purchased_at = coalesce(numbers.purchased_at, EXCLUDED.purchased_at)
        """,
        [event.org_id for event in events],
        [event.campaign_id for event in events],
        [event.number for event in events],
        [event.purchased_at for event in events],
    )


async def answered(tx: Transaction, events: Sequence[CarrierAnswered]) -> None:
    """Keep what the carriers said, the later word of each."""
    await _put_answers(
        tx,
        [
            (e.org_id, e.campaign_id, e.carrier, CarrierAnswer(e.answer, e.answered_at, e.reason))
            for e in events
        ],
    )


async def provisioned(tx: Transaction, events: Sequence[NumberProvisioned]) -> None:
    """Keep the outcomes; a number that is complete stays so, whatever comes late."""
    await tx.sql.execute(
        """
        INSERT INTO numbers (org_id, campaign_id, number, outcome, reason, took_s)
        SELECT DISTINCT ON (org_id, campaign_id) org_id, campaign_id, number, outcome, reason,
               took_s
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[])
             AS e (org_id, campaign_id, number, outcome, reason, took_s)
        JOIN campaigns USING (org_id, campaign_id)
        ORDER BY org_id, campaign_id, outcome  -- complete before failed
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET
            number = coalesce(numbers.number, EXCLUDED.number), outcome = EXCLUDED.outcome,
            reason = EXCLUDED.reason, took_s = EXCLUDED.took_s
        WHERE numbers.outcome IS DISTINCT FROM 'complete'
        """,
        [event.org_id for event in events],
        [event.campaign_id for event in events],
        [event.number for event in events],
        [event.outcome for event in events],
        [event.reason for event in events],
        [event.took_s for event in events],
    )
    await _put_answers(
        tx,
        [
            (e.org_id, e.campaign_id, carrier, CarrierAnswer(said.state, said.at, said.reason))
            for e in events
            for carrier, said in (
                ("att", e.carriers.att),
                ("tmobile", e.carriers.tmobile),
                ("verizon", e.carriers.verizon),
            )
        ],
    )


async def delayed(tx: Transaction, events: Sequence[ProvisioningDelayed]) -> None:
    """Keep what numbers wait for, as it was said last."""
    await tx.sql.execute(
        """
        INSERT INTO provisioning_delays (org_id, campaign_id, waits_for, delayed_at)
        SELECT DISTINCT ON (org_id, campaign_id) org_id, campaign_id, waits_for, delayed_at
        FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
             AS e (org_id, campaign_id, waits_for, delayed_at)
        JOIN campaigns USING (org_id, campaign_id)
        -- Of two words at one time the same one stands, whichever was heard first.
        ORDER BY org_id, campaign_id, delayed_at DESC, waits_for DESC
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET
            waits_for = EXCLUDED.waits_for, delayed_at = EXCLUDED.delayed_at
        WHERE (provisioning_delays.delayed_at, provisioning_delays.waits_for)
            < (EXCLUDED.delayed_at, EXCLUDED.waits_for)
        """,
        [event.org_id for event in events],
        [event.campaign_id for event in events],
        [event.waits_for for event in events],
        [event.delayed_at for event in events],
    )


async def _put_answers(
    tx: Transaction, answers: Sequence[tuple[str, str, str, CarrierAnswer]]
) -> None:
    await tx.sql.execute(
        """
        INSERT INTO carrier_answers (org_id, campaign_id, carrier, state, at, reason)
        SELECT DISTINCT ON (org_id, campaign_id, carrier)
               org_id, campaign_id, carrier, e.state, at, reason
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
             AS e (org_id, campaign_id, carrier, state, at, reason)
        JOIN campaigns USING (org_id, campaign_id)
        -- Any answer stands before a pending, and of two at one time the confirmation.
        ORDER BY org_id, campaign_id, carrier, e.state = 'pending', at DESC, e.state
        ON CONFLICT (org_id, campaign_id, carrier) DO UPDATE SET
            state = EXCLUDED.state, at = EXCLUDED.at, reason = EXCLUDED.reason
        WHERE EXCLUDED.state <> 'pending'
          AND (carrier_answers.state = 'pending'
               OR (carrier_answers.at, carrier_answers.state = 'confirmed')
                  < (EXCLUDED.at, EXCLUDED.state = 'confirmed'))
        """,
        [org_id for org_id, _, _, _ in answers],
        [campaign_id for _, campaign_id, _, _ in answers],
        [carrier for _, _, carrier, _ in answers],
        [said.state for _, _, _, said in answers],
        [said.at for _, _, _, said in answers],
        [said.reason for _, _, _, said in answers],
    )


async def held(tx: Transaction, events: Sequence[CampaignHeld]) -> None:
    """Keep which carriers take no texts from a campaign's number, the later word of each."""
    await tx.sql.execute(
        """
        INSERT INTO carrier_holds (org_id, campaign_id, carrier, state, code, reason, held_at)
        SELECT DISTINCT ON (org_id, campaign_id, carrier)
               org_id, campaign_id, carrier, e.state, code, reason, held_at
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                    $7::timestamptz[])
             AS e (org_id, campaign_id, carrier, state, code, reason, held_at)
        JOIN campaigns USING (org_id, campaign_id)
        ORDER BY org_id, campaign_id, carrier, held_at DESC
        ON CONFLICT (org_id, campaign_id, carrier) DO UPDATE SET
            state = EXCLUDED.state, code = EXCLUDED.code, reason = EXCLUDED.reason,
            held_at = EXCLUDED.held_at
        WHERE carrier_holds.held_at < EXCLUDED.held_at
        """,
        [event.org_id for event in events],
        [event.campaign_id for event in events],
        [event.carrier for event in events],
        [event.state for event in events],
        [event.code for event in events],
        [event.reason for event in events],
        [event.held_at for event in events],
    )


async def holds(tx: Transaction, campaign: Campaign) -> Sequence[Record]:
    """Which carriers take no texts from a campaign's number now.

    The confirmation that a hold waits for ends it, even one of a little earlier that the collider
    had not heard of yet. A carrier that had confirmed, or never confirms at all, has to have
    delivered a text since.
    """
    return await tx.sql.fetch(
        """
        SELECT carrier, state, code, reason, held_at FROM carrier_holds AS h
        WHERE org_id = $1 AND campaign_id = $2
          AND NOT EXISTS (
              SELECT FROM carrier_answers AS a
              WHERE a.org_id = $1 AND a.campaign_id IN ($2, $3)
                AND a.carrier = h.carrier
                AND a.state = 'confirmed' AND (h.state <> 'confirmed' OR a.at >= h.held_at))
          AND NOT EXISTS (
              SELECT FROM messages AS m
              WHERE m.org_id = $1 AND m.campaign_id = $2 AND m.carrier = h.carrier
                AND m.delivered_at > h.held_at)
        ORDER BY carrier
        """,
        campaign.org_id,
        campaign.campaign_id,
        campaign.buyer,
    )


async def of_campaigns(
    tx: Transaction, org_id: str, campaigns: Sequence[Campaign]
) -> dict[str, tuple[Number, Mapping[Carrier, CarrierAnswer]]]:
    """What was heard of each campaign's number.

    Of a follow-up's number what was heard of its own launch with it; before that, what was heard of
    the campaign that bought it. But where none of the others on it is active it rests, perhaps off
    its use case by now: then it is to be confirmed anew. A dedicated number never rests.
    """
    rows = await tx.sql.fetch(
        """
        SELECT asked, heard_of, number, purchased_at, outcome, reason, took_s, launched_at,
               CASE WHEN released_at >= coalesce(purchased_at, '-infinity') THEN released_at END
                   AS released_at,
               delay.waits_for, delay.delayed_at,
               number IS NOT NULL AND asked <> heard_of
                   AND (NOT dedicated_number OR outcome IS DISTINCT FROM 'complete')
                   AND NOT EXISTS (
                   SELECT FROM campaigns AS others
                   WHERE others.org_id = $1 AND others.state = 'active'
                     AND heard_of IN (others.campaign_id, others.number_of)
                     AND others.campaign_id <> asked) AS rests
        FROM (
            SELECT asked, CASE WHEN EXISTS (
                       SELECT FROM numbers WHERE org_id = $1 AND campaign_id = asked)
                   THEN asked ELSE buyer END AS heard_of
            FROM unnest($2::text[], $3::text[]) AS wanted (asked, buyer)
        ) AS wanted
        JOIN campaigns ON org_id = $1 AND campaign_id = heard_of
        LEFT JOIN numbers USING (org_id, campaign_id)
        LEFT JOIN number_releases USING (org_id, number)
        LEFT JOIN LATERAL (
            SELECT waits_for, delayed_at FROM provisioning_delays AS d
            WHERE d.org_id = $1 AND d.campaign_id IN (asked, heard_of)
            ORDER BY delayed_at DESC LIMIT 1) AS delay ON true
        """,
        org_id,
        [campaign.campaign_id for campaign in campaigns],
        [campaign.buyer for campaign in campaigns],
    )
    said = await tx.sql.fetch(
        """
        SELECT campaign_id, carrier, state, at, reason FROM carrier_answers
        WHERE org_id = $1 AND campaign_id = ANY($2::text[])
        """,
        org_id,
        [row["heard_of"] for row in rows],
    )
    answers: dict[str, dict[Carrier, CarrierAnswer]] = {}
    for row in said:
        one = CarrierAnswer(row["state"], row["at"], row["reason"])
        answers.setdefault(row["campaign_id"], {})[row["carrier"]] = one
    return {
        row["asked"]: (Number(**{name: row[name] for name in _OF_ONE_THAT_RESTS}), {})
        if row["rests"]
        else (Number(*list(row.values())[2:-1]), answers.get(row["heard_of"], {}))
        for row in rows
    }


_OF_ONE_THAT_RESTS = ("number", "released_at", "waits_for", "delayed_at")


async def of_campaign(tx: Transaction, campaign: Campaign) -> Number:
    """What was heard of one campaign's number."""
    return (await of_campaigns(tx, campaign.org_id, [campaign]))[campaign.campaign_id][0]


async def released(tx: Transaction, events: Sequence[NumberReleased]) -> None:
    """Keep which numbers were given back, the last time of each."""
    await tx.sql.execute(
        """
        INSERT INTO number_releases (org_id, number, released_at)
        SELECT org_id, e.number, max(e.released_at)
        FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS e (org_id, number, released_at)
        JOIN organizations USING (org_id)
        GROUP BY org_id, e.number ORDER BY org_id, e.number
        ON CONFLICT (org_id, number) DO UPDATE SET
            released_at = greatest(number_releases.released_at, EXCLUDED.released_at)
        """,
        [event.org_id for event in events],
        [event.number for event in events],
        [event.released_at for event in events],
    )


async def holds_all(tx: Transaction, campaign: Campaign) -> bool:
    """Whether nothing of the campaign goes before its number's provisioning is complete."""
    if not campaign.plan.hold_until_provisioned:
        return False
    return (await of_campaign(tx, campaign)).outcome != "complete"


async def still_provisioning(tx: Transaction, org_id: str, *, besides: str) -> int:
    """How many other active campaigns of the organization have no outcome yet.

    A follow-up waits for nothing of its own, and does not count.
    """
    count = await tx.sql.fetchval(
        """
        SELECT count(*) FROM campaigns LEFT JOIN numbers USING (org_id, campaign_id)
        WHERE org_id = $1 AND campaign_id <> $2 AND state = 'active' AND number_of = ''
          AND outcome IS NULL
        """,
        org_id,
        besides,
    )
    assert isinstance(count, int)
    return count


async def has_dedicated(tx: Transaction, org_id: str, use_case_id: str) -> bool:
    """Whether a use case has a dedicated number that the carriers have confirmed, as far as is
    known here: who sends from it waits for nothing."""
    return bool(
        await tx.sql.fetchval(
            """
            SELECT EXISTS (
                SELECT FROM campaigns JOIN numbers AS n USING (org_id, campaign_id)
                LEFT JOIN number_releases AS r USING (org_id, number)
                WHERE org_id = $1 AND use_case_id = $2 AND dedicated_number
                  AND n.outcome = 'complete'
                  AND (r.released_at IS NULL OR r.released_at < n.purchased_at))
            """,
            org_id,
            use_case_id,
        )
    )


async def on_use_case(tx: Transaction, org_id: str, use_case_id: str) -> int:
    """How many numbers a use case has, as far as is known here, those to come included.

    A number is one however many campaigns are on it. It goes when it was given back, or all
    campaigns on it are archived, unless it is the use case's dedicated one; where none could be
    bought, there is none.
    """
    count = await tx.sql.fetchval(
        """
        SELECT count(DISTINCT CASE WHEN dedicated_number AND outcome IS DISTINCT FROM 'failed'
                                   THEN '' ELSE coalesce(n.number, campaign_id) END)
        FROM campaigns AS c
        LEFT JOIN numbers AS n USING (org_id, campaign_id)
        LEFT JOIN number_releases AS r USING (org_id, number)
        WHERE org_id = $1 AND use_case_id = $2 AND number_of = '' AND launched_at IS NOT NULL
          AND (n.number IS NOT NULL OR n.outcome IS DISTINCT FROM 'failed')
          AND (r.released_at IS NULL OR r.released_at < n.purchased_at)
          AND (state = 'active' OR (dedicated_number AND outcome = 'complete') OR EXISTS (
              SELECT FROM campaigns AS f
              WHERE f.org_id = $1 AND f.number_of = c.campaign_id AND f.state = 'active'))
        """,
        org_id,
        use_case_id,
    )
    assert isinstance(count, int)
    return count
