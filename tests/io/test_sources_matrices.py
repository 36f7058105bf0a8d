"""npy, raw numbers, npz and safetensors read by ranges, also where they are larger than memory."""

import contextlib
import json
import pickle

import numpy as np
import pytest
import safetensors.numpy

import emcomp
from emcomp.errors import CorruptFileError, EmcompError, FormatError, InputError
from emcomp.io.sources.base import as_source
from tests.helpers.source_files import table, write_checkpoint

FAR = 2**31 + 2**20


def bits(X):
    """The upper halves of float32 numbers: bfloat16."""
    return (X.view(np.uint32) >> 16).astype(np.uint16)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f2", ">f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_every_version_type_and_order(tmp_path, version, dtype, order):
    X = np.asarray(table(70, 9), dtype, order=order)
    with (tmp_path / "x").open("wb") as file:
        np.lib.format.write_array(file, X, version)
    source = emcomp.open_source(tmp_path / "x")
    assert source.dtype == X.dtype.name
    for first, count in [(0, 70), (69, 1), (13, 40)]:
        rows = source.read(first, count)
        assert rows.dtype == X.dtype
        assert np.array_equal(rows, X[first : first + count])
    codes = emcomp.compress(source, "uniform:4").decode(0, 70)
    assert np.array_equal(codes, emcomp.compress(X, "uniform:4").decode(0, 70))


def test_npy_of_bfloat16_bits(tmp_path):
    X = bits(table(20, 5))
    np.save(tmp_path / "x.npy", X)
    source = emcomp.open_source(tmp_path / "x.npy", dtype="bfloat16")
    assert source.dtype == "bfloat16"
    assert np.array_equal(source.read(3, 9), X[3:12])
    with pytest.raises(FormatError, match=r"x\.npy: the array has shape .* and holds <u2"):
        emcomp.open_source(tmp_path / "x.npy")


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((2, 2, 2)), np.zeros((0, 3)), [[1, 2]]])
def test_npy_that_is_no_table(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(FormatError, match=r"x\.npy: the array has shape"):
        emcomp.open_source(tmp_path / "x.npy")


def test_a_file_cut_short_names_the_row(tmp_path):
    np.save(tmp_path / "x.npy", table(100, 8))
    data = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(data[: 128 + 32 * 41 + 5])
    with pytest.raises(CorruptFileError, match=r"x\.npy: .* ends at byte 1445, inside row 41; 100"):
        emcomp.open_source(tmp_path / "x.npy")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", ">f4"])
@pytest.mark.parametrize("rows", [None, 30])
def test_raw_numbers(tmp_path, dtype, rows):
    X = table(30, 7)
    X = bits(X) if dtype == "bfloat16" else X.astype(dtype)
    X.tofile(tmp_path / "x.bin")
    source = emcomp.open_source(tmp_path / "x.bin", dtype=dtype, shape=(rows, 7))
    assert source.shape == (30, 7)
    assert source.dtype == (dtype if dtype[0] != ">" else "float32")
    assert np.array_equal(source.read(11, 8), X[11:19])


@pytest.mark.parametrize(
    ("shape", "error"),
    [
        ((31, 7), "inside row 30; 31 rows of 7 float32"),
        ((29, 7), "840 bytes, 29 rows of 7 float32 numbers have 812"),
        ((None, 11), "ends at byte 840, inside row 19; 20 rows"),
    ],
)
def test_raw_numbers_of_another_size(tmp_path, shape, error):
    table(30, 7).tofile(tmp_path / "x.bin")
    with pytest.raises(CorruptFileError, match=error):
        emcomp.open_source(tmp_path / "x.bin", dtype="float32", shape=shape)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"shape": (3, 7)}, "raw numbers, which need dtype="),
        ({"dtype": "float32"}, "raw numbers need shape="),
        ({"dtype": "int32", "shape": (30, 7)}, "dtype must be one of"),
        ({"dtype": "float128", "shape": (30, 7)}, "dtype must be one of"),
        ({"dtype": "nonsense", "shape": (30, 7)}, "dtype must be one of"),
        ({"dtype": "float32", "shape": (30, 0)}, "shape must be"),
        ({"dtype": "float32", "shape": (30, 7), "tensor": "x"}, "a raw file takes no tensor="),
    ],
)
def test_arguments_for_raw_numbers(tmp_path, options, error):
    table(30, 7).tofile(tmp_path / "x.bin")
    with pytest.raises(InputError, match=error):
        emcomp.open_source(tmp_path / "x.bin", **options)


def test_compressed_npz_is_decompressed_once(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", a=table(900, 3))
    source = emcomp.open_source(tmp_path / "x.npz")
    assert np.array_equal(source.read(500, 300), table(900, 3)[500:800])


def test_a_table_of_several_in_npz(tmp_path):
    a, b = table(9, 3), table(5, 4)
    np.savez(tmp_path / "x.npz", a=a, b=b)
    with pytest.raises(FormatError, match=r"several tensors .* tensor=: 'a'"):
        emcomp.open_source(tmp_path / "x.npz")
    assert np.array_equal(emcomp.open_source(tmp_path / "x.npz", tensor="b").read(1, 3), b[1:4])
    with pytest.raises(InputError, match="no tensor 'c'"):
        emcomp.open_source(tmp_path / "x.npz", tensor="c")


# ---- safetensors


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64"])
def test_safetensors_of_every_type(tmp_path, dtype):
    X = table(20, 5)
    numbers = {"F16": np.float16, "F32": np.float32, "F64": np.float64}
    X = bits(X) if dtype == "BF16" else X.astype(numbers[dtype])
    header = {"e": {"dtype": dtype, "shape": [20, 5], "data_offsets": [0, X.nbytes]}}
    text = json.dumps(header).encode()
    (tmp_path / "x").write_bytes(len(text).to_bytes(8, "little") + text + X.tobytes())
    source = emcomp.open_source(tmp_path / "x")
    assert source.dtype == ("bfloat16" if dtype == "BF16" else X.dtype.name)
    assert np.array_equal(source.read(7, 13), X[7:])


def test_tensors_by_name(tmp_path):
    a, b = table(9, 3), table(5, 4)
    safetensors.numpy.save_file({"x": a, "y": b, "z": b[0]}, tmp_path / "x")
    with pytest.raises(FormatError, match=r"may be the embedding.*'x' \(9, 3\), 'y' \(5, 4\)"):
        emcomp.open_source(tmp_path / "x")
    assert np.array_equal(emcomp.open_source(tmp_path / "x", tensor="y").read(0, 5), b)
    with pytest.raises(InputError, match="no tensor 'w'"):
        emcomp.open_source(tmp_path / "x", tensor="w")
    with pytest.raises(InputError, match="'z' is F32 of shape"):
        emcomp.open_source(tmp_path / "x", tensor="z")


def test_a_checkpoint_in_several_files(tmp_path):
    X = table(30, 6)
    index = write_checkpoint(tmp_path, X)
    (tmp_path / "config.json").write_text("{}")
    for path in (index, tmp_path):
        assert np.array_equal(emcomp.open_source(path).read(5, 20), X[5:25])
        assert emcomp.open_source(path, tensor="b.weight").shape == (1, 6)
        assert np.array_equal(
            emcomp.compress(path, "uniform:4").decode(0, 30),
            emcomp.compress(X, "uniform:4").decode(0, 30),
        )
    with pytest.raises(InputError, match=r"index\.json: no tensor 'w' in the index"):
        emcomp.open_source(index, tensor="w")


def test_a_checkpoint_with_a_missing_file(tmp_path):
    index = write_checkpoint(tmp_path, table(30, 6))
    (tmp_path / "model-1-of-2.safetensors").unlink()
    with pytest.raises(FormatError, match=r"'model-1-of-2\.safetensors' of the index is missing"):
        emcomp.open_source(index)
    # The file that is missing is not needed for this one.
    assert emcomp.open_source(index, tensor="a.embed_tokens.weight").shape == (30, 6)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("nothing", "not the index of a checkpoint"),
        ("{}", "not the index of a checkpoint"),
        ("[]", "not the index of a checkpoint"),
        ('{"weight_map": []}', "not the index of a checkpoint"),
        ('{"weight_map": {}}', "does not map tensors to files beside it"),
        ('{"weight_map": {"a": 3}}', "does not map tensors to files beside it"),
        ('{"weight_map": {"a": "../secret"}}', "does not map tensors to files beside it"),
        ('{"weight_map": {"a": "model-1-of-2.safetensors"}}', "has no tensor 'a', though"),
    ],
)
def test_an_index_that_is_none(tmp_path, text, error):
    index = write_checkpoint(tmp_path, table(30, 6))
    index.write_text(text)
    with pytest.raises(FormatError, match=error):
        emcomp.open_source(index)


def test_a_compressed_table_is_no_source(tmp_path):
    emcomp.compress(table(9, 3), "uniform:4").save(tmp_path / "x.emcomp")
    with pytest.raises(FormatError, match=r"a compressed table: emcomp\.open"):
        emcomp.open_source(tmp_path / "x.emcomp")


# ---- beyond 2^31


def sparse_npy(path, dtype, shape, rows):
    """An npy file of zeros that takes no room on disk, but for some rows."""
    with path.open("wb") as file:
        header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, header)
        begin = file.tell()
        row_bytes = shape[1] * np.dtype(dtype).itemsize
        file.truncate(begin + shape[0] * row_bytes)
        for row, values in rows.items():
            file.seek(begin + row * row_bytes)
            file.write(np.full(shape[1], values, dtype).tobytes())


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("<f2", (FAR, 1)), ("<f4", (FAR // 256, 300)), ("<f2", (FAR // 256, 257))],
)
def test_more_rows_entries_and_bytes_than_two_to_the_31(tmp_path, dtype, shape):
    last = shape[0] - 1
    sparse_npy(tmp_path / "x.npy", dtype, shape, {0: 1, last - 1000: 2, last: 3})
    source = emcomp.open_source(tmp_path / "x.npy")
    assert source.shape == shape
    assert shape[0] * shape[1] > 2**31
    for again in (source, pickle.loads(pickle.dumps(source))):
        rows = again.read(last - 1001, 1002)
        assert rows[:, -1].tolist() == [0, 2, *([0] * 999), 3]
        assert again.read(0, 2)[:, 0].tolist() == [1, 0]
    part = np.load(tmp_path / "x.npy", mmap_mode="r")[last - 5 :]
    again = pickle.loads(pickle.dumps(as_source(part)))
    assert again.read(4, 2)[:, 0].tolist() == [0, 3]


def test_many_columns_in_fortran_order(tmp_path):
    with (tmp_path / "x.npy").open("wb") as file:
        header = {"descr": "<f2", "fortran_order": True, "shape": (FAR // 2, 3)}
        np.lib.format.write_array_header_2_0(file, header)
        begin = file.tell()
        file.truncate(begin + FAR // 2 * 3 * 2)
        file.seek(begin + (FAR // 2 * 3 - 2) * 2)
        file.write(np.array([5, 7], np.float16).tobytes())
    source = emcomp.open_source(tmp_path / "x.npy")
    assert source.read(FAR // 2 - 2, 2).tolist() == [[0, 0, 5], [0, 0, 7]]


def test_raw_bfloat16_with_more_rows_than_two_to_the_31(tmp_path):
    with (tmp_path / "x").open("wb") as file:
        file.truncate(2 * FAR)
        file.seek(2 * FAR - 2)
        file.write(b"\x80\x3f")
    source = emcomp.open_source(tmp_path / "x", dtype="bfloat16", shape=(None, 1))
    assert source.shape == (FAR, 1)
    assert source.read(FAR - 3, 3).ravel().tolist() == [0, 0, 0x3F80]


def test_nothing_but_known_errors(tmp_path):
    """Damaged headers give errors of the family, whatever byte is wrong."""
    np.save(tmp_path / "x.npy", table(9, 3))
    data = (tmp_path / "x.npy").read_bytes()
    for at in range(0, 128, 3):
        damaged = bytearray(data)
        damaged[at] ^= 0x11
        (tmp_path / "x.npy").write_bytes(damaged)
        with contextlib.suppress(EmcompError):
            emcomp.open_source(tmp_path / "x.npy").read(0, 1)
