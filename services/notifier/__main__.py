"""`python -m services.notifier`: wiring, top to bottom."""

import sys
from contextlib import aclosing

from services.notifier.handlers import HANDLERS
from services.notifier.letters import Writer
from services.notifier.page import NoticePage
from services.notifier.poster import Poster
from services.notifier.samples import samples
from services.notifier.settings import Settings
from services.notifier.smtp import MailServer
from services.notifier.templating import BadTemplate
from services.notifier.webhooks import Webhooks
from services.notifier.worker import Mailer
from shared.runtime import Runtime, run
from shared.settings import from_environment

LANES = 2
"""E-mails that go at once: a mail server that is slow with one does not hold up all others."""


def main() -> None:
    settings = from_environment(Settings)
    writer = Writer(settings.mail_from, folder=settings.templates, link=settings.campaign_link)
    try:
        writer.check(samples())
    except BadTemplate as error:
        sys.exit(f"SLUICE_TEMPLATES: {error}")

    async def wire(runtime: Runtime) -> None:
        server = MailServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            tls=settings.smtp_tls,
            username=settings.smtp_username,
            password=settings.smtp_password,
            own_name=writer.domain,
            timeout_s=settings.smtp_timeout_s,
        )
        runtime.hear(HANDLERS)
        runtime.page("/notices", NoticePage(runtime.database).show)
        lease_s = 2 * settings.smtp_timeout_s + 30
        for lane in range(LANES):
            mailer = Mailer(runtime.database, server, writer, lease_s=lease_s)
            await runtime.enter(aclosing(mailer))
            runtime.work(f"mail {lane}", mailer.step, idle_s=1)
        if settings.webhook_master_key is not None:
            master = settings.webhook_master_key.get_secret_value().encode()
            webhooks = Webhooks(private_allowed=settings.webhooks_private_allowed)
            await runtime.enter(webhooks)
            poster = await runtime.enter(Poster(runtime.database, webhooks, master))
            runtime.work("webhooks", poster.step, idle_s=1, wake=poster.wake)

    run("notifier", settings, wire)


if __name__ == "__main__":
    main()
