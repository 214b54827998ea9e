"""What an edit has changed of a campaign's plan, as the audit trail keeps it."""

from dataclasses import asdict, fields
from typing import Any

from services.campaign.domain import Plan
from shared.rules.hours import Hours, Window, clock_text


def differences(before: Plan, after: Plan) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that differ, as they were and as they are, in JSON."""
    changed = [
        field.name
        for field in fields(Plan)
        if getattr(before, field.name) != getattr(after, field.name)
    ]
    return (
        {name: _json(getattr(before, name)) for name in changed},
        {name: _json(getattr(after, name)) for name in changed},
    )


def whole(plan: Plan) -> dict[str, Any]:
    """All of a plan, in JSON."""
    return {field.name: _json(getattr(plan, field.name)) for field in fields(Plan)}


def _json(value: Any) -> Any:
    if isinstance(value, Window):
        return {name: at.isoformat() for name, at in asdict(value).items()}
    if isinstance(value, Hours):
        return {
            "opens": clock_text(value.opens),
            "closes": clock_text(value.closes),
            "time_zone": value.time_zone,
        }
    return list(value) if isinstance(value, tuple) else value
