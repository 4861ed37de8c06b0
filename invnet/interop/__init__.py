"""To and from deepinv: physics, noise and denoisers."""

from invnet.interop.of_deepinv import denoiser_from_deepinv, from_deepinv
from invnet.interop.to_deepinv import to_deepinv

__all__ = ["denoiser_from_deepinv", "from_deepinv", "to_deepinv"]
