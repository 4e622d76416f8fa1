"""Wrong usage in one line. tyro prints a box of several lines."""

import re

from alexnet.errors import SettingsError, nearest


class UsageError(Exception):
    """A command line that cannot be understood. The exit status is 2."""


def with_hint(message: str, command: str) -> str:
    """Return the message with the command whose ``--help`` says more."""
    return f"{message}{' See' if message.endswith('?') else '; see'} {command} --help"


def at_least_1(name: str, value: int | None) -> None:
    """Refuse a number below 1. None is chosen later."""
    if value is not None and value < 1:
        raise SettingsError(f"{name} is {value}; it must be at least 1")


def message_in(box: str) -> str:
    """Return the message of a tyro error box, drawn with or without line characters, as one line.

    By regular expressions: the box is all that tyro gives in public. Its ``_errors.on_parse_error`` is private.
    """
    message, *hints = _sections(box)[1:] or [box.strip()]
    if match := re.match(r"Unrecognized options: ([^,]+)", message):
        word = match[1].strip()
        if not word.startswith("-"):
            return f"unexpected argument {word!r}; put a name that holds spaces in quotes"
        suggested = re.search(r"Perhaps you meant: (--[\w-]+)", " ".join(hints))
        return f"unknown option {word}" + (f"; did you mean {suggested[1]}?" if suggested else "")
    if match := re.match(r"invalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*)\)\.", message):
        word, option, known = match[1], match[2], re.findall(r"'([^']*)'", match[3])
        return f"{option} cannot be {word!r}{nearest(word, known)}"
    if match := re.match(r"Error parsing (--[\w-]+): (invalid literal|could not convert) .*: ('.*')", message):
        kind = "a whole number" if match[2] == "invalid literal" else "a number"  # what Python's int and float say
        return f"{match[1]} cannot be {match[3]}; give {kind}"
    if match := re.match(r"Error parsing (--[\w-]+): (.*)", message):
        return f"{match[1]}: {match[2]}"
    if match := re.match(r"Missing value for argument '(--[\w-]+)'", message):
        return f"{match[1]} needs a value"
    if match := re.match(r"Missing from alexnet (\w+): (\S+)", message):
        return f"{match[1]} needs {match[2]}"
    return message.rstrip(".")


def _sections(box: str) -> list[str]:
    """Return the title, the message and the hints, each on one line: the parts between the box's rules."""
    text = re.sub(r"^╭─+ (.*?) ─+╮$", r"\1\n-----", box, flags=re.MULTILINE)
    lines = [line.strip("│| ") for line in text.splitlines()]
    parts = re.split(r"(?:^|\n)[─╰╯-]{5,}(?:\n|$)", "\n".join(lines))
    return [" ".join(part.split()) for part in parts if part.strip()]
