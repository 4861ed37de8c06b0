"""Fixtures of the tests of tomography."""

import pytest
import torch


@pytest.fixture
def device():
    """A GPU, or the CPU, where Triton's interpreter runs the kernels."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
