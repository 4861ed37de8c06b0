"""How long the first calls of tomography compile: run with ``python tests/benchmarks/bench_compile.py``.

Each geometry is a process of its own, with an empty cache. Seconds of wall clock, and of the processor, which other
programs do not lengthen. After that, the compiled code comes from the disk.
"""

import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # so that it runs as a script

BATCHES = [1, 8]


def operator(kind):
    """A small operator: compilation does not depend on sizes."""
    import torch

    from operators import ConeBeam, FanBeam, ParallelBeam

    angles = torch.arange(20) * math.pi / 10
    if kind == "parallel":
        return ParallelBeam((64, 64), angles)
    if kind == "fan":
        return FanBeam((64, 64), angles, 90, 200.0, 100.0, detector_spacing=1.5)
    return ConeBeam((16, 16, 16), angles, (24, 24), 80.0, 20.0)


def time_first_calls(kind):
    """Print a line for the forward map and the adjoint, of one image and of several, and for the direct inverse."""
    import torch

    A = operator(kind)
    calls = {
        "forward": lambda: [A(torch.rand(batch, *A.in_shape)) for batch in BATCHES],
        "adjoint": lambda: [A.adjoint(torch.rand(batch, *A.out_shape)) for batch in BATCHES],
        "direct inverse": lambda: A.direct_inverse(torch.rand(A.out_shape)),
    }
    for name, call in calls.items():
        wall, work = time.perf_counter(), time.process_time()
        call()
        wall, work = time.perf_counter() - wall, time.process_time() - work
        print(f"{kind:10}{name:16}{wall:8.1f}{work:11.1f}", flush=True)


def main():
    """The table."""
    if len(sys.argv) > 1:
        time_first_calls(sys.argv[1])
        return
    print(f"{'':26}{'seconds':>8}{'processor':>11}", flush=True)
    for kind in ("parallel", "fan", "cone"):
        with tempfile.TemporaryDirectory() as empty:
            subprocess.run([sys.executable, __file__, kind], env={**os.environ, "NUMBA_CACHE_DIR": empty}, check=True)


if __name__ == "__main__":
    main()
