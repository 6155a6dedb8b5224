"""Threads of libraries, which must be settled before they are imported."""

import os

_VARIABLES = ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM", "NUMEXPR_NUM")


def one_blas_thread() -> None:
    """Keep BLAS to one thread: matrices are tiny, and sums that are split over threads round differently."""
    for variable in _VARIABLES:
        os.environ[f"{variable}_THREADS"] = "1"
