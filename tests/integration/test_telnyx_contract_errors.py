"""What is an error to the vendor's own SDK, and of which kind, is one to our adapters."""

import json
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
import telnyx as sdk
from pydantic import SecretStr
from telnyx import AsyncTelnyx

from services.collider.carriers import LookedUp, NotLookedUp
from services.collider.providers.telnyx import TelnyxLookUps
from services.provisioner.domain import Absent, NotTaken, Refused, Unclear
from services.provisioner.providers.telnyx import Telnyx
from tests.telnyx_recorder import NUMBER, Recorder, open_recorder

WORDS = {"errors": [{"code": "10007", "title": "No", "detail": "Not like this."}]}


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    async with open_recorder() as one:
        one.raw = json.dumps(WORDS).encode()
        yield one


async def theirs(url: str) -> sdk.APIError:
    """What the SDK raises when it asks after an order."""
    async with AsyncTelnyx(api_key="key", base_url=url, max_retries=0, timeout=0.5) as client:
        with pytest.raises(sdk.APIError) as raised:
            await client.number_orders.retrieve("po1")
    return raised.value


async def ours(url: str) -> object:
    """What our adapter answers to the same."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.5)) as session:
        return await Telnyx(session, url, SecretStr("key")).see_order("po1")


async def looked_up(url: str) -> object:
    async with TelnyxLookUps(url, "key", timeout_s=0.5) as look_ups:
        return await look_ups.look_up(NUMBER)


@pytest.mark.parametrize(
    ("status", "kind", "means", "look_up"),
    [
        (400, sdk.BadRequestError, Refused, LookedUp),
        # For the operator to mend, and no fault of what was asked.
        (401, sdk.AuthenticationError, NotTaken, NotLookedUp),
        (403, sdk.PermissionDeniedError, NotTaken, NotLookedUp),
        (404, sdk.NotFoundError, Absent, LookedUp),
        (409, sdk.ConflictError, Refused, LookedUp),
        (422, sdk.UnprocessableEntityError, Refused, LookedUp),
        (429, sdk.RateLimitError, NotTaken, NotLookedUp),
        # The SDK would ask again, for a purchase too: nobody knows whether the first one was done.
        (500, sdk.InternalServerError, Unclear, NotLookedUp),
        (502, sdk.InternalServerError, Unclear, NotLookedUp),
        (503, sdk.InternalServerError, Unclear, NotLookedUp),
        (504, sdk.InternalServerError, Unclear, NotLookedUp),
    ],
)
async def test_a_status_is_the_same_kind_of_error_to_both(
    recorder: Recorder,
    status: int,
    kind: type[sdk.APIStatusError],
    means: type,
    look_up: type,
) -> None:
    recorder.status = status
    raised, found = await theirs(recorder.url), await ours(recorder.url)
    assert type(raised) is kind
    assert raised.body == WORDS
    assert type(found) is means
    if isinstance(found, Refused | NotTaken | Unclear):
        assert found.reason == f"{status} 10007 Not like this."
    assert type(await looked_up(recorder.url)) is look_up


async def test_both_wait_for_as_long_as_the_provider_asks(recorder: Recorder) -> None:
    recorder.status, recorder.headers = 429, {"Retry-After": "7"}
    raised, found = await theirs(recorder.url), await ours(recorder.url)
    assert isinstance(raised, sdk.RateLimitError)
    assert raised.response.headers["retry-after"] == "7"
    assert isinstance(found, NotTaken)
    assert found.after_s == 7
    asked = await looked_up(recorder.url)
    assert isinstance(asked, NotLookedUp)
    assert asked.pause_s == 7


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"errors": "none"}'])
async def test_an_error_without_telnyxs_words_is_one_all_the_same(
    recorder: Recorder, body: bytes
) -> None:
    recorder.status, recorder.raw = 422, body
    assert isinstance(await theirs(recorder.url), sdk.UnprocessableEntityError)
    found = await ours(recorder.url)
    assert isinstance(found, Refused)
    assert found.reason == "422"


async def test_where_nobody_listens_nothing_was_taken() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v2"
        assert type(await theirs(url)) is sdk.APIConnectionError
        assert isinstance(await ours(url), NotTaken)


async def test_an_answer_that_does_not_come_in_time_leaves_it_unclear() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v2"
        assert type(await theirs(url)) is sdk.APITimeoutError
        assert isinstance(await ours(url), Unclear)
