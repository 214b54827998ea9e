"""Posts: notices as signed webhooks, and what follows of an answer. Pure.

By Standard Webhooks 1.0.0. Unlike texts and e-mails, a post whose answer was lost is made again:
its `webhook-id` stays the same, so that receivers know it and repeats do no harm, and receivers
count on getting everything at least once. Posts come in any order; `timestamp` orders them.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.notifier.domain import NEWS_FOR_S, Delivery, Kind, Notice, overtaken, settled
from shared.events import WebhookState, instant
from shared.fields import NAME_MOST
from shared.rules.webhook_keys import webhook_key

# As the specification's example: at once, after seconds, minutes, hours, then every few hours.
RETRY_S = 5.0
RETRY_GROWTH = 4
RETRY_MOST_S = 6 * 3_600.0
# How long receivers may take to learn a new secret.
OLD_SECRET_FOR = timedelta(hours=24)
GONE = 410

EVENTS: dict[Kind, str] = {
    "provisioning complete": "NumberProvisioned",
    "provisioning failed": "NumberProvisioned",
    "window at risk": "WindowAtRisk",
    "campaign held": "CampaignHeld",
    "daily digest": "DeliverabilityReported",
}


@dataclass(frozen=True, slots=True)
class Reception:
    """How posts to an organization fare by its settings as they are. `revision` counts what was
    told of that."""

    state: WebhookState
    reason: str | None
    since: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where an organization has its notices posted to: its settings, whole."""

    version: int
    kinds: frozenset[str]
    url: str | None
    secret_version: int
    rotated_at: datetime | None
    reception: Reception | None
    """None: nothing was posted yet."""

    @property
    def is_stopped(self) -> bool:
        """It wants no more, as it has said."""
        return self.reception is not None and self.reception.state == "stopped"


@dataclass(frozen=True, slots=True)
class Post:
    """A delivery that is due, and the settings by which it goes."""

    delivery: Delivery
    receiver: Receiver


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered."""

    status: int
    words: str = ""
    again_s: float = 0.0
    """How long it asks not to be asked again."""

    @property
    def is_taken(self) -> bool:
        """The receiver has what was posted."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """None came, or nobody was asked."""

    reason: str


def body(notice: Notice) -> bytes:
    """The same at every try."""
    said = {
        "type": EVENTS[notice.kind],
        "timestamp": instant(notice.created_at),
        "data": notice.facts,
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def signed(notice_id: str, at: datetime, content: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The headers by which a receiver knows who posts, and whether it has had this before."""
    timestamp = str(int(at.timestamp()))
    text = b".".join((notice_id.encode(), timestamp.encode(), content))
    signatures = (hmac.digest(key, text, hashlib.sha256) for key in keys)
    return {
        "webhook-id": notice_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(
            f"v1,{base64.b64encode(signature).decode()}" for signature in signatures
        ),
    }


def keys(master: bytes, org_id: str, receiver: Receiver, now: datetime) -> list[bytes]:
    """What to sign with: the organization's key, and for a while after a rotation the one before
    as well."""
    newest = receiver.secret_version
    rotated_at = receiver.rotated_at
    versions = [newest]
    if newest > 1 and rotated_at is not None and now - rotated_at < OLD_SECRET_FOR:
        versions.append(newest - 1)
    return [webhook_key(master, org_id, version) for version in versions]


def withheld(post: Post, now: datetime) -> Delivery | None:
    """How a delivery that is due ends without another try, if it does."""
    notice, receiver = post.delivery.notice, post.receiver
    if receiver.url is None:
        return settled(post.delivery, "unwanted", "no address is set any more", now)
    if notice.kind not in receiver.kinds:
        return settled(post.delivery, "unwanted", "notices of this kind are not chosen", now)
    if receiver.is_stopped:
        words = "the receiver wants no more, until the settings change"
        return settled(post.delivery, "refused", words, now)
    if now - notice.created_at > timedelta(seconds=NEWS_FOR_S):
        words = post.delivery.error or "it waited until it was no news any more"
        return settled(post.delivery, "expired", words, now)
    why = overtaken(post.delivery)
    return None if why is None else settled(post.delivery, "overtaken", why, now)


def after(
    post: Post, answer: Answer | NoAnswer, now: datetime, luck: float, *, is_current: bool
) -> Delivery:
    """A delivery after a try; `luck` from [0, 1) keeps many from trying again at once.

    `is_current`: the settings are still those it was posted by; else they have changed meanwhile,
    and what did not arrive is due at once.
    """
    delivery = post.delivery
    words = answer.reason if isinstance(answer, NoAnswer) else _words(answer)
    if isinstance(answer, Answer) and answer.is_taken:
        return settled(delivery, "sent", words, now)
    if not is_current:
        return _again(delivery, words, now, now)
    if isinstance(answer, Answer) and answer.status == GONE:
        return settled(delivery, "refused", words, now)
    delay_s = min(RETRY_MOST_S, RETRY_S * RETRY_GROWTH ** min(delivery.tries, 16))
    delay_s *= 0.5 + luck / 2
    if isinstance(answer, Answer):
        delay_s = max(delay_s, min(RETRY_MOST_S, answer.again_s))
    return _again(delivery, words, now, now + timedelta(seconds=delay_s))


def received(was: Reception | None, answer: Answer | NoAnswer, now: datetime) -> Reception:
    """How posts fare after a try by the settings that are current; `was` itself where that is no
    news. What is stopped stays so: answers of posts that were under way come late."""
    if was is not None and was.state == "stopped":
        return was
    state, reason = _fares(answer)
    if was is None:
        return Reception(state, reason, now, revision=1)
    if (state, reason) == (was.state, was.reason):
        return was
    since = was.since if state == was.state else now
    return Reception(state, reason, since, was.revision + 1)


def _fares(answer: Answer | NoAnswer) -> tuple[WebhookState, str | None]:
    """Without the receiver's own words, which would be news at each try."""
    if isinstance(answer, NoAnswer):
        return "failing", answer.reason[:NAME_MOST]
    if answer.is_taken:
        return "working", None
    return "stopped" if answer.status == GONE else "failing", f"answered {answer.status}"


def _again(delivery: Delivery, words: str, now: datetime, due_at: datetime) -> Delivery:
    too_late = due_at - delivery.notice.created_at > timedelta(seconds=NEWS_FOR_S)
    return replace(
        delivery,
        state="expired" if too_late else "due",
        state_since=now,
        tries=delivery.tries + 1,
        error=words[:500],
        due_at=None if too_late else due_at,
    )


def _words(answer: Answer) -> str:
    return f"answered {answer.status}{': ' if answer.words else ''}{answer.words}"
