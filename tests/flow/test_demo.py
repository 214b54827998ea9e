"""The demonstration, told to its end with a shorter window: it must not rot unseen."""

import io

from rich.console import Console

from deploy.demo.__main__ import run
from deploy.demo.narrator import Narrator

WINDOW_S = 25


async def test_the_demonstration_comes_to_a_good_end(
    database_url: str, amqp_url: str, bus_prefix: str
) -> None:
    page = io.StringIO()
    narrator = Narrator(Console(file=page, width=200))
    assert await run(database_url, amqp_url, narrator, exchange=bus_prefix, window_s=WINDOW_S), (
        page.getvalue()
    )
    told = page.getvalue()
    for words in (
        "Provisioning Complete (green)",
        "Provisioning Failed (red)",
        "texts STOP",
        "'sending failed'",
        "They agree on every text",
    ):
        assert words in told
