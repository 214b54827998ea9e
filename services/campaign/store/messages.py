"""Texts that go out: whose they are, where they stand, what came of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from asyncpg import Record

from services.campaign.domain import (
    RANKS,
    Campaign,
    Carrier,
    Refused,
    Status,
    status_told_by,
)
from services.campaign.rules import scripts
from services.campaign.store import campaigns
from shared.database import Transaction
from shared.events import MessageOutcome

NOTED_EVERY = timedelta(seconds=10)
"""A sender's work is noted so often, not with each click."""


@dataclass(frozen=True, slots=True)
class Initial:
    """A text that waits for its sender's click, with what its script needs."""

    message_id: str
    campaign_id: str
    contact_id: str
    phone: str
    carrier: Carrier | None
    status: Status
    sender_id: str
    first_name: str
    last_name: str
    fields: dict[str, str]

    def values(self) -> dict[str, str]:
        """What the script may name."""
        return scripts.values(self.first_name, self.last_name, self.phone, self.fields)


@dataclass(frozen=True, slots=True)
class Held:
    """An initial that is held, its campaign, and how it stands with the caller there.

    `replies_due`: how many contacts wait for the caller's answer (0 where the campaign lets
    initials go before replies). `sends`: they are a sender of it, and `active_at` the last that was
    noted of their work, if anything was.
    """

    initial: Initial
    campaign: Campaign
    replies_due: int
    sends: bool
    active_at: datetime | None

    def is_to_note(self, now: datetime) -> bool:
        """Whether it is time to note that the caller is at work: not with each click."""
        return self.sends and (self.active_at is None or self.active_at < now - NOTED_EVERY)


async def unsent(
    tx: Transaction,
    campaign: Campaign,
    *,
    status: Literal["assigned", "skipped"],
    sender_id: str,
    most: int,
) -> list[Initial]:
    """A sender's initials that they have still to send, or have skipped, in order."""
    rows = await tx.sql.fetch(
        """
        SELECT message_id, campaign_id, contact_id, m.phone, m.carrier, status, sender_id,
               first_name, last_name, fields
        FROM messages AS m
        JOIN contacts AS k USING (org_id, contact_id)
        WHERE org_id = $1 AND campaign_id = $2 AND contact_list_id = $3 AND status = $4
          AND sender_id = $5
          -- A launch and a STOP in the same instant do not see each other's rows.
          AND NOT EXISTS (
              SELECT FROM opt_outs AS o WHERE o.org_id = $1 AND o.phone = m.phone AND o.stands)
        ORDER BY message_id LIMIT $6
        """,
        campaign.org_id,
        campaign.campaign_id,
        campaign.plan.contact_list_id,
        status,
        sender_id,
        most,
    )
    return [Initial(**row) for row in rows]


async def hold_initial(tx: Transaction, org_id: str, message_id: str, person_id: str) -> Held:
    """An initial, held until the end, so that two clicks queue it once, with all that a click by
    this person needs to know: one statement, for there are many clicks.

    Raises Refused when the organization has no such one.
    """
    # Message, campaign, contact, each by its key, and in that order: before the tables' first
    # ANALYZE the planner takes them for empty and reads one whole list for each row of another.
    row = await tx.sql.fetchrow(
        """
        WITH m AS MATERIALIZED (
            SELECT message_id, campaign_id, contact_id, phone, carrier, status, sender_id
            FROM messages
            WHERE org_id = $1 AND message_id = $2 AND kind = 'initial' FOR UPDATE)
        SELECT c.*, m.*, k.first_name, k.last_name, k.fields,
               CASE WHEN c.replies_first_over IS NOT NULL THEN (
                   SELECT count(*) FROM conversations AS v
                   WHERE v.org_id = $1 AND v.campaign_id = m.campaign_id AND v.sender_id = $3
                     AND v.waiting) ELSE 0 END AS replies_due,
               s.person_id IS NOT NULL AS sends,
               CASE WHEN s.active_at IS NOT NULL AND s.untouched_since IS NOT NULL
                    THEN least(s.active_at, s.untouched_since) END AS active_at
        FROM m
        JOIN campaigns AS c ON c.org_id = $1 AND c.campaign_id = m.campaign_id
        LEFT JOIN campaign_senders AS s
               ON s.org_id = $1 AND s.campaign_id = m.campaign_id AND s.person_id = $3
        CROSS JOIN LATERAL (
            SELECT first_name, last_name, fields FROM contacts
            WHERE org_id = $1 AND contact_list_id = c.contact_list_id
              AND contact_id = m.contact_id OFFSET 0) AS k
        """,
        org_id,
        message_id,
        person_id,
    )
    if row is None:
        raise Refused("missing", "There is no such message")
    initial = Initial(**{name: row[name] for name in Initial.__slots__})
    known = {name: row[name] for name in ("replies_due", "sends", "active_at")}
    return Held(initial, campaigns.of_row(row), **known)


async def recipient(tx: Transaction, org_id: str, message_id: str) -> Record:
    """Whom a text is for, in which campaign, and whose it is. Raises Refused when there is none."""
    row = await tx.sql.fetchrow(
        """
        SELECT campaign_id, phone, sender_id FROM messages
        WHERE org_id = $1 AND message_id = $2 AND kind IN ('initial', 'reply')
        """,
        org_id,
        message_id,
    )
    if row is None:
        raise Refused("missing", "There is no such message")
    return row


async def queue(
    tx: Transaction,
    initial: Initial,
    org_id: str,
    *,
    sender_id: str,
    text: str,
    segments: int,
    at: datetime,
) -> bool:
    """Write down that a held initial is queued, with the text it has from now on.

    False: not to a contact who has opted out, by now at the latest.
    """
    status = await tx.sql.execute(
        """
        UPDATE messages SET status = 'queued', rank = $4, status_at = $5, queued_at = $5,
                            sender_id = $6, text = $7, segments = $8
        WHERE org_id = $1 AND campaign_id = $2 AND message_id = $3 AND NOT EXISTS (
            SELECT FROM opt_outs AS o
            WHERE o.org_id = $1 AND o.phone = messages.phone AND o.stands)
        """,
        org_id,
        initial.campaign_id,
        initial.message_id,
        RANKS["queued"],
        at,
        sender_id,
        text,
        segments,
    )
    return status == "UPDATE 1"


async def put_by(
    tx: Transaction,
    initial: Initial,
    org_id: str,
    status: Literal["skipped", "assigned", "unassigned"],
    at: datetime,
) -> None:
    """Write down that a held initial was skipped, or is back."""
    await tx.sql.execute(
        """
        UPDATE messages SET status = $4, status_at = $5
        WHERE org_id = $1 AND campaign_id = $2 AND message_id = $3
        """,
        org_id,
        initial.campaign_id,
        initial.message_id,
        status,
        at,
    )


async def withdraw(
    tx: Transaction, org_ids: Sequence[str], phones: Sequence[str], at: datetime
) -> int:
    """End as `opted out` what was not sent yet to these numbers (with their organizations); how
    many texts."""
    status = await tx.sql.execute(
        """
        WITH gone AS MATERIALIZED (
            SELECT m.org_id, m.campaign_id, m.message_id
            FROM messages AS m JOIN unnest($1::text[], $2::text[]) AS o (org_id, phone)
                 ON m.org_id = o.org_id AND m.phone = o.phone
            WHERE status IN ('unassigned', 'assigned', 'skipped')
            ORDER BY m.org_id, m.campaign_id, m.message_id FOR NO KEY UPDATE OF m)
        UPDATE messages AS m SET status = 'opted out', rank = $3, status_at = $4, failed_at = $4,
                                 reason = 'the contact has opted out'
        FROM gone
        WHERE (m.org_id, m.campaign_id, m.message_id)
            = (gone.org_id, gone.campaign_id, gone.message_id)
        """,
        org_ids,
        phones,
        RANKS["opted out"],
        at,
    )
    return int(status.split()[-1])


async def add_reply(
    tx: Transaction,
    org_id: str,
    message_id: str,
    *,
    campaign_id: str,
    conversation: Record,
    sender_id: str,
    text: str,
    segments: int,
    at: datetime,
) -> tuple[bool, Carrier | None]:
    """Write a reply as queued, and that its conversation, which is held, waits no more; the
    contact's carrier, where an earlier text told it.

    False: not to a contact who has opted out, by now at the latest.
    """
    row = await tx.sql.fetchrow(
        """
        WITH written AS (
            INSERT INTO messages (org_id, campaign_id, message_id, kind, channel, phone, contact_id,
                                  sender_id, status, rank, status_at, queued_at, text, segments,
                                  carrier)
            SELECT $1, $2, $3, 'reply', 'sms', $4, $5, $6, 'queued', $7, $8, $8, $9, $10, (
                SELECT carrier FROM messages
                WHERE org_id = $1 AND phone = $4 AND carrier IS NOT NULL
                ORDER BY status_at DESC LIMIT 1)
            WHERE NOT EXISTS (
                SELECT FROM opt_outs AS o WHERE o.org_id = $1 AND o.phone = $4 AND o.stands)
            RETURNING carrier
        ), answered AS (
            UPDATE conversations SET waiting = false
            FROM written WHERE org_id = $1 AND conversation_id = $11
        )
        SELECT carrier FROM written
        """,
        org_id,
        campaign_id,
        message_id,
        conversation["phone"],
        conversation["contact_id"],
        sender_id,
        RANKS["queued"],
        at,
        text,
        segments,
        conversation["conversation_id"],
    )
    return (False, None) if row is None else (True, row["carrier"])


async def record_outcomes(tx: Transaction, outcomes: Sequence[MessageOutcome]) -> None:
    """Write what came of texts, at most one outcome for each, whatever was written before.

    Texts of campaigns that are not this service's own find no row, and change nothing.
    """
    # Locked in one order first: two replicas with the same texts wait for each other instead of
    # standing in each other's way, and the second statement sees what the other has written.
    await tx.sql.execute(
        """
        SELECT FROM messages JOIN unnest($1::text[], $2::text[], $3::text[])
                    AS told (org_id, campaign_id, message_id)
                    USING (org_id, campaign_id, message_id)
        ORDER BY org_id, campaign_id, message_id FOR NO KEY UPDATE OF messages
        """,
        [outcome.org_id for outcome in outcomes],
        [outcome.campaign_id for outcome in outcomes],
        [outcome.message_id for outcome in outcomes],
    )
    await tx.sql.execute(
        """
        UPDATE messages AS m SET
            status = CASE WHEN news THEN t.status ELSE m.status END,
            rank = greatest(m.rank, t.rank),
            status_at = CASE WHEN news THEN t.at ELSE m.status_at END,
            code = CASE WHEN news THEN t.code ELSE m.code END,
            reason = CASE WHEN news THEN t.reason ELSE m.reason END,
            segments = CASE WHEN news THEN t.segments ELSE m.segments END,
            carrier = t.carrier,
            provider_id = coalesce(t.provider_id, m.provider_id),
            -- A step that is heard of late has its time all the same.
            sent_at = CASE WHEN t.status = 'sent' THEN greatest(m.sent_at, t.at)
                           ELSE m.sent_at END,
            delivered_at = CASE WHEN news AND t.status = 'delivered' THEN t.at
                                WHEN NOT news THEN m.delivered_at END,
            failed_at = CASE WHEN news AND t.rank = $12 AND t.status <> 'delivered' THEN t.at
                             WHEN NOT news THEN m.failed_at END
        FROM (
            SELECT told.*, (told.rank, told.at) > (known.rank, known.status_at) AS news
            FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[],
                        $6::timestamptz[], $7::text[], $8::int[], $9::text[], $10::text[],
                        $11::text[])
                 AS told (org_id, campaign_id, message_id, status, rank, at, carrier, segments,
                          provider_id, code, reason)
            JOIN messages AS known USING (org_id, campaign_id, message_id)
        ) AS t
        WHERE m.org_id = t.org_id AND m.campaign_id = t.campaign_id
          AND m.message_id = t.message_id
        """,
        *_columns(outcomes),
        RANKS["failed"],
    )


def _columns(outcomes: Sequence[MessageOutcome]) -> list[list[Any]]:
    statuses = [status_told_by(outcome) for outcome in outcomes]
    return [
        [outcome.org_id for outcome in outcomes],
        [outcome.campaign_id for outcome in outcomes],
        [outcome.message_id for outcome in outcomes],
        list(statuses),
        [RANKS[status] for status in statuses],
        [outcome.at for outcome in outcomes],
        [outcome.carrier for outcome in outcomes],
        [outcome.segments for outcome in outcomes],
        [outcome.provider_id for outcome in outcomes],
        [outcome.code for outcome in outcomes],
        [outcome.reason for outcome in outcomes],
    ]
