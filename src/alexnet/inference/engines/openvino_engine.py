"""Runs an exported model with OpenVINO, on the CPU."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from alexnet.errors import ArtifactError, one_line
from alexnet.images.decoding import Pixels
from alexnet.inference.engines import quiet
from alexnet.inference.engines.openvino_weights import weights_of
from alexnet.inference.engines.outputs import ByName, Numbers, finite
from alexnet.model.artifact import Artifact
from alexnet.model.onnx_file import Floats, OnnxFile
from alexnet.model.opening import OPENVINO_MODEL


class OpenVinoEngine(ByName):
    """Runs an ``.onnx`` file or a folder with OpenVINO's ``model.xml``. Several threads may use it, one at a time.

    Args:
        artifact: the exported model.
        n_threads: how many threads compute.

    Raises:
        ArtifactError: the file is damaged, or an output is not finite.
    """

    name = "openvino"

    def __init__(self, artifact: Artifact, n_threads: int) -> None:
        assert artifact.export is not None
        self._openvino = quiet.openvino()
        self._path = artifact.folder
        self._is_onnx = artifact.export.format == "onnx"
        self.title = f"OpenVINO {self._openvino.__version__.partition('-')[0]}, {artifact.export.precision}"
        self._settings = {
            "INFERENCE_NUM_THREADS": n_threads,
            "NUM_STREAMS": 1,
            # Threads that are bound to cores wait where other programs compute.
            "ENABLE_CPU_PINNING": False,
            # A CPU with bfloat16 would compute in it, and the third digit would depend on the CPU.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self._core = self._openvino.Core()
        self._requests: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._network = self._or_unusable(
            lambda: self._core.read_model(str(self._path if self._is_onnx else self._path / OPENVINO_MODEL))
        )
        self._request("logits")

    def weights(self) -> dict[str, Floats]:
        """Return the weights by their names in the state dict, in float32."""
        return OnnxFile(self._path).weights() if self._is_onnx else weights_of(self._network)

    def run(self, output: str, pixels: Pixels) -> Numbers:
        with self._lock:
            results = self._request(output).infer([np.ascontiguousarray(pixels)], share_inputs=True)
            return finite(np.array(results[0], np.float32), self._path)

    def _request(self, output: str) -> Any:
        """Return what computes an output: the network up to there, compiled when it is first asked for."""
        if output not in self._requests:
            results = [each for each in self._network.get_results() if output in each.output(0).get_names()]
            if not results:
                raise self._unusable(f"it has no output {output!r}")
            part = self._openvino.Model(results[:1], self._network.get_parameters(), output)
            compiled = self._or_unusable(lambda: self._core.compile_model(part, "CPU", self._settings))
            self._requests[output] = compiled.create_infer_request()
        return self._requests[output]

    def _or_unusable(self, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except (RuntimeError, ValueError) as error:  # its errors have no class of their own
            raise self._unusable(one_line(error)) from error

    def _unusable(self, reason: str) -> ArtifactError:
        return ArtifactError(f"OpenVINO cannot load {str(self._path)!r} ({reason}); copy or export it again")
