"""The tests marked ``gpu``, in a process of their own."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu.bench import Bench, Result, SkippedError

ROOT = Path(__file__).parents[2]


def checks(bench: Bench) -> Iterator[Result]:
    """Run the tests and count them; name those that failed."""
    # Only the files with such tests: others may import packages that this machine does not have.
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.gpu" in path.read_text("utf-8")]
    if not files:
        raise SkippedError("there are no tests marked gpu")
    written = bench.work / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "-p", "no:xdist"]
    # The tests put their images and runs into folders of their own.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), os.environ.get("PYTHONPATH", "")))}
    try:
        done = subprocess.run(
            [*command, f"--junitxml={written}", *map(str, files)],
            cwd=ROOT,
            env=environment,
            stdout=sys.stderr,
            timeout=max(1.0, bench.left),
        )
    except subprocess.TimeoutExpired:
        raise SkippedError("the tests did not end in their time") from None
    if not written.exists():
        raise RuntimeError(f"pytest ended with {done.returncode} and wrote no results")
    results: Counter[str] = Counter()
    failures = {}
    for case in ElementTree.parse(written).getroot().iter("testcase"):
        ends = {part.tag: part for part in case if part.tag in ("failure", "error", "skipped")}
        results["failed" if {"failure", "error"} & set(ends) else "skipped" if ends else "passed"] += 1
        for tag in {"failure", "error"} & set(ends):
            failures[f"{case.get('classname')}::{case.get('name')}"] = (ends[tag].get("message") or "")[:300]
    yield {name: results[name] for name in ("passed", "failed", "skipped")} | {"failures": failures}
