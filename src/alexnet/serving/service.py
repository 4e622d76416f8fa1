"""What the paths do: from a request to its images, through the engine, to the response."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from alexnet.data.parallel import n_cores
from alexnet.errors import ImageError, nearest
from alexnet.explanation.result import ClassMap, Explanation
from alexnet.images.decoding import Pixels, decode
from alexnet.inference.classifier import Prediction
from alexnet.serving.batching import Batcher
from alexnet.serving.gate import json_response
from alexnet.serving.metrics import Metrics
from alexnet.serving.models import Served, default_of
from alexnet.serving.reading.images import Sent, hugging_face_input, images_of
from alexnet.serving.reading.intake import Intake
from alexnet.serving.reading.refusal import RequestError
from alexnet.serving.settings import ServerSettings
from alexnet.version import VERSION

T = TypeVar("T")
Result = dict[str, Any]


class Service:
    """The models with their engines, queues and limits.

    Args:
        models: the models by name; the first is the default.
        settings: the limits.

    Attributes:
        metrics: counts what is done.
    """

    def __init__(self, models: Mapping[str, Served], settings: ServerSettings) -> None:
        self._models = models
        self._settings = settings
        self._intake = Intake(settings)
        self.metrics = Metrics(lambda: self._intake.n_images)
        self._threads = ThreadPoolExecutor(n_cores(), thread_name_prefix="decode")
        self._batchers = {
            name: Batcher(
                served.classifier,
                self._threads,
                size=settings.batch_size,
                wait=settings.batch_ms / 1000,
                observe=partial(self._observe, name),
            )
            for name, served in models.items()
        }

    def _observe(self, name: str, n_images: int, seconds: float) -> None:
        self.metrics.count_batch(name, n_images, seconds)
        self._intake.seconds_each = seconds / n_images

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Compute for as long as the block takes."""
        tasks = [asyncio.create_task(batcher.run()) for batcher in self._batchers.values()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for batcher in self._batchers.values():
                batcher.close()
            self._threads.shutdown()

    def find(self, name: str | None) -> Served:
        """Return a model by its name; by default the first.

        Raises:
            RequestError: there is none of that name.
        """
        name = default_of(self._models) if name is None else name
        if name not in self._models:
            raise RequestError(404, f"there is no model {name[:100]!r}{nearest(name[:100], self._models)}")
        return self._models[name]

    def describe(self, name: str | None) -> dict[str, Any]:
        """Return what ``GET /model`` returns."""
        settings = self._settings
        limits = {
            "upload_bytes": settings.upload_bytes,
            "pixels": settings.max_pixels,
            "images": settings.max_images,
        }
        about = self.find(name).describe()
        return {**about, "limits": limits, "version": VERSION, "models": list(self._models)}

    async def predict(self, request: Request, name: str | None, top: int) -> Response:
        """Predict the classes of the images of a request."""
        served = self.find(name)
        results = await self._each(request, served, partial(self._predicted, served, top))
        return json_response({"model": served.name, "results": results})

    async def explain(self, request: Request, name: str | None, top: int) -> Response:
        """Explain what is predicted for the images of a request."""
        served = self.find(name)
        if served.explain is None:
            raise RequestError(404, f"Grad-CAM does not cover the model {served.name!r}; ask for its predictions")
        results = await self._each(request, served, partial(self._explained, served, served.explain, top))
        return json_response({"model": served.name, "results": results})

    async def hugging_face(self, request: Request, name: str | None) -> Response:
        """Predict the classes of the one image of a request, in the shape that Hugging Face returns."""
        served = self.find(name)
        async with self._intake.body_of(request) as body:
            image, top = await self._parsed(request, hugging_face_input, body)
            (result,) = await self._computed(request, served, [image], partial(self._predicted, served, top))
        ranked = [{"label": each["label"], "score": each["probability"]} for each in result["predictions"]]
        return json_response(ranked)

    async def _each(
        self, request: Request, served: Served, compute: Callable[[Sent], Awaitable[Result]]
    ) -> list[Result]:
        """Return the result of each image of a request."""
        async with self._intake.body_of(request) as body:
            images = await self._parsed(request, partial(images_of, most=self._settings.max_images), body)
            with self._intake.images(len(images) - 1):
                return await self._computed(request, served, images, compute)

    async def _parsed(self, request: Request, parse: Callable[[bytes, str], T], body: bytes) -> T:
        """Return what a request holds; JSON and forms, which may be large, are parsed in a thread."""
        kind = request.headers.get("content-type", "")
        if kind.lower().startswith(("application/json", "multipart/")):
            return await asyncio.get_running_loop().run_in_executor(self._threads, parse, body, kind)
        return parse(body, kind)

    async def _computed(
        self, request: Request, served: Served, images: list[Sent], compute: Callable[[Sent], Awaitable[Result]]
    ) -> list[Result]:
        """Return the result of each image. One of several that cannot be read has an error and stops no other.

        Raises:
            RequestError: the only image cannot be read.
        """
        request.state.facts.model, request.state.facts.n_images = served.name, len(images)

        async def computed(image: Sent) -> Result | ImageError:
            try:
                return await compute(image)
            except ImageError as error:
                return error

        if len(images) == 1:
            found = [await computed(images[0])]
        else:
            async with asyncio.TaskGroup() as group:  # if the engine fails for one, the others end too
                tasks = [group.create_task(computed(image)) for image in images]
            found = [task.result() for task in tasks]
        errors = [each for each in found if isinstance(each, ImageError)]
        self.metrics.count_images(served.name, len(images) - len(errors), len(errors))
        if errors and len(images) == 1:
            raise RequestError(422, f"cannot read {errors[0].where}: {errors[0].reason}")
        return [{"name": each.where, "error": each.reason} if isinstance(each, ImageError) else each for each in found]

    async def _predicted(self, served: Served, top: int, image: Sent) -> Result:
        if isinstance(image.content, ImageError):
            raise image.content
        top = min(top, len(served.classifier.classes))
        predictions = await self._batchers[served.name].predict(image.content, image.name, top)
        return {"name": image.name, "predictions": _to_json(predictions)}

    async def _explained(
        self, served: Served, explain: Callable[[Pixels], Explanation], top: int, image: Sent
    ) -> Result:
        if isinstance(image.content, ImageError):
            raise image.content
        decoded = partial(
            decode,
            image.content,
            min_side=served.classifier.artifact.preprocessing.store_size,
            max_pixels=served.classifier.max_pixels,
            where=image.name,
        )
        explanation = await self._batchers[served.name].compute(decoded, explain)
        maps = [_map_to_json(each) for each in explanation.maps]
        return {"name": image.name, "predictions": _to_json(explanation.predictions[:top]), "maps": maps}


def _to_json(predictions: tuple[Prediction, ...]) -> list[dict[str, Any]]:
    return [{"label": each.label, "probability": each.probability} for each in predictions]


def _map_to_json(shown: ClassMap) -> dict[str, Any]:
    return {**shown.to_json(), "field": asdict(shown.field)}
