"""The contacts' phones: whose customers they are, what they got, what they will answer."""

from __future__ import annotations

import hashlib

from services.sandbox.behaviour import Behaviour
from services.sandbox.domain import Carrier, carrier_of, iso
from services.sandbox.messages import Message


class Phones:
    """All phones there are; nothing is stored for one until something happens to it."""

    def __init__(self) -> None:
        self._ported: dict[str, Carrier] = {}
        self._undeliverable: dict[str, str] = {}
        self._got: dict[str, list[Message]] = {}
        self._answered: set[tuple[str, str]] = set()
        self._stopped: set[tuple[str, str]] = set()

    def carrier_of(self, phone: str) -> Carrier:
        return self._ported.get(phone) or carrier_of(phone)

    def port(self, phone: str, carrier: Carrier) -> None:
        """Put a phone with another carrier than its digits say."""
        self._ported[phone] = carrier

    def spoil(self, phone: str, code: str | None) -> None:
        """Let every text to a phone fail with a code (`40001`: a landline); None: heal it."""
        if code is None:
            self._undeliverable.pop(phone, None)
        else:
            self._undeliverable[phone] = code

    def why_undeliverable(self, phone: str) -> str | None:
        """The code that `spoil` set."""
        return self._undeliverable.get(phone)

    def heed(self, phone: str, number: str, word: str | None) -> None:
        """STOP blocks this number for this phone, START lifts that; anything else does nothing."""
        if word == "STOP":
            self._stopped.add((number, phone))
        elif word == "START":
            self._stopped.discard((number, phone))

    def has_stopped(self, phone: str, number: str) -> bool:
        return (number, phone) in self._stopped

    def get(self, message: Message, behaviour: Behaviour, seed: str) -> tuple[str, float] | None:
        """Receive a text; the answer to it and in how many seconds it comes, if one does.

        Whether a phone answers, with what and when is drawn from the seed and the phone alone, so
        it does not hang on the order of texts. It answers a number once.
        """
        request = message.request
        self._got.setdefault(request.phone, []).append(message)
        pair = (request.number, request.phone)
        if not behaviour.reply_texts or pair in self._answered:
            return None
        fate = hashlib.sha256(f"{seed}|{request.phone}".encode()).digest()
        if _share(fate[:4]) >= behaviour.reply_share:
            return None
        self._answered.add(pair)
        text = behaviour.reply_texts[int.from_bytes(fate[4:8]) % len(behaviour.reply_texts)]
        delay = behaviour.reply_delay_s
        return text, delay.min + (delay.max - delay.min) * _share(fate[8:12])

    def texts_of(self, phone: str) -> list[dict[str, object]]:
        """What a phone has got, oldest first, as JSON."""
        return [
            {
                "from": message.request.number,
                "text": message.request.text,
                "media_urls": list(message.request.media_urls),
                "provider_id": message.id,
                "arrived_at": iso(message.completed_at),
            }
            for message in self._got.get(phone, [])
        ]


def _share(four_bytes: bytes) -> float:
    return int.from_bytes(four_bytes) / 2**32
