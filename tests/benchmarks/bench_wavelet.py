"""The wavelet transform beside PyWavelets and ptwt: run with ``python tests/benchmarks/bench_wavelet.py``.

All are periodic and give the same number of coefficients. On a machine that does other work, ``OMP_NUM_THREADS=1``
makes the ratios steady.
"""

import sys
from pathlib import Path

import ptwt
import pywt
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs as a script

from operators import Wavelet
from tests.benchmarks.harness import compare, environment

CASES = [
    ((512, 512), (), "db4", 4),
    ((512, 512), (), "haar", 4),
    ((512, 512), (), "sym8", 4),
    ((512, 512), (), "bior4.4", 4),
    ((256, 256), (8,), "db4", 4),
    ((64, 64, 64), (), "db4", 3),
    ((4096,), (16,), "db4", 5),
]
PTWT = {
    1: (ptwt.wavedec, ptwt.waverec),
    2: (ptwt.wavedec2, ptwt.waverec2),
    3: (ptwt.wavedec3, ptwt.waverec3),
}


def transforms(shape, batch, wavelet, level, dtype):
    """Analysis and synthesis by everyone, of the same image."""
    W, x = Wavelet(shape, wavelet, level), torch.randn(*batch, *shape, dtype=dtype)
    y, axes, image = W(x), tuple(range(-len(shape), 0)), x.numpy()
    decompose, reconstruct = PTWT[len(shape)]
    theirs = pywt.wavedecn(image, wavelet, "periodization", level, axes)
    ptwts = decompose(x, wavelet, mode="periodic", level=level)
    forward = {
        "ours": lambda: W(x),
        "pywt": lambda: pywt.wavedecn(image, wavelet, "periodization", level, axes),
        "ptwt": lambda: decompose(x, wavelet, mode="periodic", level=level),
    }
    inverse = {
        "ours": lambda: W.direct_inverse(y),
        "pywt": lambda: pywt.waverecn(theirs, wavelet, "periodization", axes),
        "ptwt": lambda: reconstruct(ptwts, wavelet),
    }
    if len(shape) == 2:  # faster than the general one
        flat = pywt.wavedec2(image, wavelet, "periodization", level)
        forward["pywt 2-D"] = lambda: pywt.wavedec2(image, wavelet, "periodization", level)
        inverse["pywt 2-D"] = lambda: pywt.waverec2(flat, wavelet, "periodization")
    return forward, inverse


def main():
    """Print the tables, and at last our time over that of the fastest other."""
    print(environment(), end="\n\n")
    torch.manual_seed(0)
    ratios = {}
    with torch.no_grad():
        for dtype in (torch.float32, torch.float64):
            for shape, batch, wavelet, level in CASES:
                size = " x ".join(map(str, (*batch, *shape)))
                for name, candidates in zip(
                    ("analysis", "synthesis"), transforms(shape, batch, wavelet, level, dtype), strict=True
                ):
                    title = f"{wavelet}, {level} levels, {size}, {str(dtype)[6:]}, {name}"
                    times = compare(candidates, "ours", title)
                    ratios[title] = 1 / min(time for other, time in times.items() if other != "ours")
    print(f"{'ours / fastest other':64}{'measured':>9}{'limit':>8}")
    for title, ratio in ratios.items():
        print(f"{title:64}{ratio:9.2f}{1:8.2f}")


if __name__ == "__main__":
    main()
