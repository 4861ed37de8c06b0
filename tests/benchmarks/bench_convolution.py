"""Convolution beside its peers: run with ``python tests/benchmarks/bench_convolution.py``."""

import os
import sys
import warnings
from pathlib import Path

import numpy as np
import scipy.signal
import scipy.sparse.linalg
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs as a script

from operators import Convolution
from tests import peers
from tests.benchmarks.harness import compare, environment

IMAGE, KERNEL = (512, 512), (31, 31)
PADDED = {"valid": 512, "same": 542, "full": 542, "circular": 512, "reflect": 542, "replicate": 542}
DEEPINV_PADDING = {"valid": "valid", "same": "constant", "circular": "circular", "reflect": "reflect", "replicate": "replicate"}


def transform_pair(n):
    """One real-FFT pair of n x n entries, and nothing else."""
    x = torch.randn(n, n)
    return lambda: torch.fft.irfft2(torch.fft.rfft2(x), s=(n, n))
...
