"""All that needs an NVIDIA GPU: ``python -m tests.benchmarks.gpu [part ...]`` from the root of the repository.

The parts, each within nine minutes:

- ``tests``: the GPU's kernels against the CPU's, `check_operator` on every operator, moved to the GPU, and the
  reconstructors there;
- ``ct``: projections per second, forward and adjoint, beside torchtomo, diffct and torch-radon;
- ``cone``: the same of volumes, in 32 and 16 bits, beside diffct and the time that the memory needs;
- ``mri``: SENSE and radial scans beside plain torch, cufinufft, deepinv, mrpro and torchkbnufft;
- ``convolution``: beside torch's own;
- ``tiles``: the CT kernels with other tiles and layouts than `operators.ct.on_gpu` has;
- ``cone-tiles``: those of volumes with other tiles than `operators.ct.on_gpu3d` has.

A peer that can't be imported is named as not compared; diffct and torch-radon are not installed by ``make gpu``. What
is printed is also written to ``$OUT/gpu-PART.txt``, if the environment names such a folder.
"""

import argparse
import contextlib
import importlib.util
import io
import os
import subprocess
import sys
import traceback
from pathlib import Path

import torch
from torch.nn import functional as F

from operators import Convolution
from tests.benchmarks import gpu_cone, gpu_ct
from tests.benchmarks.harness import compare, environment

TESTS = (
    "tests/operators/test_conformance.py",
    "tests/operators/ct/test_triton.py",
    "tests/operators/ct/test_triton_volumes.py",
    "tests/operators/test_nufft.py",
    "tests/invnet/test_on_gpu.py",
)
SECONDS = 530  # of the tests, before they are stopped


def run_tests():
    """Run pytest on what is marked for the GPU, in several processes if pytest-xdist is there; say if it failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-rs", *TESTS]
    if importlib.util.find_spec("xdist"):
        command += ["-n", str(min(8, os.cpu_count() or 1))]
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as late:
        said = late.stdout or ""
        print(said if isinstance(said, str) else said.decode(errors="replace"), f"stopped after {SECONDS} s")
        return 1
    print(result.stdout)
    return result.returncode


def run_convolution():
    """Time convolutions and their adjoints of 32 images against torch's."""
    for size, kernel_size in ((512, 3), (512, 9), (512, 31)):
        x = torch.randn(32, size, size, device="cuda")
        kernel = torch.randn(kernel_size, kernel_size)
        weight = kernel.flip(0, 1)[None, None].cuda()
        forward, adjoint = {}, {}
        for method in ("auto", "direct", "fft"):
            A = Convolution(kernel, (size, size), method=method).to("cuda")
            y = A(x)
            forward[f"operators, {method}"] = lambda A=A, x=x: A(x)
            adjoint[f"operators, {method}"] = lambda A=A, y=y: A.adjoint(y)
        forward["torch conv2d"] = lambda weight=weight, x=x: F.conv2d(x[:, None], weight)
        adjoint["torch conv_transpose2d"] = lambda weight=weight, y=y: F.conv_transpose2d(y[:, None], weight)
        title = f"32 x {size} x {size}, kernel {kernel_size} x {kernel_size}"
        with torch.no_grad():
            compare(forward, "torch conv2d", f"{title}, forward", rounds=7)
            compare(adjoint, "torch conv_transpose2d", f"{title}, adjoint", rounds=7)


def run_mri():
    """Time MRI."""
    from tests.benchmarks import gpu_mri  # the other parts do without its peers

    return gpu_mri.run_mri()


PARTS = {
    "tests": run_tests,
    "ct": gpu_ct.run_ct,
    "cone": gpu_cone.run_cone,
    "mri": run_mri,
    "convolution": run_convolution,
    "tiles": gpu_ct.run_tiles,
    "cone-tiles": gpu_cone.run_tiles,
}


class Copy(io.TextIOBase):
    """Writes to the terminal and to a file."""

    def __init__(self, *streams):
        self.streams = streams

    def write(self, text):
        for stream in self.streams:
            stream.write(text)
            stream.flush()
        return len(text)


def main():
    """Run the parts that are named, or all."""
    parser = argparse.ArgumentParser(description="Tests and timings of what runs on a GPU.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all of them if none is named")
    parts = parser.parse_args().parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"takes parts of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    if not torch.cuda.is_available():
        sys.exit("gpu: torch finds no CUDA device")
    failed = []
    for part in parts:
        with contextlib.ExitStack() as stack:
            streams = [sys.stdout]
            if "OUT" in os.environ:
                streams.append(stack.enter_context(Path(os.environ["OUT"], f"gpu-{part}.txt").open("w")))
            stack.enter_context(contextlib.redirect_stdout(Copy(*streams)))
            print(f"== {part}: {environment()}", flush=True)
            try:
                is_wrong = PARTS[part]()
            except Exception:  # the other parts are worth their time on the device
                print(traceback.format_exc())
                is_wrong = True
            if is_wrong:
                failed.append(part)
    sys.exit(f"gpu: failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
