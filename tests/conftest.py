"""What all tests share."""

import os

import pytest
import torch

collect_ignore = ["benchmarks"]

if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores among themselves
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _torch_in_doctests(doctest_namespace):
    doctest_namespace["torch"] = torch
