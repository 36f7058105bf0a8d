"""Files that other libraries write, read without them or, where they are needed, through them."""

import numpy as np
import pytest

import emcomp
from emcomp.errors import CorruptFileError, FormatError, InputError
from tests.helpers.source_files import table, text_of, words_for

X = table(40, 8)
WORDS = words_for(40)


def same(path, rows=X, **options):
    read = emcomp.read_vectors(path, **options)
    assert np.array_equal(read.vectors, rows)
    source = emcomp.open_source(path, **options)
    assert np.array_equal(source.read(7, 20), rows[7:27])
    return read


def test_files_of_gensim(tmp_path):
    gensim = pytest.importorskip("gensim.models")
    X = table(60, 25)
    words = [f"New York {i}" if i % 3 else f"w{i}" for i in range(60)]
    keyed = gensim.KeyedVectors(25)
    keyed.add_vectors(words, X)
    path = tmp_path / "vectors.bin"
    keyed.save_word2vec_format(str(path), binary=True)
    assert same(path, X).words.tolist() == words
    keyed.save(str(tmp_path / "vectors.kv"))
    with pytest.raises(FormatError, match=r"a pickle, .*format='gensim'"):
        emcomp.read_vectors(tmp_path / "vectors.kv")
    read = emcomp.read_vectors(tmp_path / "vectors.kv", format="gensim")
    assert (read.words.tolist(), read.vectors.tobytes()) == (words, X.tobytes())


@pytest.mark.parametrize("threads", [1, 2])
def test_csv_of_pandas(tmp_path, threads):
    pandas = pytest.importorskip("pandas")
    X = table(3000, 6)
    words = [f'the "{i}", quoted' if i % 3 else f"w{i}" for i in range(3000)]
    path = tmp_path / "x.csv"
    pandas.DataFrame(X, index=words).to_csv(path)
    read = emcomp.read_vectors(path, threads=threads)
    assert read.words.tolist() == words
    assert np.array_equal(read.vectors, X)
    frame = pandas.DataFrame(X, columns=[f"d{i}" for i in range(6)])
    frame.insert(0, "count", range(3000))
    frame.insert(0, "word", words)
    frame.to_csv(path)
    read = emcomp.read_vectors(path, threads=threads)  # a row number, a count, and numbered columns
    assert read.words.tolist() == words
    assert np.array_equal(read.vectors, X)


def test_a_folder_that_the_datasets_library_saved(tmp_path):
    datasets = pytest.importorskip("datasets")
    X = table(60, 4)
    rows = {"v": list(X), "word": [f"w{i}" for i in range(60)]}
    saved = datasets.Dataset.from_dict(rows)
    saved.save_to_disk(tmp_path / "a", num_shards=2)
    read = emcomp.read_vectors(tmp_path / "a")
    assert np.array_equal(read.vectors.astype(np.float32), X)
    assert read.words == rows["word"]
    saved.select([5, 3, 7]).save_to_disk(tmp_path / "b")
    assert emcomp.read_vectors(tmp_path / "b").words == ["w5", "w3", "w7"]


def test_checkpoints_of_torch(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pt"
    weight = torch.from_numpy(X.copy())
    model = torch.nn.Sequential(torch.nn.Embedding(40, 8), torch.nn.Linear(8, 3))
    with torch.no_grad():
        model[0].weight.copy_(weight)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.arange(4)).sum().backward()
    optimizer.step()
    rows = model[0].weight.detach().numpy().copy()
    torch.save(model.state_dict(), path)
    same(path, rows, tensor="0.weight")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, path)
    same(path, rows, tensor="model.0.weight")
    for saved in (weight, {"embedding.weight": weight.bfloat16()}, [torch.nn.Parameter(weight)]):
        torch.save(saved, path)
        assert emcomp.read_vectors(path).shape == (40, 8)
    torch.save(model, path)
    with pytest.raises(FormatError, match=r"uses torch\.nn\.modules\S+, which is more than"):
        emcomp.read_vectors(path)
    torch.save(weight, path, _use_new_zipfile_serialization=False)
    with pytest.raises(FormatError, match=r"form before 1\.6"):
        emcomp.read_vectors(path)


def test_gguf_of_its_own_library(tmp_path):
    library = pytest.importorskip("gguf")
    path = tmp_path / "x.gguf"
    writer = library.GGUFWriter(str(path), "bert")
    writer.add_token_list(words_for(40))
    writer.add_tensor("token_embd.weight", X)
    writer.add_tensor("other", X[:3])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    same(path)
    assert emcomp.read_vectors(path).words.tolist() == words_for(40)


def test_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as out:
        out["model/vectors"] = X
        out["model/words"] = words_for(40)
        out["ids"] = np.arange(40)
    same(path)
    assert emcomp.read_vectors(path).words.tolist() == words_for(40)
    assert emcomp.open_source(path).words(3, 2).tolist() == words_for(40)[3:5]
    with h5py.File(path, "a") as out:
        out["other"] = X[:3]
    with pytest.raises(FormatError, match=r"several tables; name one with tensor=: 'ids'"):
        emcomp.read_vectors(path)
    same(path, tensor="model/vectors")
    with pytest.raises(InputError, match="no table 'ids' of float numbers"):
        emcomp.read_vectors(path, tensor="ids")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(CorruptFileError, match="the HDF5 file cannot be read"):
        emcomp.read_vectors(path)


def test_zstd(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    content = zstandard.ZstdCompressor().compress(text_of(WORDS, X))
    path = tmp_path / "x.zst"
    path.write_bytes(content)
    assert same(path).words.tolist() == WORDS
    path.write_bytes(content + content.replace(b"x", b"x"))  # frames one after another
    with pytest.raises(InputError, match="40 words occur more than once"):
        emcomp.read_vectors(path)
    for damaged in (content[:-4], content[:40] + bytes(9) + content[49:]):
        path.write_bytes(damaged)
        with pytest.raises((CorruptFileError, FormatError)):
            emcomp.read_vectors(path)
