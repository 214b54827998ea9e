"""The API's description: nothing of the API is missing in it, for programs or for people."""

import json
import re

import jsonschema

from services.campaign.api import reference
from services.campaign.api.app import ROUTES
from services.campaign.api.openapi import document

API = document(ROUTES)
PAGE = reference.page(API)


def test_every_route_is_described_with_a_sentence_and_a_name_of_its_own() -> None:
    described = [
        (method.upper(), path, operation)
        for path, methods in API["paths"].items()
        for method, operation in methods.items()
    ]
    assert {(method, path) for method, path, _ in described} == {
        (route.method, route.path) for route in ROUTES
    }
    assert all(operation["summary"] for _, _, operation in described)
    names = [operation["operationId"] for _, _, operation in described]
    assert len(set(names)) == len(names)


def test_whatever_is_referred_to_is_there() -> None:
    schemas = API["components"]["schemas"]
    referred = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(API)))
    assert referred <= set(schemas)
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_answer_but_a_stream_is_an_object_of_a_known_shape() -> None:
    for path, methods in API["paths"].items():
        for operation in methods.values():
            [good] = [one for status, one in operation["responses"].items() if status < "400"]
            [media, *others] = good["content"]
            shown = good["content"][media]["schema"]
            assert media in ("text/csv", "text/html") or "$ref" in shown, path
            assert set(others) <= {"text/html"}, path


def test_each_post_says_that_it_takes_a_key() -> None:
    for path, methods in API["paths"].items():
        for method, operation in methods.items():
            keys = [one for one in operation["parameters"] if one["name"] == "Idempotency-Key"]
            assert bool(keys) == (method == "post"), path


def test_an_edit_tells_no_defaults_because_what_is_left_out_stays() -> None:
    fields = API["components"]["schemas"]["CampaignEdit"]["properties"]
    assert fields
    assert not any("default" in field for field in fields.values())


def test_the_page_names_every_path_and_every_model() -> None:
    for path in API["paths"]:
        assert f"/api/v1{path}" in PAGE
    for name in API["components"]["schemas"]:
        assert f'id="model-{name}"' in PAGE


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    assert not re.search(r"<script|<img|<link|@import|url\(|src=", PAGE)
    assert not re.search(r'href="(?!#|openapi\.json)', PAGE)
