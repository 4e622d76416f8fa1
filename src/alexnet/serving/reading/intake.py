"""Limits how much the server takes on at a time: images, large requests, and seconds."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from starlette.requests import Request

from alexnet.serving.reading.refusal import RequestError
from alexnet.serving.settings import ServerSettings

# A larger request takes one of a few places, so that many slow uploads cannot fill the memory.
SMALL = 1 << 20
N_LARGE = 16
# A large request waits for one of these places for so long.
PLACE_SECONDS = 10.0
MOST_RETRY_SECONDS = 60


class Intake:
    """What the server has taken on.

    Args:
        settings: the limits.

    Attributes:
        n_images: how many images wait or are being computed.
        seconds_each: how long the engine takes for an image; whoever knows it sets it.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.n_images = 0
        self.seconds_each = 0.0
        self._settings = settings
        self._large = asyncio.Semaphore(N_LARGE)

    @asynccontextmanager
    async def body_of(self, request: Request) -> AsyncIterator[bytes]:
        """Take on a request of at least one image, and yield its body. The time limit includes the block.

        Raises:
            RequestError: the queue is full, the body is too large, or the request takes too long.
        """
        limit, arrived = self._settings.timeout, False
        try:
            with self.images(1):
                async with asyncio.timeout(limit), AsyncExitStack() as places:
                    body = await self._read(request, places)
                    arrived = True
                    yield body
        except TimeoutError:
            status, what = (504, "to compute") if arrived else (408, "to arrive")
            raise RequestError(status, f"the request took too long {what}; --timeout allows {limit} s") from None

    @contextmanager
    def images(self, n: int) -> Iterator[None]:
        """Take on ``n`` images for as long as the block takes.

        Raises:
            RequestError: the queue is full.
        """
        if self.n_images + n > self._settings.queue:
            raise RequestError(
                503,
                f"the queue is full: {self.n_images} images wait, and --queue allows {self._settings.queue}; "
                "try again later",
                max(1, min(round(self.n_images * self.seconds_each), MOST_RETRY_SECONDS)),
            )
        self.n_images += n
        try:
            yield
        finally:
            self.n_images -= n

    async def _read(self, request: Request, places: AsyncExitStack) -> bytes:
        """Return the body. A large one takes a place, which it keeps until ``places`` ends."""
        most = self._settings.upload_bytes
        too_large = RequestError(413, f"the request is larger than {most:,} bytes; --upload-mb allows no more")
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and (len(declared) > len(str(most)) or int(declared) > most):
            raise too_large
        chunks, n_bytes = [], 0
        async for chunk in request.stream():
            if n_bytes <= SMALL < n_bytes + len(chunk):
                await self._take_place(places)
            chunks.append(chunk)
            n_bytes += len(chunk)
            if n_bytes > most:
                raise too_large
        return b"".join(chunks)

    async def _take_place(self, places: AsyncExitStack) -> None:
        """Wait for one of the places of large requests. That there is none is not the client's fault."""
        seconds = min(PLACE_SECONDS, self._settings.timeout / 2)
        try:
            async with asyncio.timeout(seconds):
                await places.enter_async_context(self._large)
        except TimeoutError:
            sentence = f"{N_LARGE} other requests of more than 1 MB are being read; try again later"
            raise RequestError(503, sentence, max(1, round(seconds))) from None
