"""Hold our numbers against the provider's now: python -m services.provisioner.reconcile_now

Reads the environment as the service does. Prints what differs as a table, on stdout. `--dry-run`
lists only: nothing is written, and nothing mended.

Exit code 0: no difference is left but those that are being mended. 1: some are. 2: it could not be
done, and why is on stderr.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import aiohttp

from services.provisioner.providers import Fault
from services.provisioner.providers.telnyx import Telnyx
from services.provisioner.providers.telnyx_lists import TelnyxLists
from services.provisioner.reconciler import SETTLED_S, Overtaken, Reconciler, Report
from services.provisioner.rules.reconcile import Difference
from services.provisioner.settings import Settings
from shared import logs
from shared.database import PASSING, Database
from shared.migrate import migrate
from shared.settings import from_environment

BUSY = "Another run is under way: /differences on the ops port shows what comes of it."


async def reconcile(settings: Settings, *, dry: bool) -> Report | Fault | None:
    """What a run comes to; None: somebody else is at one."""
    url = str(settings.database_url)
    if not dry:
        await migrate(url, "provisioner", Path(__file__).parent / "migrations")
    timeout = aiohttp.ClientTimeout(total=settings.telnyx_timeout_s, sock_connect=5)
    async with (
        await Database.open(url, "provisioner", size=2) as database,
        aiohttp.ClientSession(timeout=timeout) as session,
    ):
        account = Telnyx(session, str(settings.telnyx_url), settings.telnyx_api_key)
        reconciler = Reconciler(
            database,
            TelnyxLists(account),
            every_s=settings.reconcile_every_s,
            look_up_s=settings.look_up_s,
            lease_s=2 * settings.telnyx_timeout_s + 30,
            profile_id=settings.telnyx_profile_id,
        )
        return await (reconciler.look() if dry else reconciler.run_now())


def table(report: Report) -> str:
    """A run's differences, for people."""
    rows = [("kind", "number", "organization", "mended", "what")]
    rows += [
        (one.kind, one.number, one.org_id or "-", _mended(one, report), one.said)
        for one in sorted(report.differences, key=lambda one: (one.kind, one.org_id, one.number))
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows] if report.differences else []
    numbers = _counted(report.numbers, "number")
    count = f"{numbers} at the provider, {_counted(len(report.differences), 'difference')}"
    mending = "" if report.is_dry else f", {len(report.mending)} of them being mended from now on"
    return "\n".join([*lines, f"{count}{mending}.", ""])


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _mended(one: Difference, report: Report) -> str:
    if (one.org_id, one.number, one.kind) in report.mending:
        return "begun"
    if one.mend is None:
        return "no"
    return "would be" if report.is_dry else "begun before"


def _line(row: Sequence[str], widths: Iterable[int]) -> str:
    return "  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip()


def main() -> None:
    """Run it, print the table, and exit by what came of it."""
    parser = argparse.ArgumentParser(prog="python -m services.provisioner.reconcile_now")
    parser.add_argument("--dry-run", action="store_true", help="list only")
    arguments = parser.parse_args()
    settings = from_environment(Settings)
    logs.configure("provisioner", "warning")
    try:
        found = asyncio.run(reconcile(settings, dry=arguments.dry_run))
    except (*PASSING, Overtaken) as error:
        sys.exit(_failed(repr(error)))
    if not isinstance(found, Report):
        sys.exit(_failed(BUSY if found is None else found.reason))
    rest_min = (settings.look_up_s + SETTLED_S) / 60
    rest = f"What changed in the last {rest_min:.3g} minutes is left to the next run."
    sys.stdout.write(f"{table(found)}{rest}\n")
    sys.exit(1 if len(found.differences) > len(found.mending) else 0)


def _failed(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 2


if __name__ == "__main__":
    main()
