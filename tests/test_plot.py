"""The pictures: axes that are named, labels that do not overlap, files that are written whole."""

import itertools

import numpy as np
import pytest

import emcomp
from emcomp import InputError, compress, plot, select
from emcomp.measures import spectrum


@pytest.fixture(scope="module")
def X():
    normal = np.random.default_rng(0).standard_normal((500, 48))
    return (normal * np.arange(1, 49) ** -0.4).astype(np.float32)


@pytest.fixture
def drawn(monkeypatch):
    """The axes of what is drawn."""
    seen = []
    new_figure = plot._new_figure

    def keep():
        figure, axes = new_figure()
        seen.append(axes)
        return figure, axes

    monkeypatch.setattr(plot, "_new_figure", keep)
    return seen


def labels(axes):
    """Text and place of each label inside the axes, as drawn."""
    return {text.get_text(): text.get_window_extent() for text in axes.texts}


@pytest.mark.parametrize("ending", plot.ENDINGS)
def test_a_front_is_drawn(tmp_path, drawn, ending, X):
    result = select(X, "8x")
    path = tmp_path / f"front{ending}"
    plot.check_plot(path)
    plot.draw_front(result, path)
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]
    (axes,) = drawn
    assert "size" in axes.get_xlabel()
    assert axes.get_ylabel() == "eos (higher is better)"
    assert "500 x 48" in axes.get_title(loc="left")
    points = np.concatenate([part.get_offsets() for part in axes.collections])
    assert {tuple(p) for p in points} == {(c.nbytes, c.scores["eos"]) for c in result.ranked}
    front = np.column_stack(axes.lines[0].get_data())
    assert front.tolist() == [[c.nbytes, c.scores["eos"]] for c in result.front]
    marked = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in marked] == [result.pick.nbytes]
    assert result.budget in [line.get_xdata()[0] for line in axes.lines]


@pytest.mark.parametrize(
    ("measure", "budget", "minimum"),
    [("eos", "6x", None), ("eos", None, 0.9), ("pip_loss", "4x", 300.0), ("delta_max", "8x", None)],
)
def test_labels_do_not_overlap(tmp_path, drawn, measure, budget, minimum, X):
    result = select(X, budget, None, measure, minimum=minimum)
    plot.draw_front(result, tmp_path / "front.png")
    (axes,) = drawn
    found = labels(axes)
    if result.pick is not None:
        assert result.pick.codec in found
    assert len(found) > 4
    for a, b in itertools.combinations(found.values(), 2):
        assert not a.overlaps(b)
    page = axes.get_window_extent()
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 + 1 for box in found.values())
    (legend,) = axes.figure.legends
    assert legend.get_window_extent().x0 > page.x1


def test_a_front_without_a_pick_or_with_perfect_scores(tmp_path, drawn, X):
    plot.draw_front(select(X, "16x", minimum=0.9999), tmp_path / "none.png")
    signs = np.where(X > 0, 1, -1).astype(np.float32)
    plot.draw_front(select(signs, "8x", ["uniform:1", "uniform:2"]), tmp_path / "perfect.png")
    errors = select(signs, "8x", ["uniform:1", "uniform:2(clip=3.0)"], "frobenius_error")
    assert errors.pick.scores["frobenius_error"] == 0
    plot.draw_front(errors, tmp_path / "zero.png")
    assert len(list(tmp_path.iterdir())) == 3


def test_a_budget_far_away_is_left_out(tmp_path, drawn, X):
    plot.draw_front(select(X, "1GB", ["uniform:1", "uniform:2"]), tmp_path / "front.png")
    assert drawn[0].get_xlim()[1] < 100_000


def test_spectra_are_drawn(tmp_path, drawn, X):
    tables = {f"uniform:{bits}": compress(X, f"uniform:{bits}") for bits in (1, 2, 6, 7, 8)}
    spectra = {"original": spectrum(X), **{n: spectrum(t) for n, t in tables.items()}}
    plot.draw_spectra(spectra, tmp_path / "spectra.png")
    (axes,) = drawn
    assert axes.get_ylabel() == "singular value"
    assert "direction" in axes.get_xlabel()
    singular = np.linalg.svd(X.astype(float), compute_uv=False)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), singular, rtol=1e-10)
    found = labels(axes)
    assert set(found) == set(spectra)
    for a, b in itertools.combinations(found.values(), 2):
        assert not a.overlaps(b)


def test_spectra_stop_at_the_rank(tmp_path, drawn, X):
    flat = np.concatenate([X, X[:, :3]], axis=1)
    plot.draw_spectra({"flat": spectrum(flat)}, tmp_path / "flat.svg")
    assert len(drawn[0].lines[0].get_xdata()) == 48


def test_what_cannot_be_drawn(tmp_path, monkeypatch):
    for name in ("front.gif", "front", "front.PNG"):
        with pytest.raises(InputError, match="ends in"):
            plot.check_plot(tmp_path / name)
    monkeypatch.setattr(plot.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install 'emcomp\\[plot\\]'"):
        plot.check_plot(tmp_path / "front.png")


def test_importing_emcomp_does_not_import_what_it_seldom_needs():
    import subprocess
    import sys

    code = (
        "import sys, emcomp\n"
        "seldom = {'matplotlib', 'scipy', 'click', 'rich', 'multiprocessing', 'asyncio'}\n"
        "sys.exit(str(seldom & set(sys.modules)) if seldom & set(sys.modules) else 0)"
    )
    from pathlib import Path

    package = Path(emcomp.__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(package)})
