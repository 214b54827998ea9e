"""CloudEvents as they come: single, in batches, in binary mode, and bad."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings import amqp, rabbitmq
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from shared import envelope
from shared.envelope import Received, Unreadable
from shared.events import ContactOptedOut

NOON = datetime(2026, 10, 20, 12, tzinfo=UTC)
OPTED_OUT = ContactOptedOut(org_id="org-1", phone="+13035550123", opted_out_at=NOON)


def written(**changes: Any) -> dict[str, Any]:
    text = envelope.write(OPTED_OUT, event_id="event-1", source="test", at=NOON)
    return {**json.loads(text), **changes}


def read_one(document: Any) -> envelope.Reading:
    [reading] = envelope.read(json.dumps(document).encode(), envelope.SINGLE, {})
    return reading


def test_what_is_written_is_read_again() -> None:
    reading = read_one(written())
    assert isinstance(reading, Received)
    assert reading.event == OPTED_OUT
    assert reading.key == "test event-1"


def test_what_is_written_is_a_cloudevent_to_the_sdk() -> None:
    text = envelope.write(OPTED_OUT, event_id="event-1", source="test", at=NOON)
    event = JSONFormat().read(CloudEvent, text)
    assert (event.get_id(), event.get_type(), event.get_time()) == (
        "event-1",
        "ContactOptedOut",
        NOON,
    )
    assert event.get_data() == json.loads(OPTED_OUT.model_dump_json())


@pytest.mark.parametrize("binding", [rabbitmq.to_binary_event, amqp.to_binary_event])
def test_the_sdks_binary_mode_is_read(binding: Any) -> None:
    document = written()
    attributes = {
        "type": "ContactOptedOut", "source": "test", "id": "event-1", "specversion": "1.0",
        "datacontenttype": "application/json",
    }  # fmt: skip
    message = binding(CloudEvent(attributes, document["data"]), JSONFormat())
    headers = getattr(message, "headers", None) or message.application_properties
    body = getattr(message, "body", None) or message.application_data
    [reading] = envelope.read(body, "application/json", headers)
    assert isinstance(reading, Received)
    assert reading.event == OPTED_OUT


def test_one_bad_event_of_a_batch_does_not_take_the_others_with_it() -> None:
    bad = written(data={"org_id": "org-1", "phone": "12"})
    body = json.dumps([written(), bad, written(id="event-3")]).encode()
    readings = envelope.read(body, envelope.BATCH, {})
    assert [type(reading) for reading in readings] == [Received, Unreadable, Received]
    assert isinstance(readings[1], Unreadable)
    assert readings[1].field == "data.phone"


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (written(specversion="0.3"), "specversion"),
        (written(type="PigsFly"), "type"),
        (written(type=7), "type"),
        (written(id=""), "id"),
        (written(id="x" * 257), "id"),
        (written(id="nul\x00"), "id"),
        (written(id="\ud800"), "id"),
        (written(source=None), "source"),
        (written(data=None), "data"),
        (written(data={**written()["data"], "org_id": "two words"}), "data.org_id"),
        (written(data={**written()["data"], "phone": "+1\ud800"}), "data.phone"),
        (
            written(data={**written()["data"], "opted_out_at": "2026-10-20T12:00:00"}),
            "data.opted_out_at",
        ),
        (
            written(data={**written()["data"], "opted_out_at": "9999-12-31T23:59:59-05:00"}),
            "data.opted_out_at",
        ),
        ("a text", ""),
    ],
)
def test_a_bad_event_is_told_by_its_field(document: Any, field: str) -> None:
    reading = read_one(document)
    assert isinstance(reading, Unreadable)
    assert reading.field == field
    assert reading.reason
    # What is buried can be stored and looked at, whatever was in it.
    assert envelope.raw_bytes(reading.raw)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\xff\xfe", None),
        (b"{", None),
        (b"", None),
        (b"{}", envelope.BATCH),
        (b"[" + b"0," * 500 + b"0]", None),
        (b" " * (envelope.BODY_MOST_BYTES + 1), None),
    ],
)
def test_a_body_that_cannot_be_read_is_one_fault(body: bytes, content_type: str | None) -> None:
    [reading] = envelope.read(body, content_type, {})
    assert isinstance(reading, Unreadable)
    assert reading.reason
