"""The how-to guides' examples run."""

import doctest
from pathlib import Path

import pytest
import torch

from tests.peers import deepinv

GUIDES = sorted((Path(__file__).parent.parent / "docs/how_to").glob("coming_from.rst"))


@pytest.mark.filterwarnings("default")  # of the other libraries
@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_examples(path):
    deepinv()
    torch.manual_seed(0)
    failed, tried = doctest.testfile(str(path), module_relative=False, globs={"torch": torch})
    assert tried > 20
    assert not failed
