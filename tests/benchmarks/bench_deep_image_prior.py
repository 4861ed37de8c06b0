"""Deep image prior beside deepinv's: run with ``python tests/benchmarks/bench_deep_image_prior.py``.

Both fit the same network to the same measurement, so that what differs is all around the network: the operator, the
loss, the running mean and the rule that stops. Times are the processor's, on one thread.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

import invnet
import operators
from invnet.nets import Hourglass
from tests.benchmarks.harness import environment
from tests.peers import deepinv

SIZE = 256
KEEP = torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(0)) > 0.5
IMAGE = invnet.data.sample_image("camera", size=SIZE)


def ours(net):
    """The function that makes so many iterations of `invnet.DeepImagePrior` on an inpainting."""
    physics = invnet.Physics(operators.Mask(KEEP), noise=invnet.noise.Gaussian(0.02))
    y = physics(IMAGE, generator=torch.Generator().manual_seed(1))
    return lambda count: invnet.DeepImagePrior(lambda channels: net, max_iter=count, patience=None)(y, physics)


def theirs(net):
    """The same of deepinv's, with the same network."""
    dinv = deepinv()
    physics = dinv.physics.Inpainting((1, SIZE, SIZE), mask=KEEP[None].float())
    y = physics(IMAGE[None, None])
    return lambda count: dinv.models.DeepImagePrior(net, (32, SIZE, SIZE), iterations=count)(y, physics)


CANDIDATES = {"invnet": ours, "deepinv, the same network": theirs}


def starts(name):
    """A function that makes iterations, and the list of the times at which the network was called."""
    times, net = [], Hourglass(out_channels=1)
    net.register_forward_pre_hook(lambda module, args: times.append(time.process_time()))
    return CANDIDATES[name](net), times


def peak(name):
    """The memory of a fit in a process of its own, at most and above that of the imports, in MiB."""
    result = subprocess.run([sys.executable, __file__, "--peak", name], capture_output=True, text=True, check=True)
    return float(result.stdout.split()[-1])


def print_peak(name):
    """The same of this process."""
    run, _ = starts(name)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew, with what is resident
    before = resident_peak()
    run(2)
    print(resident_peak() - before)


def resident_peak():
    """In MiB, of Linux."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def iteration_times(rounds=3, iterations=3):
    """Seconds of the iterations of each, from one call of the network to the next; the first is to warm up."""
    found = {name: [] for name in CANDIDATES}
    for _ in range(rounds):
        for name, seconds in found.items():
            run, times = starts(name)
            run(iterations)
            seconds += [b - a for a, b in itertools.pairwise(times[1:iterations])]
    return found


def main():
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peak", choices=CANDIDATES, help="print the memory of this one alone")
    name = parser.parse_args().peak
    torch.set_num_threads(1)
    if name:
        print_peak(name)
        return
    print(environment())
    print(f"deep image prior, inpainting of {SIZE}x{SIZE}: an iteration, and the memory above that of the imports")
    middle = {name: statistics.median(seconds) for name, seconds in iteration_times().items()}
    for name, seconds in middle.items():
        ratio = seconds / middle["invnet"]
        print(f"{name:30}{seconds * 1e3:9.0f} ms{ratio:8.2f}{peak(name):8.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
