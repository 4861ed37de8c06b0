"""Reconstructors: a measurement and its physics to an image."""

from invnet.reconstruct.base import Info, Reconstructor
from invnet.reconstruct.direct import DirectInverse

__all__ = ["DirectInverse", "Info", "Reconstructor"]
