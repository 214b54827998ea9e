"""A collider whose provider takes everything at once and calls nobody.

`python -m tests.bench.noop`; everything but the provider is the collider's own wiring.
"""

from pathlib import Path

from services.collider import __main__ as collider
from services.collider.domain import Outbound, Outcome
from shared.ids import new_id
from shared.runtime import Runtime, run


class NoProvider:
    """Takes each text within its own process."""

    name = "none"

    async def send(self, text: Outbound) -> Outcome:
        """Say what a provider's answer would have said."""
        return Outcome("accepted", new_id())


async def wire(runtime: Runtime) -> None:
    """The collider, but for the provider."""
    await collider.wire_with(runtime, NoProvider())


if __name__ == "__main__":
    migrations = Path(collider.__file__).parent / "migrations"
    run("collider", collider.settings, wire, migrations=migrations)
