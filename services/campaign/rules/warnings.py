"""What the articles advise against, and what looks like a slip, in words: never a refusal."""

from datetime import datetime, timedelta

from services.campaign.domain import Campaign, Plan
from services.campaign.rules.flag import Number
from shared.rules.hours import civil_day, last_sendable_at

_MANY_AT_ONCE = 2
_SOON = timedelta(hours=1)
NUMBERS_MOST = 49
"""Numbers of one use case; the provisioner counts them."""
NUMBERS_MANY = 45


def window_warnings(plan: Plan, now: datetime) -> list[str]:
    """What looks like a slip in the window."""
    zone = plan.hours.time_zone
    found = []
    if last_sendable_at(plan.window, plan.hours) is None:
        found.append("No open hour lies in the window: nothing can be sent.")
    start, today = civil_day(zone, plan.window.opens_at), civil_day(zone, now)
    if plan.window.closes_at <= now:
        found.append(f"It ended on {civil_day(zone, plan.window.closes_at)}.")
    elif start > today:
        in_utc = " It is that day in UTC already." if start == civil_day("UTC", now) else ""
        found.append(f"It starts on {start}, and today is {today} in {zone}.{in_utc}")
    return found


def launch_warnings(
    plan: Plan, now: datetime, *, senders: int, provisioning: int, numbers: int
) -> list[str]:
    """What the articles advise against at the launch of a campaign that gets its own number.

    `provisioning`: other campaigns whose numbers are not confirmed yet; `numbers`: how many its use
    case has, with this one.
    """
    found = []
    if senders and plan.window.opens_at < now + _SOON:
        held = plan.hold_until_provisioned
        early = "nothing goes" if held else "its senders can text"
        found.append(
            f"It starts within the hour, and {early} before the number is provisioned: "
            "create a campaign the day before you plan to text."
        )
    if provisioning >= _MANY_AT_ONCE:
        found.append(
            f"{provisioning} other campaigns are still provisioning: do not launch more than "
            "two campaigns at once."
        )
    if numbers >= NUMBERS_MANY:
        found.append(
            f"Its use case has {numbers} numbers with this one, of at most {NUMBERS_MOST}: beyond "
            "that, provisioning fails. Archive a few old campaigns."
        )
    return found


def clone_warnings(original: Campaign, *, taken: int, queued: int) -> list[str]:
    """What to mind about the campaign that a launched one was cloned from.

    `taken`: contacts whom it has taken over, and whom the original does not text any more;
    `queued`: texts that the original has still to send.
    """
    if original.state != "active":
        return []
    name = original.plan.name
    if not taken:
        return [
            f"{name}, which it was cloned from, is not archived: contacts could be texted twice."
        ]
    who = "1 contact whom" if taken == 1 else f"{taken} contacts whom"
    moved = f"{who} {name} had not texted {'is' if taken == 1 else 'are'} this campaign's now"
    found = [f"{moved}: archive {name} once this one is ready."]
    if queued:
        found.append(
            f"{name} has {queued} queued still, which stay its own. What the archive ends of them, "
            "a further clone texts."
        )
    return found


def alerts(campaign: Campaign, number: Number, now: datetime) -> list[str]:
    """What an admin of an active campaign should look at now."""
    if campaign.state != "active":
        return []
    found = []
    if number.outcome is None and now >= campaign.plan.window.opens_at - _SOON:
        when = "has started" if now >= campaign.plan.window.opens_at else "starts within the hour"
        found.append(
            f"The campaign {when}, and its phone number is still provisioning: wait until it is "
            "complete, or move the start."
        )
    if number.outcome == "failed" and number.number is None:
        found.append(
            "Nothing is sent: the campaign has no phone number. Clone it, and archive this one."
        )
    elif number.outcome == "failed" and campaign.plan.hold_until_provisioned:
        found.append(
            "Nothing is sent: all sending is held until provisioning is complete, and it has "
            "failed. Clone the campaign, or turn the hold off."
        )
    return found
