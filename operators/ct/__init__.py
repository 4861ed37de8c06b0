"""Computed tomography: projections along rays and their exact adjoints."""

from operators.ct.alignment import find_detector_offset
from operators.ct.fan import FanBeam
from operators.ct.parallel import ParallelBeam

__all__ = ["FanBeam", "ParallelBeam", "find_detector_offset"]
