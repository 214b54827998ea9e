"""Numbers on 10DLC campaigns (our use cases), and the carriers' word on each of them.

What Telnyx shows of an attachment, and how an adapter should read it:

- `assignmentStatus` is the registry's, not the carriers': PENDING_ASSIGNMENT, then ASSIGNED.
  ASSIGNED with a carrier still PENDING or FAILED is common, so it confirms nobody.
  FAILED_ASSIGNMENT refuses every carrier that has not spoken.
- `attNumberMappingStatus` settles att, `tmobileNumberMappingStatus` settles tmobile,
  `nonTmobileNumberMappingStatus` settles verizon (and the regional carriers).
- Telnyx's published schema lacks `attNumberMappingStatus`, its live answers have it. Where it
  is absent, `nonTmobileNumberMappingStatus` settles att and verizon at once. The behaviour
  `att_mapping_shown: false` shows attachments like that; ADDED then means that both confirmed,
  FAILED that one of them refused.
- A mapping is PENDING, ADDED (confirmed) or FAILED (refused); null is PENDING too.
- A number that is taken off its campaign is PENDING_UNASSIGNMENT, still there and still counted,
  until the registry has let it go (404), or FAILED_UNASSIGNMENT where that did not work: ask again.
- The words of a refusal are in `failureReasons` or in `errors`: read both.

Changes are also posted as `10dlc.phone_number.update` to the campaign's webhook address, where
one is set: `type` ASSIGNMENT and DELETION (`status` success or failed, `reasons`) for the
registry's steps, STATUS_UPDATE (`status` ADDED, FAILED or PENDING) for a carrier's. `occurred_at`
is the word's own time. They show the attachment as well, mapping fields and all; Telnyx documents
only number, campaign, `type`, `status` and `reasons`, which name no carrier: with the behaviour
`number_updates_name_carriers: false` they are like that, and an adapter has to ask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Literal

from services.sandbox.agenda import Agenda
from services.sandbox.behaviour import Behaviour, Refusal
from services.sandbox.domain import (
    BAD_REQUEST,
    NOT_FOUND,
    REGISTRARS,
    Carrier,
    Refused,
    Registration,
    Webhook,
    iso,
)
from services.sandbox.holdings import Holdings
from services.sandbox.messages import event

Mapping = Literal["PENDING", "ADDED", "FAILED"]
Post = Callable[[datetime, Webhook], None]
Word = Literal["pending", "confirmed", "refused"]
DOCUMENTED = ("phoneNumber", "campaignId", "tcrCampaignId")
"""What each number update shows besides what it is about."""
MAPPINGS: dict[Word, Mapping] = {"pending": "PENDING", "confirmed": "ADDED", "refused": "FAILED"}


@dataclass(slots=True)
class Campaign:
    """A 10DLC campaign: whose it is, and where its changes are posted."""

    id: str
    brand: str
    webhook_url: str | None = None

    def data(self) -> dict[str, object]:
        return {"id": self.id, "brand": self.brand, "webhook_url": self.webhook_url}


@dataclass(slots=True)
class Attachment:
    """One number on one campaign."""

    phone: str
    campaign: Campaign
    created_at: datetime
    updated_at: datetime
    assignment_status: str = "PENDING_ASSIGNMENT"
    mappings: dict[Carrier, Mapping] = field(
        default_factory=lambda: dict.fromkeys(REGISTRARS, "PENDING")
    )
    said_at: dict[Carrier, datetime] = field(default_factory=dict)
    """Of the carriers that have spoken, when they last did."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why not, by who says so: a carrier, or the registry."""

    def hear(self, carrier: Carrier, mapping: Mapping, said_at: datetime, why: str | None) -> bool:
        """Take a carrier's word, unless there is a later one."""
        if said_at < self.said_at.get(carrier, said_at):
            return False
        self.said_at[carrier], self.mappings[carrier] = said_at, mapping
        self.updated_at = max(self.updated_at, said_at)
        self.reasons.pop(carrier, None)
        if why is not None:
            self.reasons[carrier] = why
        if set(self.mappings.values()) == {"FAILED"}:
            self.assignment_status = "FAILED_ASSIGNMENT"
        elif self.assignment_status == "FAILED_ASSIGNMENT":
            self.assignment_status = "ASSIGNED"
        return True

    def registration(self, carrier: Carrier) -> Registration:
        """What this carrier makes of the number; the regional ones follow Verizon's mapping."""
        mapping = self.mappings["verizon" if carrier == "other" else carrier]
        return "confirmed" if mapping == "ADDED" else "pending"

    def data(self, behaviour: Behaviour) -> dict[str, object]:
        """As `GET /v2/10dlc/phone_number_campaigns/{phoneNumber}` writes it."""
        shown: dict[str, object] = {
            "phoneNumber": self.phone,
            "brandId": self.campaign.brand,
            "tcrBrandId": self.campaign.brand,
            "campaignId": self.campaign.id,
            "tcrCampaignId": self.campaign.id,
            "telnyxCampaignId": self.campaign.id,
            "assignmentStatus": self.assignment_status,
            "failureReasons": "; ".join(self.reasons.values()) or None,
            "errors": "; ".join(self.reasons.values()) or None,
            "tmobileNumberMappingStatus": self.mappings.get("tmobile"),
            "nonTmobileNumberMappingStatus": self._non_tmobile(behaviour),
            "createdAt": iso(self.created_at),
            "updatedAt": iso(self.updated_at),
        }
        if behaviour.att_mapping_shown:
            shown["attNumberMappingStatus"] = self.mappings.get("att")
        return shown

    def _non_tmobile(self, behaviour: Behaviour) -> Mapping | None:
        if behaviour.att_mapping_shown:
            return self.mappings.get("verizon")
        both = {self.mappings.get("att"), self.mappings.get("verizon")}
        if "FAILED" in both:
            return "FAILED"
        return "ADDED" if both == {"ADDED"} else "PENDING"


class Registry:
    """All campaigns and attachments of the account, and what becomes of them."""

    def __init__(self, agenda: Agenda, post: Post, holdings: Holdings) -> None:
        self._agenda = agenda
        self._holdings = holdings
        self._post = post
        self._campaigns: dict[str, Campaign] = {}
        self._attachments: dict[str, Attachment] = {}
        self.behaviour = Behaviour()
        self._refuse_next: list[Refusal] = []
        self._unassignments_failing = 0

    def behave(self, behaviour: Behaviour) -> None:
        """Take over a new behaviour; attachments under way keep the delays they were given."""
        self.behaviour = behaviour
        self._refuse_next = [refusal for refusal in behaviour.refusals if refusal.next]
        self._unassignments_failing = behaviour.unassignments_failing

    def campaign(self, campaign_id: str) -> Campaign:
        """The campaign of this id, made on the spot if it is the first mention."""
        campaign = self._campaigns.get(campaign_id)
        if campaign is None:
            campaign = self._campaigns[campaign_id] = Campaign(campaign_id, campaign_id)
        return campaign

    def attachment(self, phone: str) -> Attachment | None:
        return self._attachments.get(phone)

    def get(self, phone: str) -> Attachment:
        attachment = self._attachments.get(phone)
        if attachment is None:
            raise Refused(404, NOT_FOUND, "The number is on no campaign.")
        return attachment

    def attachments(self, campaign_id: str | None = None) -> list[Attachment]:
        """Newest first."""
        return [
            attachment
            for attachment in reversed(self._attachments.values())
            if campaign_id is None or attachment.campaign.id == campaign_id
        ]

    def attach(self, at: datetime, phone: str, campaign_id: str) -> Attachment:
        """Put a number on a campaign; the same once more is answered with what there is."""
        there = self._attachments.get(phone)
        if there is not None:
            if there.assignment_status == "PENDING_UNASSIGNMENT":
                raise Refused(400, BAD_REQUEST, "The number is being taken off its campaign.")
            if there.campaign.id == campaign_id:
                return there
            raise Refused(400, BAD_REQUEST, "The number is on another campaign.")
        attachment = Attachment(phone, self.campaign(campaign_id), at, at)
        self._attachments[phone] = attachment
        self._holdings.put_on(at, campaign_id, phone)
        behaviour = self.behaviour
        refused = {carrier: self._refusal(attachment, carrier) for carrier in REGISTRARS}
        self._agenda.after(at, behaviour.assignment_delay_s, partial(self._assign, attachment))
        for carrier in REGISTRARS:
            delay_s = getattr(behaviour.confirmation_delay_s, carrier)
            self._agenda.after(
                at, delay_s, partial(self._map, attachment, carrier, refused[carrier])
            )
        return attachment

    def attach_confirmed(self, at: datetime, phone: str, campaign_id: str) -> Attachment:
        """An attachment that every carrier has confirmed already: for tests that only send."""
        attachment = Attachment(phone, self.campaign(campaign_id), at, at, "ASSIGNED")
        attachment.mappings = dict.fromkeys(REGISTRARS, "ADDED")
        attachment.said_at = dict.fromkeys(REGISTRARS, at)
        self._attachments[phone] = attachment
        self._holdings.put_on(at, campaign_id, phone, given=True)
        return attachment

    def detach(self, at: datetime, phone: str) -> Attachment:
        """Begin to take a number off its campaign; once more is answered with what there is."""
        attachment = self.get(phone)
        if attachment.assignment_status != "PENDING_UNASSIGNMENT":
            attachment.assignment_status, attachment.updated_at = "PENDING_UNASSIGNMENT", at
            fails = self._unassignments_failing > 0
            self._unassignments_failing -= fails
            delay_s = self.behaviour.unassignment_delay_s
            self._agenda.after(at, delay_s, partial(self._unassign, attachment, fails))
        return attachment

    def drop(self, phone: str) -> None:
        """The number is the account's no more, and on no campaign."""
        attachment = self._attachments.pop(phone, None)
        if attachment is not None:
            self._holdings.take_off(attachment.campaign.id, phone)

    def _unassign(self, attachment: Attachment, fails: bool, at: datetime) -> None:
        if self._attachments.get(attachment.phone) is not attachment:
            return
        if fails:
            attachment.assignment_status, attachment.updated_at = "FAILED_UNASSIGNMENT", at
            attachment.reasons["registry"] = "The registry did not answer."
        else:
            self.drop(attachment.phone)
        said = {"status": "failed" if fails else "success", "type": "DELETION"}
        self._tell(attachment, at, at, {**said, "reasons": list(attachment.reasons.values())})

    def _refusal(self, attachment: Attachment, carrier: Carrier) -> str | None:
        name = {"att": "AT&T", "tmobile": "T-Mobile", "verizon": "Verizon"}[carrier]
        there = len(self.attachments(attachment.campaign.id))
        if carrier == "tmobile" and there > self.behaviour.numbers_per_campaign:
            return f"{name}: too many numbers on the campaign without a number pool."
        for refusal in (*self._refuse_next, *self.behaviour.refusals):
            if refusal.carrier != carrier:
                continue
            by_area = refusal.area_code == attachment.phone[2:5]
            by_campaign = refusal.campaign_id == attachment.campaign.id
            if refusal in self._refuse_next:
                self._refuse_next.remove(refusal)
            elif not (by_area or by_campaign):
                continue
            return f"{name}: Longcode cannot be added to this campaign."
        return None

    def _assign(self, attachment: Attachment, at: datetime) -> None:
        if attachment.assignment_status != "PENDING_ASSIGNMENT":
            return
        attachment.assignment_status, attachment.updated_at = "ASSIGNED", at
        self._tell(attachment, at, at, {"type": "ASSIGNMENT", "status": "success", "reasons": []})

    def _map(self, attachment: Attachment, carrier: Carrier, why: str | None, at: datetime) -> None:
        if self._attachments.get(attachment.phone) is not attachment:
            return
        self._word(attachment, carrier, "ADDED" if why is None else "FAILED", at, at, why)

    def speak(
        self,
        at: datetime,
        phone: str,
        carrier: Carrier,
        word: Word,
        *,
        said_at: datetime | None = None,
        reason: str | None = None,
    ) -> Attachment:
        """Let a carrier give its word, again if it has, by a test's wish.

        `said_at`: the word's own time, now where none is given. Where the carrier has spoken since,
        the webhook comes all the same and the attachment stays: late news changes no record.
        """
        attachment = self.get(phone)
        why = (reason or "Refused.") if word == "refused" else None
        self._word(attachment, carrier, MAPPINGS[word], at, said_at or at, why)
        return attachment

    def _word(
        self,
        attachment: Attachment,
        carrier: Carrier,
        mapping: Mapping,
        at: datetime,
        said_at: datetime,
        why: str | None,
    ) -> None:
        told = attachment
        if not attachment.hear(carrier, mapping, said_at, why):
            # How all else stood by then is not known any more: it speaks of this carrier alone.
            reasons: dict[str, str] = {} if why is None else {carrier: why}
            told = replace(
                attachment,
                mappings={carrier: mapping},
                reasons=reasons,
                assignment_status="ASSIGNED",
            )
        self._tell(told, at, said_at, {"type": "STATUS_UPDATE", "status": mapping})

    def _tell(
        self, attachment: Attachment, at: datetime, said_at: datetime, change: dict[str, object]
    ) -> None:
        url = attachment.campaign.webhook_url
        if url is None:
            return
        shown = attachment.data(self.behaviour)
        if not self.behaviour.number_updates_name_carriers:
            shown = {name: shown[name] for name in DOCUMENTED}
        update = event("10dlc.phone_number.update", said_at, {**shown, **change})
        self._post(at, Webhook(url, update))
