"""Writing: formats by their endings, what comes back, and what cannot be written."""

import gzip
import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import emcomp
from emcomp.errors import InputError
from emcomp.io.writing import ending_of
from tests.helpers.source_files import table

ENDINGS = ["txt", "vec", "bin", "npz", "safetensors", "parquet", "txt.gz", "vec.gz", "bin.gz"]
TEXT = ("txt", "vec", "bin")

character = st.sampled_from(" \t\r\x0b\x0c\x1c\x1f\x85\xa0\u2028\ufeff\0\"',;{[<#0159.-e") | (
    st.characters(exclude_categories=["Cs"])
)
word = st.one_of(
    st.text(character, min_size=1, max_size=8),
    st.binary(min_size=1, max_size=6).map(lambda b: b.decode("utf-8", "surrogateescape")),
    st.sampled_from(["PK", "BZh", "ORC", "MZ", "{\"", "<html", "5", "1e3", "nan", "word2vec", "%PDF",
                     "GGUF", "PAR1", "\x1f\udc8b", "\x80\x04", "New York", "a\tb", " a", "\x93NUMPY"]),
)  # fmt: skip
number = st.integers(0, 2**32 - 1).map(lambda i: np.uint32(i).view(np.float32))
small = st.floats(-4, 4, width=32).map(np.float32)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=400
)
@given(st.data(), st.sampled_from(ENDINGS))
def test_what_is_written_is_read_back_and_told_by_itself(tmp_path, data, ending):
    words = data.draw(st.lists(word, min_size=1, max_size=12, unique=True))
    dim = data.draw(st.integers(1, 9))
    numbers = data.draw(st.sampled_from([number.filter(lambda x: not np.isnan(x)), small]))
    X = np.array(
        [data.draw(st.lists(numbers, min_size=dim, max_size=dim)) for _ in words], np.float32
    )
    path = tmp_path / f"vectors.{ending}"
    try:
        emcomp.write_vectors(path, X, words)
    except InputError:
        assert ending.startswith(TEXT)  # the others hold every word
        return
    # Neither the name nor an argument tells what it is.
    plain = tmp_path / "plain"
    plain.write_bytes(path.read_bytes())
    read = emcomp.read_vectors(plain)
    assert read.words.tolist() == words
    assert np.array_equal(read.vectors.view(np.uint32), X.view(np.uint32))
    source = emcomp.open_source(plain)
    assert source.words().tolist() == words
    assert np.array_equal(source.read(0, len(X)), X)


@pytest.mark.parametrize("ending", ENDINGS)
def test_usual_words_are_never_refused(tmp_path, ending):
    words = ["the", "ünï", "\udcff", "12", "0.5", ",", '"', "PK", "</s>", "<unk>", "-", "日本"]
    X = table(12, 5)
    emcomp.write_vectors(tmp_path / f"v.{ending}", X, words)
    read = emcomp.read_vectors(tmp_path / f"v.{ending}")
    assert read.words.tolist() == words
    assert np.array_equal(read.vectors, X)


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("a.npy", "npy"), ("a.VEC", "word2vec"), ("a.b.txt", "glove"), ("a.bin.gz", "word2vec-binary"),
    ],
)  # fmt: skip
def test_the_ending_tells_the_format(tmp_path, name, format_):
    assert ending_of(name).format == format_
    words = None if format_ == "npy" else ["a", "b", "c"]
    emcomp.write_vectors(tmp_path / name, table(3, 4), words)
    emcomp.write_vectors(tmp_path / "same", table(3, 4), words, format=format_)
    content = (tmp_path / name).read_bytes()
    content = gzip.decompress(content) if name.endswith(".gz") else content
    assert content == (tmp_path / "same").read_bytes()
    emcomp.write_vectors(tmp_path / "a.npy", table(3, 4), ["a", "b", "c"], format="glove")
    assert (tmp_path / "a.npy").read_bytes()[:2] == b"a "


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a", {}, "names no format"),
        ("a.csv", {}, r"'\.csv' names no format .* glove for \.txt"),
        ("a.gz", {}, "names no format"),
        ("a.emcomp", {}, "emcomp compress"),
        ("a.txt.zip", {"format": "glove"}, r"only \.gz is written"),
        ("a.npz.gz", {}, r"leave \.gz out"),
        ("a.txt", {"dtype": "float16"}, "holds float32 alone"),
        ("a.npz", {"dtype": "int8"}, "dtype must be"),
        ("a.txt", {"format": "xml"}, "unknown format"),
    ],
)
def test_names_that_do_not_say_how_to_write(tmp_path, name, options, message):
    with pytest.raises(InputError, match=message):
        emcomp.write_vectors(tmp_path / name, table(3, 4), ["a", "b", "c"], **options)
    assert not list(tmp_path.iterdir())


def test_an_open_file(tmp_path):
    out = io.BytesIO()
    emcomp.write_vectors(out, table(3, 4), ["a", "b", "c"], format="npz")
    (tmp_path / "x").write_bytes(out.getvalue())
    assert emcomp.read_vectors(tmp_path / "x").words.tolist() == ["a", "b", "c"]
    with pytest.raises(InputError, match="give format="):
        emcomp.write_vectors(out, table(3, 4), ["a", "b", "c"])


@pytest.mark.parametrize("ending", ["npy", "npz", "safetensors", "parquet"])
def test_float16(tmp_path, ending):
    X = table(300, 6)
    path = tmp_path / f"x.{ending}"
    emcomp.write_vectors(path, X, dtype="float16")
    read = emcomp.read_vectors(path)
    assert read.words is None
    assert read.vectors.dtype == np.float16
    assert np.array_equal(read.vectors, X.astype(np.float16))
    X[7, 3] = 70000
    with pytest.raises(InputError, match=r"row 7, column 3: 70000\.0 is too large for float16"):
        emcomp.write_vectors(path, X, dtype="float16")
    assert np.array_equal(emcomp.read_vectors(path).vectors[8:], X[8:].astype(np.float16))


@pytest.mark.parametrize("ending", ["txt", "vec", "bin", "npy", "parquet"])
def test_numbers_beyond_float32_are_refused_and_infinities_kept(tmp_path, ending):
    X = table(5, 3).astype(np.float64)
    words = None if ending == "npy" else list("abcde")
    X[1, 1] = np.inf
    emcomp.write_vectors(tmp_path / f"x.{ending}", X, words)
    assert np.array_equal(
        emcomp.read_vectors(tmp_path / f"x.{ending}").vectors, X.astype(np.float32)
    )
    X[4, 2] = -1e39
    with pytest.raises(InputError, match=r"row 4, column 2: -1e\+39 is too large for float32"):
        emcomp.write_vectors(tmp_path / f"y.{ending}", X, words)
    assert not (tmp_path / f"y.{ending}").exists()


def test_files_that_other_libraries_read(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    pq = pytest.importorskip("pyarrow.parquet")
    X, words = table(30, 4), [f"w{i}" for i in range(30)]
    for ending in ("npz", "safetensors", "parquet"):
        emcomp.write_vectors(tmp_path / f"x.{ending}", X, words)
    assert np.array_equal(np.load(tmp_path / "x.npz")["vectors"], X)
    assert np.array_equal(safetensors.load_file(tmp_path / "x.safetensors")["embedding.weight"], X)
    columns = pq.read_table(tmp_path / "x.parquet").to_pydict()
    assert columns["word"] == words
    assert np.array_equal(np.float32(columns["vector"]), X)


def test_masked_arrays_are_refused_where_something_is_masked(tmp_path):
    X = np.ma.masked_greater(table(9, 4), 0.5)
    assert X.mask.any()
    message = rf"{int(X.mask.sum())} entries of the array are masked"
    for call in (
        lambda: emcomp.compress(X),
        lambda: emcomp.write_vectors(tmp_path / "x.npy", X),
        lambda: emcomp.eos(X, X),
    ):
        with pytest.raises(InputError, match=message):
            call()
    whole = np.ma.masked_array(table(9, 4))
    emcomp.write_vectors(tmp_path / "x.npy", whole)
    assert np.array_equal(np.load(tmp_path / "x.npy"), table(9, 4))


def test_text_of_100_000_dimensions(tmp_path):
    X = table(3, 100_000)
    for ending in ("txt", "vec"):
        path = tmp_path / f"x.{ending}"
        emcomp.write_vectors(path, X, ["a", "b", "c"])
        assert path.stat().st_size > 3 << 20
        assert np.array_equal(emcomp.read_vectors(path).vectors, X)
        assert np.array_equal(emcomp.open_source(path).read(1, 2), X[1:])
