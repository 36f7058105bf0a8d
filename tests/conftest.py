"""Settings that must be made before NumPy is imported."""

import os

# OpenBLAS threads spin on the small matrices of the tests, which a busy machine pays for dearly.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
