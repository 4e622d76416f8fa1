"""Tables as all kinds of programs write them."""

import pytest

from alexnet.data.sources.tables.table import is_table, read_table
from alexnet.errors import DataError

ROWS = [["a.jpg", "grün"], ["b, c.jpg", "red"]]
PLAIN = 'path,label\na.jpg,grün\n"b, c.jpg",red\n'


def read(text: str | bytes, name: str = "list.csv", encoding: str = "utf-8"):
    return read_table(text if isinstance(text, bytes) else text.encode(encoding), name, f"/there/{name}")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_encodings_and_ends_of_lines(encoding, end) -> None:
    table = read(PLAIN.replace("\n", end), encoding=encoding)
    assert (table.columns, table.rows) == (("path", "label"), ROWS)


def test_utf_16_of_either_order() -> None:
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        table = read(mark + "path\tlabel\r\na.jpg\tgrün\r\n".encode(encoding))
        assert (table.columns, table.rows) == (("path", "label"), ROWS[:1])


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ":"])
@pytest.mark.parametrize("first", ["sep={}\r\n", '"sep={}"\r\n', "\r\n\r\nSEP={}\r\n"])
def test_a_line_that_names_the_delimiter(delimiter, first) -> None:
    table = read(f"{first.format(delimiter)}path{delimiter}label\r\na, b.jpg{delimiter}red\r\n")
    assert (table.columns, table.rows) == (("path", "label"), [["a, b.jpg", "red"]])
    assert table.row(0) == f"row 1 (line {first.count(chr(10)) + 2})"


def test_blanks_after_a_separator_and_at_the_end() -> None:
    table = read('path, label,\n"a.jpg", "b, c" ,\n')
    assert (table.columns, table.rows) == (("path", "label", ""), [["a.jpg", "b, c", ""]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "path,label\na.jpg,red\nb.jpg,grün\n".encode("cp1252"),
            "line 3 is perhaps Windows-1252, 'grün'; save it as 'C",
        ),
        ("path,label\na.jpg,grün\n".encode("utf-16-le"), "holds NUL bytes: it is damaged, or UTF-16 without"),
        ("path,label\na.jpg,red\n\0\0\0", "holds NUL bytes"),
        (b"PK\x03\x04rest", "is an Excel workbook or a zip archive, not a text table"),
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
        (b"", "is empty; a table needs"),
        (b"\xef\xbb\xbf\r\n \r\n", "is empty; a table needs"),
        ('path,label\na.jpg,"red\nb.jpg,blue\nc.jpg,red\n', "an unclosed quote before line"),
        (
            "path,label\na.jpg,red, or so\n",
            r"row 1 \(line 2\) has 3 cells, but there are 2 columns; put cells that hold ','",
        ),
    ],
)
def test_what_is_not_a_table_is_refused_with_its_cause(content, message) -> None:
    """An unclosed quote silently put all that came after it into one label."""
    with pytest.raises(DataError, match=message) as caught:
        read(content)
    assert len(str(caught.value)) < 300


def test_a_line_of_json_names_a_column_once() -> None:
    with pytest.raises(DataError, match="has 2 columns named label"):
        read('{"path": "a", "label": "b", "Label": "c"}', "list.jsonl")


def test_rows_of_json_may_name_their_columns_in_any_order() -> None:
    table = read('{"path": "a", "label": NaN}\r{"x": [1], "Label": true, "path": 2}', "list.JSONL")
    assert table.columns == ("path", "label", "x")
    assert table.rows == [["a", ""], ["2", "True", [1]]]


def test_which_files_are_tables() -> None:
    assert all(map(is_table, ("a.csv", "x/a.TSV", "a.jsonl")))
    assert not any(map(is_table, ("a.txt", "a.json", "csv", "a.csv.zip")))
