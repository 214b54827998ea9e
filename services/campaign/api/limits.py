"""Limits with the carriers, the classes to pick them from, and how it goes under them."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import Field

from services.campaign.api.calls import ADMINS, OPERATORS, Answer, Body, Call, Route, answer
from services.campaign.api.fields import Name, Whole, Zone
from services.campaign.domain import Carrier, Refused
from services.campaign.store import buckets, organizations
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


class AllLimits(Answer):
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


class CarrierClasses(Answer):
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


class Buckets(Answer):
    """Of all carriers; one that nothing was queued for yet is missing."""

    items: list[Bucket]


async def put(call: Call) -> web.StreamResponse:
    """Set the limits with a carrier, and tell."""
    org_id, carrier = call.id("organization_id"), _carrier(call)
    wanted = await call.body(NewLimits)
    state = wanted.whole(carrier)
    async with call.transaction() as tx:
        await organizations.lock(tx, org_id)
        if wanted.use_case_id is not None:
            await organizations.check_use_case(tx, org_id, wanted.use_case_id)
        version = await organizations.next_version(tx, org_id, carrier)
        told = LimitsChanged(org_id=org_id, carrier=carrier, version=version, **state)
        now = await tx.now()
        await organizations.put_limits(tx, told, now)
        tx.tell(told)
    return answer(Limits(carrier=carrier, version=version, changed_at=now, **state))


def _carrier(call: Call) -> Carrier:
    named = call.request.match_info["carrier"]
    for carrier in CARRIERS:
        if carrier == named:
            return carrier
    raise Refused("missing", f"The carriers are {', '.join(CARRIERS)}", field="carrier")


async def show(call: Call) -> web.StreamResponse:
    """An organization's limits, for operators."""
    return await _limits(call, call.id("organization_id"))


async def show_own(call: Call) -> web.StreamResponse:
    """The caller's own: an admin sees them and cannot change them."""
    return await _limits(call, call.caller.org_id)


async def _limits(call: Call, org_id: str) -> web.StreamResponse:
    async with call.transaction() as tx:
        await organizations.get(tx, org_id)
        rows = await organizations.limits(tx, org_id)
    return answer(AllLimits(items=[Limits(**row) for row in rows]))


async def show_classes(_call: Call) -> web.StreamResponse:
    """The classes that the carriers put use cases and organizations into."""
    found = []
    for one in CLASSES:
        known = asdict(one)
        found.append(CarrierClass(carrier_class=known.pop("name"), **known))
    return answer(CarrierClasses(items=found))


async def show_buckets(call: Call) -> web.StreamResponse:
    """How an organization's texts go, for operators."""
    return await _buckets(call, call.id("organization_id"))


async def show_own_buckets(call: Call) -> web.StreamResponse:
    """How the caller's own organization's texts go."""
    return await _buckets(call, call.caller.org_id)


async def _buckets(call: Call, org_id: str) -> web.StreamResponse:
    async with call.transaction() as tx:
        await organizations.get(tx, org_id)
        rows = await buckets.listed(tx, org_id)
    return answer(Buckets(items=[Bucket(**row) for row in rows]))


ONE = "/organizations/{organization_id}"

ROUTES = (
    Route("PUT", ONE + "/limits/{carrier}", OPERATORS, put, takes=NewLimits, gives=Limits),
    Route("GET", ONE + "/limits", OPERATORS, show, gives=AllLimits),
    Route("GET", "/limits", ADMINS, show_own, gives=AllLimits),
    Route("GET", "/carrier-classes", OPERATORS, show_classes, gives=CarrierClasses),
    Route("GET", ONE + "/buckets", OPERATORS, show_buckets, gives=Buckets),
    Route("GET", "/buckets", ADMINS, show_own_buckets, gives=Buckets),
)
