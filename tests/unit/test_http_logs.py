"""What is logged of a request that failed: its route, and nothing that was secret in it."""

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from shared.http import problems


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError("x"), 500), (asyncpg.PostgresConnectionError("x"), 503)]
)
async def test_a_failed_requests_log_names_its_route_and_not_what_was_in_the_path(
    error: Exception, status: int
) -> None:
    async def fail(_request: web.Request) -> web.Response:
        raise error

    app = web.Application(middlewares=[problems])
    app.router.add_post("/invites/{secret}", fail)
    with capture_logs() as logged:
        async with TestClient(TestServer(app)) as client:
            answer = await client.post("/invites/hush-hush")
            assert answer.status == status
    (line,) = logged
    assert line["route"] == "/invites/{secret}"
    assert "hush-hush" not in str(logged)
