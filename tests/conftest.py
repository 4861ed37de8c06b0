"""What all tests share."""

import os

import pytest
import torch

from tests import peers

collect_ignore = ["benchmarks"]

if not torch.cuda.is_available():  # then Triton's kernels run in its interpreter: to be said before it is imported
    os.environ.setdefault("TRITON_INTERPRET", "1")

peers.declare_torchvision()  # for the examples in docstrings that import deepinv

if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores among themselves
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _torch_in_doctests(doctest_namespace):
    doctest_namespace["torch"] = torch
