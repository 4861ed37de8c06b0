"""Cone beams beside a fan beam, in interpolations per second: run with ``python tests/benchmarks/bench_cone.py``.

A fan of 512 x 512 pixels and 360 views is what the plane costs. Cones are of 128^3 voxels, 128 x 128 detectors and 180
views: circular, helical, and with a detector that is tilted, for which rays are followed one by one. ASTRA projects
volumes on GPUs only. All in 32 bits; an interpolation is linear in the plane and bilinear in space.
"""

import math
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs as a script

from operators import ConeBeam, FanBeam, VectorBeam
from tests.benchmarks.harness import environment

BATCHES = [1, 8]
ROUNDS = 5


def operators():
    """By name, each with the number of interpolations for one image."""
    turn = torch.arange(360) * math.pi / 180
    fan = FanBeam((512, 512), turn, 512, 1024.0, 256.0, detector_spacing=1.3)
    parts = {"detectors": (128, 128), "source_distance": 256.0, "detector_distance": 64.0, "detector_spacing": 1.3}
    cone = ConeBeam((128, 128, 128), turn[::2], **parts)
    helix = ConeBeam((128, 128, 128), turn[::2] * 4 - 4 * math.pi, pitch=24.0, **parts)
    vectors = cone.to_vectors()
    vectors[:, 9:] += 0.02 * vectors[:, 6:9]
    tilted = VectorBeam((128, 128, 128), vectors, (128, 128), "cone")
    cubes = 180 * 128**3
    return {"fan": (fan, 360 * 512**2), "cone": (cone, cubes), "helix": (helix, cubes), "tilted": (tilted, cubes)}


def seconds(function):
    """The shortest time of a call, of wall clock and of all threads: other programs lengthen the first."""
    function()
    walls, works = [], []
    for _ in range(ROUNDS):
        wall, work = time.perf_counter(), time.process_time()
        function()
        walls.append(time.perf_counter() - wall)
        works.append(time.process_time() - work)
    return min(walls), min(works)


def main():
    """Print for each batch and operator the times and the rates."""
    print(environment(), "\n")
    print(f"{'':18}{'forward ms':>12}{'CPU ms':>9}{'10^9/s':>8}{'adjoint ms':>12}{'CPU ms':>9}{'10^9/s':>8}")
    for batch in BATCHES:
        for name, (A, count) in operators().items():
            x, y = torch.rand(batch, *A.in_shape), torch.rand(batch, *A.out_shape)
            line = f"{name + ', batch ' + str(batch):18}"
            for function in (lambda A=A, x=x: A(x), lambda A=A, y=y: A.adjoint(y)):
                wall, work = seconds(function)
                line += f"{wall * 1e3:12.0f}{work * 1e3:9.0f}{batch * count / work / 1e9:8.2f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
