"""Lets numba use the widest vectors of this processor, as long as nobody has said what it may use.

On Intel's processors with AVX-512 its compiler keeps to half of their width, which was faster on the first of
them. Networks see pictures 1.25 times faster with all of it; the other kernels are as fast, and all that
decides has the same bits. It has to be said before the first kernel is made.
"""

import numba
from numba.core.codegen import get_host_cpu_features


def use_wide_vectors() -> None:
    """Say so, for all kernels of this process."""
    given = numba.config.CPU_NAME, numba.config.CPU_FEATURES  # type: ignore[attr-defined]
    features = get_host_cpu_features()
    if given == (None, None) and "+avx512f" in features.split(","):
        numba.config.CPU_FEATURES = f"{features},-prefer-256-bit"  # type: ignore[attr-defined]
