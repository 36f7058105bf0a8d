"""Adding rows to tables in shards, and how well the codec still fits."""

import numpy as np
import pytest

import emcomp
from emcomp.tables.shard_index import read_index
from tests.helpers.streamed_rows import WORDS, streamed_rows

pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.fixture(scope="module")
def X():
    return streamed_rows()


@pytest.mark.parametrize(
    "codec",
    [
        "uniform:4",
        "whiten+kmeans:3",
        "pq:4x4",
        "uniform:2(rounding=stochastic)",
        "dccl:2(epochs=1)",
    ],
)
def test_added_rows_are_encoded_as_fitted(X, codec, tmp_path):
    first = emcomp.compress(X[:500], codec, out=tmp_path / "t", shard_rows=200)
    before = first.decode()
    drift = emcomp.append(tmp_path / "t", X[500:])
    table = emcomp.open(tmp_path / "t")
    assert table.shape == X.shape
    assert np.array_equal(table.decode(0, 500), before)
    assert np.array_equal(first.decode(), before)  # readers keep what they have
    error = np.square(table.decode() - X)
    total = np.square(X)
    assert drift.rows == 400
    assert drift.relative_error == pytest.approx(error[500:].sum() / total[500:].sum(), rel=1e-5)
    assert drift.relative_error_at_fit == pytest.approx(
        error[:500].sum() / total[:500].sum(), rel=1e-5
    )


def test_drift_of_rows_that_the_codec_was_not_made_for(X, tmp_path):
    emcomp.compress(X, "uniform:6(clip=max)", out=tmp_path / "t", shard_rows=200)
    drift = emcomp.append(tmp_path / "t", X[:300] * np.float32(4))
    limit = np.abs(X).max()
    assert drift.clipped_at_fit == 0
    assert drift.clipped == pytest.approx((np.abs(X[:300] * 4) > limit * 1.0001).mean(), abs=1e-3)
    assert drift.relative_error > drift.relative_error_at_fit
    assert "300 rows added" in str(drift)
    # A codec with levels of its own for columns counts beyond each of them.
    codec = "kmeans:2(granularity=5)"
    table = emcomp.compress(X, codec, out=tmp_path / "k", shard_rows=200)
    drift = emcomp.append(tmp_path / "k", X[:300] * np.float32(2))
    groups = np.minimum(np.arange(12) // 5, 2)
    levels = table.tensors["levels"]
    wider = X[:300] * 2
    outside = (wider < levels[groups, 0]) | (wider > levels[groups, -1])
    assert drift.clipped == pytest.approx(outside.mean())


def test_added_words(X, tmp_path):
    path = tmp_path / "t"
    emcomp.compress(X[:500], "uniform:4", words=WORDS[:500], out=path, shard_rows=200)
    with pytest.raises(emcomp.InputError, match="the rows have none"):
        emcomp.append(path, X[500:])
    with pytest.raises(emcomp.InputError, match=r"399 words .* for 400 rows"):
        emcomp.append(path, X[500:], words=WORDS[501:])
    with pytest.raises(emcomp.InputError, match="word3"):
        emcomp.append(path, X[500:], words=[*WORDS[501:], "word3"])
    assert len(emcomp.open(path)) == 500
    emcomp.append(path, X[500:], words=WORDS[500:])
    table = emcomp.open(path)
    assert list(table.words) == WORDS
    assert [p.name for p in path.glob("words*")] == [read_index(path).words.file]


def test_other_files_in_the_folder_stay(X, tmp_path):
    folder = tmp_path / "t"
    table = emcomp.compress(X[:500], "uniform:4", words=WORDS[:500], out=folder, shard_rows=200)
    table.save(folder / "joined.emcomp")
    (folder / "words-of-mine.emcomp").write_bytes(b"mine")
    old_words = folder / read_index(folder).words.file
    emcomp.append(folder, X[500:], words=WORDS[500:])
    assert not old_words.exists()
    assert len(emcomp.open(folder / "joined.emcomp")) == 500
    assert (folder / "words-of-mine.emcomp").read_bytes() == b"mine"


def test_rows_that_cannot_be_added(X, tmp_path):
    emcomp.compress(X, "uniform:4", out=tmp_path / "t", shard_rows=200)
    with pytest.raises(emcomp.InputError, match="11 entries"):
        emcomp.append(tmp_path / "t", X[:, :11])
    bad = X[:50].copy()
    bad[20, 3] = np.nan
    with pytest.raises(emcomp.InputError, match="row 20, column 3"):
        emcomp.append(tmp_path / "t", bad)
    with pytest.raises(emcomp.FormatError, match="no table in shards"):
        emcomp.append(tmp_path, X)
    assert len(emcomp.open(tmp_path / "t")) == 900
