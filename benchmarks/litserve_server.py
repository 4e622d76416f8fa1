"""A saved model behind LitServe, decoded and computed as ``alexnet serve`` does: see ``benchmarks.serving``.

    python -m benchmarks.litserve_server MODEL PORT [--engine auto]

Needs the package litserve. It takes images as files of a form, since it reads no request of plain bytes.
"""

import argparse
from typing import Any

import litserve  # type: ignore[import-not-found, unused-ignore]
from fastapi import Request

from alexnet.images.decoding import Pixels
from alexnet.inference.classifier import Prediction, load
from alexnet.inference.engines.engine import EngineName

BATCH_SIZE, BATCH_SECONDS = 32, 0.01


class Images(litserve.LitAPI):  # type: ignore[misc, unused-ignore]
    """Predicts the classes of images."""

    def __init__(self, model: str, engine: EngineName) -> None:
        super().__init__(max_batch_size=BATCH_SIZE, batch_timeout=BATCH_SECONDS)
        self._model, self._engine = model, engine

    def setup(self, device: str) -> None:
        self._classifier = load(self._model, engine=self._engine)

    def decode_request(self, request: Request) -> tuple[Pixels, ...]:
        return self._classifier.decode(request["image"].file.read(), "image")

    def batch(self, inputs: list[tuple[Pixels, ...]]) -> list[tuple[Pixels, ...]]:
        return inputs

    def predict(self, batch: list[tuple[Pixels, ...]]) -> list[tuple[Prediction, ...]]:
        return self._classifier.predict_decoded(batch, 5)

    def unbatch(self, output: list[tuple[Prediction, ...]]) -> list[tuple[Prediction, ...]]:
        return output

    def encode_response(self, output: tuple[Prediction, ...]) -> dict[str, Any]:
        predictions = [{"label": each.label, "probability": each.probability} for each in output]
        return {"results": [{"name": "image", "predictions": predictions}]}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("port", type=int)
    parser.add_argument("--engine", default="auto")
    given = parser.parse_args()
    server = litserve.LitServer(Images(given.model, given.engine), accelerator="cpu", timeout=60)
    server.run(host="127.0.0.1", port=given.port, generate_client_file=False, log_level="error")


if __name__ == "__main__":
    main()
