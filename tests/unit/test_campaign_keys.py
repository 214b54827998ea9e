"""Idempotency-Keys as they come: what nobody would mean is refused."""

import pytest
from aiohttp.test_utils import make_mocked_request

from services.campaign.api.calls import STRANGER
from services.campaign.api.repeats import HEADER, key_of
from services.campaign.domain import Caller
from shared.http import Problem

SUE = Caller("acme", "sue", "sender", "Sue", "sue@example.org")


@pytest.mark.parametrize(
    ("key", "who", "taken"),
    [
        (None, SUE, True),
        ("k", SUE, True),
        ("k" * 255, SUE, True),
        ("k" * 256, SUE, False),
        ("", SUE, False),
        ("a b", SUE, False),
        (None, STRANGER, True),
        ("k" * 31, STRANGER, False),
        ("k" * 32, STRANGER, True),
    ],
)
def test_a_key_is_taken_where_it_guards_enough(key: str | None, who: Caller, taken: bool) -> None:
    headers = {} if key is None else {HEADER: key}
    request = make_mocked_request("POST", "/", headers=headers)
    if taken:
        assert key_of(request, who) == key
        return
    with pytest.raises(Problem) as refused:
        key_of(request, who)
    assert (refused.value.status, refused.value.field) == (422, HEADER)
