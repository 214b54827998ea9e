"""`make demo`: the story from top to bottom, on private servers, with exit code 0 or 1."""

from __future__ import annotations

import asyncio
import secrets
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import aiohttp

from deploy.demo import closing, story, world
from deploy.demo.api import Refused, Site
from deploy.demo.book import Book
from deploy.demo.listener import listening
from deploy.demo.narrator import Narrator, make_console
from deploy.demo.senders import Team
from deploy.demo.stage import Stage, StoryBroke
from deploy.demo.view import Scene, keep_showing
from deploy.local.children import ChildDied, raise_on_signals
from deploy.local.platform import SANDBOX, Platform, interruptible
from deploy.local.progress import say
from deploy.local.servers import PrivateServers
from deploy.local.state import SetupError, local_folder


async def play(stage: Stage) -> bool:
    """The whole story; whether its verdict is good."""
    await story.open_organization(stage)
    await story.upload_contacts(stage)
    await story.launch(stage)
    await story.see_it_provisioned(stage)
    team = await story.gather_team(stage)
    try:
        await send_and_answer(stage, team)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    story.tell_answers(stage)
    return await closing.close(stage)


async def send_and_answer(stage: Stage, team: Team) -> None:
    """From the first click to the window's end, with the live view."""
    async with asyncio.TaskGroup() as group:
        view = group.create_task(keep_showing(stage.scene, stage.narrator))
        answering = group.create_task(team.keep_answering())
        sending = group.create_task(story.send_all(stage, team))
        await story.see_answers_overtake(stage, team)
        await story.see_the_day_spent(stage)
        stopped = await story.see_a_stop(stage, team)
        await story.see_one_refused(stage)
        await story.see_the_window_end(stage)
        await story.check_silence(stage, stopped)
        await sending
        answering.cancel()
        view.cancel()


async def run(
    database_url: str,
    amqp_url: str,
    narrator: Narrator,
    *,
    exchange: str = "sluice",
    window_s: float = story.WINDOW_S,
) -> bool:
    """The services and the sandbox as processes, a listener beside them, and the story.

    exchange: whose events are heard, and the prefix of the services' queues.
    window_s: how long first texts may go, at most.
    """
    run = secrets.token_hex(4)
    book = Book()
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(
            Platform(
                database_url=database_url,
                amqp_url=amqp_url,
                bus_prefix=exchange,
                seed=f"demo-{run}",
                behaviour=world.BEHAVIOUR,
                # Looks at the carriers more often than in production, where a minute is short.
                settings={"provisioner": {"SLUICE_POLL_S": "0.5"}},
                mail=local_folder() / "demo" / "mail",
            )
        )
        check = await stack.enter_async_context(listening(amqp_url, exchange, book))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))
        )
        api = Site(session, f"{platform.url('campaign')}/api/v1")
        is_good = await play(
            Stage(
                narrator=narrator,
                api=api,
                sandbox=Site(session, platform.url(SANDBOX)),
                webhooks=platform.url("collider"),
                number_webhooks=f"{platform.url('provisioner')}/webhooks/telnyx/numbers",
                mailbox=platform.mailbox,
                book=book,
                run=run,
                zone=world.daytime_zone(datetime.now(UTC)),
                window_s=window_s,
                operator=api.as_person(await platform.operator_token()),
                scene=Scene(world.CAMPAIGN, book),
            )
        )
        check()
        return is_good


def main() -> int:
    """Servers, services, story; everything is stopped in the end, whatever came."""
    raise_on_signals()
    narrator = Narrator(make_console())
    try:
        with PrivateServers(durable=True) as servers:
            is_good = interruptible(run(servers.database_url, servers.amqp_url, narrator))
    except KeyboardInterrupt:
        say("Interrupted: everything is stopped.")
        return 130
    except (SetupError, ChildDied, StoryBroke, Refused, aiohttp.ClientError, OSError) as error:
        say(f"The demonstration broke off: {error}")
        return 1
    say(f"The demonstration took {narrator.clock()}.")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
