"""Torch checkpoints, static models, GGUF, HDF5 and GloVe's binary parameters."""

import contextlib
import io
import json
import pickle
import pickletools
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import emcomp
from emcomp.errors import CorruptFileError, EmcompError, FormatError, InputError
from tests.helpers.source_files import table, words_for

X = table(40, 8)


def same(path, rows=X, **options):
    read = emcomp.read_vectors(path, **options)
    assert np.array_equal(read.vectors, rows)
    source = pickle.loads(pickle.dumps(emcomp.open_source(path, **options)))
    assert np.array_equal(source.read(7, 20), rows[7:27])
    assert emcomp.compress(path, "uniform:8").shape == rows.shape if not options else True


# ---- torch checkpoints, written as torch writes them


def tensor_pickle(tensors, nested=None):
    """Pickle of a state dict, put together opcode by opcode."""
    out = [b"\x80\x02}("]
    for key, (name, kind, count, offset, shape, strides) in enumerate(tensors):

        def numbers(values):
            return b"(" + b"".join(b"J" + struct.pack("<i", v) for v in values) + b"t"

        def text(value):
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()

        out += [
            text(name), b"ctorch._utils\n_rebuild_tensor_v2\n((", text("storage"),
            f"ctorch\n{kind}\n".encode(), text(str(key)), text("cpu"),
            b"J" + struct.pack("<i", count), b"tQ", b"J" + struct.pack("<i", offset),
            numbers(shape), numbers(strides), b"\x89ccollections\nOrderedDict\n)RtR",
        ]  # fmt: skip
    out.append(b"u.")
    return b"".join(out)


def checkpoint(pickled, storages, folder="model", compression=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr(f"{folder}/data.pkl", pickled)
        archive.writestr(f"{folder}/byteorder", "little")
        for key, content in enumerate(storages):
            archive.writestr(f"{folder}/data/{key}", content)
        archive.writestr(f"{folder}/version", "3\n")
    return out.getvalue()


EMBEDDING = ("bert.embeddings.word_embeddings.weight", "FloatStorage", 320, 0, (40, 8), (8, 1))


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "x.bin"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize(("kind", "dtype"), [("FloatStorage", "f4"), ("HalfStorage", "f2"), ("DoubleStorage", "f8")])  # fmt: skip
def test_a_checkpoint_is_read_without_torch(file, kind, dtype):
    rows = X.astype(dtype)
    described = [
        ("encoder.embed_tokens.weight", kind, 400, 40, (40, 8), (8, 1)),
        ("head.weight", kind, 6, 0, (2, 3), (3, 1)),
        ("bias", kind, 3, 0, (3,), (1,)),
        ("transposed", kind, 6, 0, (3, 2), (1, 3)),
    ]
    storages = [np.concatenate([np.zeros(40, dtype), rows.ravel(), np.zeros(40, dtype)]).tobytes(),
                rows.ravel()[:6].tobytes(), rows.ravel()[:3].tobytes(), rows.ravel()[:6].tobytes()]  # fmt: skip
    path = file(checkpoint(tensor_pickle(described), storages))
    same(path, rows)
    assert emcomp.read_vectors(path).dtype == rows.dtype.name
    assert np.array_equal(
        emcomp.read_vectors(path, tensor="head.weight").vectors, rows.ravel()[:6].reshape(2, 3)
    )
    for name, message in [("bias", "not a table"), ("transposed", "strided F"), ("x", "no tensor")]:
        with pytest.raises(InputError, match=message):
            emcomp.read_vectors(path, tensor=name)
    assert "torch" not in subprocess.run(
        [sys.executable, "-c", ("import sys, emcomp; emcomp.read_vectors(sys.argv[1]);"
         "print(*(m for m in sys.modules if m == 'torch'))"), path],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def test_a_checkpoint_in_several_files(tmp_path):
    (tmp_path / "a.bin").write_bytes(checkpoint(tensor_pickle([EMBEDDING]), [X.tobytes()]))
    places = {"weight_map": {EMBEDDING[0]: "a.bin"}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(places))
    same(tmp_path / "pytorch_model.bin.index.json")
    same(tmp_path)


class Evil:
    def __reduce__(self):
        return (print, ("this ran",))


def test_nothing_in_a_checkpoint_is_run(file, capsys):
    hostile = [
        pickle.dumps({"a": Evil()}, 2),
        pickle.dumps({"a": Evil()}, 5),
        b"cos\nsystem\n(S'echo this ran'\ntR.",
        b"ctorch.nn\nEmbedding\n)R.",
        b"cemcomp\ncompress\n)R.",
        b"(S'echo this ran'\nios\nsystem\n.",
    ]
    for content in hostile:
        with pytest.raises(FormatError, match=r"which|damaged") as caught:
            emcomp.read_vectors(file(checkpoint(content, [])))
        assert "npz" not in str(caught.value)
    with pytest.raises(FormatError, match=r"uses torch\.nn\.Embedding, which is more than tensors"):
        emcomp.read_vectors(file(checkpoint(hostile[3], [])))
    assert "this ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x02}",
        b"\x80\x02]r\xff\xff\xff\x7f.",  # keeps an object in a place far away
        b"\x80\x02\x8b\xff\xff\xff\x7f.",
        tensor_pickle([(*EMBEDDING[:4], (1 << 30, 1 << 30), (1, 1))]),
        tensor_pickle([(*EMBEDDING[:3], -4, (40, 8), (8, 1))]),
        tensor_pickle([(*EMBEDDING[:3], 8, (40, 8), (8, 1))]),
        tensor_pickle([EMBEDDING]).replace(b"storage", b"storagf"),
        b"(" * 5000 + b".",
        b"\x80\x02" + b"]q\0" + b"h\0a" * 3 + b".",
    ],
)
def test_damaged_checkpoints(file, content):
    with pytest.raises(FormatError):
        emcomp.read_vectors(file(checkpoint(content, [X.tobytes()])))


def test_checkpoints_that_are_not_read(file):
    whole = checkpoint(tensor_pickle([EMBEDDING]), [X.tobytes()], compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(FormatError, match="numbers are compressed"):
        emcomp.read_vectors(file(whole))
    content = checkpoint(tensor_pickle([EMBEDDING]), [X.tobytes()])
    for end in range(30, len(content), 97):
        with pytest.raises(CorruptFileError):
            emcomp.read_vectors(file(content[:end]))
    with pytest.raises(CorruptFileError, match=r"has no data/0"):
        emcomp.read_vectors(file(checkpoint(tensor_pickle([EMBEDDING]), [])))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300
)
@given(st.data())
def test_mutated_checkpoints_give_errors_of_ours(file, data):
    pickled = bytearray(tensor_pickle([EMBEDDING, ("b", "LongStorage", 2, 0, (2,), (1,))]))
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(pickled) - 1))
        pickled[place] = data.draw(st.sampled_from([o.code.encode("latin-1")[0] for o in pickletools.opcodes]) | st.integers(0, 255))  # fmt: skip
    content = checkpoint(bytes(pickled), [X.tobytes(), bytes(16)])
    with contextlib.suppress(EmcompError):
        emcomp.read_vectors(file(content))


# ---- static models


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("parts", [("mapping", "weights"), ("mapping",), ("weights",)])
def test_static_models_with_a_quantized_vocabulary(tmp_path, dtype, parts):
    generator = np.random.default_rng(1)
    kept = X[:6].astype(dtype) if "mapping" in parts else X.astype(dtype)
    tensors = {"embeddings": kept}
    expected = kept.astype(np.float64)
    if "mapping" in parts:
        tensors["mapping"] = generator.integers(0, 6, 40)
        expected = expected[tensors["mapping"]]
    if "weights" in parts:
        tensors["weights"] = generator.random(40)
        expected = expected * tensors["weights"][:, None]
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(tensors, path)
    same(path, expected.astype(np.float32))
    same(tmp_path, expected.astype(np.float32))
    assert np.array_equal(emcomp.read_vectors(path, tensor="embeddings").vectors, kept)
    assert emcomp.read_vectors(path, words=words_for(40)).words.tolist() == words_for(40)


@pytest.mark.parametrize(
    "changed",
    [
        {"mapping": np.arange(40)},
        {"mapping": np.full(40, -1)},
        {"weights": np.ones(39)},
        {"mapping": np.zeros(0, int), "weights": np.ones(0)},
    ],
)
def test_static_models_that_do_not_fit(tmp_path, changed):
    tensors = {"embeddings": X[:6], "mapping": np.zeros(40, int), "weights": np.ones(40), **changed}
    safetensors.numpy.save_file(tensors, tmp_path / "x")
    with pytest.raises(FormatError, match="mapping"):
        emcomp.read_vectors(tmp_path / "x")


# ---- GGUF


def gguf(tensors, pairs=b"", count=0, version=3, alignment=32):
    def text(value):
        return struct.pack("<Q", len(value)) + value

    infos, data = b"", b""
    for name, array, kind in tensors:
        data += bytes(-len(data) % alignment)
        infos += text(name) + struct.pack("<I", array.ndim)
        infos += struct.pack(f"<{array.ndim}Q", *array.shape[::-1])
        infos += struct.pack("<IQ", kind, len(data))
        data += array.tobytes()
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), count) + pairs + infos
    return head + bytes(-len(head) % alignment) + data


TOKENS = b"".join(
    struct.pack("<Q", len(part)) + part if isinstance(part, bytes) else struct.pack(*part)
    for part in (b"general.name", ("<I", 8), b"model", b"tokenizer.ggml.tokens", ("<IIQ", 9, 8, 40),
                 *(w.encode() for w in words_for(40)), b"scores", ("<IIQ", 9, 6, 2), ("<2f", 0, 1))
)  # fmt: skip


def test_gguf(file):
    other = X[:3]
    path = file(gguf([(b"output.weight", other, 0), (b"token_embd.weight", X, 0)], TOKENS, 3))
    same(path)
    assert emcomp.read_vectors(path).words.tolist() == words_for(40)
    assert emcomp.read_vectors(path, words=[str(i) for i in range(40)]).words[3] == "3"
    half = X.astype(np.float16)
    same(file(gguf([(b"token_embd.weight", half, 1)])), half)
    with pytest.raises(FormatError, match="no table of float numbers"):
        emcomp.read_vectors(file(gguf([(b"token_embd.weight", X, 12)])))
    with pytest.raises(InputError, match=r"quantized \(GGML type 12\)"):
        emcomp.read_vectors(file(gguf([(b"token_embd.weight", X, 12)])), tensor="token_embd.weight")
    with pytest.raises(FormatError, match="version 1"):
        emcomp.read_vectors(file(gguf([(b"a", X, 0)], version=1)))
    whole = gguf([(b"token_embd.weight", X, 0)], TOKENS, 3)
    for end in range(5, len(whole), 41):
        with pytest.raises(FormatError):
            emcomp.read_vectors(file(whole[:end]))


# ---- HDF5


def test_hdf5_without_its_library(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"HDF5 files need h5py: pip install 'emcomp\[hdf5\]'"):
        emcomp.read_vectors(file(b"\x89HDF\r\n\x1a\n" + bytes(100)))


# ---- GloVe's binary parameters, and fastText's older models


def test_glove_binary(tmp_path, file):
    generator = np.random.default_rng(0)
    parameters = generator.normal(size=(2, 40, 9))
    expected = (parameters[0] + parameters[1])[:, :8]
    path = file(parameters.tobytes())
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("".join(f"{w} {900 - i}\n" for i, w in enumerate(words_for(40))), "utf-8")
    for words in (vocabulary, iter(words_for(40))):
        read = emcomp.read_vectors(path, format="glove-binary", words=words)
        assert np.array_equal(read.vectors, expected)
        assert read.words.tolist() == words_for(40)
    source = emcomp.open_source(path, format="glove-binary", shape=(40, 8))
    assert np.array_equal(source.read(7, 20), expected[7:27])
    with pytest.raises(InputError, match="does not say how many words"):
        emcomp.read_vectors(path, format="glove-binary")
    with pytest.raises(FormatError, match="not word and context vectors of 7 words"):
        emcomp.read_vectors(path, format="glove-binary", words=words_for(7))


def test_raw_numbers(file):
    path = file(X.tobytes())
    for shape in ((40, 8), (None, 8)):
        read = emcomp.read_vectors(path, dtype="float32", shape=shape, words=words_for(40))
        assert np.array_equal(read.vectors, X)
        assert read.words.tolist() == words_for(40)
    with pytest.raises(CorruptFileError, match="ends at byte 1280"):
        emcomp.read_vectors(path, dtype="float32", shape=(41, 8))
