"""The public contract in files: JSON Schema of every event, as `make contracts` writes it.

`shared/contracts/<Event>.json` describes the whole CloudEvent, so that another system can check
what it publishes with nothing but this file.
"""

import json
from pathlib import Path
from typing import Any

from shared.events import EVENTS, Event

FOLDER = Path(__file__).parent / "contracts"


def schema(event: type[Event]) -> dict[str, Any]:
    """JSON Schema (2020-12) of one event with its envelope."""
    data = event.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions = data.pop("$defs", {})
    text = {"type": "string", "minLength": 1, "maxLength": 256}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": event.__name__,
        "description": (event.__doc__ or "").strip(),
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {**text, "description": "With source, the event's identity for ever."},
            "source": {**text, "description": "The publisher."},
            "type": {"const": event.__name__},
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"const": "application/json"},
            "data": {"$ref": f"#/$defs/{event.__name__}"},
        },
        "$defs": {**definitions, event.__name__: data},
    }


def files() -> dict[Path, str]:
    """What stands in each file."""
    return {
        FOLDER / f"{name}.json": json.dumps(schema(event), indent=2, sort_keys=True) + "\n"
        for name, event in EVENTS.items()
    }


def write() -> None:
    """Write all of them, and remove those of events that are no more."""
    FOLDER.mkdir(exist_ok=True)
    wanted = files()
    for stale in set(FOLDER.glob("*.json")) - wanted.keys():
        stale.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
