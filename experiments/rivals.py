"""The codecs that the studies of tasks compare, at the sizes that they compare them at."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.measuring import is_known, largest_at

BITS = (4, 2, 1, 0.5)
"""Bits of an entry: 8, 16, 32 and 64 times smaller than float32."""
BETWEEN = (6, 3)
"""Widths of scalar codes alone, which a whitened one can take where its map would exceed 8 or 4."""
SCALAR = ("uniform", "k-means", "rotated", "whitened")
SLOW = ("dccl, refined",)
"""Left out above 2 bits: the search for codes takes many minutes there, see docs/methods.md."""
SLACK = 1.02  # rows are whole bytes, and dccl rounds its number of codes
RIVALS = {
    "uniform": "uniform:BITS",
    "uniform, stochastic": "uniform:BITS(rounding=stochastic)",
    "k-means": "kmeans:BITS",
    "rotated": "rotate(scales=row)+kmeans:BITS",
    "whitened": "whiten+kmeans:BITS",
    "whitened, power 1": "whiten(1.0)+kmeans:BITS",
    "allocated": "principal+allocate:{}",
    "allocated, power 0": "principal(0.0)+allocate:{}",
    "pca": "pca:{}",
    "pca, 4 bits": "pca:{}+uniform:4",
    "pca, 2 bits": "pca:{}+uniform:2",
    "svd": "svd:{}",
    "svd, 4 bits": "svd:{}+uniform:4",
    "svd, 2 bits": "svd:{}+uniform:2",
    "svd, allocated": "svd:{}+allocate:2",
    "autoencoder": "autoencoder:{}",
    "direction": "direction:{}",
    "direction, 4 bits": "direction:{}+rotate(scales=row)+uniform:4",
    "direction, 2 bits": "direction:{}+rotate(scales=row)+kmeans:2",
    "pq": "pq:{}x8",
    "opq": "opq:{}x8",
    "dccl": "dccl:BITS(refine=0)",
    "dccl, refined": "dccl:BITS",
}
"""BITS is the bits of an entry; {} is the largest number that fits. A whitened code is as wide as a
plain one, and its map and the scales of its rows come on top: see the bits of each point."""
HALF_BIT = {"dccl": "dccl:{}x4(refine=0)", "dccl, refined": "dccl:{}x4"}
"""Methods that say it otherwise at half a bit."""


def rivals(shape: tuple[int, int], bits: float) -> Iterator[tuple[str, str]]:
    """Method and codec of all that there is at this size."""
    rows, dim = shape
    for method, usual in RIVALS.items():
        template = HALF_BIT.get(method, usual) if bits < 1 else usual
        if (bits in BETWEEN and method not in SCALAR) or (bits > 2 and method in SLOW):
            continue
        if not is_known(template) or ("BITS" in template and bits < 1):
            continue
        if "BITS" in template:
            yield method, template.replace("BITS", str(int(bits)))
        else:
            codec = largest_at(template, shape, SLACK * rows * dim * bits / 8, bits)
            if codec is not None and f":{dim}+" not in codec:
                yield method, codec
