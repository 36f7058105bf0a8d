"""Modules on compressed tables against torch's own: float, and quantized embedding bags.

At 8 and 4 bits torch keeps a scale and an offset for each row, in float32 and float16.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
import torch
from harness import medians, power_law_table, report, zipf_ids
from torch import nn

import emcomp
from emcomp.torch import Embedding, EmbeddingBag

PREPACK = {
    8: torch.ops.quantized.embedding_bag_byte_prepack,
    4: torch.ops.quantized.embedding_bag_4bit_prepack,
    2: torch.ops.quantized.embedding_bag_2bit_prepack,
}
UNPACK = {
    8: torch.ops.quantized.embedding_bag_byte_unpack,
    4: torch.ops.quantized.embedding_bag_4bit_unpack,
    2: torch.ops.quantized.embedding_bag_2bit_unpack,
}
BAG = {
    8: torch.ops.quantized.embedding_bag_byte_rowwise_offsets,
    4: torch.ops.quantized.embedding_bag_4bit_rowwise_offsets,
    2: torch.ops.quantized.embedding_bag_2bit_rowwise_offsets,
}
OURS = {
    8: ["uniform:8(granularity=row)", "kmeans:8"],
    4: ["uniform:4(granularity=row)", "kmeans:4", "whiten+kmeans:4"],
    2: ["uniform:2(granularity=row)", "kmeans:2", "whiten+kmeans:2"],
}


def relative_error(table: torch.Tensor, decoded: torch.Tensor) -> float:
    """Squared error over squared entries."""
    return float((table - decoded).square().sum() / table.square().sum())


def compare_quantized(table: torch.Tensor, bags: int, per_bag: int, repeats: int) -> None:
    """Size, error and speed of sums of bags at each width."""
    rows, dim = table.shape
    ids = torch.from_numpy(zipf_ids(rows, bags * per_bag))
    offsets = torch.arange(0, bags * per_bag, per_bag)
    for bits, prepack in PREPACK.items():
        packed = prepack(table)
        # In order: scale_grad_by_freq, mode (0 is sum), pruned_weights, weights, mapping, last offset.
        theirs = partial(BAG[bits], packed, ids, offsets, False, 0, False, None, None, False)
        name = f"torch {bits} bit"
        calls = {name: theirs}
        entries = rows * dim
        sizes = {name: 8 * packed.nbytes / entries}
        errors = {name: relative_error(table, UNPACK[bits](packed))}
        for codec in OURS[bits]:
            module = EmbeddingBag.from_pretrained(table, codec=codec, mode="sum")
            calls[codec] = partial(module, ids, offsets)
            sizes[codec] = 8 * module.nbytes / entries
            decoded = torch.from_numpy(module.to_table().decode())
            errors[codec] = relative_error(table, decoded)
        seconds = medians(calls, repeats)
        print(f"\n{bits} bits, {bags} bags of {per_bag} rows of {rows:,} x {dim}")
        for each in calls:
            rate = bags * per_bag / seconds[each] / 1e6
            print(
                f"  {each:30} {rate:8.2f} M rows/s ({seconds[name] / seconds[each]:5.2f}x torch)  "
                f"{sizes[each]:6.3f} bits per entry  relative error {errors[each]:.2e}"
            )


def compare_lookups(table: torch.Tensor, repeats: int) -> None:
    """What a call costs at several sizes, beside the float embedding and the table alone."""
    rows = table.shape[0]
    plain = nn.Embedding.from_pretrained(table)
    module = Embedding.from_module(plain, codec="uniform:4")
    alone = module.to_table()
    for count in (1, 64, 4096):
        ids = torch.from_numpy(zipf_ids(rows, count))
        array = ids.numpy()
        loops = max(1, 20_000 // count)

        def repeat(call: object, given: object, loops: int = loops) -> None:
            for _ in range(loops):
                call(given)  # type: ignore[operator]

        seconds = medians(
            {
                "emcomp.torch.Embedding, uniform:4": partial(repeat, module, ids),
                "torch.nn.Embedding, float32": partial(repeat, plain, ids),
                "emcomp table.lookup": partial(repeat, alone.lookup, array),
            },
            repeats,
        )
        rates = {name: loops / value for name, value in seconds.items()}
        report(f"{count} ids a call", "calls/s", "emcomp.torch.Embedding, uniform:4", rates)


def main() -> None:
    """Print all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    emcomp.show_config()
    table = torch.from_numpy(power_law_table(options.rows, options.dim))
    with torch.no_grad():
        compare_quantized(table, 1000, 50, options.repeats)
        compare_lookups(table, options.repeats)
    print(f"\n{torch.get_num_threads()} threads, torch {torch.__version__}, NumPy {np.__version__}")


if __name__ == "__main__":
    main()
