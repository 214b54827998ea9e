"""Limits with the carriers, the classes to pick them from, and how it goes under them."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import Field

from services.campaign.api.calls import (
    ADMINS,
    OPERATORS,
    Answer,
    Body,
    Call,
    Page,
    PageQuery,
    Route,
    answer,
    page_of,
)
from services.campaign.api.fields import Name, Whole, Zone
from services.campaign.domain import Carrier, Refused
from services.campaign.store import audit, buckets, organizations
from shared.events import LimitsChanged
from shared.fields import Id
from shared.rules.classes import CLASSES, class_named

CARRIERS: tuple[Carrier, ...] = ("att", "tmobile", "verizon", "other")
CAPS = ("sms_per_minute", "sms_unit", "mms_per_minute", "segments_per_day")

PerMinute = Annotated[Whole, Field(ge=0, le=1_000_000)]
PerDay = Annotated[Whole, Field(ge=0, le=1_000_000_000)]
Unit = Literal["segment", "message"]


class NewLimits(Body):
    """The whole state of the limits with one carrier: null is no cap, and has to be said.

    With a `carrier_class` the caps that are not said are the class's. Those that are said win: a
    carrier may have granted an exception, or published another figure since.
    """

    carrier_class: Name | None = None
    sms_per_minute: PerMinute | None = None
    sms_unit: Unit = "segment"
    mms_per_minute: PerMinute | None = None
    segments_per_day: PerDay | None = None
    day_zone: Zone = "America/Los_Angeles"
    use_case_id: Id | None = None

    def whole(self, carrier: Carrier) -> dict[str, Any]:
        """All that is stored and told. Raises Refused with a cap that nobody has said."""
        said = self.model_dump(exclude={"carrier_class"})
        unsaid = [name for name in CAPS if name not in self.model_fields_set]
        if self.carrier_class is None:
            if unsaid:
                raise Refused("invalid", "it is missing", field=unsaid[0])
            return said
        try:
            picked = asdict(class_named(carrier, self.carrier_class))
        except LookupError as error:
            raise Refused("invalid", str(error.args[0]), field="carrier_class") from None
        return {**said, **{name: picked[name] for name in unsaid}}


class Limits(Answer):
    """The limits with one carrier, as they stand."""

    carrier: Carrier
    use_case_id: str | None
    version: int
    sms_per_minute: int | None
    sms_unit: Unit
    mms_per_minute: int | None
    segments_per_day: int | None
    day_zone: str
    changed_at: datetime


class AllLimits(Page):
    """Of all carriers; one that is missing has the operator's default."""

    items: list[Limits]


class CarrierClass(Answer):
    """What a carrier lets through for those that it has put into this class."""

    carrier: Carrier
    carrier_class: str
    about: str
    sms_per_minute: int | None
    sms_unit: Unit
    mms_per_minute: int | None
    segments_per_day: int | None


class CarrierClasses(Page):
    """All of them, by carrier."""

    items: list[CarrierClass]


class Bucket(Answer):
    """How much waits for one carrier, and how fast it goes, as the collider last told."""

    carrier: Carrier
    backlog: int
    replies: int
    oldest_queued_at: datetime | None
    sent_per_minute: int
    room: int | None
    day_quota_left: int | None
    slowed: bool
    at: datetime


class Buckets(Page):
    """Of all carriers; one that nothing was queued for yet is missing."""

    items: list[Bucket]


async def put(call: Call) -> web.StreamResponse:
    """Set the limits with a carrier."""
    org_id, carrier = call.org_id, _carrier(call)
    wanted = await call.body(NewLimits)
    state = wanted.whole(carrier)
    async with call.transaction() as tx:
        await organizations.lock(tx, org_id)
        if wanted.use_case_id is not None:
            await organizations.check_use_case(tx, org_id, wanted.use_case_id)
        was = await organizations.limits_with(tx, org_id, carrier, wanted.use_case_id)
        version = await organizations.next_version(tx, org_id, carrier)
        told = LimitsChanged(org_id=org_id, carrier=carrier, version=version, **state)
        now = await tx.now()
        await organizations.put_limits(tx, told, now)
        tx.tell(told)
        # All of it: what a limit was and is can be read off one line.
        await audit.add(
            tx,
            call.caller,
            "limits set",
            wanted.use_case_id or org_id,
            org_id=org_id,
            before=None if was is None else {"carrier": carrier, **was},
            after={"carrier": carrier, **{name: state[name] for name in (*CAPS, "day_zone")}},
        )
    return answer(Limits(carrier=carrier, version=version, changed_at=now, **state))


def _carrier(call: Call) -> Carrier:
    named = call.request.match_info["carrier"]
    for carrier in CARRIERS:
        if carrier == named:
            return carrier
    raise Refused("missing", f"The carriers are {', '.join(CARRIERS)}", field="carrier")


async def show(call: Call) -> web.StreamResponse:
    """An organization's limits, for operators."""
    return await _limits(call)


async def show_own(call: Call) -> web.StreamResponse:
    """The caller's own: an admin sees them and cannot change them."""
    return await _limits(call)


async def _limits(call: Call) -> web.StreamResponse:
    asked = call.query(PageQuery)
    carrier, _, use_case_id = asked.after.partition("/")
    async with call.transaction() as tx:
        await organizations.get(tx, call.org_id)
        rows = await organizations.limits(
            tx, call.org_id, after=(carrier, use_case_id), most=asked.limit + 1
        )
    rows, further = page_of(
        rows, asked.limit, lambda row: f"{row['carrier']}/{row['use_case_id'] or ''}"
    )
    return answer(AllLimits(items=[Limits(**row) for row in rows], next=further))


async def show_classes(call: Call) -> web.StreamResponse:
    """The classes that the carriers put use cases and organizations into."""
    asked = call.query(PageQuery)
    found = []
    for one in CLASSES:
        known = asdict(one)
        found.append(CarrierClass(carrier_class=known.pop("name"), **known))
    names = [f"{one.carrier}/{one.carrier_class}" for one in found]
    begin = names.index(asked.after) + 1 if asked.after in names else 0
    shown, further = page_of(
        found[begin:], asked.limit, lambda one: f"{one.carrier}/{one.carrier_class}"
    )
    return answer(CarrierClasses(items=list(shown), next=further))


async def show_buckets(call: Call) -> web.StreamResponse:
    """How an organization's texts go, for operators."""
    return await _buckets(call)


async def show_own_buckets(call: Call) -> web.StreamResponse:
    """How the caller's own organization's texts go."""
    return await _buckets(call)


async def _buckets(call: Call) -> web.StreamResponse:
    asked = call.query(PageQuery)
    async with call.transaction() as tx:
        await organizations.get(tx, call.org_id)
        rows = await buckets.listed(tx, call.org_id, after=asked.after, most=asked.limit + 1)
    rows, further = page_of(rows, asked.limit, lambda row: str(row["carrier"]))
    return answer(Buckets(items=[Bucket(**row) for row in rows], next=further))


ONE = "/organizations/{organization_id}"

ROUTES = (
    Route("PUT", ONE + "/limits/{carrier}", OPERATORS, put, takes=NewLimits, gives=Limits),
    Route("GET", ONE + "/limits", OPERATORS, show, asks=PageQuery, gives=AllLimits),
    Route("GET", "/limits", ADMINS, show_own, asks=PageQuery, gives=AllLimits),
    Route("GET", "/carrier-classes", OPERATORS, show_classes, asks=PageQuery, gives=CarrierClasses),
    Route("GET", ONE + "/buckets", OPERATORS, show_buckets, asks=PageQuery, gives=Buckets),
    Route("GET", "/buckets", ADMINS, show_own_buckets, asks=PageQuery, gives=Buckets),
)
