"""Serves a fake classifier as a process of its own. Prints its port, then a line for each request."""

import sys
from pathlib import Path

from alexnet.serving.gate import log_line
from alexnet.serving.running import bind, run
from alexnet.serving.settings import ServerSettings

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    from fake import app_of

    with bind("127.0.0.1", 0) as bound:
        print(bound.getsockname()[1], flush=True)
        run(app_of(log=log_line), ServerSettings(), bound)
