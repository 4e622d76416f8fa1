"""The commands: one function each. Its signature gives the options, its docstring the help.

``looking`` at networks and images, ``training``, then ``evaluating``, ``explaining``, ``exporting``, ``serving`` and
``using`` what was trained; ``reproducing`` the paper. Nothing heavy is imported before a command needs it, so
``alexnet --help`` is quick.
"""

from collections.abc import Callable

from alexnet.commands.evaluating import evaluate
from alexnet.commands.explaining import explain
from alexnet.commands.exporting import export
from alexnet.commands.looking import check, prepare, summary
from alexnet.commands.reproducing import reproduce
from alexnet.commands.serving import serve
from alexnet.commands.training import train
from alexnet.commands.using import predict, push, report

COMMANDS: dict[str, Callable[..., int]] = {
    "summary": summary,
    "check": check,
    "prepare": prepare,
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "explain": explain,
    "report": report,
    "export": export,
    "serve": serve,
    "push": push,
    "reproduce": reproduce,
}
