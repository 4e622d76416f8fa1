import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.model.protobuf import fields, message_of, signed_numbers, text_of


def varint(number: int) -> bytes:
    digits = []
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def test_fields_of_every_type_are_read_in_order() -> None:
    message = b"\x08\x96\x01" + b"\x12\x07testing" + b"\x1d\x00\x00\x80\x3f" + b"\x21" + bytes(8) + b"\x08\x02"
    found = list(fields(memoryview(message)))
    assert [number for number, _ in found] == [1, 2, 3, 4, 1]
    assert found[0][1] == 150, "the example of the specification"
    assert text_of(found[1][1]) == "testing"
    assert bytes(message_of(found[2][1])) == b"\x00\x00\x80\x3f"
    assert bytes(message_of(found[3][1])) == bytes(8)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_integers_are_read_one_by_one_and_packed(numbers) -> None:
    unsigned = [number % 2**64 for number in numbers]
    assert signed_numbers(unsigned) == numbers
    assert signed_numbers([memoryview(b"".join(map(varint, unsigned)))]) == numbers


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\x08", "cut off"),
        (b"\x08\x96", "cut off"),
        (b"\x12\x07test", "cut off"),
        (b"\x1d\x00", "cut off"),
        (b"\x0b", "unknown type 3"),
        (b"\x08" + b"\xff" * 11, "more than 64 bits"),
    ],
)
def test_what_is_no_message_is_refused(message, reason) -> None:
    with pytest.raises(ValueError, match=reason):
        list(fields(memoryview(message)))


def test_a_value_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="a number where bytes belong"):
        text_of(3)
    with pytest.raises(ValueError, match="utf-8"):
        text_of(memoryview(b"\xff\xfe"))
    with pytest.raises(ValueError, match="cut off"):
        signed_numbers([memoryview(b"\x96")])
