"""BigDataViewer source."""

from bfly.sources.bdv.source import BigDataViewer

__all__ = ["BigDataViewer"]
