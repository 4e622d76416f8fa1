"""Dynamic batching: images that arrive at about the same time are computed together.

An image is decoded in a thread before it joins the queue, so one that cannot be read fails alone. Each model has one
thread for its engine. While the engine computes a batch, the next one fills. An idle engine waits only for images that
have arrived and are not decoded yet, and only for a few milliseconds: a single client never waits for others.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

from alexnet.images.decoding import Pixels
from alexnet.inference.classifier import Prediction

T = TypeVar("T")
# So many batches of decoded images wait at most; the other images wait as they came, which takes less memory.
N_BATCHES_DECODED = 4


class Computes(Protocol):
    """The part of a ``Classifier`` that batching needs."""

    def decode(self, content: bytes, where: str) -> tuple[Pixels, ...]:
        """Return an image as each member of the classifier takes it."""
        ...

    def predict_decoded(self, batch: Sequence[tuple[Pixels, ...]], top: int) -> list[tuple[Prediction, ...]]:
        """Return the most probable classes of each image."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A decoded image, and where its predictions go."""

    pixels: tuple[Pixels, ...]
    top: int
    done: "asyncio.Future[tuple[Prediction, ...]]"


class Batcher:
    """Computes the predictions of one model in batches. It belongs to one event loop; its threads only compute.

    Args:
        classifier: the model.
        decoders: the threads that decode.
        size: most images in a batch.
        wait: seconds that a batch waits for images that are being decoded.
        observe: is given the size of each batch, and the seconds that the engine took.
    """

    def __init__(
        self,
        classifier: Computes,
        decoders: Executor,
        *,
        size: int,
        wait: float,
        observe: Callable[[int, float], None],
    ) -> None:
        self._classifier = classifier
        self._decoders = decoders
        self._size = size
        self._wait = wait
        self._observe = observe
        self._engine = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._room = asyncio.Semaphore(N_BATCHES_DECODED * size)
        self._waiting: deque[_Waiting] = deque()
        self._n_decoding = 0
        self._changed = asyncio.Event()

    async def predict(self, content: bytes, where: str, top: int) -> tuple[Prediction, ...]:
        """Return the most probable classes of an image.

        Args:
            content: the bytes of its file.
            where: its name in errors.
            top: how many classes at most.

        Raises:
            ImageError: it cannot be read.
        """
        loop = asyncio.get_running_loop()
        async with self._room:
            self._n_decoding += 1
            try:
                pixels = await loop.run_in_executor(self._decoders, self._classifier.decode, content, where)
            finally:
                self._n_decoding -= 1
                self._changed.set()
            image = _Waiting(pixels, top, loop.create_future())
            self._waiting.append(image)
            return await image.done

    async def compute(self, decode: Callable[[], Pixels], work: Callable[[Pixels], T]) -> T:
        """Return what is computed of one decoded image, in the engine's thread and between two batches."""
        loop = asyncio.get_running_loop()
        async with self._room:
            pixels = await loop.run_in_executor(self._decoders, decode)
            return await loop.run_in_executor(self._engine, work, pixels)

    async def run(self) -> None:
        """Compute batches until this task is cancelled."""
        while True:
            batch = await self._next_batch()
            try:
                predictions = await self._computed(batch)
            except Exception as error:
                for image in batch:
                    if not image.done.done():
                        image.done.set_exception(error)
            else:
                for image, each in zip(batch, predictions, strict=True):
                    if not image.done.done():
                        image.done.set_result(each[: image.top])

    def close(self) -> None:
        """End the engine's thread, once it has computed what it was given."""
        self._engine.shutdown()

    async def _computed(self, batch: list[_Waiting]) -> list[tuple[Prediction, ...]]:
        began = time.perf_counter()
        pixels, top = [image.pixels for image in batch], max(image.top for image in batch)
        loop = asyncio.get_running_loop()
        predictions = await loop.run_in_executor(self._engine, self._classifier.predict_decoded, pixels, top)
        self._observe(len(batch), time.perf_counter() - began)
        return predictions

    async def _next_batch(self) -> list[_Waiting]:
        """Return the images that have waited longest, at least one; those that nobody waits for are left out."""
        while True:
            while not self._waiting:
                await self._change()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._wait):
                    while self._n_decoding and len(self._waiting) < self._size:
                        await self._change()
            batch: list[_Waiting] = []
            while self._waiting and len(batch) < self._size:
                image = self._waiting.popleft()
                if not image.done.done():  # a request that took too long has cancelled its images
                    batch.append(image)
            if batch:
                return batch

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
