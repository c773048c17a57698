"""Unsupervised re-identification by Part-based Pseudo Label Refinement (PPLR, CVPR 2022)."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("pplr")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
