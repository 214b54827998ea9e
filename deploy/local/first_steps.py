"""What `make up` prepares through the public API, so that the first curl lines have an effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from deploy.local.platform import SANDBOX, Platform

PROFILE = "example-profile"
PROVIDER_CAMPAIGN = "CEXAMPL"
CONTACTS = """\
first_name,last_name,phone,carrier
Ada,Example,+13102345678,att
Ben,Example,+13104345678,tmobile
Cleo,Example,+13106345678,verizon
"""


@dataclass(frozen=True)
class FirstSteps:
    """Addresses and tokens of a platform, and a campaign that waits for its launch."""

    api: str
    webhooks: str
    number_webhooks: str
    sandbox: str
    provider: str
    provider_key: str
    mail: str
    broker: str
    database: str
    ops: Mapping[str, str]
    operator_token: str
    admin_token: str
    sender_token: str
    campaign_id: str

    def as_json(self) -> dict[str, Any]:
        """For a file; `FirstSteps(**document)` reads it back."""
        return asdict(self)

    def as_text(self) -> str:
        """For a terminal: everything, and three lines to paste."""
        campaign = f"{self.api}/campaigns/{self.campaign_id}"
        as_admin = f"-H 'Authorization: Bearer {self.admin_token}'"
        as_sender = f"-H 'Authorization: Bearer {self.sender_token}'"
        ids = """grep -o '"message_id": *"[^"]*"' | cut -d '"' -f 4"""
        each = f"xargs -I ID curl -sS -X POST {self.api}/messages/ID/send {as_sender} --json '{{}}'"
        ops = "\n".join(
            f"  {name:<12}{url}/readyz  {url}/metrics" for name, url in self.ops.items()
        )
        return f"""
The platform is up. Its data goes with `make down`, or when one of its services dies.

  API         {self.api}
  to read     {self.api}/docs (and docs/api.md, with a walk through it)
  webhooks    {self.webhooks} (texts), {self.number_webhooks} (numbers)
  sandbox     {self.sandbox}/judge
  e-mail      {self.mail}/*.eml
  pages       {self.ops["collider"]}/buckets
              {self.ops["provisioner"]}/orders
              {self.ops["provisioner"]}/differences
              {self.ops["notifier"]}/notices
{ops}

For commands and clients of your own:

export SLUICE_AMQP_URL={self.broker}
export SLUICE_DATABASE_URL={self.database}
export SLUICE_TELNYX_URL={self.provider} SLUICE_TELNYX_API_KEY={self.provider_key}

  operator    {self.operator_token}
  admin       {self.admin_token}
  sender      {self.sender_token}

Launch the campaign that is prepared (three contacts), look at it, and send as a sender would
(once its number is confirmed; the flag says so):

curl -sS -X POST {campaign}/launch {as_admin}

curl -sS {campaign} {as_admin}

curl -sS {campaign}/assignment {as_sender} | {ids} | {each}
"""


async def prepare(platform: Platform, mail: str) -> FirstSteps:
    """An organization with an admin, a sender, three contacts and a campaign not yet launched."""
    base = f"{platform.url('campaign')}/api/v1"
    operator = await platform.operator_token()
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        await _tell_provider(session, platform)
        api = _Api(session, base)
        organization = await api.post(operator, "/organizations", {"name": "Example"})
        org = f"/organizations/{organization['organization_id']}"
        use_case = await api.post(
            operator,
            f"{org}/use-cases",
            {
                "name": "Example",
                "provider_campaign_id": PROVIDER_CAMPAIGN,
                "messaging_profile_id": PROFILE,
            },
        )
        admin = await api.post(operator, f"{org}/people", _person("admin"))
        sender = await api.post(operator, f"{org}/people", _person("sender"))
        contacts = await api.post(admin["token"], "/contact-lists?name=Example", CONTACTS)
        draft = _campaign(use_case["use_case_id"], contacts["contact_list_id"])
        campaign = await api.post(admin["token"], "/campaigns", draft)
        senders = f"/campaigns/{campaign['campaign_id']}/senders"
        await api.post(admin["token"], senders, {"person_ids": [sender["person_id"]]})
    return FirstSteps(
        api=base,
        webhooks=platform.url("collider"),
        number_webhooks=platform.url("provisioner"),
        sandbox=platform.url(SANDBOX),
        provider=platform.environment("provisioner")["SLUICE_TELNYX_URL"],
        provider_key=platform.environment("provisioner")["SLUICE_TELNYX_API_KEY"],
        mail=mail,
        broker=platform.environment("collider")["SLUICE_AMQP_URL"],
        database=platform.environment("collider")["SLUICE_DATABASE_URL"],
        ops={name: platform.ops_url(name) for name in platform.services},
        operator_token=operator,
        admin_token=admin["token"],
        sender_token=sender["token"],
        campaign_id=campaign["campaign_id"],
    )


async def _tell_provider(session: aiohttp.ClientSession, platform: Platform) -> None:
    """Where contacts' texts are posted, and what becomes of numbers."""
    sandbox = f"{platform.url(SANDBOX)}/sandbox"
    texts = f"{platform.url('collider')}/webhooks/telnyx"
    numbers = f"{platform.url('provisioner')}/webhooks/telnyx/numbers"
    await session.put(f"{sandbox}/messaging_profiles/{PROFILE}", json={"webhook_url": texts})
    await session.put(
        f"{sandbox}/campaigns/{PROVIDER_CAMPAIGN}",
        json={"brand": PROVIDER_CAMPAIGN, "webhook_url": numbers},
    )


def _person(role: str) -> dict[str, Any]:
    return {"name": f"Example {role}", "email": f"{role}@example.com", "role": role}


def _campaign(use_case_id: str, contact_list_id: str) -> dict[str, Any]:
    """Open at any hour, for two days: whoever tries it out at night wants to see it work."""
    now = datetime.now(UTC)
    return {
        "name": "First steps",
        "use_case_id": use_case_id,
        "contact_list_id": contact_list_id,
        "script": "Hi {first_name}, this is a first text from Sluice. Reply STOP to opt out.",
        "area_codes": ["310", "213"],
        "window": {"opens_at": now.isoformat(), "closes_at": (now + timedelta(days=2)).isoformat()},
        "hours": {"opens": "0:00", "closes": "24:00", "time_zone": "America/Los_Angeles"},
    }


class _Api:
    """Requests to the campaign service, as one person or another."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base

    async def post(self, token: str, path: str, body: str | dict[str, Any]) -> dict[str, Any]:
        """Post JSON, or text as it is; the answer. Raises ClientResponseError when refused."""
        content: dict[str, Any] = {"data": body} if isinstance(body, str) else {"json": body}
        headers = {"Authorization": f"Bearer {token}"}
        async with self._session.post(self._base + path, headers=headers, **content) as response:
            answer: dict[str, Any] = await response.json()
        return answer
