"""A terminal, as far as rich writes to it."""

import re

_PART = re.compile(r"\x1b\[(?P<number>[\d;?]*)(?P<kind>[A-Za-z])|(?P<char>.)", re.DOTALL)


class Screen:
    """What a terminal shows, and all that has scrolled off.

    Attributes:
        lines: all lines; the terminal shows the last ``height`` of them.
        n_wrapped: how many lines went on in the next one, since they were wider than the terminal.
        has_cursor: whether the cursor is shown.
    """

    encoding = "utf-8"

    def __init__(self, width: int, height: int = 24) -> None:
        self.width, self.height = width, height
        self.lines, self.n_wrapped, self.has_cursor = [""], 0, True
        self._row = self._column = 0

    def write(self, text: str) -> int:
        for part in _PART.finditer(text):
            if part["char"] == "\n":
                self._next_line()
            elif part["char"] == "\r":
                self._column = 0
            elif part["char"]:
                self._put(part["char"])
            else:
                self._control(part["kind"], part["number"])
        return len(text)

    def flush(self) -> None:
        pass

    def _put(self, char: str) -> None:
        if self._column == self.width:
            self.n_wrapped += 1
            self._next_line()
        line = self.lines[self._row].ljust(self._column)
        self.lines[self._row] = line[: self._column] + char + line[self._column + 1 :]
        self._column += 1

    def _next_line(self) -> None:
        self._row, self._column = self._row + 1, 0
        if self._row == len(self.lines):
            self.lines.append("")

    def _control(self, kind: str, number: str) -> None:
        if kind == "A":  # up; never beyond the top
            self._row = max(self._row - int(number or 1), len(self.lines) - self.height, 0)
        elif kind == "K":
            assert number == "2", "the whole line is erased"
            self.lines[self._row] = ""
        elif number == "?25":
            self.has_cursor = kind == "h"
        else:
            assert kind == "m", f"a terminal would do something else for {number}{kind}"

    @property
    def text(self) -> list[str]:
        """All lines, without those that are empty at the end."""
        lines = [line.rstrip() for line in self.lines]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def shown(self) -> str:
        """What the terminal shows."""
        return "\n".join(self.lines[-self.height :])
