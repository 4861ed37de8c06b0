"""Computed tomography: projections along rays and their exact adjoints."""

from operators.ct.alignment import find_detector_offset
from operators.ct.astra import from_astra
from operators.ct.cone import ConeBeam
from operators.ct.fan import FanBeam
from operators.ct.parallel import ParallelBeam
from operators.ct.parallel3d import ParallelBeam3D
from operators.ct.vectors import VectorBeam

__all__ = ["ConeBeam", "FanBeam", "ParallelBeam", "ParallelBeam3D", "VectorBeam", "find_detector_offset", "from_astra"]
