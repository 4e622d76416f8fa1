"""How many requests ``alexnet serve`` completes, against what its engine and its decoder can do.

    python -m benchmarks.serving MODEL DATA [--connections 32] [--seconds 60] [--engine auto] [--files]
    python -m benchmarks.serving MODEL DATA --at-once 1000 [--broken FOLDER]

DATA is a folder of images. Clients in a process of their own send them over and over, one at a time on each of the
connections. Printed are requests/s; the rates of the engine and of the decoder alone, on all cores, the mean of before
and after; the rate at which one could do both, one after the other; the share of it that was reached, and the same in
processor time, which other programs on the machine change less; response times; the cores that the server and the
clients kept busy, which they share; and the server's memory after a tenth of the time and at the end. Every response is
compared with what ``Classifier.predict`` returns. Where litserve is installed, it serves the same model to the same
clients afterwards, and both get files of a form: it reads no plain bytes. ``--files`` sends forms in any case.

``--at-once`` sends so many requests at the same time, each on a connection of its own. Every tenth is broken: a file of
FOLDER that cannot be read, a request that is too large, a cut or enormous image, JSON that is none. Printed is how
often each status was returned to good and broken requests, and how many predictions were wrong.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import re
import resource
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.data.parallel import n_cores
from alexnet.errors import ImageError
from alexnet.images.decoding import EXTENSIONS
from alexnet.inference.classifier import Classifier, load
from alexnet.serving.settings import ServerSettings

HOST = "127.0.0.1"
MOST_IMAGES = 400
SECONDS_ALONE = 5.0
TOLERANCE = 1e-4
EDGE = "edge-of-a-part"
BROKEN = Path("../shared/data/nasty_images")


@dataclass(frozen=True)
class Sending:
    """A request as bytes, and the label and probability to expect; None for a broken one."""

    content: bytes
    expected: tuple[str, float] | None


@dataclass
class Tally:
    """What clients have seen."""

    statuses: Counter[str] = field(default_factory=Counter)
    n_wrong: int = 0
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0

    def count(self, sending: Sending, status: int | str, body: bytes, seconds: float) -> None:
        """Count one response."""
        kind = "broken" if sending.expected is None else "good"
        self.statuses[f"{kind} {status}"] += 1
        self.seconds.append(seconds)
        if sending.expected is not None and status == 200:
            first = json.loads(body)["results"][0]["predictions"][0]
            label, probability = sending.expected
            self.n_wrong += first["label"] != label or abs(first["probability"] - probability) > TOLERANCE


# Requests


def request_of(content: bytes, kind: str = "image/jpeg") -> bytes:
    """Return a request to predict."""
    head = f"POST /predict HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


def form_of(content: bytes) -> bytes:
    """Return a request to predict, with the image as the file of a form."""
    head = f'--{EDGE}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    return request_of(head.encode() + content + f"\r\n--{EDGE}--\r\n".encode(), f"multipart/form-data; boundary={EDGE}")


def images_in(folder: Path) -> list[bytes]:
    """Return the content of the first images of a folder, evenly from all of them."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS)
    step = max(1, len(files) // MOST_IMAGES)
    return [path.read_bytes() for path in files[::step][:MOST_IMAGES]]


def expectations(classifier: Classifier, images: Sequence[bytes]) -> list[tuple[str, float]]:
    """Return the label and probability that are predicted for each image."""
    found = classifier.predict(images, top=1)
    return [(each.predictions[0].label, each.predictions[0].probability) for each in found]


def bomb() -> bytes:
    """Return a PNG of a few bytes that claims to have 1.6 billion pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


def broken_requests(classifier: Classifier, folder: Path, good: bytes) -> list[bytes]:
    """Return requests that must be refused: with the files of a folder that cannot be read, and made up here."""
    unreadable = []
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        content = path.read_bytes()
        try:
            classifier.decode(content, path.name)
        except ImageError:
            unreadable.append(content)
    too_large = bytes(ServerSettings().upload_bytes + 1)
    return [
        *map(request_of, [*unreadable, good[: len(good) // 2], bomb(), too_large]),
        request_of(b'{"images": ["', "application/json"),
        request_of(b'{"images": ["http://127.0.0.1/a.jpg"]}', "application/json"),
        form_of(good).replace(EDGE.encode() + b"--", b"-" * (len(EDGE) + 2)),
    ]


# The clients, in a process of their own


async def response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return status and body of a response."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return int(head[9:12]), await reader.readexactly(int(length[1]) if length else 0)


async def send_all(port: int, sendings: Iterator[Sending], until: float, tally: Tally) -> None:
    """Send one request after the other on one connection, until the time is over; a lost connection is replaced."""
    while time.monotonic() < until:
        reader, writer = await asyncio.open_connection(HOST, port)
        with contextlib.closing(writer):
            while (began := time.monotonic()) < until:
                sending = next(sendings)
                writer.write(sending.content)
                try:
                    status, body = await response(reader)
                except (OSError, asyncio.IncompleteReadError) as error:
                    tally.count(sending, type(error).__name__, b"", time.monotonic() - began)
                    break
                tally.count(sending, status, body, time.monotonic() - began)


async def send_one(port: int, sending: Sending, tally: Tally) -> None:
    """Send one request on a connection of its own. A refusal may come while it is still being sent."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(sending.content)
    try:
        status, body = await response(reader)
        tally.count(sending, status, body, time.monotonic() - began)
    except (OSError, asyncio.IncompleteReadError) as error:
        tally.count(sending, type(error).__name__, b"", time.monotonic() - began)
    with contextlib.suppress(OSError):
        writer.close()


def clients(port: int, sendings: list[Sending], n_connections: int, seconds: float | None) -> Tally:
    """Send requests for some seconds; or, where these are None, each of them once and all at the same time."""
    tally = Tally()
    wanted = len(sendings) + 256
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))

    async def send() -> None:
        if seconds is None:
            await asyncio.gather(*(send_one(port, each, tally) for each in sendings))
        else:
            endless, until = itertools.cycle(sendings), time.monotonic() + seconds
            await asyncio.gather(*(send_all(port, endless, until, tally) for _ in range(n_connections)))

    began, cpu = time.monotonic(), time.process_time()
    asyncio.run(send())
    tally.wall_seconds, tally.cpu_seconds = time.monotonic() - began, time.process_time() - cpu
    return tally


def run_clients(port: int, sendings: list[Sending], n_connections: int, seconds: float | None) -> Tally:
    """Run the clients in a process of their own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(clients, port, sendings, n_connections, seconds).result()


# The servers


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
    return port


def get(port: int, path: str) -> tuple[int, str]:
    """Return status and text of a response."""
    connection = HTTPConnection(HOST, port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path)
        found = connection.getresponse()
        return found.status, found.read().decode()


@contextlib.contextmanager
def served(command: Sequence[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends."""
    # With a group of its own: LitServe's workers outlive it.
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        while True:
            with contextlib.suppress(OSError):
                if get(port, "/health")[0] == 200:
                    break
            if process.poll() is not None:
                raise SystemExit(f"the server has ended with status {process.returncode}")
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def processes_of(root: int) -> list[int]:
    """Return the numbers of a process and all that it has started."""
    children = [number for each in Path(f"/proc/{root}/task").glob("*/children") for number in each.read_text().split()]
    return [root, *(each for child in children for each in processes_of(int(child)))]


def usage_of(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Return processor seconds and memory in MiB of a server and the processes that it has started.

    What several processes share is counted once: each has its part of it (PSS).
    """
    ticks, n_kibibytes = 0, 0
    for number in processes_of(process.pid):
        folder = Path(f"/proc/{number}")
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
        memory = re.search(r"^Pss: +(\d+) kB$", (folder / "smaps_rollup").read_text(), re.MULTILINE)
        n_kibibytes += int(memory[1]) if memory else 0
    return ticks / os.sysconf("SC_CLK_TCK"), n_kibibytes / 1024


def load_test(command: Sequence[str], port: int, sendings: list[Sending], n_connections: int, seconds: float) -> Any:
    """Send requests to a server; return what was measured."""
    with served(command, port) as process:
        run_clients(port, sendings, n_connections, min(3.0, seconds))  # warm-up
        cpu, _ = usage_of(process)
        first = run_clients(port, sendings, n_connections, seconds / 10)
        _, memory = usage_of(process)
        rest = run_clients(port, sendings, n_connections, seconds * 9 / 10)
        cpu_end, memory_end = usage_of(process)
    both = first.statuses + rest.statuses
    wall = first.wall_seconds + rest.wall_seconds
    times = sorted(rest.seconds)
    return {
        "requests_per_second": round(both.total() / wall, 1),
        "statuses": dict(both),
        "wrong": first.n_wrong + rest.n_wrong,
        "milliseconds_median_and_99th": [round(1000 * times[int(share * len(times))], 1) for share in (0.5, 0.99)],
        "server_milliseconds_each": round(1000 * (cpu_end - cpu) / both.total(), 2),
        "server_cores": round((cpu_end - cpu) / wall, 2),
        "client_cores": round((first.cpu_seconds + rest.cpu_seconds) / wall, 2),
        "memory_mib": [round(memory), round(memory_end)],
    }


# What could be reached


def seconds_each(work: Callable[[], object], n_each: int) -> tuple[float, float]:
    """Return the seconds, and the processor's seconds, that each image takes of something that is repeated."""
    work()
    began, cpu, n_done = time.perf_counter(), time.process_time(), 0
    while (passed := time.perf_counter() - began) < SECONDS_ALONE:
        work()
        n_done += n_each
    return passed / n_done, (time.process_time() - cpu) / n_done


def alone(classifier: Classifier, images: Sequence[bytes]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the seconds of the engine alone, in full batches, and of decoding alone, both on all cores."""
    batch_size = ServerSettings().batch_size
    decoded = [classifier.decode(each, "image") for each in images[:batch_size]]
    with ThreadPoolExecutor(n_cores()) as threads:

        def decode() -> None:
            list(threads.map(classifier.decode, images, itertools.repeat("image")))

        engine = seconds_each(lambda: classifier.predict_decoded(decoded, 5), len(decoded))
        return engine, seconds_each(decode, len(images))


# From the command line


def measure(given: argparse.Namespace) -> None:
    """Print the results of a load test, and of one of LitServe where that is installed."""
    images = images_in(Path(given.data))
    classifier = load(given.model, engine=given.engine)
    expected = expectations(classifier, images)
    with_litserve = find_spec("litserve") is not None
    print(f"{classifier.engine.title}, {n_cores()} cores, {len(images)} images", flush=True)
    shapes: dict[str, Callable[[bytes], bytes]] = {} if given.files else {"bytes": request_of}
    if given.files or with_litserve:
        shapes["form"] = form_of
    port = free_port()
    command = [sys.executable, "-m", "alexnet", "serve", given.model, "--port", str(port), "--engine", given.engine]
    for name, shape in shapes.items():
        sendings = [Sending(shape(image), each) for image, each in zip(images, expected, strict=True)]
        before = alone(classifier, images)
        found = load_test(command, port, sendings, given.connections, given.seconds)
        # The speed of a shared machine changes by a tenth within minutes.
        engine, decoder = np.mean([before, alone(classifier, images)], axis=0)
        seconds, cpu_seconds = engine + decoder
        print(
            f"engine {1 / engine[0]:.1f} images/s, decoder {1 / decoder[0]:.1f}, one after the other "
            f"{1 / seconds:.1f}; processor time for an image: {1000 * engine[1]:.2f} + {1000 * decoder[1]:.2f} ms",
            flush=True,
        )
        found["share"] = round(found["requests_per_second"] * seconds, 3)
        found["share_of_processor_time"] = round(1000 * cpu_seconds / found["server_milliseconds_each"], 3)
        print(f"alexnet serve, {name}: {json.dumps(found)}", flush=True)
    if not with_litserve:
        print("litserve is not installed, so it is not measured")
    else:
        command = [sys.executable, "-m", "benchmarks.litserve_server", given.model, str(port), "--engine", given.engine]
        found = load_test(command, port, sendings, given.connections, given.seconds)
        print(f"litserve, form: {json.dumps(found)}", flush=True)


def measure_at_once(given: argparse.Namespace) -> None:
    """Print how good and broken requests fare that are sent at the same time."""
    images = images_in(Path(given.data))
    classifier = load(given.model, max_pixels=ServerSettings().max_pixels, engine=given.engine)
    expected = expectations(classifier, images)
    good = itertools.cycle(Sending(request_of(image), each) for image, each in zip(images, expected, strict=True))
    broken = itertools.cycle(Sending(each, None) for each in broken_requests(classifier, given.broken, images[0]))
    sendings = [next(broken if number % 10 == 0 else good) for number in range(given.at_once)]
    port = free_port()
    command = [sys.executable, "-m", "alexnet", "serve", given.model, "--port", str(port), "--engine", given.engine]
    with served(command, port) as process:
        tally = run_clients(port, sendings, 0, None)
        _, memory = usage_of(process)
    found = {
        "statuses": dict(sorted(tally.statuses.items())),
        "wrong": tally.n_wrong,
        "seconds": round(tally.wall_seconds, 1),
        "seconds_median": round(statistics.median(tally.seconds), 2),
        "memory_mib": round(memory),
    }
    print(json.dumps(found))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--files", action="store_true")
    parser.add_argument("--at-once", type=int, default=0)
    parser.add_argument("--broken", type=Path, default=BROKEN)
    given = parser.parse_args()
    if given.at_once:
        measure_at_once(given)
    else:
        measure(given)


if __name__ == "__main__":
    main()
