"""The pages' examples are tests: they see torch without importing it."""

import pytest
import torch

from tests import peers

peers.declare_torchvision()  # for the examples that import deepinv

collect_ignore = [
    "conf.py",
    "run_examples.py",
    "draw_ct_geometry.py",
    "draw_explanations.py",
    "how_to/several_devices.py",
    "_build",
    "gallery",
]


@pytest.fixture(autouse=True)
def _torch_in_doctests(doctest_namespace):
    doctest_namespace["torch"] = torch
