"""The command line: which command, which options, and the exit status. ``commands`` has the commands themselves."""

import argparse
import atexit
import contextlib
import functools
import inspect
import io
import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Union, get_args, get_origin

from alexnet.commands import COMMANDS
from alexnet.commands.help import overview, page
from alexnet.commands.usage import UsageError, message_in, with_hint
from alexnet.errors import AlexNetError, nearest, whole_package
from alexnet.version import VERSION

# tyro takes a tenth of a second to import, and --help does not need it.
if TYPE_CHECKING:
    from tyro.constructors import PrimitiveConstructorSpec, PrimitiveTypeInfo

HELP = {"-h", "--help"}
# How OpenMP's threads wait: the standard's variable, GNU's and Intel's.
WAIT_POLICIES = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit.

    0: done. 1: the data or the settings are at fault. 2: wrong usage. 130 and 143: stopped by Ctrl-C or SIGTERM.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if not HELP & set(arguments):
        _configure_process()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold bytes that are not text
    try:
        status = run(arguments)
    except UsageError as error:
        status = _fail(error, 2)
    except AlexNetError as error:
        status = _fail(error, 1)
    except KeyboardInterrupt:
        status = _fail("stopped", 130)
    except BrokenPipeError:
        # The reader of our output has ended, as in "alexnet predict ... | head".
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except MemoryError:
        status = _fail("not enough memory; close other programs, or use smaller images or batches", 1)
    except RuntimeError as error:
        # torch raises OutOfMemoryError for a GPU, but a plain RuntimeError for the machine's own memory.
        if type(error).__name__ != "OutOfMemoryError" and "not enough memory" not in str(error):
            raise
        status = _fail("not enough memory; use smaller images or batches, or train with --accumulate 4", 1)
    except OSError as error:
        # A full disk, a folder without write permission: the system's message says what and where.
        status = _fail(f"{error}; check the disk and the permissions", 1)
    _exit(status)


def _exit(status: int) -> NoReturn:
    """End this process. As one of several that have trained together, end it without shutting down the interpreter.

    Gloo's threads may need Python's lock a moment after their last sum is done. On a busy machine that is after the
    training, and a process whose interpreter is shutting down aborts then (pytorch/pytorch #179291).
    """
    distributed = sys.modules.get("alexnet.training.machine.distributed")
    if distributed is None or not distributed.has_summed():
        sys.exit(status)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _configure_process() -> None:
    """Set what holds for a whole process. The package leaves this alone where others import it."""
    from alexnet.files.download import SERVER_SECONDS

    # OpenMP reads this when torch is imported. By default its threads spin while they wait for one another. If another
    # process needs the core, training takes several times as long (docs/benchmarks.md, "A busy machine").
    if not WAIT_POLICIES & os.environ.keys():
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    # Pillow warns of odd metadata without naming the file. The image is fine, or it is refused by name.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    # NumPy 2.4 warns of CIFAR's pickles (pytorch/vision #9340).
    warnings.filterwarnings("ignore", module=r"torchvision\.datasets")
    # torchvision waits forever for a server that sends nothing.
    socket.setdefaulttimeout(SERVER_SECONDS)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status.

    Raises:
        UsageError: the command line cannot be understood.
        AlexNetError: the command failed.
    """
    if not arguments:
        raise UsageError(f"give a command: {', '.join(COMMANDS)}; see alexnet --help")
    name, *rest = arguments
    if name in HELP:
        print(overview(COMMANDS))
        return 0
    if name == "--version":
        print(f"alexnet {VERSION}")
        return 0
    if name not in COMMANDS:
        raise UsageError(with_hint(f"unknown command {name!r}{nearest(name, COMMANDS)}", "alexnet"))
    defaults, rest = _saved_defaults(rest) if name == "train" else ({}, rest)
    if HELP & set(rest):
        print(page(name, COMMANDS[name], defaults))
        return 0
    with whole_package(f"alexnet {name}"):
        return _parse(name, rest, defaults)()


def _saved_defaults(arguments: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Read the file that ``--settings`` names. Its values become the defaults, so other options override them.

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
    from alexnet.training.choices.settings import load_settings

    data, settings = load_settings(found.settings)
    return {"choices": settings, **({} if data is None else {"data": data})}, rest


def _parse(name: str, arguments: list[str], defaults: dict[str, Any]) -> Callable[[], int]:
    """Return the command with its arguments, ready to run."""
    import tyro
    from tyro.constructors import ConstructorRegistry

    said = io.StringIO()
    registry = ConstructorRegistry()
    registry.primitive_rule(_auto)
    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.PositionalMetavarFromFieldName)
    command = _deferred(COMMANDS[name], defaults)
    try:
        with registry, contextlib.redirect_stderr(said), _very_wide():
            return tyro.cli(command, prog=f"alexnet {name}", args=arguments, config=config, add_help=False)
    except SystemExit:
        raise UsageError(with_hint(message_in(said.getvalue()), f"alexnet {name}")) from None


def _deferred(function: Callable[..., int], defaults: dict[str, Any]) -> Callable[..., Callable[[], int]]:
    """Return a function that tyro reads like ``function``, but that only stores the arguments: parsing ends first.

    Args:
        function: a command.
        defaults: parameters with another default than the function's.
    """
    import tyro

    def store(*args: Any, **kwargs: Any) -> Callable[[], int]:
        return functools.partial(function, *args, **kwargs)

    parameters = []
    for name, parameter in inspect.signature(function).parameters.items():
        # The fields of a dataclass are options without a prefix. The parameter of --as is as_: Python reserves "as".
        option = tyro.conf.arg(name="" if is_dataclass(parameter.annotation) else name.rstrip("_"))
        default = defaults.get(name, parameter.default)
        parameters.append(
            parameter.replace(annotation=Annotated[_plain(parameter.annotation), option], default=default)
        )
    store.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    store.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return store


def _plain(kind: Any) -> Any:
    """Return a type, or one that reads the same and whose defaults tyro checks by itself.

    For others it imports typeguard, and with that asyncio and unittest: a tenth of a second.
    """
    from tyro.constructors import PrimitiveConstructorSpec

    if get_origin(kind) is Annotated:
        inner, *words = get_args(kind)
        return Annotated[_plain(inner), *words]
    if get_origin(kind) is UnionType:
        return Union[get_args(kind)]  # noqa: UP007 - there is no other way to write it
    if kind == tuple[str, ...]:
        spec = PrimitiveConstructorSpec(
            nargs="*",
            metavar="[STR [STR ...]]",
            instance_from_str=tuple,
            is_instance=lambda value: isinstance(value, tuple),
            str_from_instance=list,
        )
        return Annotated[tuple, spec]
    return kind


@contextlib.contextmanager
def _very_wide() -> Iterator[None]:
    """Keep tyro from wrapping its error messages, which ``message_in`` reads."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "2000"
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def _auto(info: "PrimitiveTypeInfo") -> "PrimitiveConstructorSpec[Any] | None":
    """Read "auto" as None where None is allowed. For text, read "none": a folder may be named auto."""
    from tyro.constructors import PrimitiveConstructorSpec

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


def _auto_tuple(kind: Any) -> "PrimitiveConstructorSpec[Any]":
    """Read several values, or "auto" as None."""
    from tyro.constructors import PrimitiveConstructorSpec

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
    # One line; the spaces in paths stay as they are.
    print(f"error: {' '.join(str(error).splitlines())}", file=sys.stderr)
    return status
