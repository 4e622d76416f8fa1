"""The command line: which command, which options, and how it ends. ``commands`` has the commands themselves."""

import argparse
import contextlib
import functools
import inspect
import io
import logging
import os
import re
import socket
import sys
import warnings
from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from alexnet.commands import COMMANDS
from alexnet.commands.usage import UsageError, one_line
from alexnet.errors import AlexNetError, nearest
from alexnet.files.download import SERVER_SECONDS
from alexnet.training.choices.settings import load_settings

DESCRIPTION = """Build, train, judge and use AlexNet image classifiers.

  alexnet train images --time-limit 10m     images holds one folder of images a class
  alexnet evaluate runs/images
  alexnet predict runs/images new.jpg"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit.

    0: done. 1: the data or the settings are at fault. 2: wrong usage. 130 and 143: stopped by Ctrl-C or SIGTERM.
    """
    _settle_process()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold bytes that are no text
    try:
        status = run(sys.argv[1:] if arguments is None else arguments)
    except UsageError as error:
        status = _fail(error, 2)
    except AlexNetError as error:
        status = _fail(error, 1)
    except KeyboardInterrupt:
        status = _fail("stopped", 130)
    except BrokenPipeError:
        # Whoever read our output has seen enough, as in "alexnet predict ... | head".
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except MemoryError:
        status = _fail("there is not enough memory; close other programs, or take smaller images or batches", 1)
    except RuntimeError as error:
        # torch has a kind of its own for a device, and none for a machine, whose memory is used up.
        if type(error).__name__ != "OutOfMemoryError" and "not enough memory" not in str(error):
            raise
        status = _fail("there is not enough memory; take smaller images or batches, or --accumulate 4 in training", 1)
    except OSError as error:
        # A full disk, a folder that may not be written: the system's own words say what and where.
        status = _fail(f"{error}; check the disk and the permissions", 1)
    sys.exit(status)


def _settle_process() -> None:
    """Set what holds for a whole process, and so is no business of the package where others import it."""
    # Pillow warnings on odd metadata without saying in which file; the image is fine, or is refused by name.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    # NumPy 2.4 warns of CIFAR's pickles (pytorch/vision #9340).
    warnings.filterwarnings("ignore", module=r"torchvision\.datasets")
    # torchvision waits forever for a server that says nothing; with this, it needs no process of its own.
    socket.setdefaulttimeout(SERVER_SECONDS)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status.

    Raises:
        UsageError: the command line cannot be understood.
        AlexNetError: the command cannot be done.
    """
    if not arguments:
        raise UsageError(f"give a command: {', '.join(COMMANDS)}; see alexnet --help")
    name, *rest = arguments
    if name in ("-h", "--help"):
        print(_help())
        return 0
    if name == "--version":
        from importlib.metadata import version  # a hundredth of a second, which --help has no use for

        print(f"alexnet {version('alexnet')}")
        return 0
    if name not in COMMANDS:
        raise UsageError(f"unknown command {name!r}{nearest(name, COMMANDS)}; see alexnet --help")

    defaults, rest = _saved_defaults(rest) if name == "train" else ({}, rest)
    said = io.StringIO()
    registry = ConstructorRegistry()
    registry.primitive_rule(_auto)
    wants_help = bool({"-h", "--help"} & set(rest))
    try:
        with registry, contextlib.redirect_stderr(said), contextlib.nullcontext() if wants_help else _very_wide():
            command = tyro.cli(_deferred(COMMANDS[name], defaults), prog=f"alexnet {name}", args=rest)
    except SystemExit as stop:
        if stop.code in (None, 0):
            return 0
        raise UsageError(f"{one_line(said.getvalue())}; see alexnet {name} --help") from None
    return int(command())


def _help() -> str:
    """Return what ``alexnet --help`` says. Ours, since tyro would read every command's options for it first."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {(inspect.getdoc(each) or '').splitlines()[0]}" for name, each in COMMANDS.items()]
    commands = "\n".join(lines)
    more = "alexnet COMMAND --help says more, and alexnet --version which version this is."
    return f"usage: alexnet COMMAND ...\n\n{DESCRIPTION}\n\ncommands:\n{commands}\n\n{more}"


def _saved_defaults(arguments: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Read the file that ``--settings`` names: what it says are the defaults, so that other options go before it.

    Returns:
        The defaults, and the arguments without that option.
    """
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--settings")
    try:
        found, rest = early.parse_known_args(arguments)
    except argparse.ArgumentError:
        raise UsageError("--settings needs FILE; see alexnet train --help") from None
    if found.settings is None:
        return {}, rest
    data, settings = load_settings(found.settings)
    return {"settings": settings, **({} if data is None else {"data": data})}, rest


def _deferred(function: Any, defaults: dict[str, Any]) -> Any:
    """Return a function that tyro reads like ``function``, but that only notes the arguments: parsing ends first.

    Args:
        function: a command.
        defaults: values of its parameters to use where the command line says nothing.
    """

    @functools.wraps(function)
    def note(*args: Any, **kwargs: Any) -> functools.partial[int]:
        return functools.partial(function, *args, **kwargs)

    # tyro would break lines where the docstring does.
    note.__doc__ = re.sub(r"\n {12,}(?=\S)", " ", function.__doc__ or "")
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(default=defaults.get(name, parameter.default))
        for name, parameter in signature.parameters.items()
    ]
    note.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    del note.__wrapped__  # or tyro would read the docstring of that
    return note


@contextlib.contextmanager
def _very_wide() -> Iterator[None]:
    """Keep tyro from breaking what it says of wrong usage into lines, which ``one_line`` puts together again."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "2000"
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def _auto(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Show an option that may be None as one that may be "auto"; text stays text, since a folder may be called so."""
    inner = [each for each in get_args(info.type) if each is not NoneType]
    if info.type_origin not in (Union, UnionType) or len(inner) != 1 or len(get_args(info.type)) != 2:
        return None
    kind = inner[0]
    if get_origin(kind) is tuple:
        return _auto_tuple(get_args(kind)[0])
    words = get_args(kind) if get_origin(kind) is Literal else ()
    choices = ("auto", *map(str, words)) if words else None
    convert = type(words[0]) if words else kind
    nothing = "none" if kind is str else "auto"

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="{" + ",".join(choices) + "}" if choices else kind.__name__.upper(),
        choices=choices,
        instance_from_str=lambda words: None if words[0] == nothing else convert(words[0]),
        is_instance=lambda value: value is None or isinstance(value, convert),
        str_from_instance=lambda value: [nothing if value is None else str(value)],
    )


def _auto_tuple(kind: Any) -> PrimitiveConstructorSpec[Any]:
    """Show an option of several values that may be None."""
    name = kind.__name__.upper()

    def read(words: list[str]) -> tuple[Any, ...] | None:
        try:
            return None if words == ["auto"] else tuple(map(kind, words))
        except ValueError:
            raise ValueError(f"cannot be {' '.join(words)!r}; give numbers, and DATA before them") from None

    return PrimitiveConstructorSpec(
        nargs="*",
        metavar=f"[{name} ...]",
        instance_from_str=read,
        is_instance=lambda value: value is None or isinstance(value, tuple),
        str_from_instance=lambda value: ["auto"] if value is None else [str(each) for each in value],
    )


def _fail(error: object, status: int) -> int:
    # Of one line, in which the spaces of paths stay as they are.
    print(f"error: {' '.join(str(error).splitlines())}", file=sys.stderr)
    return status
