"""A campaign's provisioning flag as it changes, and the e-mail that comes of it."""

from __future__ import annotations

from typing import Any

from deploy.demo.stage import Stage, StoryBroke, until
from deploy.demo.view import Scene
from deploy.demo.world import ADMIN, NAMES

FLAG_WITHIN_S = 40
MAIL_WITHIN_S = 15


async def watch_flag(
    stage: Stage, campaign_id: str, name: str, scene: Scene | None = None
) -> dict[str, Any]:
    """Tell of the flag, the number and each carrier as they change; the details at the end."""
    say, told = stage.narrator, set[str]()
    details: dict[str, Any] = {}

    def once(key: str) -> bool:
        fresh = key not in told
        told.add(key)
        return fresh

    async def look() -> bool:
        details.update(await stage.admin.get(f"/campaigns/{campaign_id}"))
        flag = details["provisioning"]
        if flag["number"] and once("number"):
            await _promise_hours(stage, flag["number"], details)
            say.detail(f"{name}: bought {_readable(flag['number'])}{_passed_over(details)}")
        for carrier, answer in flag["carriers"].items():
            if answer["state"] != "pending" and once(carrier):
                why = f": {answer['reason']}" if answer["reason"] else ""
                say.detail(f"{name}: {NAMES[carrier]} {answer['state']} it{why}")
        if once(flag["status"]):
            say.flag(name, flag["flag"], flag["colour"])
            if scene is not None:
                scene.flag, scene.colour = flag["flag"], flag["colour"]
        return bool(flag["status"] != "provisioning")

    await until(f"the flag of {name}", look, FLAG_WITHIN_S)
    return details


async def _promise_hours(stage: Stage, number: str, details: dict[str, Any]) -> None:
    """Tell the judge what this number's campaign promises: its window and its open hours."""
    await stage.sandbox.put(
        f"/judge/hours/{number}", window=details["window"], hours=details["hours"]
    )


def _passed_over(details: dict[str, Any]) -> str:
    """The area codes that were wanted more and had nothing for sale."""
    wanted: list[str] = details["area_codes"]
    had = details["provisioning"]["number"][2:5]
    better = wanted[: wanted.index(had)] if had in wanted else wanted
    return f" ({', '.join(better)} is sold out)" if better else ""


def _readable(number: str) -> str:
    return f"({number[2:5]}) {number[5:8]}-{number[8:]}"


async def show_mail(stage: Stage, subject: str) -> None:
    """The e-mail as it arrived at the local mail server."""
    try:
        mail = await stage.mailbox.wait_for(
            lambda mail: mail["Subject"] == subject and ADMIN[1] in mail["To"],
            within_s=MAIL_WITHIN_S,
        )
    except TimeoutError:
        raise StoryBroke(f'no e-mail "{subject}" has come') from None
    stage.narrator.mail(mail)
