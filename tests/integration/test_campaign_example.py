"""The worked example of docs/api.md, run as it stands there."""

import asyncio
import re
import shlex
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.events import CampaignLaunched, MessageQueued
from tests import curl
from tests.campaign_desk import desk

DOCS = Path(__file__).parents[2] / "docs" / "api.md"
RUN_S = 60
PATH = "/usr/local/bin:/usr/bin:/bin"
CURLS = ["stand-in", *(["system"] if shutil.which("curl", path=PATH) else [])]


@pytest.fixture(params=CURLS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the example finds curl: everywhere our own, which does what it asks of curl, and the
    system's too where there is one. A bare Debian has none."""
    if request.param == "system":
        return PATH
    stand_in = tmp_path / "curl"
    command = shlex.join([sys.executable, str(Path(curl.__file__))])
    stand_in.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    stand_in.chmod(0o755)
    return f"{tmp_path}:{PATH}"


async def test_the_example_of_the_docs_runs_from_organization_to_export(
    database_url: str, path: str
) -> None:
    (script,) = re.findall(r"^```sh\n(.*?)^```", DOCS.read_text(), re.DOTALL | re.MULTILINE)
    # Later than the shell's clock, by which the example opens its window.
    async with desk(database_url, at=datetime.now(UTC) + timedelta(minutes=5)) as office:
        running = await asyncio.create_subprocess_exec(
            "sh", "-c", script,
            env={
                "PATH": path,
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
        # Of this run's own campaign: the other curl's stands in the same database.
        campaign_id = (await office.told(CampaignLaunched))[-1].campaign_id
        assert len(await office.told_of(CampaignLaunched, campaign_id)) == 1
        assert len(await office.told_of(MessageQueued, campaign_id)) == 1
