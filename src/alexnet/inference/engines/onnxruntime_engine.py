"""Runs an exported ``.onnx`` file with ONNX Runtime, on the CPU."""

import numpy as np

from alexnet.errors import ArtifactError, one_line
from alexnet.images.decoding import Pixels
from alexnet.inference.engines import quiet
from alexnet.inference.engines.outputs import OUTPUTS, ByName, Numbers, finite
from alexnet.model.artifact import Artifact
from alexnet.model.onnx_file import Floats, OnnxFile

# Only errors: it warns of what is fine.
_ERRORS = 3


class OnnxRuntimeEngine(ByName):
    """Runs an exported ``.onnx`` file. Several threads may use it.

    Args:
        artifact: the exported model.
        n_threads: how many threads compute. They sleep while they wait: those that spin take processor time from
            decoding, and twice the time where other programs run.

    Raises:
        ArtifactError: the file is damaged, or an output is not finite.
    """

    name = "onnxruntime"

    def __init__(self, artifact: Artifact, n_threads: int) -> None:
        assert artifact.export is not None
        runtime = quiet.onnxruntime()
        self._path = artifact.folder
        self.title = f"ONNX Runtime {runtime.__version__}, {artifact.export.precision}"
        options = runtime.SessionOptions()
        options.intra_op_num_threads = n_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if artifact.export.precision != "int8":
            # It would copy the weights, packed for products of matrices: 0.37 s of processor time and 150 MB for the
            # default network. That gains nothing for one image, and 3 to 9% for 64.
            options.add_session_config_entry("session.disable_prepacking", "1")
        # What nobody asked for is not computed: the embeddings and maps of a batch may be large.
        self._only_asked = runtime.RunOptions()
        self._only_asked.only_execute_path_to_fetches = True
        try:
            # Without the fallback, which prints to stdout.
            self._session = runtime.InferenceSession(
                str(self._path), options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:  # each kind of fault has a class of its own, and they have nothing in common
            raise self._unusable(one_line(error)) from error
        if missing := set(OUTPUTS) - {each.name for each in self._session.get_outputs()}:
            raise self._unusable(f"it has no output {min(missing)!r}")

    def weights(self) -> dict[str, Floats]:
        """Return the weights by their names in the state dict, in float32."""
        return OnnxFile(self._path).weights()

    def run(self, output: str, pixels: Pixels) -> Numbers:
        (numbers,) = self._session.run([output], {"images": pixels}, self._only_asked)
        return finite(np.asarray(numbers), self._path)

    def _unusable(self, reason: str) -> ArtifactError:
        return ArtifactError(f"ONNX Runtime cannot load {str(self._path)!r} ({reason}); copy or export it again")
