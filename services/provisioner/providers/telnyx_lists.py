"""Telnyx's lists: the account's phone numbers, and those that are on 10DLC campaigns."""

from pydantic import BaseModel
from pydantic import Field as Named

from services.provisioner.domain import Unclear
from services.provisioner.providers import Fault
from services.provisioner.providers.telnyx import (
    LEAVING,
    NumberCampaign,
    Telnyx,
    Time,
    carriers_said,
    fault_of,
)
from services.provisioner.rules.listed import ListedAttachment, ListedNumber, Page

# The most that Telnyx puts on a page of numbers. What it does for campaigns is not documented.
NUMBERS_A_PAGE = 250
ATTACHMENTS_A_PAGE = 100

NOT_THERE = ("deleted", "ported-out", "purchase-failed", "port-failed")
THERE = ("active", "emergency-only")


class _Listed(BaseModel):
    phone_number: str
    status: str | None = None
    customer_reference: str | None = None
    messaging_profile_id: str | None = None
    created_at: Time


class _Meta(BaseModel):
    total_results: int
    page_size: int = Named(NUMBERS_A_PAGE, ge=1)


class _NumberList(BaseModel):
    data: list[_Listed]
    meta: _Meta


class _ListedCampaign(NumberCampaign):
    updated_at: Time = Named(alias="updatedAt")


class _NumberCampaignList(BaseModel):
    records: list[_ListedCampaign]
    total: int = Named(alias="totalRecords")
    size: int = Named(ATTACHMENTS_A_PAGE, alias="recordsPerPage", ge=1)


class TelnyxLists:
    """The lists of an account; `NumberLists`."""

    def __init__(self, account: Telnyx) -> None:
        self._account = account

    async def numbers(self, page: int) -> Page[ListedNumber] | Fault:
        """Newest first, which is Telnyx's own order where none is asked for."""
        query = [("page[number]", str(page)), ("page[size]", str(NUMBERS_A_PAGE))]
        answer = await self._account.call("GET", "phone_numbers", _NumberList, query=query)
        if not isinstance(answer, _NumberList):
            return fault_of(answer)
        size, total = answer.meta.page_size, answer.meta.total_results
        if _breaks_off(len(answer.data), page, size, total):
            return Unclear("the list of numbers breaks off")
        shown = (_number(item) for item in answer.data if item.status not in NOT_THERE)
        return Page(tuple(shown), size, total)

    async def attachments(self, page: int) -> Page[ListedAttachment] | Fault:
        """Newest first as well. This part of the API has its own words for pages."""
        query = [("page", str(page)), ("recordsPerPage", str(ATTACHMENTS_A_PAGE))]
        answer = await self._account.call(
            "GET", "10dlc/phone_number_campaigns", _NumberCampaignList, query=query
        )
        if not isinstance(answer, _NumberCampaignList):
            return fault_of(answer)
        if _breaks_off(len(answer.records), page, answer.size, answer.total):
            return Unclear("the list of numbers on campaigns breaks off")
        return Page(tuple(_attachment(item) for item in answer.records), answer.size, answer.total)


def _breaks_off(shown: int, page: int, size: int, total: int) -> bool:
    """Whether a page is shorter than it should be (the last one: whether it is empty): what is left
    out would look as if it were gone."""
    return shown < (size if page * size <= total else min(1, total - (page - 1) * size))


def _number(item: _Listed) -> ListedNumber:
    return ListedNumber(
        number=item.phone_number,
        reference=item.customer_reference or None,
        messaging_profile_id=item.messaging_profile_id or None,
        bought_at=item.created_at,
        is_active=item.status in THERE,
    )


def _attachment(item: _ListedCampaign) -> ListedAttachment:
    known_as = (item.campaign, item.telnyx_campaign, item.tcr_campaign)
    return ListedAttachment(
        number=item.phone,
        campaigns=frozenset(one for one in known_as if one),
        leaving=item.assignment == LEAVING,
        said=carriers_said(item),
        changed_at=item.updated_at,
    )
