"""The worked example of docs/api.md, run as it stands there."""

import asyncio
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.events import CampaignLaunched, MessageQueued
from tests.campaign_desk import desk

DOCS = Path(__file__).parents[2] / "docs" / "api.md"
RUN_S = 60


@pytest.mark.skipif(shutil.which("curl") is None, reason="the example is in curl")
async def test_the_example_of_the_docs_runs_from_organization_to_export(database_url: str) -> None:
    (script,) = re.findall(r"^```sh\n(.*?)^```", DOCS.read_text(), re.DOTALL | re.MULTILINE)
    # Later than the shell's clock, by which the example opens its window.
    async with desk(database_url, at=datetime.now(UTC) + timedelta(minutes=5)) as office:
        running = await asyncio.create_subprocess_exec(
            "sh", "-c", script,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "API": str(office.client.make_url("/api/v1")),
                "OPERATOR": office.operator,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            async with asyncio.timeout(RUN_S):
                said = (await running.communicate())[0].decode()
        finally:
            if running.returncode is None:
                running.kill()
        assert running.returncode == 0, said
        assert "Hi Carl, will you vote?" in said.splitlines()[-2]
        assert "Provisioning\n" in said
        assert (
            len(await office.told(CampaignLaunched)) == len(await office.told(MessageQueued)) == 1
        )
