"""The API keeps to its own description, whatever is sent: no 5xx, every answer in the schema."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from services.campaign.api.app import ROUTES
from services.campaign.api.calls import OPERATORS
from services.campaign.api.openapi import document
from tests.fuzzed_desk import Fuzzed, fuzzed_desk

# A second or less for each route: what a fuzzer finds in a hundred, it most often finds in twenty.
EXAMPLES = 20
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]
OF_OPERATORS = {(route.method, route.path) for route in ROUTES if route.roles == OPERATORS}

schema = schemathesis.openapi.from_dict(document(ROUTES))


@pytest.fixture(scope="module")
def api(database_url: str) -> Iterator[Fuzzed]:
    with fuzzed_desk(database_url) as found:
        yield found


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_an_answer_is_as_the_description_says(api: Fuzzed, case: Case[Any]) -> None:
    operators = (case.method.upper(), case.operation.path) in OF_OPERATORS
    case.path_parameters = {
        name: api.known(name, value) for name, value in (case.path_parameters or {}).items()
    }
    case.body = api.filled(case.body)
    token = api.operator if operators else api.admin
    case.call_and_validate(
        base_url=api.url, headers={"Authorization": f"Bearer {token}"}, checks=CHECKS, timeout=20
    )
