"""Dashboard, alert rules and the operators' page name only metrics that some service has."""

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import services
import shared
from services.campaign.store.scope import API_ROLE
from services.collider.gauges import BUCKETS

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/observability/grafana.json").read_text(encoding="utf-8"))
ALERTS = yaml.safe_load((ROOT / "deploy/observability/alerts.yml").read_text(encoding="utf-8"))
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")

NAME = re.compile(r"\bsluice_[a-z_]+")
# A name with its matchers, and what is grouped or joined by.
MATCHERS = re.compile(r"\b(sluice_[a-z_]+)\{([^}]*)\}")


@pytest.fixture(scope="module")
def metrics() -> dict[str, tuple[str, ...]]:
    """Every sample's name that the services can expose, with its own labels."""
    for package in (shared, services):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found: dict[str, tuple[str, ...]] = {}
    for collector, names in REGISTRY._collector_to_names.items():
        found |= dict.fromkeys(names, tuple(getattr(collector, "_labelnames", ())))
    return found | {family.name: tuple(family._labelnames) for family in BUCKETS.describe()}


def rules() -> Iterator[dict[str, Any]]:
    for group in ALERTS["groups"]:
        yield from group["rules"]


def expressions() -> list[str]:
    shown = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    variables = [
        one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"
    ]
    return [*shown, *variables, *(rule["expr"] for rule in rules())]


def test_every_metric_of_dashboard_and_alerts_exists(metrics: dict[str, tuple[str, ...]]) -> None:
    named = {name for expression in expressions() for name in NAME.findall(expression)}
    assert len(named) > 20
    assert named <= metrics.keys()


def test_every_label_that_is_matched_exists(metrics: dict[str, tuple[str, ...]]) -> None:
    for expression in expressions():
        for name, matchers in MATCHERS.findall(expression):
            labels = set(re.findall(r"(\w+)\s*[=!]~?", matchers))
            assert labels <= {*metrics[name], "job", "instance"}, expression


def test_every_metric_is_explained_to_operators(metrics: dict[str, tuple[str, ...]]) -> None:
    ours = {
        re.sub(r"_(bucket|sum|count|created)$", "", name)
        for name in metrics
        if name.startswith("sluice_")
    }
    # prometheus_client knows a counter also by its name without _total.
    ours = {name for name in ours if f"{name}_total" not in metrics}
    assert ours <= set(NAME.findall(OPERATIONS))


def test_the_operators_page_names_no_metric_that_is_gone(
    metrics: dict[str, tuple[str, ...]],
) -> None:
    assert set(NAME.findall(OPERATIONS)) - {API_ROLE} <= metrics.keys()


def test_every_alert_says_what_is_wrong_and_the_operators_page_what_to_do() -> None:
    alerts = [rule["alert"] for rule in rules()]
    assert len(set(alerts)) == len(alerts) >= 10
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        assert f"`{rule['alert']}`" in OPERATIONS


@pytest.mark.parametrize("expression", expressions())
def test_an_expressions_brackets_are_closed(expression: str) -> None:
    waiting: list[str] = []
    for sign in re.sub(r'"[^"]*"', "", expression):
        if sign in "([{":
            waiting.append(sign)
        elif sign in ")]}":
            assert waiting
            assert waiting.pop() + sign in ("()", "[]", "{}")
    assert not waiting


def test_the_dashboards_panels_stand_apart_and_have_something_to_show() -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        fields = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not fields & taken
        assert max(x for x, _ in fields) < 24
        taken |= fields
        assert panel["type"] == "row" or panel["targets"]


def test_the_dashboard_can_be_turned_to_a_source_an_organization_and_a_carrier() -> None:
    variables = {one["name"]: one["type"] for one in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource": "datasource", "org_id": "query", "carrier": "query"}
    sources = {
        target["datasource"]["uid"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
    }
    assert sources == {"${datasource}"}
