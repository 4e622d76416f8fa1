"""What ``--help`` prints: the options by group, each on one line where it fits.

Ours, since tyro has no public way to group options. Parsing is tyro's.

An option says beside its type which group it belongs to and, where that helps, a word for its value and one for its
default: ``out: Annotated[str | None, "common", "RUN", "runs/NAME"] = None``. Its text is the docstring under the field,
or its line in the ``Args`` of the command.
"""

import ast
import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

# In the order in which they are shown. A command of few options has only the first.
GROUPS = ("options", "common", "network", "learning", "images", "machine", "run")
MOST_COLUMNS = 100
# Choices are shown beside the option's name where both are no longer than this. Else the text names them.
MOST_BESIDE_NAME = 26
VALUES = {int: "N", float: "X", str: "TEXT"}


@dataclass(frozen=True)
class Option:
    """One option, or one argument without a name, as people see it."""

    group: str
    name: str
    """As typed: ``--image-size``, or ``DATA`` for an argument without a name."""
    value: str
    """What stands for its value: ``N``, ``{on,off}``. Empty for a flag."""
    default: str | None
    """None: it must be given, or it is a flag, which is off. Empty: nothing to show."""
    text: str
    choices: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """Return how it is written on a command line."""
        return f"{self.name} {self.value}".rstrip()


def overview(commands: Mapping[str, Callable[..., int]]) -> str:
    """Return what ``alexnet --help`` prints."""
    width = max(map(len, commands))
    rows = "\n".join(f"  {name:<{width}}  {_paragraphs(each)[0].rstrip('.')}" for name, each in commands.items())
    return f"""usage: alexnet COMMAND ...

Build, train, evaluate and use AlexNet image classifiers.

commands:
{rows}

examples:
  alexnet train images --time-limit 10m     images holds one folder per class
  alexnet evaluate runs/images
  alexnet predict runs/images new.jpg

alexnet COMMAND --help lists the options of a command.
alexnet --version prints the version."""


def page(name: str, command: Callable[..., int], defaults: Mapping[str, Any]) -> str:
    """Return what ``alexnet NAME --help`` prints, as wide as the terminal, and at most 100 columns.

    Args:
        name: of the command.
        command: its function.
        defaults: parameters with another default than the function's.
    """
    width = min(shutil.get_terminal_size().columns, MOST_COLUMNS)
    shown = options(command, defaults)
    help_row = Option("", "-h, --help", "", None, "Show this help")
    column = max(len(option.usage) for option in (*shown, help_row)) + 4
    arguments = [option for option in shown if not option.name.startswith("-")]
    written = [option.name if option.default is None else f"[{option.name}]" for option in arguments]
    parts = [" ".join(["usage: alexnet", name, *written, "[OPTIONS]"])]
    parts += [textwrap.fill(paragraph, width) for paragraph in _paragraphs(command)]
    if arguments:
        parts.append("\n".join(_row(option, column, width) for option in arguments))
    groups = [[each for each in shown if each.group == group and each not in arguments] for group in GROUPS]
    groups = [group for group in groups if group]
    groups[-1].append(help_row)
    for group in groups:
        parts.append("\n".join([f"{group[0].group}:", *(_row(option, column, width) for option in group)]))
    if examples := _sections(command).get("Examples"):
        parts.append("examples:\n" + textwrap.indent(inspect.cleandoc(examples), "  "))
    return "\n\n".join(parts)


def options(command: Callable[..., int], defaults: Mapping[str, Any] | None = None) -> list[Option]:
    """Return the options of a command in the order of its signature and of the fields of its dataclasses."""
    texts = _argument_texts(command)
    hints = get_type_hints(command, include_extras=True)
    found: list[Option] = []
    for name, parameter in inspect.signature(command).parameters.items():
        default = (defaults or {}).get(name, parameter.default)
        if is_dataclass(hints[name]):
            found += _fields_of(default)
        else:
            has_name = parameter.kind is inspect.Parameter.KEYWORD_ONLY
            found.append(_option(name, hints[name], default, texts[name], has_name=has_name))
    return found


def _fields_of(value: Any) -> Iterator[Option]:
    texts, hints = _field_texts(type(value)), get_type_hints(type(value), include_extras=True)
    for field in fields(value):
        yield _option(field.name, hints[field.name], getattr(value, field.name), texts[field.name])


def _option(name: str, hint: Any, default: Any, text: str, *, has_name: bool = True) -> Option:
    words: tuple[str, ...] = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    group, value, shown_default = words + ("options", "", "")[len(words) :]
    kind = get_args(hint)[0] if words else hint
    optional = NoneType in get_args(kind)
    (kind,) = (each for each in get_args(kind) if each is not NoneType) if optional else (kind,)
    many = get_origin(kind) is tuple
    kind = get_args(kind)[0] if many else kind
    written: str | None = None
    if default is not inspect.Parameter.empty and kind is not bool:
        nothing = "none" if kind is str or not optional else "auto"
        written = _written(default) if default not in (None, ()) else shown_default or (nothing if has_name else "")
    # "auto", or "none" where it is the default, is no choice but the absence of one.
    choices = tuple(map(str, get_args(kind))) if get_origin(kind) is Literal else ()
    choices = tuple(each for each in choices if each != "auto" and (each, default) != ("none", "none"))
    typed = f"--{name.strip('_').replace('_', '-')}" if has_name else name.upper()
    braces = "{" + ",".join(choices) + "}"
    if has_name and choices and not value:
        value = braces if len(f"{typed} {braces}") <= MOST_BESIDE_NAME else "NAME"
    elif kind is not bool:
        value = value or VALUES[kind]
    dots = "..." if many else ""
    typed, value = (typed, value + dots) if has_name else (typed + dots, "")
    return Option(group, typed, value, written, text, choices)


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _row(option: Option, column: int, width: int) -> str:
    text = option.text + (f"  [{option.default}]" if option.default else "")
    lines = textwrap.wrap(text, max(width - column, 20), break_on_hyphens=False, break_long_words=False)
    return f"  {option.usage:<{column - 2}}" + f"\n{' ' * column}".join(lines)


def _sections(command: Callable[..., int]) -> dict[str, str]:
    """Split a docstring at its headings. What stands before the first has the key ``""``."""
    first, *others = re.split(r"^(Args|Examples):\n", inspect.getdoc(command) or "", flags=re.MULTILINE)
    return {"": first, **dict(zip(others[::2], others[1::2], strict=True))}


def _paragraphs(command: Callable[..., int]) -> list[str]:
    return [_unwrapped(paragraph) for paragraph in _sections(command)[""].strip().split("\n\n")]


def _argument_texts(command: Callable[..., int]) -> dict[str, str]:
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8,}.*)*)", _sections(command).get("Args", ""), flags=re.MULTILINE)
    return {name: _unwrapped(text).rstrip(".") for name, text in found}


def _field_texts(cls: type) -> dict[str, str]:
    """Return the docstring under each field of a dataclass, and of the classes that it inherits from."""
    texts: dict[str, str] = {}
    for each in filter(is_dataclass, cls.__mro__):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        assert isinstance(tree, ast.ClassDef)
        for field, below in zip(tree.body, tree.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    texts[name] = _unwrapped(text).rstrip(".")
    return texts


def _unwrapped(text: str) -> str:
    return " ".join(text.split())
