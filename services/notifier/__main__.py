"""`python -m services.notifier`: wiring, top to bottom."""

from services.notifier.handlers import HANDLERS
from services.notifier.letters import Writer
from services.notifier.poster import Poster
from services.notifier.settings import Settings
from services.notifier.smtp import MailServer
from services.notifier.webhooks import Webhooks
from services.notifier.worker import Mailer
from shared.runtime import Runtime, run
from shared.settings import from_environment


def main() -> None:
    settings = from_environment(Settings)

    async def wire(runtime: Runtime) -> None:
        writer = Writer(settings.mail_from)
        server = MailServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            tls=settings.smtp_tls,
            username=settings.smtp_username,
            password=settings.smtp_password,
            own_name=writer.domain,
            timeout_s=settings.smtp_timeout_s,
        )
        mailer = Mailer(runtime.database, server, writer, lease_s=2 * settings.smtp_timeout_s + 30)
        runtime.hear(HANDLERS)
        runtime.work("mail", mailer.step, idle_s=1)
        if settings.webhook_master_key is not None:
            master = settings.webhook_master_key.get_secret_value().encode()
            webhooks = Webhooks(private_allowed=settings.webhooks_private_allowed)
            await runtime.enter(webhooks)
            poster = await runtime.enter(Poster(runtime.database, webhooks, master))
            runtime.work("webhooks", poster.step, idle_s=1, wake=poster.wake)

    run("notifier", settings, wire)


if __name__ == "__main__":
    main()
