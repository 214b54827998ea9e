"""The story, act by act, from an organization's beginning to the end of its campaign's window."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from deploy.demo import world
from deploy.demo.api import Refused
from deploy.demo.book import FINAL, Overtaking
from deploy.demo.flags import show_mail, watch_flag
from deploy.demo.senders import CONFLICT, Answered, Sender, Team
from deploy.demo.stage import Stage, StoryBroke, until
from deploy.demo.world import LINES, NAMES

WINDOW_S = 78
"""How long first texts may go: what the limits let out in a minute, and a little more."""

WINDOW_LEAST_S = 50
END_BY_S = 96
"""After a slow start the window is shorter, so that it ends by then; but not shorter than that."""

SECOND_LAUNCH_S = 40
"""The second campaign is launched so long before the first one's window ends."""

WAITS_LONG = timedelta(seconds=2)
"""What has waited so long does not go in the next moment."""


# --- what has to be there --------------------------------------------------------------------


async def open_organization(stage: Stage) -> None:
    """The operator's part: an organization, its limits, its use case, its admin."""
    say, operator = stage.narrator, stage.operator
    made = await operator.post("/organizations", name=world.ORGANIZATION)
    stage.org_id = stage.book.org_id = made["organization_id"]
    ours = f"/organizations/{stage.org_id}"
    say.tell(f'The operator opens an organization, "{world.ORGANIZATION}", and sets its limits')
    for line in LINES:
        say.detail(f"{line.name:<13} {line.allows()}")
    for line in LINES:
        limits = line.limits(stage.zone)
        await operator.put(f"{ours}/limits/{line.carrier}", **limits)
        # Real carriers know by themselves; those of the sandbox are told, and enforce it.
        await stage.sandbox.put(f"/sandbox/limits/{stage.brand}/{line.carrier}", **limits)
    profile, provider_campaign = f"profile-{stage.run}", f"C{stage.run}"
    await stage.sandbox.put(
        f"/sandbox/campaigns/{provider_campaign}",
        brand=stage.brand,
        webhook_url=stage.number_webhooks,
    )
    await stage.sandbox.put(
        f"/sandbox/messaging_profiles/{profile}", webhook_url=f"{stage.webhooks}/webhooks/telnyx"
    )
    use_case = await operator.post(
        f"{ours}/use-cases",
        name="Volunteers",
        provider_campaign_id=provider_campaign,
        messaging_profile_id=profile,
    )
    stage.use_case_id = use_case["use_case_id"]
    name, email = world.ADMIN
    admin = await operator.post(f"{ours}/people", name=name, email=email, role="admin")
    stage.admin = stage.api.as_person(admin["token"])
    say.detail("(the sandbox's carriers are told the same: they refuse what is over)")
    say.detail(f"its registered use case: Volunteers; its admin: {name}")


async def upload_contacts(stage: Stage) -> None:
    """The admin's contact list."""
    found = await stage.admin.upload(
        "/contact-lists", world.contacts_csv(), name="Friends of parks"
    )
    stage.contact_list_id = found["contact_list_id"]
    stage.narrator.tell(
        f"Ada uploads her contacts (CSV): {found['contacts']} are in, "
        f"{found['bad_row_count'] + found['duplicates']} rows are left out"
    )
    for row in found["rows_left_out"]:
        at_fault = f", {row['field']}" if row["field"] else ""
        stage.narrator.detail(f"line {row['line']}{at_fault}: {row['reason']}")
    if found["contacts"] != world.CONTACTS:
        raise StoryBroke(f"{found['contacts']} contacts, not {world.CONTACTS}")


# --- the first campaign ----------------------------------------------------------------------


async def launch(stage: Stage) -> None:
    """The admin's campaign, active at once."""
    say, admin = stage.narrator, stage.admin
    now = datetime.now(UTC)
    passed_s = time.monotonic() - say.begun_s
    window_s = min(stage.window_s, max(WINDOW_LEAST_S, END_BY_S - passed_s))
    stage.scene.closes_at = closes_at = now + timedelta(seconds=window_s)
    made = await admin.post(
        "/campaigns",
        name=world.CAMPAIGN,
        use_case_id=stage.use_case_id,
        contact_list_id=stage.contact_list_id,
        script=world.SCRIPT,
        area_codes=[world.SOLD_OUT_AREA_CODE, world.AREA_CODE],
        window={"opens_at": now.isoformat(), "closes_at": closes_at.isoformat()},
        hours={"opens": "9:00", "closes": "21:00", "time_zone": stage.zone},
        self_assign={"enabled": True, "batch_size": world.BATCH_SIZE},
    )
    stage.campaign_id = made["campaign_id"]
    local, ends = (at.astimezone(ZoneInfo(stage.zone)) for at in (now, closes_at))
    say.tell(f'Ada creates the campaign "{world.CAMPAIGN}"')
    say.detail(f"number: area code {world.SOLD_OUT_AREA_CODE}, else {world.AREA_CODE}")
    say.detail(f"open 9:00 to 21:00 in {stage.zone}, where it is {local:%H:%M:%S}")
    say.detail(f"first texts may go until {ends:%H:%M:%S}")
    launched = await admin.post(f"/campaigns/{stage.campaign_id}/launch")
    say.tell(f"Ada launches it: {launched['status']} at once, {launched['initials']} first texts")


async def see_it_provisioned(stage: Stage) -> None:
    """The flag turns green, and the e-mail comes."""
    details = await watch_flag(stage, stage.campaign_id, world.CAMPAIGN, stage.scene)
    if details["provisioning"]["status"] != "complete":
        raise StoryBroke(f"the flag is {details['provisioning']['flag']}")
    await show_mail(stage, f"Provisioning Complete: {world.CAMPAIGN}")


async def gather_team(stage: Stage) -> Team:
    """Senders join a campaign that is ready: pre-loading, as the articles advise."""
    senders = []
    for name in world.SENDERS:
        email = f"{name.lower()}@riverbend.example.com"
        made = await stage.admin.post("/people", name=name, email=email, role="sender")
        senders.append(Sender(name, made["person_id"], stage.api.as_person(made["token"])))
    await stage.admin.post(
        f"/campaigns/{stage.campaign_id}/senders",
        person_ids=[sender.person_id for sender in senders],
    )
    stage.narrator.tell(
        f"{len(senders)} senders join, assign themselves batches of {world.BATCH_SIZE}, and send"
    )
    return Team(senders, stage.campaign_id)


async def send_all(stage: Stage, team: Team) -> None:
    """Every first text gets its click."""
    begun_s = time.monotonic()
    await team.send_all()
    took_s = time.monotonic() - begun_s
    waiting = sum(stage.book.waiting(line.carrier, "initial") for line in LINES)
    stage.narrator.tell(
        f"The senders are through: {team.clicks} clicks in {took_s:.0f} s; {waiting} texts wait "
        "for room in the limits"
    )
    for refusal in set(team.refusals):
        stage.narrator.detail(f"{team.refusals.count(refusal)} were refused: {refusal}")


# --- meanwhile -------------------------------------------------------------------------------


async def see_one_refused(stage: Stage) -> None:
    """A second campaign, which one carrier refuses: the flag turns red."""
    say, admin = stage.narrator, stage.admin
    await asyncio.sleep(stage.scene.left_s() - SECOND_LAUNCH_S)
    found = await admin.upload("/contact-lists", world.short_csv(), name="Autumn friends")
    now = datetime.now(UTC)
    made = await admin.post(
        "/campaigns",
        name=world.REFUSED_CAMPAIGN,
        use_case_id=stage.use_case_id,
        contact_list_id=found["contact_list_id"],
        script=world.SCRIPT,
        area_codes=[world.REFUSED_AREA_CODE],
        window={
            "opens_at": (now + timedelta(days=1)).isoformat(),
            "closes_at": (now + timedelta(days=2)).isoformat(),
        },
        hours={"opens": "9:00", "closes": "21:00", "time_zone": stage.zone},
    )
    campaign_id = made["campaign_id"]
    say.tell(f'Ada launches a second campaign, "{world.REFUSED_CAMPAIGN}", for tomorrow')
    for advice in (await admin.post(f"/campaigns/{campaign_id}/launch"))["warnings"]:
        say.detail(advice)
    details = await watch_flag(stage, campaign_id, world.REFUSED_CAMPAIGN)
    if details["provisioning"]["status"] != "failed":
        raise StoryBroke(f"the flag is {details['provisioning']['flag']}")
    await show_mail(stage, f"Provisioning Failed: {world.REFUSED_CAMPAIGN}")


async def see_the_day_spent(stage: Stage) -> None:
    """T-Mobile takes so many segments a day; what is beyond waits, first texts and answers."""
    line = next(line for line in LINES if line.segments_per_day is not None)

    async def look() -> bool:
        waiting = [text for text in stage.book.of(line.carrier, "initial") if text.waits]
        return any(text.has_waited(WAITS_LONG) for text in waiting)

    await until(f"the end of {line.name}'s day", look, 45)
    stage.narrator.tell(
        f"{line.name}'s day is spent ({stage.book.segments_sent(line.carrier)} of "
        f"{line.segments_per_day} segments): {stage.book.waiting(line.carrier, 'initial')} first "
        "texts and all further answers wait for its midnight"
    )


async def see_answers_overtake(stage: Stage, team: Team) -> None:
    """The first answer that goes past texts which have waited longer."""
    found: list[tuple[Answered, Overtaking]] = []

    async def look() -> bool:
        past = {one.text.message_id: one for one in stage.book.overtakings() if one.overtaken >= 20}
        found[:] = [(one, past[one.message_id]) for one in team.answered if one.message_id in past]
        return bool(found)

    await until("an answer that overtakes", look, 30)
    answered, overtaking = found[0]
    say = stage.narrator
    say.tell(f'{answered.contact} replies: "{answered.said}"')
    say.detail(f'{answered.sender.name}: "{answered.answer}"')
    say.tell(
        f"This answer went out {overtaking.waited_s:.1f} s after the click, past "
        f"{overtaking.overtaken} first texts to {NAMES[overtaking.text.carrier]} that had been "
        "queued before it",
        style="bold",
    )


@dataclass(frozen=True)
class Silenced:
    """A contact who has texted STOP, and how many texts they had got by then."""

    contact: Answered
    texts_got: int


async def see_a_stop(stage: Stage, team: Team) -> Silenced:
    """A contact texts STOP: what waits for them is withdrawn, and nobody can text them again."""
    say, one = stage.narrator, await _somebody_answered(stage, team)
    waits = stage.book.texts[one.message_id].waits
    carrier = NAMES[stage.book.texts[one.message_id].carrier]
    while_ = "while an answer still waits for them" if waits else "after our answer"
    say.tell(f"{one.contact} ({carrier}) texts STOP {while_}")
    details = await stage.admin.get(f"/campaigns/{stage.campaign_id}")
    await stage.sandbox.post(
        f"/sandbox/phones/{one.phone}/texts", to=details["number"], text="STOP"
    )

    async def is_known() -> bool:
        shown = await one.sender.site.get(f"/conversations/{one.conversation_id}")
        return bool(shown["opted_out"]) and stage.book.texts[one.message_id].status in FINAL

    await until("the opt-out", is_known, 15)
    if stage.book.texts[one.message_id].status == "failed":
        say.detail(f"the answer is withdrawn: {stage.book.texts[one.message_id].reason}")
    try:
        await one.sender.site.post(f"/conversations/{one.conversation_id}/replies", text="Sorry!")
    except Refused as refused:
        if refused.status != CONFLICT:
            raise
        say.detail(f"{one.sender.name} writes once more, and may not: {refused.detail}")
    else:
        raise StoryBroke(f"{one.sender.name} could text a contact who had opted out")
    return Silenced(one, await _texts_got(stage, one))


async def _somebody_answered(stage: Stage, team: Team) -> Answered:
    """A contact whose answer waits (T-Mobile's day is spent by then), else any who got theirs."""
    texts, waiting = stage.book.texts, list[Answered]()

    async def look() -> bool:
        waiting[:] = [
            one
            for one in team.answered
            if one.message_id in texts and texts[one.message_id].has_waited(WAITS_LONG)
        ]
        return bool(waiting)

    with suppress(StoryBroke):
        await until("an answer that waits", look, 20)
    # An answer may have been clicked a moment ago, and no event of it have been heard yet.
    heard = [one for one in team.answered if one.message_id in texts]
    arrived = [one for one in heard if texts[one.message_id].status == "delivered"]
    if not (waiting or arrived):
        raise StoryBroke("no contact has got an answer")
    return (waiting or arrived)[0]


async def _texts_got(stage: Stage, one: Answered) -> int:
    return len((await stage.sandbox.get(f"/sandbox/phones/{one.phone}/texts"))["texts"])


# --- the end ---------------------------------------------------------------------------------


async def see_the_window_end(stage: Stage) -> None:
    """What has not gone by the end will not go."""
    await asyncio.sleep(stage.scene.left_s())

    async def is_settled() -> bool:
        return stage.campaign_id in stage.book.closed and stage.book.is_settled()

    await until("every first text's end", is_settled, 15)
    stage.narrator.tell("The window has ended", style="bold")
    for line in LINES:
        texts = list(stage.book.of(line.carrier, "initial"))
        failed = sum(text.status == "sending failed" for text in texts)
        if failed:
            stage.narrator.detail(
                f"'sending failed': {failed} first texts to {line.name} ({line.allows()})"
            )
        waiting = stage.book.waiting(line.carrier, "reply")
        if waiting and line.segments_per_day is not None:
            stage.narrator.detail(
                f"waiting on: {waiting} answers to {line.name}, for which the window is no end; "
                "they go after its midnight"
            )
    if not any(text.status == "sending failed" for text in stage.book.of("tmobile", "initial")):
        raise StoryBroke("T-Mobile's day was long enough for everybody")


async def check_silence(stage: Stage, silenced: Silenced) -> None:
    """Whoever texted STOP has got nothing since."""
    one, got = silenced.contact, await _texts_got(stage, silenced.contact)
    if got != silenced.texts_got:
        raise StoryBroke(f"{one.contact} has got {got - silenced.texts_got} texts since STOP")
    stage.narrator.detail(f"{one.contact} has got nothing more since STOP ({got} in all)")


def tell_answers(stage: Stage) -> None:
    """How all the answers fared."""
    found = stage.book.overtakings()
    past = [one for one in found if one.overtaken]
    waits = sorted(one.waited_s for one in found)
    if not waits:
        raise StoryBroke("no answer has gone out")
    stage.narrator.tell(
        f"{len(found)} answers went out, half of them within {waits[len(waits) // 2]:.1f} s of "
        f"the click, all within {waits[-1]:.1f} s; {len(past)} went past first texts"
    )
