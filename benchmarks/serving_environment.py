"""Measure how large an environment for serving is, and list what a prediction in it writes and looks up.

    python -m benchmarks.serving_environment model.onnx image.jpg

A virtual environment without pip gets the wheel of ``alexnet-runtime`` with the extra ``serve``, in the versions of
``constraints.txt``; a second one also gets ``openvino``. That needs a package index. The size is that of all files on
the disk, as of ``du``, in 10^6 bytes. Then each predicts one image. Sockets are refused, home and temporary folder are
empty, and the working folder holds the model alone. A line names each socket that was asked for, and each file that is
new or changed outside the cache. The exit status is 1 if there is any, or if an environment is larger than its limit.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
# The extras of each engine's environment, and how large it may be in MB.
ENGINES = {"onnxruntime": ("serve", 260), "openvino": ("serve,openvino", 450)}
# Audit events cover what Python asks for, also where the error is swallowed.
PREDICT = """
import sys
def refuse(event, arguments):
    if event.startswith("socket."):
        print("socket:", event, *arguments, file=sys.stderr)
        raise OSError("sockets are refused")
sys.addaudithook(refuse)
from alexnet.cli import main
main(sys.argv[1:])
"""


def make_environment(folder: Path, extras: str) -> Path:
    """Install the runtime with extras into a new virtual environment; return its Python."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--quiet"]
    constraints = {**os.environ, "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    subprocess.run([*command, f"{ROOT / 'runtime'}[{extras}]"], check=True, env=constraints)
    return python


def megabytes(folder: Path) -> float:
    """Return the size of all files of a folder on the disk, those with several names once."""
    files = {(found := path.lstat()).st_ino: found.st_blocks for path in folder.rglob("*")}
    return sum(files.values()) * 512 / 1e6


def state(folders: list[Path]) -> dict[Path, tuple[int, int]]:
    """Return when each file of some folders was last changed, and its size."""
    paths = [path for folder in folders for path in folder.rglob("*") if not path.is_dir()]
    return {path: ((found := path.lstat()).st_mtime_ns, found.st_size) for path in paths}


def predict(python: Path, engine: str, model: Path, image: Path, empty: Path) -> list[str]:
    """Predict an image with empty folders and without sockets; return what was written or looked up, a line each."""
    folders = {name: empty / name for name in ("home", "temporary", "working", "cache")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    model = Path(shutil.copy(model, folders["working"]))
    variables = {"HOME": "home", "TMPDIR": "temporary", "ALEXNET_CACHE": "cache"}
    environment = {"PATH": os.defpath, **{name: str(folders[value]) for name, value in variables.items()}}
    watched = [folders["home"], folders["temporary"], folders["working"], python.parents[1]]
    before = state(watched)
    command = [str(python), "-c", PREDICT, "predict", str(model), str(image), "--engine", engine]
    done = subprocess.run(command, cwd=folders["working"], env=environment, capture_output=True, text=True)
    print(f"{engine}: {done.stdout.strip() or done.stderr.strip()}")
    after = state(watched)
    written = [f"written: {path}" for path, found in after.items() if before.get(path) != found]
    looked_up = [line for line in done.stderr.splitlines() if line.startswith("socket:")]
    return [*written, *looked_up, *([] if done.returncode == 0 else [f"exit status {done.returncode}"])]


def main() -> None:
    """Measure both environments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="an .onnx file that alexnet export wrote")
    parser.add_argument("image", type=Path)
    given = parser.parse_args()
    is_fine = True
    with tempfile.TemporaryDirectory() as name:
        for engine, (extras, most) in ENGINES.items():
            folder = Path(name) / engine
            python = make_environment(folder / "environment", extras)
            size = megabytes(folder / "environment")
            print(f"{engine}: {size:.0f} MB, at most {most}; alexnet-runtime[{extras}]", flush=True)
            faults = predict(python, engine, given.model.resolve(), given.image.resolve(), folder / "empty")
            for line in faults or ["nothing written outside the cache, no socket"]:
                print(f"{engine}: {line}", flush=True)
            is_fine &= size <= most and not faults
    sys.exit(0 if is_fine else 1)


if __name__ == "__main__":
    main()
