"""The demonstration's world: open at any hour, and as large as it says."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from deploy.demo import world
from services.campaign.rules.contact_rows import BadRow, Columns, Contact
from services.campaign.rules.csv_records import Records
from services.sandbox.domain import carrier_of


@pytest.mark.parametrize("hour", range(24))
def test_at_any_hour_of_any_day_there_is_a_zone_in_the_middle_of_its_day(hour: int) -> None:
    for day in range(366):
        for minute in (0, 29, 30, 59):
            now = datetime(2026, 1, 1, hour, minute, tzinfo=UTC) + timedelta(days=day)
            zone = ZoneInfo(world.daytime_zone(now))
            assert 10 <= now.astimezone(zone).hour < 18
            # Neither the campaign's close nor the carrier's midnight can come in between.
            later = now.astimezone(zone) + timedelta(hours=2)
            assert later.date() == now.astimezone(zone).date()
            assert later.hour < 21


def test_a_zone_of_the_united_states_is_taken_while_it_is_day_there() -> None:
    noon_in_denver = datetime(2026, 6, 1, 18, tzinfo=UTC)
    assert world.daytime_zone(noon_in_denver) == "America/Denver"


def _read(table: bytes) -> tuple[list[Contact], list[BadRow]]:
    reader = Records()
    header, *records = [*reader.feed(table), *reader.finish()]
    rows = [Columns.read(header).contact(record) for record in records]
    return (
        [row for row in rows if isinstance(row, Contact)],
        [row for row in rows if isinstance(row, BadRow)],
    )


def test_the_list_has_1500_contacts_over_the_carriers_and_three_bad_rows() -> None:
    contacts, bad_rows = _read(world.contacts_csv())
    assert len({contact.phone for contact in contacts}) == len(contacts) == 1500
    assert Counter(contact.carrier for contact in contacts) == {
        line.carrier: line.contacts for line in world.LINES
    }
    assert len(bad_rows) == 3


def test_the_sandbox_knows_each_phone_as_the_list_does() -> None:
    contacts, _ = _read(world.contacts_csv())
    assert all(carrier_of(contact.phone) == contact.carrier for contact in contacts)


def test_the_day_is_too_short_for_t_mobile_and_a_minute_for_every_other_carrier() -> None:
    for line in world.LINES:
        limit = line.per_minute or line.segments_per_day
        assert limit is not None
        assert limit < line.contacts * (1.1 + world.REPLY_SHARE)


def test_the_list_is_the_same_on_every_run() -> None:
    assert world.contacts_csv() == world.contacts_csv()
    assert world.contacts_csv().startswith(world.short_csv())
