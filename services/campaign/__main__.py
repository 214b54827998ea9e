"""Run the campaign service: python -m services.campaign"""

from functools import partial

from services.campaign.api.app import create_app
from services.campaign.handlers import HANDLERS
from services.campaign.settings import CampaignSettings
from services.campaign.store.scope import API_ROLE
from services.campaign.worker import (
    ask_for_carriers,
    clear_uploads,
    close_windows,
    end_archived,
    forget_answers,
    look_ahead,
    report_a_day,
    take_back,
)
from shared.database import Database
from shared.runtime import Runtime, run
from shared.settings import from_environment


def main() -> None:
    """Read the settings and live."""
    settings = from_environment(CampaignSettings)

    async def wire(runtime: Runtime) -> None:
        runtime.hear(HANDLERS)
        runtime.work("close windows", partial(close_windows, runtime.database), idle_s=0.5)
        runtime.work("take back", partial(take_back, runtime.database), idle_s=5)
        runtime.work("end archived", partial(end_archived, runtime.database), idle_s=0.5)
        runtime.work("clear uploads", partial(clear_uploads, runtime.database), idle_s=60)
        runtime.work("look ahead", partial(look_ahead, runtime.database), idle_s=1)
        runtime.work("ask for carriers", partial(ask_for_carriers, runtime.database), idle_s=1)
        runtime.work("report a day", partial(report_a_day, runtime.database), idle_s=30)
        runtime.work("forget answers", partial(forget_answers, runtime.database), idle_s=60)
        api = await runtime.enter(
            await Database.open(
                str(settings.database_url),
                "campaign",
                size=settings.api_pool_size,
                clock=runtime.database.clock,
                role=API_ROLE,
                told=runtime.database.told,
            )
        )
        runtime.serve(create_app(api, settings))

    run("campaign", settings, wire)


if __name__ == "__main__":
    main()
