import os
import sys

import pytest

from alexnet.data.reading import n_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux gives a process some of the cores")
def test_cores_are_those_that_this_process_may_use() -> None:
    all_of_them = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(all_of_them)})
        assert n_cores() == 1
    finally:
        os.sched_setaffinity(0, all_of_them)
    assert n_cores() == len(all_of_them)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python knows by itself")
def test_elsewhere_all_cores_count(monkeypatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert n_cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert n_cores() == 1
