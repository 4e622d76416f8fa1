import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from alexnet.errors import ImageError
from alexnet.serving.batching import N_BATCHES_DECODED, Batcher

from .fake import FakeClassifier, image_file

RED, BLUE, WIDE = image_file("red"), image_file("blue"), image_file("green", size=(30, 10))


@asynccontextmanager
async def batching(classifier: FakeClassifier, size: int = 8, wait: float = 30.0) -> AsyncIterator[Batcher]:
    """A batcher that computes. By default, it waits longer for images than any test lasts."""
    with ThreadPoolExecutor(2) as threads:
        batcher = Batcher(classifier, threads, size=size, wait=wait, observe=lambda n_images, seconds: None)
        task = asyncio.create_task(batcher.run())
        try:
            yield batcher
        finally:
            classifier.may_compute.set()
            classifier.may_decode.set()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            batcher.close()


async def until(condition) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)


def predict(batcher: Batcher, content: bytes = RED, top: int = 5) -> asyncio.Task:
    return asyncio.create_task(batcher.predict(content, "a.png", top))


def test_images_that_arrive_while_the_engine_computes_are_computed_together() -> None:
    async def main() -> None:
        classifier = FakeClassifier()
        classifier.may_compute.clear()
        async with batching(classifier) as batcher:
            first = predict(batcher)
            await until(lambda: classifier.n_begun == 1)
            others = [predict(batcher, BLUE) for _ in range(5)]
            await until(lambda: len(batcher._waiting) == 5)
            classifier.may_compute.set()
            assert (await first)[0].label == "red"
            assert {(await each)[0].label for each in others} == {"blue"}
        assert classifier.batches == [1, 5]

    asyncio.run(main())


def test_a_single_image_waits_for_no_other() -> None:
    async def main() -> None:
        async with batching(FakeClassifier()) as batcher:
            await asyncio.wait_for(batcher.predict(RED, "a.png", 5), 10)

    asyncio.run(main())


def test_a_batch_waits_for_an_image_that_is_being_decoded() -> None:
    async def main() -> None:
        classifier = FakeClassifier()
        classifier.may_decode.clear()
        async with batching(classifier) as batcher:
            both = [predict(batcher, WIDE), predict(batcher, RED)]
            await until(lambda: len(batcher._waiting) == 1)
            await asyncio.sleep(0.05)
            assert classifier.batches == []
            classifier.may_decode.set()
            await asyncio.gather(*both)
        assert classifier.batches == [2]

    asyncio.run(main())


def test_a_batch_does_not_wait_for_long() -> None:
    async def main() -> None:
        classifier = FakeClassifier()
        classifier.may_decode.clear()
        async with batching(classifier, wait=0.01) as batcher:
            late = predict(batcher, WIDE)
            assert (await predict(batcher, RED))[0].label == "red"
            classifier.may_decode.set()
            assert (await late)[0].label == "green"
        assert classifier.batches == [1, 1]

    asyncio.run(main())


def test_no_batch_is_larger_than_allowed_and_no_image_is_lost() -> None:
    async def main() -> None:
        classifier = FakeClassifier()
        n_images = 10 * N_BATCHES_DECODED * 3
        async with batching(classifier, size=3) as batcher:
            found = await asyncio.gather(*(predict(batcher, (RED, BLUE)[number % 2]) for number in range(n_images)))
        assert [each[0].label for each in found] == ["red", "blue"] * (n_images // 2)
        assert sum(classifier.batches) == n_images
        assert max(classifier.batches) <= 3

    asyncio.run(main())


def test_only_some_images_are_decoded_in_advance() -> None:
    async def main() -> None:
        classifier = FakeClassifier()
        classifier.may_compute.clear()
        async with batching(classifier, size=2) as batcher:
            tasks = [predict(batcher) for _ in range(50)]
            await until(lambda: len(batcher._waiting) >= (N_BATCHES_DECODED - 1) * 2)
            await asyncio.sleep(0.05)
            assert len(batcher._waiting) <= N_BATCHES_DECODED * 2
            classifier.may_compute.set()
            await asyncio.gather(*tasks)

    asyncio.run(main())


def test_each_image_gets_as_many_classes_as_it_asks_for() -> None:
    async def main() -> None:
        async with batching(FakeClassifier()) as batcher:
            found = await asyncio.gather(*(predict(batcher, top=top) for top in (1, 3, 2)))
        assert [len(each) for each in found] == [1, 3, 2]

    asyncio.run(main())


def test_an_image_that_cannot_be_read_fails_alone() -> None:
    async def main() -> None:
        async with batching(FakeClassifier()) as batcher:
            good, bad = predict(batcher), predict(batcher, b"%PDF-1.7")
            with pytest.raises(ImageError, match="a PDF"):
                await bad
            assert (await good)[0].label == "red"

    asyncio.run(main())


def test_what_nobody_waits_for_is_not_computed() -> None:
    async def main() -> None:
        classifier = FakeClassifier()
        classifier.may_compute.clear()
        async with batching(classifier) as batcher:
            first = predict(batcher)
            await until(lambda: classifier.n_begun == 1)
            left, kept = predict(batcher), predict(batcher)
            await until(lambda: len(batcher._waiting) == 2)
            left.cancel()
            await asyncio.sleep(0)
            classifier.may_compute.set()
            await asyncio.gather(first, kept)
        assert classifier.batches == [1, 1]

    asyncio.run(main())


def test_a_failing_engine_fails_its_batch_and_no_other() -> None:
    async def main() -> None:
        classifier = FakeClassifier()
        classifier.fails = True
        async with batching(classifier) as batcher:
            with pytest.raises(RuntimeError, match="secret"):
                await predict(batcher)
            classifier.fails = False
            assert (await predict(batcher))[0].label == "red"

    asyncio.run(main())


def test_what_is_computed_of_one_image_runs_between_two_batches() -> None:
    async def main() -> None:
        classifier = FakeClassifier()
        classifier.may_compute.clear()
        async with batching(classifier) as batcher:
            first = predict(batcher)
            await until(lambda: classifier.n_begun == 1)
            other = asyncio.create_task(batcher.compute(lambda: 20, lambda pixels: pixels + 1))
            await asyncio.sleep(0.05)
            assert not other.done()
            classifier.may_compute.set()
            assert await other == 21
            await first

    asyncio.run(main())
