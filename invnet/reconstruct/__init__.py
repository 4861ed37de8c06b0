"""Reconstructors: a measurement and its physics to an image."""

from invnet.reconstruct.base import Info, Reconstructor
from invnet.reconstruct.direct import DirectInverse
from invnet.reconstruct.map import MAP

__all__ = ["MAP", "DirectInverse", "Info", "Reconstructor"]
