"""torch-radon's classes on our operators, for scripts written for it: on any device, by changing the import.

``Radon`` and ``RadonFanbeam`` are those of its version 1, ``ParallelBeam``, ``FanBeam`` and ``Volume2D`` those of its
version 2. The projections are `operators.ParallelBeam`'s and `operators.FanBeam`'s, whose geometry is the same; the
backprojection is their exact adjoint, where torch-radon's is a second discretisation near it.
"""

from operators.interop.torch_radon.version1 import Radon, RadonFanbeam
from operators.interop.torch_radon.version2 import FanBeam, ParallelBeam, Volume2D

__all__ = ["FanBeam", "ParallelBeam", "Radon", "RadonFanbeam", "Volume2D"]
