"""The number parser, reached through lines of text, against Python's exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emcomp import _core
from emcomp.errors import FormatError

LARGEST = Fraction(2**24 - 1) * 2**104


def parse(text):
    out = np.empty((1, 1), np.float32)
    _core.parse_lines(np.frombuffer(b"w " + text.encode(), np.uint8), 1, out, 1)
    return out[0, 0]


def nearest(text):
    """The float32 nearest to a decimal number, ties to even, by exact arithmetic."""
    number = Fraction(text)
    sign = -1 if text.strip().startswith("-") else 1
    number = abs(number)
    if number >= LARGEST + Fraction(2) ** 103:
        return np.float32(sign * np.inf)
    unit = Fraction(2) ** -149
    while number / unit >= 2**24:
        unit *= 2
    steps = round(number / unit)  # Fraction rounds half to even
    return np.float32(sign * float(steps * unit))


def check(text):
    value = parse(text)
    expected = nearest(text)
    assert value.tobytes() == expected.tobytes(), (text, value, expected)


bits = st.integers(0, 0x7F7FFFFF).map(lambda i: np.uint32(i).view(np.float32))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(0, 30))
def test_printed_float32(value, digits):
    check(repr(value))
    check(f"{value:.{digits}e}")
    check(str(np.float32(value)))


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(3.4028235677973366e38)  # halfway between the largest number and infinity
@example(7.006492321624085e-46)  # halfway between zero and the smallest number
@example(5e-324)
def test_printed_float64(value):
    check(repr(value))


@given(bits, st.integers(-1, 1), st.integers(0, 3))
@example(np.float32(0), 0, 0)
@example(np.uint32(0x7F7FFFFF).view(np.float32), 0, 0)
@example(np.uint32(0x007FFFFF).view(np.float32), 1, 0)
def test_halfway_and_a_hair_beside(value, hair, zeros):
    above = Fraction(float(value)) + Fraction(2) ** max(int(np.frexp(value)[1]) - 25, -150)
    digits = 160  # enough for any halfway case exactly
    scaled = above * 10**digits
    assert scaled.denominator == 1
    text = str(scaled.numerator + hair).rjust(digits + 1, "0")
    check(f"{text[:-digits]}.{text[-digits:]}{'0' * zeros}")
    check(f"{text}e-{digits}")


@given(
    st.from_regex(
        r"[+-]?([0-9]{1,25}(\.[0-9]{0,25})?|\.[0-9]{1,25})([eE][+-]?[0-9]{1,2})?", fullmatch=True
    )
)
def test_any_spelling(text):
    check(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e999999999999", np.inf),
        ("-1e40", -np.inf),
        ("1e-999999999999", 0.0),
        ("-1e-50", -0.0),
        ("0e99999999999999999999", 0.0),
        ("0." + "0" * 400 + "1", 0.0),
        ("1" + "0" * 400, np.inf),
        ("0." + "0" * 400 + "1e401", 1.0),
        ("1" + "0" * 400 + "e-400", 1.0),
        ("inf", np.inf),
        ("-Infinity", -np.inf),
        ("nan", np.nan),
        ("NaN", np.nan),
    ],
)
def test_extremes(text, expected):
    value = parse(text)
    assert np.array_equal(value, np.float32(expected), equal_nan=True)
    assert np.isnan(expected) or np.signbit(value) == np.signbit(expected)


@pytest.mark.parametrize(
    "text",
    [
        ".",
        "-",
        "+",
        "e5",
        "1e",
        "1e+",
        "1.2.3",
        "+-1",
        "--1",
        "1x",
        "0x10",
        "1_0",
        "1,5",
        "infx",
        "١",
    ],
)
def test_what_is_no_number(text):
    with pytest.raises(FormatError, match=r"line 1, column 3: .* is not a number"):
        parse(text)


@pytest.mark.parametrize("digits", [9, 12, 17, 25])
def test_every_float32_comes_back_from_its_digits(digits):
    values = np.random.default_rng(digits).integers(0, 2**32, 20_000, np.uint32).view(np.float32)
    values = values[np.isfinite(values)]
    text = "".join(f"w {value:.{digits - 1}e}\n" for value in values.tolist())
    out = np.empty((len(values), 1), np.float32)
    _core.parse_lines(np.frombuffer(text.encode(), np.uint8), 1, out, 2)
    assert np.array_equal(out[:, 0].view(np.uint32), values.view(np.uint32))
