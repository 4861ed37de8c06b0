"""Deep image prior beside deepinv's: run with ``python tests/benchmarks/bench_deep_image_prior.py``.

Both fit the same network to the same measurement, so that what differs is all around the network: the operator, the
loss, the running mean and the rule that stops.
"""

import argparse
import resource
import subprocess
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

import invnet
import operators
from invnet.nets import Hourglass
from tests.benchmarks.harness import environment, measure
from tests.peers import deepinv

SIZE = 256
KEEP = torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(0)) > 0.5
IMAGE = invnet.data.sample_image("camera", size=SIZE)


def ours(iterations):
    """The function that makes so many iterations of `invnet.DeepImagePrior` on an inpainting."""
    physics = invnet.Physics(operators.Mask(KEEP), noise=invnet.noise.Gaussian(0.02))
    y = physics(IMAGE, generator=torch.Generator().manual_seed(1))
    method = invnet.DeepImagePrior(max_iter=iterations, patience=None)
    return lambda: method(y, physics)


def theirs(iterations):
    """The same of deepinv's, with the same network."""
    dinv = deepinv()
    physics = dinv.physics.Inpainting((1, SIZE, SIZE), mask=KEEP[None].float())
    y = physics(IMAGE[None, None])
    method = dinv.models.DeepImagePrior(Hourglass(out_channels=1), (32, SIZE, SIZE), iterations=iterations)
    return lambda: method(y, physics)


CANDIDATES = {"invnet": ours, "deepinv, the same network": theirs}


def peak(name):
    """The memory of a fit in a process of its own, at most and above that of the imports, in MiB."""
    result = subprocess.run([sys.executable, __file__, "--peak", name], capture_output=True, text=True, check=True)
    return float(result.stdout.split()[-1])


def main():
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peak", choices=CANDIDATES, help="print the memory of this one alone")
    name = parser.parse_args().peak
    if name:
        run = CANDIDATES[name](3)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        run()
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
        return
    print(environment())
    print(f"deep image prior, inpainting of {SIZE}x{SIZE}: an iteration, and the memory above that of the imports")
    few, many = ({name: make(count) for name, make in CANDIDATES.items()} for count in (1, 3))
    times = measure({f"{name} {k}": f for k, each in enumerate((few, many)) for name, f in each.items()}, rounds=3)
    reference = None
    for name in CANDIDATES:
        # Setting up is the same in both runs, so it cancels.
        steps = [(b - a) / 2 for a, b in zip(times[f"{name} 0"], times[f"{name} 1"], strict=True)]
        middle = sorted(steps)[len(steps) // 2]
        reference = reference or middle
        print(f"{name:30}{middle * 1e3:9.0f} ms{middle / reference:8.2f}{peak(name):8.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
