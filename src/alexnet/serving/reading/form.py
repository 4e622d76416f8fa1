"""The files of a form (multipart/form-data), all in memory.

Starlette's own parser writes files of more than 1 MB to the disk, which a server may not have.
"""

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from alexnet.errors import one_line
from alexnet.serving.reading.refusal import RequestError

# Far more than any form with images has.
MOST_PARTS = 1000
# A longer file name is cut.
MOST_CHARACTERS = 200


class Form:
    """A form that is being parsed.

    Attributes:
        files: name and bytes of each part that is a file.
        has_ended: whether the last boundary was found.
    """

    def __init__(self) -> None:
        self.files: list[tuple[str, bytes]] = []
        self.has_ended = False
        self._n_parts = 0
        self._header = self._value = b""
        self._name: str | None = None
        self._chunks: list[bytes] = []

    def parse(self, body: bytes, boundary: bytes) -> None:
        """Parse a whole form.

        Raises:
            FormParserError: it is damaged.
        """
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_to_header,
                "on_header_value": self._add_to_value,
                "on_header_end": self._end_header,
                "on_part_data": lambda data, start, end: self._chunks.append(data[start:end]),
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )
        parser.write(body)

    def _begin_part(self) -> None:
        self._n_parts += 1
        if self._n_parts > MOST_PARTS:
            raise FormParserError(f"it has more than {MOST_PARTS} parts")
        self._name, self._chunks = None, []

    def _add_to_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            name = parse_options_header(self._value)[1].get(b"filename")
            self._name = None if name is None else name.decode("utf-8", "replace")[:MOST_CHARACTERS]
        self._header = self._value = b""

    def _end_part(self) -> None:
        if self._name is not None:
            self.files.append((self._name or f"image {len(self.files) + 1}", b"".join(self._chunks)))

    def _end(self) -> None:
        self.has_ended = True


def files_of(body: bytes, boundary: bytes) -> list[tuple[str, bytes]]:
    """Return name and bytes of each file in a form, in order. Parts without a file name are left out.

    Raises:
        RequestError: the form is damaged, or there is no file in it.
    """
    form = Form()
    try:
        if not boundary:
            raise FormParserError("its content type gives no boundary")
        form.parse(body, boundary)
        if not form.has_ended:
            raise FormParserError("its last boundary is missing")
    except FormParserError as error:
        raise RequestError(400, f"the form is damaged: {one_line(error)}") from None
    if not form.files:
        raise RequestError(400, "no part of the form is a file; send each image as a file")
    return form.files
