import asyncio

import pytest
from starlette.requests import ClientDisconnect, Request

from alexnet.serving.reading import intake
from alexnet.serving.reading.intake import Intake
from alexnet.serving.reading.refusal import RequestError
from alexnet.serving.settings import ServerSettings


def request_of(*chunks: bytes, length: int | str | None = None, seconds: float = 0.0, ends: bool = True) -> Request:
    """Return a request whose chunks arrive after some seconds each. Where it does not end, its client leaves."""
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    messages = [{"type": "http.request", "body": each, "more_body": True} for each in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False} if ends else {"type": "http.disconnect"})

    async def receive():
        await asyncio.sleep(seconds)
        return messages.pop(0)

    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


async def read(limits: Intake, request: Request) -> bytes:
    async with limits.body_of(request) as body:
        return body


def refused(settings: ServerSettings, request: Request) -> RequestError:
    limits = Intake(settings)
    with pytest.raises(RequestError) as caught:
        asyncio.run(read(limits, request))
    assert limits.n_images == 0
    return caught.value


def test_a_body_in_pieces_is_read_whole() -> None:
    limits = Intake(ServerSettings())
    assert asyncio.run(read(limits, request_of(b"ab", b"", b"c"))) == b"abc"
    assert limits.n_images == 0


def test_a_request_that_says_that_it_is_too_large_is_not_read() -> None:
    settings = ServerSettings(upload_mb=1)
    for length in (1_000_001, "9" * 5000):
        request = request_of(b"a", length=length)
        error = refused(settings, request)
        assert (error.status, "--upload-mb" in str(error)) == (413, True)
        assert asyncio.run(request.body()) == b"a", "nothing was read"
    assert asyncio.run(read(Intake(settings), request_of(b"a" * 1_000_000, length=1_000_000))) == b"a" * 1_000_000


def test_a_request_that_does_not_say_how_large_it_is_is_read_up_to_the_limit() -> None:
    request = request_of(*[b"a" * 300_000] * 10)
    assert refused(ServerSettings(upload_mb=1), request).status == 413
    assert asyncio.run(request._receive())["body"], "the rest was not read"


def test_a_full_queue_refuses_at_once_and_says_when_to_try_again() -> None:
    limits = Intake(ServerSettings(queue=64))
    for seconds_each, retry_after in [(0.001, 1), (0.1, 6), (10.0, 60)]:
        limits.seconds_each = seconds_each
        with limits.images(64), pytest.raises(RequestError, match="--queue") as caught:
            asyncio.run(read(limits, request_of(b"a", seconds=60)))
        assert (caught.value.status, caught.value.retry_after) == (503, retry_after)
    assert asyncio.run(read(limits, request_of(b"a"))) == b"a"


def test_a_request_for_more_images_than_have_room_is_refused_and_changes_nothing() -> None:
    limits = Intake(ServerSettings(queue=64))
    with limits.images(60):
        with pytest.raises(RequestError), limits.images(5):
            pass
        assert limits.n_images == 60


@pytest.mark.parametrize(("arrives", "status"), [(False, 408), (True, 504)])
def test_a_request_that_takes_too_long_is_refused(arrives, status) -> None:
    settings = ServerSettings(timeout=1)

    async def main() -> None:
        limits = Intake(settings)
        request = request_of(b"a", seconds=0.0 if arrives else 30.0)
        with pytest.raises(RequestError, match="--timeout") as caught:
            async with limits.body_of(request):
                await asyncio.sleep(30)
        assert caught.value.status == status
        assert limits.n_images == 0

    asyncio.run(main())


def test_a_large_request_that_finds_no_place_may_come_again(monkeypatch) -> None:
    monkeypatch.setattr(intake, "N_LARGE", 1)
    monkeypatch.setattr(intake, "PLACE_SECONDS", 0.05)
    large = b"a" * (intake.SMALL + 1)

    async def main() -> None:
        limits = Intake(ServerSettings())
        async with limits.body_of(request_of(large)):
            with pytest.raises(RequestError, match="other requests") as caught:
                await read(limits, request_of(large))
        assert (caught.value.status, caught.value.retry_after) == (503, 1)
        assert await read(limits, request_of(large)) == large

    asyncio.run(main())


def test_a_client_that_leaves_gives_its_place_back() -> None:
    limits = Intake(ServerSettings())
    with pytest.raises(ClientDisconnect):
        asyncio.run(read(limits, request_of(b"a", ends=False)))
    assert limits.n_images == 0


def test_only_a_few_large_requests_are_read_at_a_time(monkeypatch) -> None:
    monkeypatch.setattr(intake, "N_LARGE", 2)
    large = b"a" * (intake.SMALL + 1)

    async def main() -> None:
        limits, n_read, may_end = Intake(ServerSettings()), 0, asyncio.Event()

        async def one(*chunks: bytes) -> None:
            nonlocal n_read
            async with limits.body_of(request_of(*chunks)):
                n_read += 1
                await may_end.wait()

        tasks = [asyncio.create_task(one(large, b"b")) for _ in range(5)]
        await asyncio.sleep(0.05)
        assert n_read == 2
        tasks.append(asyncio.create_task(one(b"small")))
        await asyncio.sleep(0.05)
        assert n_read == 3, "a small request waits for no large one"
        may_end.set()
        await asyncio.gather(*tasks)
        assert n_read == 6

    asyncio.run(main())
