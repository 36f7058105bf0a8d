from __future__ import annotations

import json
import os
import re
import struct
import threading
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emcomp import _core
from emcomp.errors import CorruptFileError, FormatError, InputError
from emcomp.tables import container
from emcomp.tables.container_header import seal

TABLE = {"codec": "uniform:4", "shape": [10, 10], "note": 'a "quoted" \\ näme', "scale": 0.1}


def small_tensors():
    return {
        "codes": np.arange(50, dtype=np.uint8).reshape(10, 5),
        "steps": np.linspace(0, 1, 10, dtype=np.float32),
        "empty": np.zeros((0, 7), np.float64),
        "one": np.array([5], np.uint64),
    }


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.emcomp"
    container.write(path, small_tensors(), TABLE)
    return path


def open_and_verify(path):
    with container.open(path) as file:
        file.verify()


def test_round_trip(small):
    file = container.open(small)
    assert file.table == TABLE
    assert file.names == list(small_tensors())
    assert file.nbytes == small.stat().st_size
    for name, expected in small_tensors().items():
        array = file.tensor(name)
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)
        assert not array.flags.writeable
        assert array.ctypes.data % 64 == 0 or array.size == 0
    with pytest.raises(FormatError, match=r"no tensor 'levels'.*codes"):
        file.tensor("levels")


TYPES = ["u1", "u2", "u4", "u8", "i8", "f2", "f4", "f8"]
ARRAYS = hnp.arrays(
    st.sampled_from(TYPES).map(np.dtype), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)
)


@settings(deadline=None)
@given(tensors=st.dictionaries(st.from_regex(r"[a-oq-z][a-z0-9_.]{0,9}", fullmatch=True), ARRAYS))
def test_any_tensors_and_the_stock_reader(tmp_path_factory, tensors):
    path = tmp_path_factory.mktemp("any") / "any.emcomp"
    container.write(path, tensors, {"n": len(tensors)})
    file = container.open(path)
    file.verify()
    stock = safetensors.numpy.load_file(path)
    padding = {name for name in stock if name.startswith("padding.")}
    assert stock.keys() - padding == tensors.keys() == set(file.names)
    for name in padding:
        assert not stock[name].any()
    for name, expected in tensors.items():
        for array in (file.tensor(name), stock[name]):
            assert array.shape == expected.shape
            assert array.dtype == expected.dtype
            assert array.tobytes() == expected.tobytes()


def test_stock_reader_sees_one_metadata_key(small):
    with safetensors.safe_open(small, "numpy") as stock:
        metadata = stock.metadata()
    assert list(metadata) == ["emcomp"]
    about = json.loads(metadata["emcomp"])
    assert about["format"] == 1
    assert about["table"] == TABLE
    codes = small_tensors()["codes"]
    assert about["tensor_checksums"]["codes"] == xxhash.xxh64(codes.tobytes()).hexdigest()


def test_tensors_are_aligned_and_padding_only_where_needed(small):
    data = small.read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert (8 + length) % 64 == 0
    entries = json.loads(data[8 : 8 + length])
    del entries["__metadata__"]
    begins = {name: entry["data_offsets"][0] for name, entry in entries.items()}
    assert all(begin % 64 == 0 for name, begin in begins.items() if "padding" not in name)
    assert sorted(name for name in entries if "padding" in name) == ["padding.0", "padding.1"]
    text = data[8 : 8 + length].rstrip(b" ")
    canonical = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert text == canonical.encode()


def test_same_input_same_bytes(tmp_path, small):
    again = tmp_path / "again.emcomp"
    arrays = small_tensors()
    streams = {
        "codes": container.TensorStream("U8", (10, 5), (row for row in arrays["codes"])),
        "steps": container.TensorStream("F32", (10,), [arrays["steps"][:3], arrays["steps"][3:]]),
        "empty": container.TensorStream("F64", (0, 7), []),
        "one": arrays["one"],
    }
    container.write(again, streams, dict(reversed(TABLE.items())))
    assert again.read_bytes() == small.read_bytes()


@pytest.mark.parametrize("order", ["strided", "fortran", "big-endian", "large"])
def test_arrays_in_any_memory(tmp_path, order):
    array = np.arange(6000, dtype=np.float32).reshape(60, 100)
    given_array = {
        "strided": np.repeat(np.repeat(array, 2, 0), 3, 1)[::2, ::3],
        "fortran": np.asfortranarray(array),
        "big-endian": array.astype(">f4"),
        "large": np.broadcast_to(array.reshape(1, -1), (300, 6000)),
    }[order]
    path = tmp_path / "array.emcomp"
    container.write(path, {"x": given_array}, {})
    open_and_verify(path)
    np.testing.assert_array_equal(container.open(path).tensor("x"), given_array)


def test_bfloat16_is_kept_as_bits(tmp_path):
    path = tmp_path / "bfloat16.emcomp"
    values = np.array([1.5, -2.0, 3e38], ml_dtypes.bfloat16)
    bits = values.view(np.uint16)
    container.write(path, {"a": values, "b": container.TensorStream("BF16", (3,), [bits])}, {})
    file = container.open(path)
    for name in "ab":
        assert file.tensor(name).dtype == np.uint16
        np.testing.assert_array_equal(file.tensor(name), bits)
    assert safetensors.numpy.load_file(path)["a"].tobytes() == bits.tobytes()


def test_every_flipped_bit_is_found(small):
    data = small.read_bytes()
    with small.open("r+b", buffering=0) as file:
        for bit in range(8 * len(data)):
            at = bit // 8
            os.pwrite(file.fileno(), bytes([data[at] ^ 1 << bit % 8]), at)
            with pytest.raises(FormatError):
                open_and_verify(small)
            os.pwrite(file.fileno(), data[at : at + 1], at)
    open_and_verify(small)


def test_every_length_is_checked(small):
    data = small.read_bytes()
    for size in reversed(range(len(data))):
        os.truncate(small, size)
        with pytest.raises(FormatError):
            container.open(small)
    for size in (60, len(data) // 2, len(data) - 1):
        small.write_bytes(data[:size])
        with pytest.raises(CorruptFileError, match=r"small\.emcomp: damaged header"):
            container.open(small)
    small.write_bytes(data + b"\0")
    with pytest.raises(CorruptFileError):
        container.open(small)


def test_large_tensors_are_checked_by_verify(tmp_path):
    path = tmp_path / "large.emcomp"
    container.write(path, {"a": np.zeros(3_000_000, np.uint8), "b": np.zeros(9)}, {})
    reported = []
    container.open(path).verify(lambda done, total: reported.append((done, total)))
    size = path.stat().st_size
    assert reported == sorted(reported)
    assert reported[-1] == (size, size)
    data = bytearray(path.read_bytes())
    data[2_000_000] ^= 16
    path.write_bytes(data)
    file = container.open(path)
    with pytest.raises(CorruptFileError, match=r"large\.emcomp: tensor 'a' \(bytes \d+ to \d+\)"):
        file.verify()


def test_verifying_can_be_interrupted(small):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with container.open(small) as file:
        with pytest.raises(KeyboardInterrupt):
            file.verify(interrupt)
        file.verify(lambda done, total: file.close())
        with pytest.raises(ValueError, match="closed"):
            file.verify()


def test_future_format_says_what_to_do(small):
    data = small.read_bytes().replace(rb"{\"format\":1,", rb"{\"format\":7,")
    end = 8 + int.from_bytes(data[:8], "little")
    small.write_bytes(seal(data[:end]) + data[end:])
    with pytest.raises(FormatError, match=r"format 7.*reads format 1.*pip install") as caught:
        container.open(small)
    assert not isinstance(caught.value, CorruptFileError)


def test_other_files_are_not_called_damaged(tmp_path):
    path = tmp_path / "other"
    safetensors.numpy.save_file({"weight": np.zeros((3, 4), np.float32)}, path)
    with pytest.raises(FormatError, match=r"plain safetensors.*emcomp compress") as caught:
        container.open(path)
    assert not isinstance(caught.value, CorruptFileError)
    for content in (b"", b"1234567", b"the quick brown fox jumps", bytes(500), b"\xff" * 500):
        path.write_bytes(content)
        with pytest.raises(FormatError, match="not an emcomp file") as caught:
            container.open(path)
        assert not isinstance(caught.value, CorruptFileError)
    with pytest.raises(FileNotFoundError):
        container.open(tmp_path / "missing")


def with_header(data, change):
    """The file with its header's JSON changed and both checks made right again."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = change(data[8:end].rstrip())
    header += b" " * (-(8 + len(header)) % 64)
    return seal(struct.pack("<Q", len(header)) + header) + data[end:]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"data_offsets":[0,50]', b'"data_offsets":[0,49]'),
        (b'"data_offsets":[0,50]', b'"data_offsets":[50,0]'),
        (b'"data_offsets":[0,50]', b'"data_offsets":[0,50,60]'),
        (b'"data_offsets":[0,50]', b'"data_offsets":[-1,50]'),
        (b'"data_offsets":[0,50]', b'"data_offsets":[0,50.0]'),
        (b'"data_offsets":[0,50]', b'"data_offsets":"ab"'),
        (b'"shape":[10,5]', b'"shape":[10,true,5]'),
        (b'"shape":[10,5]', b'"shape":[10,5,1e0]'),
        (b'"shape":[10,5]', b'"shape":[10,6]'),
        (b'"shape":[10,5]', b'"shape":[-10,-5]'),
        (b'"shape":[10,5]', b'"shape":[4294967296,4294967296,50]'),
        (b'"shape":[10,5]', b'"shape":[0,' + b"9" * 4000 + b"]"),
        (b'"shape":[0,7]', b'"shape":[0,9223372036854775807,9]'),
        (b'"shape":[10,5]', b'"shape":[' + b"1," * 99 + b"50]"),
        (b'"dtype":"U8","shape":[10,5]', b'"dtype":"U9","shape":[10,5]'),
        (b'"dtype":"U8","shape":[10,5]', b'"dtype":["U8"],"shape":[10,5]'),
        (b'"dtype":"U8","shape":[10,5]', b'"dtype":"U8","shape":[10,5],"x":1'),
        (b'"dtype":"U8","shape":[10,5]', b'"dtype":"U8","dtype":"U8","shape":[10,5]'),
        (b'"dtype":"U8","shape":[10,5]', b'"shape":[10,5]'),
        (b'"padding.0"', b'"codes2"'),
        (b'"padding.0"', b'"codes"'),
        (b'"codes"', b'"padding.9"'),
        (b'"steps":', b'"Steps":'),
        (b'"codes":', b'"deep":' + b"[" * 100_000 + b"]" * 100_000 + b',"codes":'),
        (b'"codes":', b'"text":"x","codes":'),
        (b'"codes":', b'"number":NaN,"codes":'),
        (b'"codes":', b'"bytes":"\xff","codes":'),
        (b'"__metadata__":{', b'"__metadata__":{"other":1,'),
        (rb"\"table\":{", rb"\"table\":NaN,\"x\":{"),
        (rb"\"table\":{", rb"\"table\":3,\"x\":{"),
        (rb"\"tensor_checksums\":{", rb"\"tensor_checksums\":[],\"x\":{"),
        (rb"\"tensor_checksums\":{", rb"\"tensor_checksums\":{\"more\":\"0123456789abcdef\","),
    ],
)
def test_hostile_headers_with_right_checksums(small, old, new):
    data = small.read_bytes()
    assert data.count(old) >= 1
    small.write_bytes(data)
    try:
        hostile = with_header(data, lambda header: header.replace(old, new, 1))
    except ValueError:  # the change hit the beginning that every emcomp file has
        hostile = data.replace(old, new, 1)
    small.write_bytes(hostile)
    with pytest.raises(FormatError):
        container.open(small)


def test_unaligned_tensors_are_refused(small):
    def change(header):
        return header.replace(b'"padding.0"', b'"zadding.0"').replace(
            rb"\"tensor_checksums\":{",
            rb"\"tensor_checksums\":{\"zadding.0\":\"0000000000000000\",",
        )

    small.write_bytes(with_header(small.read_bytes(), change))
    with pytest.raises(CorruptFileError, match="not a multiple of 64"):
        container.open(small)


@pytest.mark.parametrize("length", [0, 1, 2**24 + 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1])
def test_absurd_header_lengths(small, length):
    data = small.read_bytes()
    small.write_bytes(struct.pack("<Q", length) + data[8:])
    with pytest.raises(CorruptFileError):
        container.open(small)


def test_header_longer_than_readers_allow(small):
    with small.open("r+b") as file:
        file.truncate(2**24 + 100)
        file.write(struct.pack("<Q", 2**24 + 1))
    with pytest.raises(CorruptFileError, match="at most 16777216"):
        container.open(small)


@pytest.mark.parametrize(
    ("tensors", "table", "message"),
    [
        ({"Codes": np.zeros(3)}, {}, "'Codes'"),
        ({"padding.0": np.zeros(3)}, {}, "padding"),
        ({"__metadata__": np.zeros(3)}, {}, "__metadata__"),
        ({"": np.zeros(3)}, {}, "name"),
        ({"codes": np.zeros(3, np.complex64)}, {}, "complex64"),
        ({"codes": np.array(["a"])}, {}, "cannot be stored"),
        ({"codes": container.TensorStream("F128", (3,), [])}, {}, "F128"),
        ({"codes": container.TensorStream("U8", (4,), [np.zeros(3, np.uint8)])}, {}, "only 3"),
        ({"codes": container.TensorStream("U8", (2,), [np.zeros(3, np.uint8)])}, {}, "more"),
        ({"codes": container.TensorStream("U8", (3,), [np.zeros(3, np.int8)])}, {}, "int8"),
        ({"codes": container.TensorStream("F32", (3,), [np.zeros(3)])}, {}, "float64"),
        ({}, {"x": float("nan")}, "JSON"),
        ({}, {"x": object()}, "JSON"),
        ({}, {"x": {1, 2}}, "JSON"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, tensors, table, message):
    path = tmp_path / "x.emcomp"
    with pytest.raises(InputError, match=message):
        container.write(path, tensors, table)
    assert list(tmp_path.iterdir()) == []


def test_description_that_changes_under_way(tmp_path):
    table = {"a": [1]}

    def chunks():
        table["a"].append(2)
        yield np.zeros(3, np.uint8)

    path = tmp_path / "x.emcomp"
    container.write(path, {"codes": container.TensorStream("U8", (3,), chunks())}, table)
    assert container.open(path).table == {"a": [1]}


def test_concurrent_readers(tmp_path):
    path = tmp_path / "shared.emcomp"
    codes = np.random.default_rng(0).integers(0, 256, (1000, 300), np.uint8)
    container.write(path, {"codes": codes}, TABLE)
    failures = []

    def read():
        for _ in range(20):
            with container.open(path) as file:
                file.verify()
                if not np.array_equal(file.tensor("codes"), codes):
                    failures.append("codes")

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def base_of(array):
    while isinstance(array, np.ndarray):
        array = array.base
    return array


def test_tensors_are_the_shared_map(small):
    codes = container.open(small).tensor("codes")
    assert isinstance(base_of(codes), _core.MappedFile)
    mapping = re.compile(rf"^\S+ (\S+) .*{re.escape(str(small))}$", re.MULTILINE)
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert "r--s" in mapping.findall(maps.read_text())
    with pytest.raises(ValueError, match="read-only"):
        codes[0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        codes.flags.writeable = True


def test_close(small):
    with container.open(small) as file:
        codes = file.tensor("codes")
    np.testing.assert_array_equal(codes, small_tensors()["codes"])
    with pytest.raises(ValueError, match="closed"):
        file.tensor("codes")
    with pytest.raises(ValueError, match="closed"):
        file.verify()
