"""The strings that name codecs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emcomp import InputError, parse_codec
from emcomp.codecs import Allocate, Float, Trellis, Uniform
from emcomp.transforms import Direction, Pca, Principal, Rotate, Svd, Transformed, Whiten

CODECS = {
    "uniform:4": Uniform(4),
    "uniform:2(granularity=row,step_dtype=float16)": Uniform(
        2, granularity="row", step_dtype="float16"
    ),
    "float:16": Float(16),
    "svd:64": Transformed(Svd(64), Float(32)),
    "svd:64+float:16": Transformed(Svd(64), Float(16)),
    "pca:3": Transformed(Pca(3), Float()),
    "direction:192+uniform:4": Transformed(Direction(192), Uniform(4)),
    "rotate+uniform:4": Transformed(Rotate(), Uniform(4)),
    "rotate(scales=row,seed=7)+uniform:4(clip=quantile:0.999)": Transformed(
        Rotate(scales="row", seed=7), Uniform(4, clip="quantile:0.999")
    ),
    "whiten+uniform:3": Transformed(Whiten(), Uniform(3)),
    "whiten(1.0,centre=none)+uniform:3": Transformed(Whiten(1.0, centre="none"), Uniform(3)),
    "principal+allocate:3": Transformed(Principal(), Allocate(3)),
    "principal(0.5)+allocate:0.85": Transformed(Principal(0.5), Allocate(0.85)),
    "allocate:2": Allocate(2.0),
    "allocate:0.1": Allocate(0.1),
    "allocate:7.999999999999999": Allocate(7.999999999999999),
    "allocate:0.00001": Allocate(1e-5),
    "trellis:2": Trellis(2),
    "trellis:0.85(window=10,widths=column)": Trellis(0.85, window=10, widths="column"),
    "svd:8+rotate+uniform:1": Transformed(Svd(8), Transformed(Rotate(), Uniform(1))),
}


@pytest.mark.parametrize("text", CODECS)
def test_strings_name_codecs_and_codecs_write_them(text: str) -> None:
    assert parse_codec(text) == CODECS[text]
    assert str(CODECS[text]) == text


@given(st.floats(0, 8, exclude_min=True))
def test_any_fraction_of_bits_has_a_string(bits: float) -> None:
    text = str(Allocate(bits))
    assert set(text.removeprefix("allocate:")) <= set("0123456789.")
    assert parse_codec(text) == Allocate(bits)
    assert str(parse_codec(text)) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("whiten(0.5)+uniform:3", "whiten+uniform:3"),
        ("whiten(1)+uniform:3", "whiten(1.0)+uniform:3"),
        (" whiten(power=0.25) + uniform:3 ", "whiten(0.25)+uniform:3"),
        ("svd:64+float:32", "svd:64"),
        ("uniform:4(clip=1e+2)", "uniform:4(clip=100.0)"),
        ("allocate:2.0", "allocate:2"),
        ("allocate:00.50", "allocate:0.5"),
        ("allocate:0.30000000000000001", "allocate:0.3"),
    ],
)
def test_other_spellings_are_written_in_one_way(text: str, written: str) -> None:
    assert str(parse_codec(text)) == written
    assert parse_codec(written) == parse_codec(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a codec"),
        ("rotate+", "not a codec"),
        ("+uniform:4", "not a codec"),
        ("uniform:4+svd:8", "must come last"),
        ("uniform:4+uniform:4", "must come last"),
        ("spin+uniform:4", "unknown codec 'spin'"),
        ("rotate:3+uniform:4", "expected rotate"),
        ("svd", "expected svd:k with whole numbers"),
        ("svd:8(0.5)", "bad option"),
        ("whiten(centre=none,0.5)+uniform:4", "bad option"),
        ("whiten(0.5,power=0.5)+uniform:4", "bad option"),
        ("whiten(2)+uniform:4", "power must be"),
        ("whiten(nan)+uniform:4", "power must be"),
        ("whiten(scales=column)+uniform:4", "scales must be"),
        ("rotate(seed=-1)+uniform:4", "seed must be"),
        ("svd:8(map_dtype=float64)", "map_dtype must be"),
        ("svd:0", "k must be"),
        ("svd:8.0", "expected svd:k with whole numbers"),
        ("uniform:0.5", "expected uniform:bits with whole numbers"),
        ("kmeans:2.5", "expected kmeans:bits with whole numbers"),
        ("pq:1.5x8", "expected pq:partsxbits with whole numbers"),
        ("pq:4x1.5", "expected pq:partsxbits with whole numbers"),
        ("dccl:0.5", "or dccl:bits with whole numbers"),
        ("uniform:\u0664", "expected uniform:bits with whole numbers"),
        *(
            (f"allocate:{size}", "expected allocate:bits with a decimal number$")
            for size in [
                *("", ".", ".5", "2.", "1.2.3", "0,5", "1_0", "1/2", "- 1", " 1", "\u0662.5"),
                *("-1", "+1", "1e-1", "5E-1", "0x1", "nan", "inf", "infinity", "1x2", "0.5x2"),
            ]
        ),
        ("allocate", "expected allocate:bits with a decimal number$"),
        ("allocate:0", "bits must be a number above 0"),
        ("allocate:0.0", "bits must be a number above 0"),
        ("allocate:8.5", "bits must be a number above 0 and up to 8, not 8.5"),
        ("allocate:9", "bits must be a number above 0 and up to 8"),
        (f"allocate:{'9' * 400}.0", "bits must be a number above 0 and up to 8"),
        (f"allocate:0.{'0' * 400}1", "bits must be a number above 0 and up to 8"),
        ("float:8", "16 or 32 bits"),
    ],
)
def test_what_is_wrong_with_a_string_is_said(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_codec(text)
