"""CloudEvents 1.0 in JSON: single, batch, and AMQP's binary mode.

Reading never raises: what cannot be read comes back as Unreadable, with the reason and the field,
so that one bad event of a batch does not take the others with it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from shared.events import EVENTS, Event, event_data, instant

SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
BATCH_MOST = 500
BODY_MOST_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """One event as it was read. `key` is its identity for ever: source and id together."""

    key: str
    event: Event
    raw: Any


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What could not be read as an event, and why. `field` is empty when no field is at fault."""

    raw: Any
    reason: str
    field: str = ""


Reading = Received | Unreadable


def write(event: Event, *, event_id: str, source: str, at: datetime) -> str:
    """One event in CloudEvents' JSON form."""
    # Joined by hand: dumping a model of the envelope costs as much again as the data in it.
    return (
        f'{{"specversion":"1.0","id":{json.dumps(event_id)},"source":{json.dumps(source)},'
        f'"type":"{type(event).__name__}","time":"{instant(at)}",'
        f'"datacontenttype":"application/json","data":{event_data(event)}}}'
    )


def read(body: bytes, content_type: str | None, headers: Mapping[str, Any]) -> list[Reading]:
    """Every event of one AMQP message, in its order."""
    if len(body) > BODY_MOST_BYTES:
        return [Unreadable(body, f"larger than {BODY_MOST_BYTES} bytes")]
    try:
        document = _parse(body)
    except (ValueError, RecursionError) as error:
        return [Unreadable(body, f"not JSON: {error}")]
    binary = _binary_attributes(headers)
    if binary is not None:
        return [_read_one({**binary, "data": document})]
    if isinstance(document, list):
        if len(document) > BATCH_MOST:
            return [Unreadable(body, f"a batch of more than {BATCH_MOST} events")]
        return [_read_one(item) for item in document]
    if content_type is not None and content_type.startswith(BATCH):
        return [Unreadable(body, "a batch must be a JSON array")]
    return [_read_one(document)]


def _parse(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError:
        # The quick parser stops at a lone surrogate and so loses the whole batch;
        # the patient one lets it through, and the model names the field that holds it.
        return json.loads(body)


def _binary_attributes(headers: Mapping[str, Any]) -> dict[str, Any] | None:
    """The attributes of AMQP binary mode, whose headers start with `ce-` or `cloudEvents:`."""
    attributes = {
        name.removeprefix(prefix): value.decode(errors="replace")
        if isinstance(value, bytes)
        else value
        for prefix in ("ce-", "cloudEvents:", "cloudEvents_")
        for name, value in headers.items()
        if name.startswith(prefix)
    }
    return attributes if "type" in attributes else None


def _read_one(item: Any) -> Reading:
    if not isinstance(item, dict):
        return Unreadable(item, "an event must be a JSON object")
    if item.get("specversion") != "1.0":
        return Unreadable(item, "must be 1.0", "specversion")
    for attribute in ("id", "source", "type"):
        value = item.get(attribute)
        if not isinstance(value, str) or not 0 < len(value) <= 256 or "\x00" in value:
            return Unreadable(item, "must be a text of 1 to 256 characters", attribute)
    model = EVENTS.get(item["type"])
    if model is None:
        return Unreadable(item, f"unknown type {item['type']}", "type")
    try:
        event = model.model_validate(item.get("data"))
    except ValidationError as error:
        field, reason = first_fault(error)
        return Unreadable(item, reason, ".".join(filter(None, ("data", field))))
    key = f"{item['source']} {item['id']}"
    try:
        key.encode()
    except UnicodeEncodeError:
        return Unreadable(item, "must be valid Unicode", "id")
    return Received(key, event, item)


def first_fault(error: ValidationError) -> tuple[str, str]:
    """The first field at fault, in dotted form, and what is wrong with it."""
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    reason = fault["msg"].removeprefix("Value error, ")
    return ".".join(str(part) for part in fault["loc"]), reason


def raw_bytes(raw: Any) -> bytes:
    """What is to be kept of something unreadable, as it came."""
    if isinstance(raw, bytes):
        return raw
    # ASCII only: a lone surrogate stays the escape that it was. AMQP headers may hold any type.
    return json.dumps(raw, default=str).encode()


def batch(events: Iterable[str]) -> bytes:
    """A batch of events that are in JSON form already."""
    return ("[" + ",".join(events) + "]").encode()
