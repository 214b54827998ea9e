"""The public events as other systems know them: schemas in files, and examples that last."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shared import contracts, envelope
from shared.envelope import Received, Unreadable
from shared.events import EVENTS, event_data

# An example is never edited: one of a later version joins it, and both go on being read.
EXAMPLES = sorted((Path(__file__).parent / "examples").glob("*.json"))


def example_of(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text())
    assert isinstance(document, dict)
    return document


def test_the_schemas_in_the_repository_are_current() -> None:
    written = {path: path.read_text() for path in contracts.FOLDER.glob("*.json")}
    assert written == contracts.files(), "run `make contracts`"


def test_every_event_has_an_example() -> None:
    assert {path.name.split(".")[0] for path in EXAMPLES} == set(EVENTS)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_old_example_is_still_read_and_valid(path: Path) -> None:
    document = example_of(path)
    [reading] = envelope.read(path.read_bytes(), envelope.SINGLE, {})
    assert isinstance(reading, Received), reading
    jsonschema.validate(document, contracts.schema(type(reading.event)))
    # Nothing that the example says was lost in reading.
    again = json.loads(event_data(reading.event))
    assert {key: again[key] for key in document["data"]} == document["data"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_later_writers_unknown_field_is_passed_over(path: Path) -> None:
    document = example_of(path)
    later = {**document, "data": {**document["data"], "not_yet": 1}}
    [reading] = envelope.read(json.dumps(later).encode(), envelope.SINGLE, {})
    assert isinstance(reading, Received)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_event_without_its_organization_is_refused_by_that_name(path: Path) -> None:
    document = example_of(path)
    data = dict(document["data"])
    del data["org_id"]
    [reading] = envelope.read(json.dumps({**document, "data": data}).encode(), None, {})
    assert isinstance(reading, Unreadable)
    assert reading.field == "data.org_id"
