"""The reconstruction without iterations: the operator's own direct inverse."""

from __future__ import annotations

import torch

from invnet.physics import Physics
from invnet.reconstruct.base import Info, Reconstructor

__all__ = ["DirectInverse"]


class DirectInverse(Reconstructor):
    """The operator's fast approximate inverse, ``physics.direct_inverse(y)``: a baseline, and where networks start.

    What it is depends on the operator (its class says): filtered backprojection for tomography, the inverse transform
    with zeros for missing samples in magnetic resonance, elsewhere the adjoint at the image's scale. It knows nothing
    of noise and sensor.

    Examples
    --------
    >>> import operators
    >>> DirectInverse()(torch.ones(3), Physics(2 * operators.Identity(3)))
    tensor([0.5000, 0.5000, 0.5000])
    """

    def _reconstruct(self, y: torch.Tensor, physics: Physics) -> tuple[torch.Tensor, Info]:
        return physics.direct_inverse(y), Info()
