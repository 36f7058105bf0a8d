"""What tests of tables that are written as they are made have in common."""

import numpy as np

CODECS = [
    "uniform:3(granularity=row)",
    "uniform:2(granularity=column,rounding=stochastic,seed=3)",
    "kmeans:3",
    "pq:4x4(sample=500)",
    "pq:5x4",
    "opq:4x4(rotations=2,sample=500)",
    "rq:2x4",
    "dccl:2(epochs=1,codewords=4)",
    "dccl:4x4(epochs=1,refine=0)",
    "svd:5(map_dtype=float16)+uniform:4",
    "pca:5",
    "rotate(scales=row)+kmeans:3",
    "whiten+kmeans:3",
    "principal+allocate:3",
    "trellis:2(rounds=2,sample=300)",
    "principal(0.0,scales=none,map_dtype=int8)+trellis:1(rounds=1,sample=300,classes=4)",
    "whiten(map_dtype=int8)+kmeans:3",
    "rotate+trellis:1.5(window=10,widths=column,rounds=2,sample=300)",
    "direction:5",
    "autoencoder:4(epochs=1,sample=500)+kmeans:3",
]
WORDS = [f"word{i}" for i in range(900)]


def streamed_rows(count=900):
    X = np.random.default_rng(0).standard_normal((count, 12)).astype(np.float32)
    X[:, 0] *= 20
    return X
