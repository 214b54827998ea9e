"""The collider's wiring."""

from services.collider.api import Webhooks
from services.collider.dispatch import Dispatcher
from services.collider.handlers import HANDLERS
from services.collider.page import BucketPage
from services.collider.providers import MessageProvider
from services.collider.providers.telnyx import TelnyxLookUps, TelnyxMessages
from services.collider.recipients import LookUps
from services.collider.settings import Settings
from services.collider.survey import Survey
from services.collider.upkeep import Upkeep
from services.collider.worker import Claimer
from shared.runtime import Runtime, run
from shared.settings import from_environment
from shared.signatures import TelnyxSignatures

settings = from_environment(Settings)


async def wire(runtime: Runtime) -> None:
    """The collider with the provider of its settings."""
    telnyx = TelnyxMessages(
        settings.telnyx_url,
        settings.telnyx_api_key.get_secret_value(),
        settings.webhook_url,
        timeout_s=settings.call_timeout_s,
        calls_most=settings.calls_most,
    )
    await wire_with(runtime, await runtime.enter(telnyx))


async def wire_with(runtime: Runtime, provider: MessageProvider) -> None:
    """Events and webhooks in, claims and calls out, and what time does by itself."""
    database = runtime.database
    dispatcher = await runtime.enter(
        Dispatcher(
            database,
            provider,
            calls_most=settings.calls_most,
            timeout_s=settings.call_timeout_s,
        )
    )
    directory = TelnyxLookUps(settings.telnyx_url, settings.telnyx_api_key.get_secret_value())
    asked = await runtime.enter(directory) if settings.look_ups else None
    look_ups = await runtime.enter(LookUps(database, asked))
    claimer = Claimer(database, dispatcher)
    upkeep = Upkeep(
        database, unrouted_most_s=settings.unrouted_most_s, reply_most_s=settings.reply_most_s
    )
    survey = Survey(database)
    webhooks = Webhooks(database, TelnyxSignatures(settings.telnyx_public_key))

    runtime.hear(HANDLERS)
    runtime.work("claim", claimer.step, idle_s=0.05, wake=dispatcher.freed)
    runtime.work("dispatch", dispatcher.step, idle_s=0.5, wake=dispatcher.wake)
    runtime.work("webhooks", webhooks.gather.step, idle_s=0.5, wake=webhooks.gather.wake)
    runtime.work("look_up", look_ups.step, idle_s=0.2, wake=look_ups.wake)
    runtime.work("turn", upkeep.turn, idle_s=0.5)
    runtime.work("close", upkeep.close, idle_s=0.5)
    runtime.work("route", upkeep.route, idle_s=0.5)
    runtime.work("reap", upkeep.reap, idle_s=1)
    runtime.work("settle", upkeep.settle, idle_s=1)
    runtime.work("expire", upkeep.expire, idle_s=30)
    runtime.work("survey", survey.step, idle_s=0.2)
    runtime.work("show", survey.show, idle_s=5)
    runtime.page("/buckets", BucketPage(database).show)
    runtime.serve(webhooks.app())


if __name__ == "__main__":
    run("collider", settings, wire)
