"""docs/api.md against the API."""

import base64
import hashlib
import hmac
import json
import re
import time
from pathlib import Path
from typing import Any, get_args

import pytest
from standardwebhooks import WebhookVerificationError

from services.campaign.api.app import ROUTES
from services.campaign.domain import Status
from services.campaign.rules.flag import Number, provisioning
from shared.events import NoticeKind, NumberProvisioned
from shared.rules.webhook_keys import shown, webhook_key
from tests.campaign_desk import NOON

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
CAMPAIGN = ROOT / "services" / "campaign"

_ROW = re.compile(r"^\| `([A-Z]+) (/[^` ]*)` \| ([a-z, ]+) \|", re.MULTILINE)


def test_every_route_stands_in_the_docs_with_its_roles_and_nothing_else_does() -> None:
    told = [(method, path, frozenset(roles.split(", "))) for method, path, roles in
            _ROW.findall(TEXT)]  # fmt: skip
    assert len(told) == len(set(told))
    assert set(told) == {(route.method, route.path, route.roles) for route in ROUTES}


def test_every_status_of_a_text_is_explained() -> None:
    section = TEXT.split("## What became of a text")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([a-z ]+)` \|", section, re.MULTILINE)[1:] == list(get_args(Status))


def test_every_flag_is_explained_with_its_colour() -> None:
    for outcome in (None, "complete", "failed"):
        found = provisioning(NOON, Number(outcome=outcome), {})
        assert f"| `{found.status}` | {found.flag} | {found.colour} |" in TEXT


def test_the_docs_name_no_host_but_this_one_and_examples() -> None:
    hosts = set(re.findall(r"https?://([^/:\s`]+)", TEXT))
    assert hosts <= {"127.0.0.1", "example.org"}


def test_every_act_of_the_audit_trail_is_named() -> None:
    section = TEXT.split("\nThe acts: ")[1].split("\n\n")[0]
    told = re.findall(r"`([a-z ]+)`", " ".join(section.split()))
    assert len(told) == len(set(told))
    source = "".join(path.read_text(encoding="utf-8") for path in CAMPAIGN.rglob("*.py"))
    assert [act for act in told if f'"{act}"' not in source] == []
    noted = set(re.findall(r'(?:audit\.add|_note_stage)\(\s*tx, [^"(){}]*?"([a-z ]+)"', source))
    assert len(noted) > 15
    assert noted - set(told) == set()


def test_every_notice_is_explained() -> None:
    section = TEXT.split("\n## Notices and webhooks")[1].split("\n**E-mail.**")[0]
    rows = "".join(re.findall(r"^\| (`[a-z ]+`.*?) \|", section, re.MULTILINE))
    assert re.findall(r"`([a-z ]+)`", rows) == list(get_args(NoticeKind))


def test_the_example_that_verifies_a_webhook_takes_ours_and_nobody_elses() -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(example, names)
    key, body = webhook_key(b"the platform's own", "acme", 1), b'{"type": "WindowAtRisk"}'
    id_and_time = f"n1.{int(time.time())}"
    signature = hmac.digest(key, id_and_time.encode() + b"." + body, hashlib.sha256)
    headers = {
        "Webhook-Id": "n1",
        "Webhook-Timestamp": id_and_time.partition(".")[2],
        "Webhook-Signature": f"v1,{base64.b64encode(signature).decode()}",
    }
    assert names["notice"](shown(key), headers, body) == {"type": "WindowAtRisk"}
    others = shown(webhook_key(b"the platform's own", "zenith", 1))
    for secret, said in ((others, body), (shown(key), body + b" ")):
        with pytest.raises(WebhookVerificationError):
            names["notice"](secret, headers, said)


def test_the_post_that_is_shown_has_all_that_its_event_holds() -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    post = json.loads(example)
    event = NumberProvisioned.model_validate(post["data"])
    assert (set(post), post["type"]) == ({"type", "timestamp", "data"}, "NumberProvisioned")
    assert set(post["data"]) == set(NumberProvisioned.model_fields)
    assert event.outcome == "failed"
