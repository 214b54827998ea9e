"""The daily digest of deliverability: each civil day's texts, told once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.campaign.acts import reporting
from services.campaign.store import digests
from services.campaign.worker import REPORT_LEASE, report_a_day
from shared.events import (
    CarrierDeliverability,
    DeliverabilityReported,
    FailureCount,
    MessageDelivered,
    MessageFailed,
    MessageOutcome,
    MessageSent,
    MessageUnclear,
)
from tests.campaign_desk import NOON, Desk, Organization

NEW_YORK = "America/New_York"
URL = "https://example.org/notices"
DIGEST = ["daily digest"]
# NOON's day in New York is over at 4:00 UTC; its receipts are in three hours later.
DUE = datetime(2026, 10, 21, 7, tzinfo=UTC)


async def subscribed(office: Desk, name: str = "Acme", zone: str = NEW_YORK) -> Organization:
    """An organization that wants its digests."""
    acme = await office.organization(name)
    await subscribe(acme, zone)
    return acme


async def subscribe(acme: Organization, zone: str = NEW_YORK, **differs: Any) -> None:
    wanted = {"url": URL, "notices": DIGEST, "time_zone": zone, **differs}
    await acme.desk.good("PUT", "/webhook", acme.admin, **wanted)


async def texts(acme: Organization, many: int) -> list[dict[str, str]]:
    """So many texts of a campaign, as events name them."""
    campaign_id = await acme.launch(contact_list_id=await acme.contacts(many))
    async with acme.desk.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT org_id, campaign_id, message_id FROM messages WHERE campaign_id = $1",
            campaign_id,
        )
    return [dict(row) for row in rows]


def outcome(
    kind: type[MessageOutcome], text: dict[str, str], at: datetime, **said: Any
) -> MessageOutcome:
    return kind.model_validate({"carrier": "att", "segments": 1, "at": at, **text, **said})


async def sent(acme: Organization, *times: datetime) -> None:
    """A text at each of these times, which arrived a second later."""
    for text, at in zip(await texts(acme, len(times)), times, strict=True):
        await acme.desk.hear(
            outcome(MessageSent, text, at),
            outcome(MessageDelivered, text, at + timedelta(seconds=1)),
        )


async def reports(office: Desk, acme: Organization) -> list[DeliverabilityReported]:
    """What is told of an organization, once all that is due is done."""
    while await report_a_day(office.database):
        pass
    return [one for one in await office.told(DeliverabilityReported) if one.org_id == acme.org_id]


@pytest.fixture(autouse=True)
async def nothing_else_is_due(office: Desk) -> None:
    """What tests before have left in the module's database."""
    async with office.database.transaction() as tx:
        await tx.sql.execute("UPDATE webhooks SET digest_due_at = NULL")


async def test_a_day_is_told_by_carrier_with_its_most_frequent_failures(office: Desk) -> None:
    acme = await subscribed(office)
    ten = await texts(acme, 10)
    filtered = {"code": "40002", "reason": "blocked as spam"}
    unknown = {"code": "40003", "reason": "the number is out of service", "carrier": "verizon"}
    later = NOON + timedelta(hours=2)
    await office.hear(
        *(outcome(MessageSent, text, NOON) for text in ten[:4]),
        *(outcome(MessageDelivered, text, later) for text in ten[:2]),
        outcome(MessageFailed, ten[2], later, **filtered),
        # Refused by the provider: there was no "sent".
        outcome(MessageFailed, ten[4], NOON, **unknown),
        outcome(MessageFailed, ten[5], NOON, **unknown),
        outcome(MessageUnclear, ten[6], NOON, carrier="tmobile"),
        # Never handed over.
        outcome(MessageFailed, ten[7], NOON, reason="it was withdrawn"),
        outcome(MessageFailed, ten[8], NOON, reason="sending failed"),
    )
    office.clock.at = DUE
    (told,) = await reports(office, acme)
    assert (told.day.isoformat(), told.time_zone, told.reported_at) == ("2026-10-20", NEW_YORK, DUE)
    assert told.carriers == (
        CarrierDeliverability(carrier="att", sent=4, delivered=2, undelivered=1, unclear=0),
        CarrierDeliverability(carrier="tmobile", sent=1, delivered=0, undelivered=0, unclear=1),
        CarrierDeliverability(carrier="verizon", sent=2, delivered=0, undelivered=2, unclear=0),
    )
    assert told.failures == (
        FailureCount(
            carrier="verizon", code="40003", reason="the number is out of service", texts=2
        ),
        FailureCount(carrier="att", code="40002", reason="blocked as spam", texts=1),
    )


async def test_at_most_ten_failures_are_told_the_most_frequent_first(office: Desk) -> None:
    acme = await subscribed(office)
    many = await texts(acme, 78)
    codes = [code for code in range(12) for _ in range(code + 1)]
    await office.hear(
        *(
            outcome(MessageFailed, text, NOON, code=f"4{code:04}", reason="x" * 300)
            for text, code in zip(many, codes, strict=True)
        )
    )
    office.clock.at = DUE
    (told,) = await reports(office, acme)
    assert [(one.code, one.texts) for one in told.failures] == [
        (f"4{code:04}", code + 1) for code in range(11, 1, -1)
    ]
    assert {one.reason for one in told.failures} == {"x" * 200}
    assert (told.carriers[0].sent, told.carriers[0].undelivered) == (78, 78)


async def test_texts_to_oneself_and_other_organizations_texts_are_in_no_digest(
    office: Desk,
) -> None:
    acme, zenith = await subscribed(office), await subscribed(office, "Zenith")
    await sent(acme, NOON, NOON)
    await sent(zenith, NOON)
    async with office.database.transaction() as tx:
        await tx.sql.execute(
            """
            UPDATE messages SET kind = 'test' WHERE message_id = (
                SELECT message_id FROM messages WHERE org_id = $1 AND sent_at = $2 LIMIT 1)
            """,
            acme.org_id,
            NOON,
        )
    office.clock.at = DUE
    for one in (acme, zenith):
        (told,) = await reports(office, one)
        assert [carrier.sent for carrier in told.carriers] == [1]


async def test_a_day_is_not_told_before_its_receipts_are_in(office: Desk) -> None:
    acme = await subscribed(office)
    await sent(acme, NOON)
    office.clock.at = DUE - timedelta(seconds=1)
    assert await reports(office, acme) == []
    office.clock.at = DUE
    assert len(await reports(office, acme)) == 1


async def test_a_day_without_texts_has_no_digest(office: Desk) -> None:
    acme = await subscribed(office)
    tomorrow = NOON + timedelta(days=1)
    await sent(acme, tomorrow)
    office.clock.at = DUE + timedelta(days=2)
    assert [one.day.day for one in await reports(office, acme)] == [21]


@pytest.mark.parametrize(
    ("day", "begins_at", "ends_at"),
    [
        # The day on which the clocks go back has 25 hours, the one on which they go forward 23.
        ("2026-11-01", "2026-11-01T04:00:00+00:00", "2026-11-02T05:00:00+00:00"),
        ("2027-03-14", "2027-03-14T05:00:00+00:00", "2027-03-15T04:00:00+00:00"),
    ],
)
async def test_a_day_on_which_clocks_change_is_told_from_midnight_to_midnight(
    office: Desk, day: str, begins_at: str, ends_at: str
) -> None:
    begins, ends = datetime.fromisoformat(begins_at), datetime.fromisoformat(ends_at)
    office.clock.at = begins + timedelta(hours=1)
    acme = await subscribed(office)
    moment = timedelta(microseconds=1)
    await sent(acme, begins - moment, begins, ends - moment, ends)
    office.clock.at = ends + timedelta(hours=3) - moment
    assert await reports(office, acme) == []
    office.clock.at += moment
    (told,) = await reports(office, acme)
    assert (told.day.isoformat(), told.carriers[0].sent) == (day, 2)


async def test_two_replicas_tell_each_organizations_day_once(office: Desk) -> None:
    several = [await subscribed(office, f"Acme {n}") for n in range(4)]
    for one in several:
        await sent(one, NOON)
    office.clock.at = DUE
    for _ in range(4):
        await asyncio.gather(*(report_a_day(office.database) for _ in range(3)))
    for one in several:
        assert len(await reports(office, one)) == 1


async def test_a_day_whose_counting_died_is_told_all_the_same_and_once(office: Desk) -> None:
    acme = await subscribed(office)
    await sent(acme, NOON)
    office.clock.at = DUE
    async with office.database.transaction() as tx:
        taken = await digests.take_due(tx, DUE, REPORT_LEASE)
    assert taken is not None
    # It is in hand: nobody else's.
    assert await reports(office, acme) == []
    office.clock.at = DUE + REPORT_LEASE
    assert len(await reports(office, acme)) == 1
    # It was only slow, and comes to its end after all.
    async with office.database.transaction() as tx:
        await reporting.report(tx, taken)
    assert len(await reports(office, acme)) == 1


async def test_a_webhook_that_is_set_while_a_day_is_told_has_it_told_no_second_time(
    office: Desk,
) -> None:
    acme = await subscribed(office)
    await sent(acme, NOON)
    office.clock.at = DUE
    async with office.database.transaction() as tx:
        taken = await digests.take_due(tx, DUE, REPORT_LEASE)
    assert taken is not None
    async with office.database.transaction() as tx:
        await reporting.report(tx, taken)
        setting = asyncio.create_task(subscribe(acme))
        await asyncio.sleep(0.3)
        assert not setting.done()
    await setting
    assert len(await reports(office, acme)) == 1


async def test_days_that_were_missed_are_told_one_by_one(office: Desk) -> None:
    acme = await subscribed(office)
    await sent(acme, *(NOON + timedelta(days=day) for day in range(3)))
    office.clock.at = DUE + timedelta(days=2)
    told = await reports(office, acme)
    assert [(one.day.day, one.carriers[0].sent) for one in told] == [(20, 1), (21, 1), (22, 1)]
    assert len({one.report_id for one in told}) == 3


async def test_who_wants_no_digest_gets_none_and_who_wants_it_again_no_day_twice(
    office: Desk,
) -> None:
    acme = await subscribed(office)
    await sent(acme, NOON, NOON + timedelta(days=1))
    office.clock.at = DUE
    assert len(await reports(office, acme)) == 1
    await subscribe(acme, notices=["window at risk"])
    office.clock.at = DUE + timedelta(days=1)
    assert len(await reports(office, acme)) == 1
    await subscribe(acme)
    await office.good("DELETE", "/webhook", acme.admin)
    office.clock.at = DUE + timedelta(days=2)
    assert len(await reports(office, acme)) == 1
    for _ in range(2):
        await subscribe(acme)
    await sent(acme, office.clock.at)
    office.clock.at = DUE + timedelta(days=3)
    assert [one.day.day for one in await reports(office, acme)] == [20, 23]


async def test_who_moves_to_another_zone_gets_each_day_once(office: Desk) -> None:
    acme = await subscribed(office, zone="Pacific/Auckland")
    # In Auckland it is the 21st already.
    await sent(acme, NOON, NOON + timedelta(days=1))
    office.clock.at = DUE + timedelta(hours=8)
    assert [one.day.day for one in await reports(office, acme)] == [21]
    await subscribe(acme, "America/Los_Angeles")
    office.clock.at = DUE + timedelta(days=4)
    told = await reports(office, acme)
    # NOON + 1 day was the 21st in Los Angeles: a day of that name was told.
    assert [(one.day.day, one.time_zone) for one in told] == [(21, "Pacific/Auckland")]


async def test_a_digest_that_is_turned_off_while_it_is_counted_is_not_told(office: Desk) -> None:
    acme = await subscribed(office)
    await sent(acme, NOON)
    office.clock.at = DUE
    async with office.database.transaction() as tx:
        taken = await digests.take_due(tx, DUE, REPORT_LEASE)
    assert taken is not None
    await subscribe(acme, notices=[])
    async with office.database.transaction() as tx:
        await reporting.report(tx, taken)
    assert await reports(office, acme) == []


async def test_a_day_whose_zone_changes_while_it_is_counted_is_told_by_the_new_one(
    office: Desk,
) -> None:
    acme = await subscribed(office)
    # Late in the evening in New York: early enough in Los Angeles for the next hour to count too.
    await sent(acme, DUE - timedelta(hours=4), DUE - timedelta(hours=2))
    office.clock.at = DUE
    async with office.database.transaction() as tx:
        taken = await digests.take_due(tx, DUE, REPORT_LEASE)
    assert taken is not None
    await subscribe(acme, "America/Los_Angeles")
    async with office.database.transaction() as tx:
        await reporting.report(tx, taken)
    assert await reports(office, acme) == []
    office.clock.at = DUE + timedelta(hours=3)
    (told,) = await reports(office, acme)
    assert (told.time_zone, told.carriers[0].sent) == ("America/Los_Angeles", 2)


async def test_a_day_that_one_replica_is_taking_is_passed_over_by_another(office: Desk) -> None:
    acme, zenith = await subscribed(office), await subscribed(office, "Zenith")
    office.clock.at = DUE
    async with office.database.transaction() as one, office.database.transaction() as other:
        taken = [await digests.take_due(tx, DUE, REPORT_LEASE) for tx in (one, other)]
    assert {due.org_id for due in taken if due} == {acme.org_id, zenith.org_id}


async def test_a_receipt_that_comes_before_the_news_of_its_sending_counts_once(
    office: Desk,
) -> None:
    acme = await subscribed(office)
    (text,) = await texts(acme, 1)
    await office.hear(outcome(MessageUnclear, text, NOON))
    await office.hear(outcome(MessageDelivered, text, NOON + timedelta(minutes=1)))
    await office.hear(outcome(MessageSent, text, NOON + timedelta(seconds=59)))
    office.clock.at = DUE + timedelta(days=1)
    (told,) = await reports(office, acme)
    assert told.carriers == (
        CarrierDeliverability(carrier="att", sent=1, delivered=1, undelivered=0, unclear=0),
    )
