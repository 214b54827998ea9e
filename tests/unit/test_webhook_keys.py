"""The keys that sign organizations' webhooks: the same wherever they are derived."""

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from shared.rules.webhook_keys import shown, webhook_key

MASTER = b"a platform's own key, 32 characters"


def test_a_key_stays_what_it_is_from_release_to_release() -> None:
    # What organizations have put into their systems: were this another one, they would all refuse.
    assert shown(webhook_key(MASTER, "acme", 1)) == (
        "whsec_kxYj8zFAbc40IM6HiF/NDI5KgXjO4fuI1zUduZVOOKo="
    )


@pytest.mark.parametrize(
    ("master", "org_id", "version"),
    [
        (MASTER, "acme", 2),
        (MASTER, "acme2", 1),
        (MASTER, "acm", 1),
        (MASTER[:-1] + b"S", "acme", 1),
    ],
)
def test_another_organization_version_or_platform_has_another_key(
    master: bytes, org_id: str, version: int
) -> None:
    assert webhook_key(master, org_id, version) != webhook_key(MASTER, "acme", 1)


def test_version_and_organization_never_run_into_each_other() -> None:
    assert webhook_key(MASTER, "acme1", 1) != webhook_key(MASTER, "acme", 11)


def test_a_key_is_as_long_as_standard_webhooks_wants_it() -> None:
    assert 24 <= len(webhook_key(MASTER, "acme", 1)) <= 64


def test_what_is_shown_is_the_key_for_the_standards_own_library() -> None:
    ours = shown(webhook_key(MASTER, "acme", 1))
    assert base64.b64decode(ours.removeprefix("whsec_")) == webhook_key(MASTER, "acme", 1)
    theirs = Webhook(ours)
    now, body = datetime.now(UTC), '{"type": "number.provisioned"}'
    signed = {
        "webhook-id": "n1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": theirs.sign("n1", now, body),
    }
    theirs.verify(body, signed)
    with pytest.raises(WebhookVerificationError):
        Webhook(shown(webhook_key(MASTER, "acme", 2))).verify(body, signed)
