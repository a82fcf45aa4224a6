"""NIfTI source."""

from bfly.sources.nifti.source import Nifti

__all__ = ["Nifti"]
