"""`python -m services.provisioner`: wiring, top to bottom."""

import aiohttp

from services.provisioner.api import Webhooks
from services.provisioner.handlers import HANDLERS
from services.provisioner.page import DifferencePage, OrderPage
from services.provisioner.providers.telnyx import Telnyx
from services.provisioner.providers.telnyx_lists import TelnyxLists
from services.provisioner.reconciler import Reconciler
from services.provisioner.releaser import Releaser
from services.provisioner.settings import Settings
from services.provisioner.worker import Provisioner
from shared.runtime import Runtime, run
from shared.settings import from_environment
from shared.signatures import TelnyxSignatures

LANES = 8
"""Steps that run at once: a provider that is slow for some orders does not hold up the others. What
holds 500 launches up is the slowest call of a step: 8 lanes of 5 orders took 23 s for them, 3 of 10
took 37 s, with a provider that answers in 80 ms (400 ms one time in a hundred)."""


def main() -> None:
    settings = from_environment(Settings)

    async def wire(runtime: Runtime) -> None:
        session = await runtime.enter(
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=settings.telnyx_timeout_s, sock_connect=5)
            )
        )
        provider = Telnyx(session, str(settings.telnyx_url), settings.telnyx_api_key)
        # The longest act makes two calls.
        lease_s = 2 * settings.telnyx_timeout_s + 30
        provisioner = Provisioner(
            runtime.database,
            provider,
            settings.patience,
            lease_s=lease_s,
            numbers_most=settings.numbers_most,
            profile_id=settings.telnyx_profile_id,
        )
        releaser = Releaser(
            runtime.database,
            provider,
            settings.patience,
            lease_s=lease_s,
            keep_last=settings.keep_last_number,
        )
        reconciler = Reconciler(
            runtime.database,
            TelnyxLists(provider),
            every_s=settings.reconcile_every_s,
            look_up_s=settings.look_up_s,
            lease_s=lease_s,
            profile_id=settings.telnyx_profile_id,
        )
        runtime.hear(HANDLERS)
        for lane in range(LANES):
            runtime.work(f"provision {lane}", provisioner.step, idle_s=0.5)
        runtime.work("release", releaser.step, idle_s=0.5)
        runtime.work("reconcile", reconciler.step, idle_s=5)
        runtime.work("show", reconciler.show, idle_s=15)
        if settings.telnyx_public_key is not None:
            webhooks = Webhooks(runtime.database, TelnyxSignatures(settings.telnyx_public_key))
            runtime.work("webhooks", webhooks.gather.step, idle_s=0.5, wake=webhooks.gather.wake)
            runtime.serve(webhooks.app())
        runtime.page("/orders", OrderPage(runtime.database).show)
        runtime.page("/differences", DifferencePage(runtime.database).show)

    run("provisioner", settings, wire)


if __name__ == "__main__":
    main()
